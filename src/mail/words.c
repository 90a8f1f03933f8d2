/* words.c - encoded words (RFC 2047), read as leniently as any reader does. They are written in encoded.c. */
#include "words.h"

#include "text.h"

#include "posthouse/address.h"
#include "posthouse/base64.h"
#include "posthouse/mail.h"

#define NESTED_MAX 8 /* words within words: one level is a program's mistake, more is none */

/* What is known of a charset beside that ASCII bytes are ASCII in it. */
enum charset_kind {
	UTF8,    /* or ASCII: decoded here */
	SINGLE,  /* a byte is a character */
	DOUBLE,  /* a byte beyond ASCII begins a character of two */
	SHIFTED, /* the same, except for the half-width katakana of Shift_JIS */
	ESCAPED, /* bytes of ASCII can be halves of a character: "ESC $" begins that, "ESC (" ends it (RFC 1468) */
	UNKNOWN,
};

static enum charset_kind charset_kind(struct str name)
{
	static const struct {
		const char *prefix;
		enum charset_kind kind;
	} known[] = {
		{ "utf-8", UTF8 },         { "utf8", UTF8 },           { "us-ascii", UTF8 },      { "ascii", UTF8 },
		{ "iso-2022-", ESCAPED },  { "iso-8859-", SINGLE },    { "iso8859-", SINGLE },    { "iso_8859-", SINGLE },
		{ "latin", SINGLE },       { "windows-31j", SHIFTED }, { "windows-936", DOUBLE }, { "windows-949", DOUBLE },
		{ "windows-950", DOUBLE }, { "windows-", SINGLE },     { "cp1250", SINGLE },      { "cp125", SINGLE },
		{ "cp85", SINGLE },        { "cp86", SINGLE },         { "cp437", SINGLE },       { "ibm85", SINGLE },
		{ "ibm86", SINGLE },       { "ibm437", SINGLE },       { "koi8", SINGLE },        { "tis-620", SINGLE },
		{ "mac", SINGLE },         { "x-mac", SINGLE },        { "unknown", SINGLE },     { "x-unknown", SINGLE },
		{ "default", SINGLE },     { "shift_jis", SHIFTED },   { "shift-jis", SHIFTED },  { "sjis", SHIFTED },
		{ "x-sjis", SHIFTED },     { "cp932", SHIFTED },       { "ms932", SHIFTED },      { "gb2312", DOUBLE },
		{ "gbk", DOUBLE },         { "gb18030", DOUBLE },      { "cp936", DOUBLE },       { "big5", DOUBLE },
		{ "cp950", DOUBLE },       { "euc-", DOUBLE },         { "ks_c_5601", DOUBLE },   { "cp949", DOUBLE },
		{ "uhc", DOUBLE },
	};

	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
			return UNKNOWN;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (str_istarts(name, str_of(known[i].prefix)))
			return known[i].kind;
	}
	return UNKNOWN;
}

/* "=?charset*language?encoding?text?=" (RFC 2231 5) at the front of `s`, in its parts. */
static size_t split_word(struct str s, struct str *charset_out, char *encoding_out, struct str *text_out)
{
	if (!str_starts(s, S("=?")))
		return 0;
	struct str charset = str_head(str_from(s, 2), str_find(str_from(s, 2), '?'));
	size_t at = 2 + charset.n; /* of the "?" before the encoding */
	if (charset.n == 0 || at + 3 > s.n || s.p[at + 2] != '?')
		return 0;
	char encoding = ascii_lower(s.p[at + 1]);
	struct str text = str_from(s, at + 3);
	text = str_head(text, str_search(text, S("?=")));
	if ((encoding != 'q' && encoding != 'b') || at + 3 + text.n == s.n)
		return 0;
	*charset_out = str_head(charset, str_find(charset, '*'));
	*encoding_out = encoding;
	*text_out = text;
	return at + 3 + text.n + 2;
}

size_t word_length(struct str s, bool exact)
{
	struct str charset, text;
	char encoding;
	size_t n = split_word(s, &charset, &encoding, &text);

	for (size_t i = 0; exact && i < n; i++) {
		if (is_control(s.p[i]) || is_8bit(s.p[i]) || s.p[i] == ' ')
			return 0;
	}
	return exact && n > 0 && (str_find(text, '?') < text.n || text.n == 0 || charset.n == 0) ? 0 : n;
}

/* Where the last word of `s` can end: behind it nothing needs to be looked for. */
static size_t last_end(struct str s)
{
	size_t n = s.n;

	while (n >= 2 && (s.p[n - 2] != '?' || s.p[n - 1] != '='))
		n--;
	return n >= 2 ? n : 0;
}

/* RFC 2047 4.2 wants upper case; readers take both. */
static int hex_digit(char c)
{
	return hex_value(c >= 'a' && c <= 'f' ? (char)(c - 32) : c);
}

/* RFC 2047 4.2. */
static struct str decode_q(struct arena *a, struct str text)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '=' && i + 2 < text.n && hex_digit(text.p[i + 1]) >= 0 && hex_digit(text.p[i + 2]) >= 0) {
			c = (char)(hex_digit(text.p[i + 1]) * 16 + hex_digit(text.p[i + 2]));
			i += 2;
		} else if (c == '_') {
			c = ' ';
		}
		out[used++] = c;
	}
	return str_make(out, used);
}

