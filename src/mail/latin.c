/* latin.c - the charsets of one byte that western mail has beside UTF-8, as UTF-8. */
#include "words.h"

#include "posthouse/utf8.h"

/* windows-1252 at 0x80 to 0x9f, and where ISO 8859-15 differs from ISO 8859-1; 0: no character. What says it is ISO 8859-1 is
 * windows-1252 as a rule, as browsers and mail programs read it. */
static const uint16_t windows[32] = { 0x20ac, 0,      0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
				      0x2039, 0x152,  0,      0x17d,  0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
				      0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0,      0x17e,  0x178 };

static uint32_t character(unsigned char c, bool latin9)
{
	static const struct {
		unsigned char byte;
		uint16_t code;
	} ninth[] = { { 0xa4, 0x20ac }, { 0xa6, 0x160 }, { 0xa8, 0x161 }, { 0xb4, 0x17d },
		      { 0xb8, 0x17e },  { 0xbc, 0x152 }, { 0xbd, 0x153 }, { 0xbe, 0x178 } };

	for (size_t i = 0; latin9 && i < sizeof ninth / sizeof ninth[0]; i++)
		if (ninth[i].byte == c)
			return ninth[i].code;
	if (c >= 0x80 && c < 0xa0)
		return windows[c - 0x80] ? windows[c - 0x80] : 0xfffd;
	return c;
}

static struct str to_utf8(struct arena *a, struct str bytes, bool latin9)
{
	char *out = arena_alloc(a, 3 * bytes.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		uint32_t c = character((unsigned char)bytes.p[i], latin9);

		if (c < 0x80) {
			out[n++] = (char)c;
		} else if (c < 0x800) {
			out[n++] = (char)(0xc0 | c >> 6);
			out[n++] = (char)(0x80 | (c & 0x3f));
		} else {
			out[n++] = (char)(0xe0 | c >> 12);
			out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
			out[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	return str_make(out, n);
}

struct str text_from_latin(struct arena *a, struct str text)
{
	return utf8_valid(text) ? text : to_utf8(a, text, false);
}

struct str word_latin(struct arena *a, struct str raw)
{
	static const char *const names[] = { "iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252", "unknown-8bit" };
	struct str charset, bytes;

	if (!word_bytes(a, raw, &charset, &bytes))
		return S("");
	if (str_ieq(charset, S("iso-8859-15")) || str_ieq(charset, S("latin9")))
		return to_utf8(a, bytes, true);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_ieq(charset, str_of(names[i])))
			return text_from_latin(a, bytes);
	return S("");
}
