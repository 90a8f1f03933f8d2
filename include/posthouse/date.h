/* date.h - times as RFC 3339 writes them. */
#ifndef POSTHOUSE_DATE_H
#define POSTHOUSE_DATE_H

#include "posthouse/buf.h"

/* In ms since 1970; false: the text is no such time, or is before 1970. */
bool date_parse(struct str text, uint64_t *ms_out);
void date_add(struct buf *b, uint64_t ms); /* in UTC, without the fraction */

#endif
