/* line.c - a line of the account file: name, device ("-" = the main password), verifier and time of creation (milliseconds since
 * 1970), each separated by one space. */
#include "internal.h"

bool account_parse_line(struct str line, struct account *account_out)
{
	struct str name, device, verifier, created;
	struct verifier v;
	uint64_t at;

	if (!str_split(&line, ' ', &name) || !str_split(&line, ' ', &device) || !str_split(&line, ' ', &verifier))
		return false;
	created = line;
	if (str_eq(device, S("-")))
		device = str_of("");
	else if (device.n == 0)
		return false;
	if (!account_name_valid(name) || !account_device_valid(device) || !verifier_parse(verifier, &v) ||
	    !str_to_u64(created, &at))
		return false;
	*account_out = (struct account){ .name = name, .device = device, .verifier = verifier, .created_at = at };
	return true;
}

struct str account_format_line(struct arena *a, const struct account *account)
{
	struct str device = account->device.n ? account->device : S("-");

	return arena_printf(a, "%.*s %.*s %.*s %llu\n", STR_ARG(account->name), STR_ARG(device), STR_ARG(account->verifier),
			    (unsigned long long)account->created_at);
}
