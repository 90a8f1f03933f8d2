/* fuzz_line.c - a line of the account file: what is accepted comes out of the formatter as it went in. */
#include "posthouse/accounts.h"
#include "posthouse/names.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = str_make(data, size), text, name, device;
	struct account account, again;
	struct arena a = { 0 };

	if (account_parse_line(line, &account)) {
		text = account_format_line(&a, &account);
		assert(account_parse_line(str_head(text, text.n - 1), &again));
		assert(str_eq(account.name, again.name) && str_eq(account.device, again.device) &&
		       account.created_at == again.created_at && account.expires_at == again.expires_at &&
		       account.locked_at == again.locked_at && str_eq(account.reason, again.reason));
		if (login_canonical(&a, account.name).n >
		    255) /* the A-labels of a realm can be too long: nobody can log in by it */
			goto out;
		assert(account_parse_name(&a, account.name, str_of(""), &name, &device) && device.n == 0);
		assert(account_parse_name(&a, name, str_of(""), &again.name, &device) && str_eq(name, again.name));
	}
	if (account_parse_removal(line, &name, &device)) {
		assert(name.n && str_find(name, ' ') == name.n && !str_eq(device, S("-")));
		assert(!account_parse_line(line, &account)); /* each line is one of both */
	}
	if (account_parse_name(&a, line, S("example.org"), &name, &device))
		assert(name.n && str_find(name, '@') < name.n && str_find(name, ' ') == name.n && str_find(name, '\n') == name.n);
out:
	arena_fini(&a);
	return 0;
}
