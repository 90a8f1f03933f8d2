/* saslprep.c - what RFC 4013 does to a password before it is hashed: so that a client that prepares it and one that does not agree.
 * The normalisation (form KC) is left out: it needs tables of Unicode, and keyboards give composed characters already. */
#include "internal.h"

struct range {
	uint32_t from, to;
};

/* RFC 3454 C.1.2: spaces that become U+0020. */
static const struct range spaces[] = { { 0xa0, 0xa0 },     { 0x1680, 0x1680 }, { 0x2000, 0x200b },
				       { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 } };

/* RFC 3454 B.1: characters that vanish. */
static const struct range nothing[] = { { 0xad, 0xad },     { 0x34f, 0x34f },   { 0x1806, 0x1806 }, { 0x180b, 0x180d },
					{ 0x200c, 0x200d }, { 0x2060, 0x2060 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff } };

/* RFC 3454 C.2 to C.9: control, private use, non-characters, surrogates, tags and what changes the direction of text. */
static const struct range prohibited[] = { { 0x0, 0x1f },        { 0x7f, 0x9f },       { 0x340, 0x341 },     { 0x6dd, 0x6dd },
					   { 0x70f, 0x70f },     { 0x180e, 0x180e },   { 0x200e, 0x200f },   { 0x2028, 0x202e },
					   { 0x2061, 0x2063 },   { 0x206a, 0x206f },   { 0x2ff0, 0x2ffb },   { 0xd800, 0xf8ff },
					   { 0xfdd0, 0xfdef },   { 0xfff9, 0xffff },   { 0x1d173, 0x1d17a }, { 0x1fffe, 0x1ffff },
					   { 0xe0001, 0xe0001 }, { 0xe0020, 0xe007f }, { 0xf0000, 0x10ffff } };

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].from && c <= ranges[i].to)
			return true;
	return false;
}

#define IN(c, ranges) in_ranges((c), (ranges), sizeof(ranges) / sizeof((ranges)[0]))

/* RFC 3629 section 4: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool utf8_next(struct str *rest, uint32_t *c_out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)rest->p;
	size_t length;
	uint32_t c;

	if (rest->n == 0)
		return false;
	length = p[0] < 0x80                   ? 1
		 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		 : (p[0] & 0xf0) == 0xe0       ? 3
		 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
					       : 0;
	if (length == 0 || length > rest->n)
		return false;
	c = length == 1 ? p[0] : p[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[length] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return false;
	*rest = str_from(*rest, length);
	*c_out = c;
	return true;
}

bool saslprep(struct str password, char *out, size_t *n_out)
{
	size_t n = 0;

	while (password.n) {
		const char *from = password.p;
		uint32_t c;

		if (!utf8_next(&password, &c))
			return false;
		if (IN(c, spaces)) {
			out[n++] = ' ';
			continue;
		}
		if (IN(c, nothing))
			continue;
		if (IN(c, prohibited))
			return false;
		memmove(out + n, from, (size_t)(password.p - from));
		n += (size_t)(password.p - from);
	}
	*n_out = n;
	return n > 0;
}
