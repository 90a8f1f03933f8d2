/* gs2.c - see gs2.h. It reads only the channel binding; Cyrus reads the rest of the message. */
#include "gs2.h"

#define TYPE_MAX 64 /* all registered names are shorter than 24 */

/* RFC 5056 section 7: letters, digits, '.' and '-'. */
static bool type_valid(struct str type)
{
	for (size_t i = 0; i < type.n; i++) {
		char c = ascii_lower(type.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'))
			return false;
	}
	return type.n > 0 && type.n <= TYPE_MAX;
}

enum gs2_binding gs2_read(struct str first, struct str *type_out)
{
	struct str flag = str_head(first, str_find(first, ','));

	*type_out = str_of("");
	if (flag.n == first.n)
		return GS2_MALFORMED;
	if (str_eq(flag, S("n")))
		return GS2_NONE;
	if (str_eq(flag, S("y")))
		return GS2_NOT_OFFERED;
	if (!str_starts(flag, S("p=")) || !type_valid(str_from(flag, 2)))
		return GS2_MALFORMED;
	*type_out = str_from(flag, 2);
	return GS2_BOUND;
}
