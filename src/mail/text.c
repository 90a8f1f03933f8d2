/* text.c - ASCII, UTF-8 and xtext. */
#include "text.h"

#include "posthouse/utf8.h"

static const char other_atext[] = "!#$%&'*+-/=?^_`{|}~";

bool is_atext(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || is_8bit(c))
		return true;
	return c != '\0' && strchr(other_atext, c) != NULL;
}

bool text_is_ascii(struct str s)
{
	unsigned char all = 0;

	for (size_t i = 0; i < s.n; i++)
		all |= (unsigned char)s.p[i];
	return all < 0x80;
}

/* The length that a first byte announces, and the range of its second byte (RFC 3629 4); 0 for a byte that begins nothing. */
static size_t utf8_expect(unsigned char first, unsigned char *low_out, unsigned char *high_out)
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

size_t utf8_sequence(struct str s)
{
	unsigned char low, high;

	if (s.n == 0)
		return 0;
	size_t n = utf8_expect((unsigned char)s.p[0], &low, &high);
	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

bool text_is_utf8(struct str s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		n = utf8_sequence(str_from(s, i));
		if (n == 0)
			return false;
	}
	return true;
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
		size_t n = utf8_expect(c, &u->low, &u->high);
		u->bad = u->bad || n == 0;
		u->missing = n > 0 ? (unsigned)n - 1 : 0;
	}
}

/* Clean up to `max` bytes; `beyond` stands for a sequence that is malformed, and for every one beyond ASCII when `ascii`. */
static struct str clean(struct arena *a, struct str s, size_t max, bool ascii)
{
	struct str beyond = ascii ? S("?") : S("\xef\xbf\xbd");
	char *out = arena_alloc(a, max + 8);
	size_t used = 0;
	bool space = false;
	uint32_t code;

	for (size_t i = 0; i < s.n;) {
		struct str rest = str_from(s, i);
		size_t n = utf8_sequence(rest);
		struct str c = str_head(rest, n);
		if (n == 1 && (is_control(*c.p) || *c.p == ' ')) {
			space = used > 0;
			i++;
			continue;
		}
		if (n == 0 || (n > 1 && ascii) || (utf8_char(c, &code) > 0 && utf8_is_hidden(code)))
			c = beyond;
		i += n ? n : 1;
		if (used + space + c.n > max) {
			memcpy(out + used, "...", 3);
			return str_make(out, used + 3);
		}
		if (space)
			out[used++] = ' ';
		space = false;
		memcpy(out + used, c.p, c.n);
		used += c.n;
	}
	return str_make(out, used);
}

/* A buffer of `max` bytes is enough, and of three times the input, since one bad byte may become three. */
static size_t clean_bound(struct str s, size_t max)
{
	return s.n < max / 3 ? 3 * s.n : max;
}

struct str text_clean(struct arena *a, struct str s, size_t max)
{
	return clean(a, s, clean_bound(s, max), false);
}

struct str text_clean_ascii(struct arena *a, struct str s, size_t max)
{
	return clean(a, s, clean_bound(s, max), true);
}

/* The value of an upper-case hexadecimal digit (RFC 3461 4 has no other); -1 for anything else. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct str text_from_xtext(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
			out[used++] = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
			i += 2;
		} else {
			out[used++] = s.p[i];
		}
	}
	return str_make(out, used);
}

/* The character beyond ASCII that "\x{…}" at the front of `s` stands for, and how long that is; 0 for anything else. */
static uint32_t embedded_character(struct str s, size_t *n_out)
{
	uint32_t c = 0;
	size_t n = 3;

	if (!str_starts(s, S("\\x{")))
		return 0;
	for (; n < s.n && n < 9 && hex_value(s.p[n]) >= 0; n++)
		c = c * 16 + (uint32_t)hex_value(s.p[n]);
	*n_out = n + 1;
	return n < s.n && s.p[n] == '}' && c >= 0x80 && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? c : 0;
}

static size_t utf8_write(char *out, uint32_t c)
{
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00u >> n & 0xf0) | c);
	return n;
}

struct str text_from_unitext(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1); /* no form is shorter than its character */
	size_t used = 0;

	for (size_t i = 0; i < s.n;) {
		size_t n = 1;
		uint32_t c = embedded_character(str_from(s, i), &n);
		if (c == 0) {
			out[used++] = s.p[i++];
			continue;
		}
		used += utf8_write(out + used, c);
		i += n;
	}
	return str_make(out, used);
}
