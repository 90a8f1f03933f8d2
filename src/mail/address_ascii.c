/* address_ascii.c - an internationalised domain in its ASCII form, for a next hop without SMTPUTF8. */
#include "text.h"

#include "posthouse/address.h"
#include "posthouse/mail.h"
#include "posthouse/names.h"

/* Letters, digits, hyphens and underscores in labels that are not empty: the mapping of UTS 46 turns a full-width "@" into an
 * "@". */
static bool is_domain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		bool within = i > 0 && i + 1 < s.n && s.p[i - 1] != '.';

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' && !(c == '.' && within))
			return false;
	}
	return s.n > 0;
}

bool mail_address_to_ascii(struct arena *a, struct str address, struct str *ascii_out)
{
	struct str local = address_local(address), domain = address_domain(address);
	struct str found;

	*ascii_out = S("");
	if (!text_is_odd(address)) {
		*ascii_out = arena_str(a, address);
		return true;
	}
	if (domain.n == 0 || text_is_odd(local) || !domain_to_ascii(a, domain, &found) || !is_domain(found))
		return false;
	*ascii_out = arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(found));
	return true;
}
