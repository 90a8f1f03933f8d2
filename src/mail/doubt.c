/* doubt.c - what the grammar of addresses allows and programs parse alike, but people or sloppy programs do not see alike. */
#include "address.h"

#include "text.h"

bool comment_is_doubtful(struct str comment)
{
	for (size_t i = 0; i < comment.n; i++) {
		char c = comment.p[i];
		if (c == '<' || c == '>')
			return true;
		if (c == '@' && i > 0 && i + 1 < comment.n && is_atext(comment.p[i - 1]) && is_atext(comment.p[i + 1]))
			return true;
	}
	return false;
}

/* A decoded byte after the other: which of them would end or begin something. */
struct judge {
	bool iso2022; /* bytes below 0x80 can be halves of a character: "ESC $" begins that, "ESC (" ends it (RFC 1468) */
	bool escaped, wide, bad;
};

static void judge_byte(struct judge *j, unsigned char c)
{
	if (j->escaped) {
		j->escaped = false;
		j->wide = c == '$' || (j->wide && c != '(');
	} else if (j->iso2022 && c == 0x1b) {
		j->escaped = true;
	} else if (!j->wide && (c == '<' || c == '>' || is_control((char)c)) && c != '\t') {
		j->bad = true;
	}
}

static int hex_digit(char c)
{
	c = ascii_lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2047 4.2. */
static void judge_q(struct judge *j, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		bool escape =
			text.p[i] == '=' && i + 2 < text.n && hex_digit(text.p[i + 1]) >= 0 && hex_digit(text.p[i + 2]) >= 0;
		if (!escape) {
			judge_byte(j, (unsigned char)text.p[i]);
			continue;
		}
		judge_byte(j, (unsigned char)(hex_digit(text.p[i + 1]) * 16 + hex_digit(text.p[i + 2])));
		i += 2;
	}
}

/* RFC 2047 4.1, as the most forgiving reader decodes it: other characters are passed over, padding may be missing. */
static void judge_b(struct judge *j, struct str text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < text.n; i++) {
		const char *digit = text.p[i] != '\0' ? strchr(digits, text.p[i]) : NULL;
		if (text.p[i] == '=')
			have = 0;
		if (!digit)
			continue;
		bits = (bits << 6 | (unsigned)(digit - digits)) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			judge_byte(j, bits >> have & 0xff);
		}
	}
}

/* One encoded word at the front ("=?charset?encoding?text?="): judge it, and say how long it is; 1 for what is none. */
static size_t judge_word(struct str s, bool *bad_out)
{
	struct str charset = str_head(str_from(s, 2), str_find(str_from(s, 2), '?'));
	size_t at = 2 + charset.n; /* of the "?" before the encoding */
	struct judge j = { .iso2022 = str_istarts(charset, S("iso-2022-")) };

	if (at + 3 > s.n || s.p[at + 2] != '?')
		return 1;
	struct str text = str_from(s, at + 3);
	text = str_head(text, str_find(text, '?'));
	if (!str_starts(str_from(s, at + 3 + text.n), S("?=")))
		return 1;
	char encoding = ascii_lower(s.p[at + 1]);
	if (encoding == 'q')
		judge_q(&j, text);
	else if (encoding == 'b')
		judge_b(&j, text);
	*bad_out = *bad_out || j.bad;
	return at + 3 + text.n + 2;
}

bool words_are_doubtful(struct str words)
{
	bool bad = false;

	for (;;) {
		words = str_from(words, str_search(words, S("=?")));
		if (words.n == 0 || bad)
			return bad;
		words = str_from(words, judge_word(words, &bad));
	}
}

bool address_is_doubtful(struct str address)
{
	static const struct {
		uint32_t first, last;
	} doubtful[] = {
		{ 0x80, 0xa0 },   /* control characters; a space that is none */
		{ 0xad, 0xad },   /* soft hyphen */
		{ 0x34f, 0x34f }, /* not seen, as the following ones */
		{ 0x61c, 0x61c },   { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
		{ 0x2000, 0x200f },                     /* spaces, joiners, directions */
		{ 0x2024, 0x2024 },                     /* one dot leader */
		{ 0x2028, 0x202f },                     /* line ends, directions */
		{ 0x205f, 0x206f }, { 0x3000, 0x3002 }, /* space, comma, full stop */
		{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, /* variants of what stands before */
		{ 0xfe52, 0xfe52 },                     /* small full stop */
		{ 0xfe6b, 0xfe6b },                     /* small @ */
		{ 0xfeff, 0xfeff }, { 0xff0e, 0xff0e }, /* full-width full stop */
		{ 0xff20, 0xff20 },                     /* full-width @ */
		{ 0xff61, 0xff61 }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, { 0xe0000, 0xe0fff },
	};
	for (size_t i = 0, n; i < address.n; i += n) {
		n = utf8_sequence(str_from(address, i));
		if (n < 2) {
			n = 1;
			continue;
		}
		uint32_t c = (unsigned char)address.p[i] & (0xffu >> (n + 1));
		for (size_t k = 1; k < n; k++)
			c = c << 6 | ((unsigned char)address.p[i + k] & 0x3f);
		for (size_t k = 0; k < sizeof doubtful / sizeof *doubtful; k++) {
			if (c >= doubtful[k].first && c <= doubtful[k].last)
				return true;
		}
	}
	return false;
}
