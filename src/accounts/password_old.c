/* password_old.c - how earlier versions prepared passwords: by RFC 4013 without normalisation (form KC), and without the check of
 * directions. PLAIN and LOGIN try it, because there are verifiers that were made so. */
#include "internal.h"

#include <stdlib.h>
#include <unistr.h>

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

void password_prepare_old(struct str password, struct secret *prepared_out)
{
	char *text = xmalloc(password.n + 1);
	struct str rest = password;
	size_t n = 0;

	while (rest.n > 0) {
		ucs4_t c;
		int length = u8_mbtoucr(&c, (const uint8_t *)rest.p, rest.n);

		if (length < 0 || (IN(c, prohibited) && !IN(c, spaces) && !IN(c, nothing)))
			break;
		if (IN(c, spaces)) {
			text[n++] = ' ';
		} else if (!IN(c, nothing)) {
			memcpy(text + n, rest.p, (size_t)length);
			n += (size_t)length;
		}
		rest = str_from(rest, (size_t)length);
	}
	secret_set(prepared_out, rest.n == 0 ? str_make(text, n) : S(""));
	wipe(text, password.n + 1);
	free(text);
}
