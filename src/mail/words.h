/* words.h - encoded words (RFC 2047) as the most tolerant reader finds them: anywhere in a text, also within quotes or another
 * word. */
#ifndef POSTHOUSE_MAIL_WORDS_H
#define POSTHOUSE_MAIL_WORDS_H

#include "posthouse/arena.h"
#include "posthouse/str.h"

/* A piece of a text: plain bytes, or a decoded word. */
struct word {
	struct str text; /* of a charset that is not decoded here: ASCII as it is, U+FFFD for each other character */
	struct str raw;  /* the encoded word itself when it is not decoded here; else "" */
};
struct words {
	struct word *at;
	size_t n;
	struct str unknown; /* a charset in which ASCII bytes can mean other characters (UTF-7, EBCDIC), "(none)" for a word that
			     * names no charset; "" = every word can be read */
	bool nested;        /* there was a word within a word */
};

/* The encoded word at the front of `s`: its length; 0 when there is none. With `exact` only as RFC 2047 2 has it (no space or
 * "?" in it, and a charset). */
size_t word_length(struct str s, bool exact);

/* Take a text apart. UTF-8 and US-ASCII words become text, and are looked through again for words; white space between two
 * encoded words is no text (RFC 2047 6.2). */
void words_decode(struct arena *a, struct str s, struct words *out);

/* The charset and the bytes of the encoded word that `raw` is; false: it is none. */
bool word_bytes(struct arena *a, struct str raw, struct str *charset_out, struct str *bytes_out);

/* ---- latin.c ---- */

/* The text of an encoded word whose charset is ISO 8859-1, ISO 8859-15 or windows-1252, as UTF-8; "" for any other. */
struct str word_latin(struct arena *a, struct str raw);

/* Bytes of windows-1252 where the text is no UTF-8, as UTF-8; UTF-8 as it is. */
struct str text_from_latin(struct arena *a, struct str text);

#endif
