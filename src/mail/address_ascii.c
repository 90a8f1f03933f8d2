/* address_ascii.c - an internationalised domain in its ASCII form, for a next hop without SMTPUTF8. */
#include "text.h"

#include "posthouse/address.h"
#include "posthouse/mail.h"
#include "posthouse/names.h"

bool mail_address_to_ascii(struct arena *a, struct str address, struct str *ascii_out)
{
	struct str local = address_local(address), domain = address_domain(address);
	struct str found;

	*ascii_out = S("");
	if (!text_is_odd(address)) {
		*ascii_out = arena_str(a, address);
		return true;
	}
	if (domain.n == 0 || text_is_odd(local) || !domain_to_ascii(a, domain, &found) || str_ends(found, S(".")))
		return false;
	*ascii_out = arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(found));
	return true;
}
