/* address.h - the mailboxes of an address list with their places in the text, for callers that change them. */
#ifndef POSTHOUSE_MAIL_ADDRESS_H
#define POSTHOUSE_MAIL_ADDRESS_H

#include "posthouse/mail.h"

struct mailbox {
	struct str address; /* in its one form: a view of the value, or in the arena; a local part alone when it has no domain */
	struct str spec;    /* as it is written; a view of the value */
	struct str name;    /* display name as it is written, with comments and folds between its words; "" = none */
	struct str twin;    /* the display name when it is the same address again ("a@b <a@b>"); then `name` is "" */
	bool has_domain;
};
typedef void (*mailbox_fn)(void *ctx, const struct mailbox *m);

/* Go through the mailboxes in their order. With `local_too` also those without a domain ("root", "Root
 * <root>"), which can be completed (RFC 6409 8.2). False when the value is no address list in the sense of
 * header_addresses(): `on_mailbox` can have been called all the same. */
bool mailboxes_walk(struct arena *a, struct str value, bool local_too, mailbox_fn on_mailbox, void *ctx);

/* An addr-spec at the front of `s`, without a domain only where `local_will_do`; *n_out is its length. */
bool addr_spec_take(struct arena *a, struct str s, bool local_will_do, struct mailbox *m, size_t *n_out);

/* The same for an address in angle brackets, at whose ends white space and comments can be. */
bool angle_take(struct arena *a, struct str s, bool local_will_do, struct mailbox *m, size_t *n_out);

/* lookalike.c: text that all programs parse alike, but that does not look alike. */

/* Whether a comment holds what a reader that does not know comments takes for an address. */
bool comment_is_lookalike(struct str comment);
/* Whether an encoded word within `words` has control characters or angle brackets inside: some readers decode before they
 * parse. */
bool words_are_lookalike(struct arena *a, struct str words);

#endif
