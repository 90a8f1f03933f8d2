/* lines.h - text that this program writes: lines with CRLF into a buffer without a bound of its own. */
#ifndef POSTHOUSE_MAIL_LINES_H
#define POSTHOUSE_MAIL_LINES_H

#include "posthouse/buf.h"

void lines_put(struct buf *b, struct str s);
/* One line. */
void lines_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Words in lines of at most 72 bytes; the first begins with `first`, the others with `indent`. A word that is longer is
 * divided only where it must be (RFC 5322 2.1.1: 998 bytes), never within a character. */
void lines_wrap(struct buf *b, const char *first, const char *indent, struct str words);

#endif
