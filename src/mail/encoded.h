/* encoded.h - text beyond ASCII in header fields: encoded words (RFC 2047) and parameters (RFC 2231). Text that is not UTF-8
 * gets the charset "unknown-8bit" (RFC 1428). Output goes to the end of `out`, which holds the field so far on one line, from its
 * name on. */
#ifndef POSTHOUSE_MAIL_ENCODED_H
#define POSTHOUSE_MAIL_ENCODED_H

#include "posthouse/buf.h"

#define WORDS_LINE 76 /* RFC 2047 2: of a line with encoded words */

/* `text` as encoded words with a space between them: each has at most 75 characters, and none ends within a character of
 * UTF-8. */
void encoded_put_words(struct buf *out, struct str text);

/* A parameter with its "; " before it; where it is too long for a line, in several (RFC 2231 3). */
void encoded_put_parameter(struct buf *out, struct str name, struct str value);

/* Bytes beyond ASCII as "%XX" (RFC 3986 2.1), the others as they are. */
void encoded_put_percent(struct buf *out, struct str text);

#endif
