/* repeated.h - fields of which a message can have one. */
#ifndef POSTHOUSE_MAIL_REPEATED_H
#define POSTHOUSE_MAIL_REPEATED_H

#include "posthouse/mail.h"

/* Make one field of several: equal ones are one, of an empty one and another the other stays, address lists (To, Cc,
 * Reply-To) are joined in the place of the first. PERM 550 5.6.0 with both values when they differ, since readers differ on
 * which of two they believe (RFC 5322 3.6, RFC 2045), or when there are more than 200 equal ones. From and Sender are passed
 * over when they are `forced`. The array of fields stays; it gets shorter. */
struct verdict merge_repeated(struct arena *a, struct header *h, bool forced);

#endif
