/* fuzz_names.c - logins and passwords in their one form: it is valid, stays as it is the second time, and is bounded. */
#include "posthouse/names.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 4013 is stable for what Unicode 3.2 knows only: the rest may be prepared further, never to something that is refused. */
static void prepare(struct str text)
{
	struct secret once = { 0 }, twice = { 0 };

	if (saslprep(text, &once).class == OK) {
		assert(once.n > 0 && once.n <= 18 * 4 * text.n && utf8_valid(secret_view(&once)));
		assert(once.n > 1024 || saslprep(secret_view(&once), &twice).class != TEMP);
	}
	secret_fini(&once);
	secret_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size), name, again, login;
	struct arena a = { 0 };

	if (size > 2048)
		return 0;
	prepare(text);
	if (precis_username(&a, text, &name)) {
		assert(utf8_valid(name) && name.n > 0);
		assert(name.n > 255 || (precis_username(&a, name, &again) && str_eq(name, again)));
	}
	login = login_canonical(&a, text);
	assert(login_is_proper(login) || !login_is_proper(text));
	arena_fini(&a);
	return 0;
}
