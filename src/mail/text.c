/* text.c - ASCII, UTF-8 and xtext. */
#include "text.h"

#include "posthouse/address.h"
#include "posthouse/utf8.h"

#include <unistr.h>

bool is_atext(char c)
{
	return is_8bit(c) || char_is_atext(c);
}

bool text_is_odd(struct str s)
{
	return !str_is_ascii(s) || str_find(s, '\0') < s.n;
}

size_t field_name_length(struct str line)
{
	size_t n = 0, colon = str_find(line, ':');

	while (n < colon && line.p[n] > ' ' && line.p[n] <= '~')
		n++;
	for (size_t i = n; i < colon; i++)
		if (!is_wsp(line.p[i]))
			return 0;
	return colon < line.n ? n : 0;
}

/* Clean up to `max` bytes; `beyond` replaces malformed sequences, and with `ascii` all characters beyond ASCII. */
static struct str clean(struct arena *a, struct str s, size_t max, bool ascii)
{
	struct str beyond = ascii ? S("?") : S("\xef\xbf\xbd");
	size_t room = s.n < max / 3 ? 3 * s.n : max; /* one bad byte can become three */
	char *out = arena_alloc(a, room + 8);
	size_t used = 0;
	bool space = false;
	uint32_t code;

	for (size_t i = 0; i < s.n;) {
		struct str rest = str_from(s, i);
		size_t n = utf8_char(rest, &code);
		struct str c = str_head(rest, n);
		if (n == 1 && (is_control(*c.p) || *c.p == ' ')) {
			space = used > 0;
			i++;
			continue;
		}
		if (n == 0 || (n > 1 && ascii) || (n > 0 && utf8_is_hidden(code)))
			c = beyond;
		i += n ? n : 1;
		if (used + space + c.n > room) {
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

struct str text_clean(struct arena *a, struct str s, size_t max)
{
	return clean(a, s, max, false);
}

struct str text_clean_ascii(struct arena *a, struct str s, size_t max)
{
	return clean(a, s, max, true);
}

/* Decode the "\x{…}" at the front of `s`: a character beyond ASCII, and the length of the form; 0 for anything else. */
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
		used += (size_t)u8_uctomb((uint8_t *)out + used, c, 4);
		i += n;
	}
	return str_make(out, used);
}
