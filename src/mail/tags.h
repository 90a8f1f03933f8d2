/* tags.h - tag lists (RFC 6376 3.2). */
#ifndef POSTHOUSE_MAIL_TAGS_H
#define POSTHOUSE_MAIL_TAGS_H

#include "posthouse/arena.h"

/* "name = value" up to the next semicolon, without white space around both; false: there is no more. A tag without "=" has an
 * empty name. */
bool take_tag(struct str *rest, struct str *name_out, struct str *value_out);

struct str squeezed(struct arena *a, struct str s); /* without any white space */

#endif
