/* fuzz_mime.c - what a header section says about its body, and the fields that stay or are replaced: MIME, Date, Message-ID,
 * Authentication-Results. */
#include "fuzz.h"
#include "identity.h"
#include "mime.h"

#include "posthouse/verify.h"

static void check_mime(struct str section)
{
	struct str rest = section, skipped = section;
	struct mime_field field;
	struct mime_part part;
	size_t taken = 0;

	while (mime_take_field(&rest, &field)) {
		assert(field.whole.n > 0 && field.name.n + field.value.n <= field.whole.n);
		assert(field.whole.p == section.p + taken);
		taken += field.whole.n;
	}
	assert(taken <= section.n);
	for (unsigned otherwise = MIME_BODY_PART; otherwise <= MIME_OPAQUE; otherwise++) {
		mime_read(section, otherwise, &part);
		assert(part.boundary_n <= BOUNDARY_MAX && part.encoding <= MIME_OTHER && part.kind <= MIME_OPAQUE);
		assert((part.kind == MIME_OPAQUE) == (part.opaque != NULL) || otherwise == MIME_OPAQUE);
		fuzz_assert_one_line(str_make(part.boundary, part.boundary_n));
	}
	if (mime_skip_space(&skipped))
		assert(skipped.n <= section.n && (skipped.n == 0 || (skipped.p[0] != ' ' && skipped.p[0] != '(')));
}

static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", s.p[i]) || s.p[i] == '\0')
			return false;
	return s.n > 0 && s.n < 200 && s.p[s.n - 1] != '.';
}

static void check_identity(struct arena *a, struct str value)
{
	struct auth_results results;

	if (message_id_valid(value))
		assert(value.n > 4 && str_find(value, '<') < value.n && str_find(value, '@') < value.n &&
		       str_find(value, '\0') == value.n);
	if (date_valid(value))
		assert(str_find(value, ':') < value.n && str_find(value, '\0') == value.n);
	if (auth_results_parse(a, value, &results)) {
		for (size_t i = 0; i < results.n; i++)
			assert(results.results[i].method.n > 0 && results.results[i].result.n > 0 &&
			       auth_property_find(&results.results[i], S("header.d")).n <= value.n);
		assert(!is_host(results.server) || is_result_of(a, value, results.server));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct arena a = { 0 };

	if (size > 8192)
		return 0;
	check_mime(text);
	check_identity(&a, text);
	arena_fini(&a);
	return 0;
}
