/* line.c - a line of the account file: name, device ("-" = the main password), verifier, time of creation and, for a password
 * that expires, that time too (milliseconds since 1970), each separated by one space. */
#include "internal.h"

bool account_parse_line(struct str line, struct account *account_out)
{
	struct str name, device, verifier;
	struct verifier v;
	uint64_t created_at, expires_at = 0;
	size_t space;

	if (!str_split(&line, ' ', &name) || !str_split(&line, ' ', &device) || !str_split(&line, ' ', &verifier))
		return false;
	space = str_find(line, ' ');
	if (str_eq(device, S("-")))
		device = str_of("");
	else if (device.n == 0)
		return false;
	if (!account_name_valid(name) || !account_device_valid(device) || !verifier_parse(verifier, &v) ||
	    !str_to_u64(str_head(line, space), &created_at))
		return false;
	if (space < line.n && (!str_to_u64(str_from(line, space + 1), &expires_at) || expires_at == 0))
		return false;
	*account_out = (struct account){ .name = name,
					 .written = name,
					 .device = device,
					 .verifier = verifier,
					 .created_at = created_at,
					 .expires_at = expires_at };
	return true;
}

struct str account_format_line(struct arena *a, const struct account *account)
{
	struct str device = account->device.n ? account->device : S("-"), expiry = str_of("");

	if (account->expires_at)
		expiry = arena_printf(a, " %llu", (unsigned long long)account->expires_at);
	return arena_printf(a, "%.*s %.*s %.*s %llu%.*s\n", STR_ARG(account->name), STR_ARG(device), STR_ARG(account->verifier),
			    (unsigned long long)account->created_at, STR_ARG(expiry));
}
