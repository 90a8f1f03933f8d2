/* utf8.h - characters of UTF-8 (RFC 3629), and which of them can be shown. */
#ifndef POSTHOUSE_UTF8_H
#define POSTHOUSE_UTF8_H

#include "posthouse/arena.h"

/* The length of the character at the front of `s`, and the character; 0: there is none, or it is not well-formed (an overlong
 * form, a surrogate, beyond U+10FFFF). */
size_t utf8_char(struct str s, uint32_t *c_out);
bool utf8_valid(struct str s);

/* Validity of a text that comes in pieces: begins as { 0 }. A sequence is unfinished at the end when bytes are missing. */
struct utf8_check {
	unsigned missing;        /* bytes of the sequence begun */
	unsigned char low, high; /* the range of the next one */
	bool has_8bit, bad;
};
void utf8_check_feed(struct utf8_check *u, struct str bytes);

/* Is it a character that a terminal or a reader would act on instead of showing it: a control (C0 with line ends and tab, DEL,
 * C1), an end of line or paragraph, a direction, a joiner or another one without a shape, a tag, or no character at all? */
bool utf8_is_hidden(uint32_t c);

/* Does the text hold a hidden character, or one that looks like a space, a dot, a comma or an "@"? No honest address has one.
 * Bytes that are not UTF-8 are passed over. */
bool utf8_is_deceptive(struct str s);

/* The text for a terminal, in `a`: U+FFFD in the place of each hidden character, line ends among them, and of each byte that is
 * not UTF-8. */
struct str utf8_shown(struct arena *a, struct str s);

#endif
