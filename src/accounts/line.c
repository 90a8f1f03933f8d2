/* line.c - a line of the account file: name, device ("-" = the main password), verifier, time of creation; for a password
 * that expires that time; for a locked one "locked=TIME", and its reason. Times are milliseconds since 1970. One space
 * separates all. */
#include "internal.h"

/* "EXPIRES", "locked=TIME", or both with a space between; behind the second perhaps a space and a reason. */
static bool parse_end(struct str end, struct account *account)
{
	static const struct str lock = { "locked=", 7 };
	size_t space = str_find(end, ' ');
	struct str reason;

	if (!str_starts(end, lock)) {
		if (!str_to_u64(str_head(end, space), &account->expires_at) || account->expires_at == 0)
			return false;
		if (space == end.n)
			return true;
		end = str_from(end, space + 1);
		space = str_find(end, ' ');
	}
	reason = str_from(end, space + 1);
	account->reason = str_head(reason, str_find(reason, '\0')); /* damage: what is behind it could not be written again */
	return str_starts(end, lock) && str_to_u64(str_from(str_head(end, space), lock.n), &account->locked_at) &&
	       account->locked_at > 0 && (space == end.n || reason.n > 0);
}

bool account_parse_line(struct str line, struct account *account_out)
{
	struct str name, device, verifier;
	struct verifier v;
	uint64_t created_at;
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
	*account_out = (struct account){
		.name = name, .written = name, .device = device, .verifier = verifier, .created_at = created_at
	};
	return space == line.n || parse_end(str_from(line, space + 1), account_out);
}

struct str account_format_line(struct arena *a, const struct account *account)
{
	struct str device = account->device.n ? account->device : S("-"), expiry = str_of(""), lock = str_of("");

	if (account->expires_at)
		expiry = arena_printf(a, " %llu", (unsigned long long)account->expires_at);
	if (account->locked_at)
		lock = arena_printf(a, " locked=%llu%s%.*s", (unsigned long long)account->locked_at, account->reason.n ? " " : "",
				    STR_ARG(account->reason));
	return arena_printf(a, "%.*s %.*s %.*s %llu%.*s%.*s\n", STR_ARG(account->name), STR_ARG(device),
			    STR_ARG(account->verifier), (unsigned long long)account->created_at, STR_ARG(expiry), STR_ARG(lock));
}
