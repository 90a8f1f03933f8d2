/* own_message.h - a message that the queue itself writes, a report or a notification: its envelope, its text, and its DKIM
 * signatures. It is hashed here, and signed by vault; its owner hands it to the store. */
#ifndef QUEUE_OWN_MESSAGE_H
#define QUEUE_OWN_MESSAGE_H

#include "common/dsn_form.h"
#include "report/dsn_text.h"

#include "posthouse/mail.h"
#include "posthouse/store.h"

struct reports;

struct own_envelope {
	enum message_kind kind;
	struct str recipient;
	uint64_t parent;         /* the message that it is about; 0: none */
	struct report_form form; /* its reporter decides the author */
	struct str refused_by;   /* the route that refused it in another form; "" */
	uint64_t options;        /* those of OPTION_TLS_OPTIONAL, _TLS_UNREPORTED and _REQUIRETLS_OFFERED that it has */
};

struct own_message {
	struct reports *reports;
	struct arena *arena;
	struct accepted m; /* what is stored; id 0: it was not begun */
	struct new_recipient recipient;
	struct report_author author;
	/* private */
	void (*done)(void *ctx, struct verdict v);
	void *ctx;
	struct dkim *dkim;
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
	uint64_t call; /* to vault; 0: none is open */
};

/* Fill in the envelope, also for another try: a new id, one recipient, the author. The texts are copied into the arena, which
 * must live as long as `own`. */
void own_message_begin(struct own_message *own, struct reports *rs, struct arena *a, const struct own_envelope *e);

/* Take over the text, with "TLS-Required: No" where the envelope says that TLS is optional, and sign it with the keys of the
 * domain in From. Ends in done(): at once where `sign` has no key for that domain, since then the message goes unsigned. TEMP:
 * vault is away, or cannot use a key. */
void own_message_sign(struct own_message *own, const struct report_text *text, void (*done)(void *ctx, struct verdict v),
		      void *ctx);

/* Does the message wait for vault? / Give up, if it does: done() does not come then. True: it did. */
bool own_message_waits_for_vault(const struct own_message *own);
bool own_message_cancel(struct own_message *own);

/* Free what the signing holds. */
void own_message_end(struct own_message *own);

#endif
