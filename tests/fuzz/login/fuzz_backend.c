/* fuzz_backend.c - names on their way to a back-end that is not ours: lines realm, further realms, name, device. What could end a
 * text of SQL, and what is of another realm, never gets there. */
#include "backend.h"
#include "fuzz.h"
#include "internal.h"

static bool is_one_of(struct str realm, struct str realms, struct str of_name)
{
	struct str one;
	bool found = str_ieq(realm, of_name);

	while (!found && str_split(&realms, ' ', &one))
		found = one.n > 0 && str_ieq(one, of_name);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "accounts", "sasldb", "saslauthd", "ldapdb", "sql" };
	struct str rest = str_make(data, size), realm = fuzz_line(&rest), realms = fuzz_line(&rest), login = fuzz_line(&rest);
	struct str name, device;

	login_split(login, &name, &device);
	assert(name.n + device.n <= login.n && str_starts(login, name) && str_ends(login, device));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct backend *b = backend_find(str_of(names[i]));

		if (!backend_may_know(b, realms, realm, name, device) || backend_is_ours(b))
			continue;
		assert(device.n == 0 && is_one_of(realm, realms, str_from(name, str_find(name, '@') + 1)));
		for (size_t k = 0; k < name.n && b->is_sql; k++)
			assert(!strchr("'\"\\`;", name.p[k]));
	}
	return 0;
}
