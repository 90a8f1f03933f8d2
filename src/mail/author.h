/* author.h - From and Sender: read as a person reads them, written so that every program reads the same. */
#ifndef POSTHOUSE_MAIL_AUTHOR_H
#define POSTHOUSE_MAIL_AUTHOR_H

#include "fixup.h"

/* The clear form of a From, Sender or Resent-From: what it was where that is clear, with its addresses completed and
 * rewritten; else a new text. *value_out "": it has no address (a From then gets one). PERM 550 5.6.0 where it is not clear
 * who is meant. Whatever looks like an address in its display names, comments and group names is added to `shown`. */
struct verdict author_clear(struct arena *a, const struct fixup_input *in, const char *field, struct str value,
			    struct str_list *shown, struct str *value_out);

/* A value with `address` as its one address, and the first display name of `value` that shows no other address. */
struct str author_with(struct arena *a, const struct fixup_input *in, struct str value, struct str address);

/* own_from.c: the header section with `address` as its one author, see downgrade_own_from(). In the arena. */
struct str own_from(struct arena *a, struct str section, struct str address);

#endif
