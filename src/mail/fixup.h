/* fixup.h - what the parts of the fix-up share: each can put a field in the place of another, in the arena. */
#ifndef POSTHOUSE_MAIL_FIXUP_H
#define POSTHOUSE_MAIL_FIXUP_H

#include "posthouse/mail.h"

/* header.c: a new field; `value` is all that follows the colon. */
struct header_field field_make(struct arena *a, struct str name, struct str value);

/* ascii.c: no line of the field is longer than 998 bytes, where that is possible: folded, or else with encoded words
 * (ascii.h). False when it stays as it is. */
bool fold_field(struct arena *a, struct header_field *f);

/* rewrite.c: complete and rewrite the addresses in an address list. False when it would become larger than HEADER_MAX; true, and
 * *value as it was, when nothing changes or the value is no address list. */
bool rewrite_value(struct arena *a, const struct fixup_input *in, bool is_sender, struct str *value);

/* The address of a mailbox, completed and rewritten. */
struct mailbox;
struct str rewritten_address(struct arena *a, const struct fixup_input *in, bool is_sender, const struct mailbox *m);

#endif
