/* utf8.c - well-formed UTF-8, and characters that are not what they seem. */
#include "posthouse/utf8.h"

#include "posthouse/buf.h"

#define ARRAY_END(array) ((array) + sizeof(array) / sizeof((array)[0]))

struct range {
	uint32_t first, last;
};

/* The length that a first byte announces, and the range of its second byte (RFC 3629 4); 0 for a byte that begins nothing. */
static size_t expected(unsigned char first, unsigned char *low_out, unsigned char *high_out)
{
	*low_out = 0x80;
	*high_out = 0xbf;
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*low_out = 0xa0;
		if (first == 0xed)
			*high_out = 0x9f;
		return 3;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*low_out = 0x90;
		if (first == 0xf4)
			*high_out = 0x8f;
		return 4;
	}
	return 0;
}

size_t utf8_char(struct str s, uint32_t *c_out)
{
	unsigned char low, high;
	uint32_t value;
	size_t n;

	if (s.n > 0 && (unsigned char)*s.p < 0x80) {
		*c_out = (unsigned char)*s.p;
		return 1;
	}
	n = s.n > 0 ? expected((unsigned char)*s.p, &low, &high) : 0;
	if (n == 0 || n > s.n)
		return 0;
	value = (unsigned char)*s.p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
		value = value << 6 | (c & 0x3f);
	}
	*c_out = value;
	return n;
}

void utf8_check_feed(struct utf8_check *u, struct str bytes)
{
	for (size_t i = 0; i < bytes.n && !(u->bad && u->has_8bit); i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		u->has_8bit = u->has_8bit || c >= 0x80;
		if (u->missing > 0) {
			u->bad = u->bad || c < u->low || c > u->high;
			u->missing--;
			u->low = 0x80;
			u->high = 0xbf;
			continue;
		}
		size_t n = expected(c, &u->low, &u->high);
		u->bad = u->bad || n == 0;
		u->missing = n > 0 ? (unsigned)n - 1 : 0;
	}
}

bool utf8_valid(struct str s)
{
	uint32_t c;

	for (size_t i = 0, n; i < s.n; i += n)
		if ((n = utf8_char(str_from(s, i), &c)) == 0)
			return false;
	return true;
}

static bool is_in(const struct range *range, const struct range *end, uint32_t c)
{
	while (range < end && c > range->last)
		range++;
	return range < end && c >= range->first;
}

bool utf8_is_hidden(uint32_t c)
{
	static const struct range
		hidden
			[] = {
				{ 0x80, 0x9f },       { 0xad, 0xad },       { 0x34f, 0x34f },
				{ 0x61c, 0x61c }, /* a direction */
				{ 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
				{ 0x200b, 0x200f }, /* joiners, directions */
				{ 0x2028, 0x202e }, /* line ends, directions */
				{ 0x2060, 0x206f },   { 0x3164, 0x3164 },   { 0xfdd0, 0xfdef },
				{ 0xfe00, 0xfe0f }, /* variants of the character before */
				{ 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffc },
				{ 0xfffe, 0xffff },   { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
				{ 0xe0000, 0xe0fff },
			};

	if (c < 0x80)
		return c < ' ' || c == 0x7f;
	return is_in(hidden, ARRAY_END(hidden), c) || (c >= 0x10000 && (c & 0xfffe) == 0xfffe);
}

bool utf8_is_deceptive(struct str s)
{
	static const struct range alike[] = {
		{ 0xa0, 0xa0 },     { 0x2000, 0x200a }, { 0x2024, 0x2024 }, /* one dot leader */
		{ 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3002 }, /* space, comma, full stop */
		{ 0xfe52, 0xfe52 }, { 0xfe6b, 0xfe6b }, { 0xff0e, 0xff0e },
		{ 0xff20, 0xff20 }, { 0xff61, 0xff61 }, { 0xfffd, 0xfffd }, /* the sign for a lost character */
	};
	uint32_t c;

	for (size_t i = 0, n; i<s.n; i += n> 0 ? n : 1) {
		n = utf8_char(str_from(s, i), &c);
		if (n > 0 && (utf8_is_hidden(c) || is_in(alike, ARRAY_END(alike), c)))
			return true;
	}
	return false;
}

struct str utf8_shown(struct arena *a, struct str s)
{
	struct buf b;
	struct str shown;
	uint32_t c = 0;

	buf_init(&b, 3 * s.n);
	for (size_t i = 0, n; i<s.n; i += n> 0 ? n : 1) {
		n = utf8_char(str_from(s, i), &c);
		buf_add(&b, n > 0 && !utf8_is_hidden(c) ? str_make(s.p + i, n) : S("\xef\xbf\xbd"));
	}
	shown = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return shown;
}
