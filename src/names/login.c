/* login.c - splits a login and brings each part to its canonical form. */
#include "posthouse/address.h"
#include "posthouse/names.h"

#include <idn2.h>
#include <stdlib.h>
#include <unicase.h>

/* Does a name have one of the characters that divide a login or a line of the account file? A full-width "@" becomes an "@". */
static bool has_separator(struct str name)
{
	return str_find(name, '@') < name.n || str_find(name, '/') < name.n || str_find(name, ':') < name.n ||
	       str_starts(name, S("#"));
}

/* When PRECIS does not allow the name, or would make two parts of it, only its ASCII letters become lower case. ASCII names need
 * no tables. */
static struct str canonical_part(struct arena *a, struct str part)
{
	struct str name;

	return !str_is_ascii(part) && precis_username(a, part, &name) && !has_separator(name) ? name : arena_lower(a, part);
}

/* `domain` has U-labels, in any case; "" when IDNA does not allow it. */
static struct str to_alabels(struct arena *a, struct str domain)
{
	size_t n;
	struct str name = S("");
	uint8_t *found = NULL, *lower = u8_tolower((const uint8_t *)domain.p, domain.n, NULL, UNINORM_NFC, NULL, &n);

	if (lower != NULL &&
	    idn2_lookup_u8((const uint8_t *)arena_cstr(a, str_make(lower, n)), &found, IDN2_NFC_INPUT | IDN2_NO_TR46) == IDN2_OK)
		name = arena_str(a, str_of((const char *)found));
	free(lower);
	idn2_free(found);
	return name;
}

/* The same domain has one name, whether it was typed as U-labels or as A-labels (RFC 5890 section 2.3.2.1). A domain that
 * IDNA does not allow stays as it is. */
struct str domain_canonical(struct arena *a, struct str domain)
{
	struct str name = S("");

	if (!str_is_ascii(domain) && utf8_valid(domain) && memchr(domain.p, '\0', domain.n) == NULL)
		name = to_alabels(a, domain);
	name = arena_lower(a, name.n > 0 ? name : domain);
	if (name.n > 1 && name.p[name.n - 1] == '.' && name.p[name.n - 2] != '.')
		name.n--;
	return name;
}

/* Letters, digits, hyphens and underscores in labels that are not empty, and a dot at the end: the mapping of UTS 46 turns a
 * full-width "@" into an "@", and an ideographic space into a space. */
static bool is_mapped_well(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
		    !(c == '.' && i > 0 && s.p[i - 1] != '.'))
			return false;
	}
	return s.n > 0;
}

bool domain_to_ascii(struct arena *a, struct str domain, struct str *name_out)
{
	uint8_t *found = NULL;
	bool good;

	if (memchr(domain.p, '\0', domain.n))
		return false;
	*name_out = arena_lower(a, domain);
	if (str_is_ascii(domain))
		return true;
	good = idn2_lookup_u8((const uint8_t *)arena_cstr(a, domain), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;
	if (good)
		*name_out = arena_lower(a, str_of((const char *)found));
	idn2_free(found);
	return good && is_mapped_well(*name_out);
}

struct str login_canonical(struct arena *a, struct str login)
{
	size_t slash = str_find(login, '/');
	struct str whole = str_head(login, slash), device = str_from(login, slash + 1);
	size_t at = str_rfind(whole, '@');
	struct str name;

	if (str_find(login, '\0') < login.n)
		return arena_lower(a, login); /* not a valid login: keep all of it */
	name = canonical_part(a, str_head(whole, at));
	if (at < whole.n)
		name = arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain_canonical(a, str_from(whole, at + 1))));
	return slash < login.n ? arena_printf(a, "%.*s/%.*s", STR_ARG(name), STR_ARG(arena_lower(a, device))) : name;
}

bool login_is_proper(struct str login)
{
	struct str whole = str_head(login, str_find(login, '/')), name;
	struct arena a = { 0 };
	bool proper = precis_username(&a, address_local(whole), &name) && str_eq(name, address_local(whole)) &&
		      str_eq(login_canonical(&a, login), login);

	arena_fini(&a);
	return proper;
}
