/* text.h - what kind of text some bytes are: used by the address parser, the trace fields and the reports. */
#ifndef POSTHOUSE_MAIL_TEXT_H
#define POSTHOUSE_MAIL_TEXT_H

#include "posthouse/mail.h"

static inline bool is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* ASCII control characters, with NUL and DEL. */
static inline bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static inline bool is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

/* Letters, digits, the other atext of RFC 5322 3.2.3, and bytes of UTF-8 (RFC 6532 3.2). */
bool is_atext(char c);

/* Bytes beyond ASCII, or a NUL. */
bool text_is_odd(struct str s);

/* The length of a field's name at the front of a line (RFC 5322 3.6.8: printable ASCII), before the colon and the white space
 * that 4.5 allows there; 0: the line begins no field. */
size_t field_name_length(struct str line);

/* `s` as one line that is safe to show: runs of white space and control characters become one space, none at the ends; bytes
 * that are no UTF-8 (and the C1 controls) become U+FFFD; at most `max` bytes, then "..." follows. The result is valid UTF-8. */
struct str text_clean(struct arena *a, struct str s, size_t max);

/* The same with "?" for each character beyond ASCII. */
struct str text_clean_ascii(struct arena *a, struct str s, size_t max);

/* RFC 6533 3: "\x{F6}" to the character's UTF-8; what is not such a form of a character beyond ASCII stays as it is. */
struct str text_from_unitext(struct arena *a, struct str s);

#endif