/* RFC 2047 4.1, as the most tolerant reader decodes it: other characters are ignored, padding can be missing. */
static struct str decode_b(struct arena *a, struct str text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = arena_alloc(a, text.n + 1);
	unsigned bits = 0, have = 0;
	size_t used = 0;

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
			out[used++] = (char)(bits >> have & 0xff);
		}
	}
	return str_make(out, used);
}

/* A shift at the front of `s`, which is behind an ESC, or a lone SO or SI (RFC 1468, RFC 1557): its length, and what it
 * begins; 0 for none. */
static size_t read_shift(struct str s, bool *wide)
{
	if (str_starts(s, S("\x0e")) || str_starts(s, S("\x0f"))) {
		*wide = *s.p == '\x0e';
		return 1;
	}
	if (s.n < 3 || *s.p != '\x1b' || (s.p[1] != '$' && s.p[1] != '('))
		return 0;
	bool one = s.p[1] == '(' || strchr("@AB", s.p[2]) != NULL;
	if (!one && (s.n < 4 || strchr("()*", s.p[2]) == NULL))
		return 0;
	*wide = s.p[1] == '$';
	return one ? 3 : 4;
}

/* ASCII as it is, and U+FFFD for every character beyond it. */
static struct str only_ascii(struct arena *a, enum charset_kind kind, struct str bytes)
{
	char *out = arena_alloc(a, 3 * bytes.n + 1);
	size_t used = 0, shift;
	bool wide = false;

	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		shift = kind == ESCAPED ? read_shift(str_from(bytes, i), &wide) : 0;
		if (shift > 0) {
			i += shift - 1;
		} else if (c < 0x80 && !wide) {
			out[used++] = (char)c;
		} else {
			bool half = kind == SHIFTED && c >= 0xa1 && c <= 0xdf;
			i += c >= 0x80 && (kind == DOUBLE || kind == SHIFTED) && !half && i + 1 < bytes.n;
			memcpy(out + used, "\xef\xbf\xbd", 3);
			used += 3;
		}
	}
	return str_make(out, used);
}

/* Replace each word in UTF-8 or ASCII by its text; other words stay. White space between two words is removed. True when there
 * was one to replace. */
static bool decode_utf8(struct arena *a, struct str s, struct str *out)
{
	char *to = arena_alloc(a, s.n + 1), encoding;
	struct str charset, text;
	bool after_word = false, any = false;
	size_t used = 0, start = 0, end = last_end(s); /* start: of the white space before the place */

	for (size_t i = 0, n; i < s.n; i += n) {
		n = i < end ? split_word(str_from(s, i), &charset, &encoding, &text) : 0;
		if (n == 0) {
			n = 1;
			if (!is_wsp(s.p[i])) {
				after_word = false;
				start = used + 1;
			}
			to[used++] = s.p[i];
			continue;
		}
		struct str piece = str_head(str_from(s, i), n);
		if (charset_kind(charset) == UTF8) {
			piece = encoding == 'q' ? decode_q(a, text) : decode_b(a, text);
			any = true;
		}
		used = after_word ? start : used;
		memcpy(to + used, piece.p, piece.n);
		start = used += piece.n;
		after_word = true;
	}
	*out = str_make(to, used);
	return any;
}

/* The word in a form that a display name can have: RFC 2047 5 (3) forbids some characters there that programs write. */
static struct str as_atom(struct arena *a, struct str raw, struct str charset, struct str bytes)
{
	size_t at = 0;

	while (at < raw.n && is_atext(raw.p[at]) && !is_8bit(raw.p[at]))
		at++;
	if (at == raw.n)
		return raw;
	return arena_printf(a, "=?%.*s?b?%.*s?=", STR_ARG(charset), STR_ARG(base64_encode(a, bytes)));
}

bool word_bytes(struct arena *a, struct str raw, struct str *charset_out, struct str *bytes_out)
{
	struct str text;
	char encoding;

	if (split_word(raw, charset_out, &encoding, &text) == 0)
		return false;
	*bytes_out = encoding == 'q' ? decode_q(a, text) : decode_b(a, text);
	return true;
}

void words_decode(struct arena *a, struct str s, struct words *out)
{
	struct str charset, text;
	char encoding;
	unsigned level = 0;

	*out = (struct words){ ARENA_ARRAY(a, struct word, s.n / 4 + 2), 0, S(""), false };
	while (decode_utf8(a, s, &s)) {
		out->nested = level > 0;
		if (++level > NESTED_MAX) {
			out->unknown = S("(words within words)");
			return;
		}
	}
	for (size_t i = 0, n, end = last_end(s); i < s.n; i += n) {
		n = i < end ? split_word(str_from(s, i), &charset, &encoding, &text) : 0;
		if (n == 0) {
			n = 1;
			if (out->n == 0 || out->at[out->n - 1].raw.n > 0)
				out->at[out->n++] = (struct word){ str_make(s.p + i, 0), S("") };
			out->at[out->n - 1].text.n++;
			continue;
		}
		struct str bytes = encoding == 'q' ? decode_q(a, text) : decode_b(a, text);
		struct str ascii = only_ascii(a, charset_kind(charset), bytes);
		out->at[out->n++] = (struct word){ ascii, as_atom(a, str_head(str_from(s, i), n), charset, bytes) };
		if (charset_kind(charset) == UNKNOWN || str_search(ascii, S("=?")) < ascii.n)
			out->unknown = charset.n > 0 ? charset : S("(none)"); /* "=?*language?q?...?=" */
	}
}
