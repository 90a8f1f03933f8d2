/* encoded.c - encoded words (RFC 2047) and encoded parameters (RFC 2231). */
#include "encoded.h"

#include "text.h"

#include "posthouse/base64.h"
#include "posthouse/utf8.h"

#define WORD_MAX   75 /* RFC 2047 2 */
#define FIRST_LINE 40 /* a word that would begin behind this column goes to a line of its own */

static struct str charset_of(struct str text)
{
	if (str_is_ascii(text))
		return S("us-ascii");
	return utf8_valid(text) ? S("utf-8") : S("unknown-8bit");
}

/* RFC 2047 5 (3): characters that are one in any encoded word; a space is written as "_" (4.2). */
static bool is_literal(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!*+-/ ", c));
}

/* Bytes of the text, with three for each that is not literal. */
static size_t encoded_size(struct str text, bool (*literal)(char c))
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += literal(text.p[i]) ? 1 : 3;
	return n;
}

/* Length of the first character: RFC 2047 5 forbids dividing one between two words. */
static size_t character_size(struct str text)
{
	uint32_t code;
	size_t n = utf8_char(text, &code);

	return n > 0 ? n : 1;
}

static void put_quoted(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ')
			buf_add_char(out, '_');
		else if (is_literal(text.p[i]))
			buf_add_char(out, text.p[i]);
		else
			buf_printf(out, "=%02X", (unsigned char)text.p[i]);
	}
}

/* How many whole characters fit `room`, one at the least; `literal` NULL: as base64. */
static size_t fitting(struct str text, bool (*literal)(char c), size_t room)
{
	size_t n = 0, used = 0;

	while (n < text.n) {
		struct str c = str_head(str_from(text, n), character_size(str_from(text, n)));
		used = literal ? used + encoded_size(c, literal) : (n + c.n + 2) / 3 * 4;
		if (n > 0 && used > room)
			break;
		n += c.n;
	}
	return n;
}

void encoded_put_words(struct buf *out, struct str text)
{
	struct str charset = charset_of(text);
	bool quoted = encoded_size(text, is_literal) <= 2 * text.n + 8; /* people can read most of it; else base64 */
	size_t max = out->n < FIRST_LINE ? WORDS_LINE - out->n : WORD_MAX;
	char digits[WORD_MAX];

	for (bool first = true; text.n > 0; first = false) {
		struct str part = str_head(
			text, fitting(text, quoted ? is_literal : NULL, (max < WORD_MAX ? max : WORD_MAX) - 7 - charset.n));
		buf_printf(out, "%s=?%.*s?%c?", first ? "" : " ", STR_ARG(charset), quoted ? 'Q' : 'B');
		if (quoted)
			put_quoted(out, part);
		else
			buf_add(out, str_make(digits, base64_write(digits, part)));
		buf_add(out, S("?="));
		text = str_from(text, part.n);
		max = WORD_MAX;
	}
}

static void put_percent(struct buf *out, struct str text, bool (*literal)(char c))
{
	for (size_t i = 0; i < text.n; i++) {
		if (literal(text.p[i]))
			buf_add_char(out, text.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)text.p[i]);
	}
}

static bool is_7bit(char c)
{
	return !is_8bit(c);
}

void encoded_put_percent(struct buf *out, struct str text)
{
	put_percent(out, text, is_7bit);
}

/* RFC 2231 7: attribute-char. */
static bool is_attribute_char(char c)
{
	return c > ' ' && c < 0x7f && !strchr("*'%()<>@,;:\\\"/[]?=", c);
}

void encoded_put_parameter(struct buf *out, struct str name, struct str value)
{
	struct str charset = charset_of(value);
	size_t room = name.n + 25 < WORDS_LINE - 20 ? WORDS_LINE - 25 - name.n : 20;

	if (encoded_size(value, is_attribute_char) + charset.n <= room) {
		buf_printf(out, "; %.*s*=%.*s''", STR_ARG(name), STR_ARG(charset));
		put_percent(out, value, is_attribute_char);
		return;
	}
	for (size_t i = 0; value.n > 0; i++) {
		size_t n = fitting(value, is_attribute_char, i == 0 ? room - charset.n : room);

		buf_printf(out, "; %.*s*%zu*=", STR_ARG(name), i);
		if (i == 0)
			buf_printf(out, "%.*s''", STR_ARG(charset));
		put_percent(out, str_head(value, n), is_attribute_char);
		value = str_from(value, n);
	}
}
