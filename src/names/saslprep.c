/* saslprep.c - RFC 4013 by libidn. */
#include "posthouse/names.h"

#include <stdlib.h>
#include <stringprep.h>
#include <unistr.h>

#define TEXT_MAX  1024
#define GROWTH    18 /* code points that one becomes in normalisation form KC, at most: U+FDFA */
#define POINT_MAX 4  /* bytes of a code point in UTF-8 */

static struct verdict refused(struct str text)
{
	return perm(550, S("5.5.2"), text);
}

/* Printable ASCII stays as it is, and no library copies it. */
static bool is_plain(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > '~')
			return false;
	return true;
}

static struct verdict verdict_of(int result)
{
	switch (result) {
	case STRINGPREP_OK: return ok();
	case STRINGPREP_CONTAINS_PROHIBITED:
	case STRINGPREP_BIDI_CONTAINS_PROHIBITED:
		return refused(S("a password cannot have control characters, nor invisible ones (RFC 4013)"));
	case STRINGPREP_BIDI_BOTH_L_AND_RAL:
		return refused(S("a password cannot mix letters written from right to left with others (RFC 4013)"));
	case STRINGPREP_BIDI_LEADTRAIL_NOT_RAL:
		return refused(S("a password that is written from right to left begins and ends with such a letter (RFC 4013)"));
	default: return temp(451, S("4.3.0"), S("cannot prepare the password"));
	}
}

/* The code points as UTF-8. */
static void encode(const uint32_t *points, size_t n, struct secret *prepared_out)
{
	size_t used = 0, room = n * POINT_MAX + 1;
	uint8_t *bytes = xmalloc(room);

	for (size_t i = 0; i < n; i++) {
		int length = u8_uctomb(bytes + used, points[i], (ptrdiff_t)(room - used));

		used += length > 0 ? (size_t)length : 0;
	}
	secret_set(prepared_out, str_make(bytes, used));
	wipe(bytes, room);
	free(bytes);
}

static struct verdict prepare(struct str text, struct secret *prepared_out)
{
	size_t room = text.n * GROWTH + 1, n = 0;
	uint32_t *points = xcalloc(room, sizeof(points[0]));
	struct verdict v;

	while (text.n > 0) {
		ucs4_t c;

		text = str_from(text, (size_t)u8_mbtouc(&c, (const uint8_t *)text.p, text.n));
		points[n++] = c;
	}
	v = verdict_of(stringprep_4i(points, &n, room, 0, stringprep_saslprep));
	if (v.class == OK && n == 0)
		v = refused(S("a password that consists of invisible characters is empty"));
	if (v.class == OK)
		encode(points, n, prepared_out);
	wipe(points, room * sizeof(points[0]));
	free(points);
	return v;
}

struct verdict saslprep(struct str text, struct secret *prepared_out)
{
	if (text.n == 0)
		return refused(S("a password is not empty"));
	if (text.n > TEXT_MAX)
		return refused(S("a password has at most 1024 bytes"));
	if (!utf8_valid(text))
		return refused(S("a password is UTF-8"));
	if (!is_plain(text))
		return prepare(text, prepared_out);
	secret_set(prepared_out, text);
	return ok();
}
