/* intake_private.h - a transaction, between intake.c, which fills it, and authorize.c, which answers it, with senders.c and
 * signing.c in between. */
#ifndef QUEUE_INTAKE_PRIVATE_H
#define QUEUE_INTAKE_PRIVATE_H

#include "accounting/accounting.h"
#include "intake/intake.h"

#include "posthouse/hashtable.h"
#include "posthouse/id.h"
#include "posthouse/mail.h"
#include "posthouse/smtp_server.h"

struct intake_peer {
	struct list in_peers;
	struct channel *channel;
	struct list transactions;
	struct hashtable filling; /* those that are being filled, by their numbers */
	size_t n, bytes;
	uint64_t since; /* by the clock: what is older can have been submitted before, over another channel */
};

/* How far a submitted message has come. */
enum progress { NOT_SUBMITTED, WAITS_FOR_START, IS_LOOKED_UP, IS_COUNTED, IS_SIGNED, IS_STORED };

enum spool_state { SPOOL_NONE, SPOOL_CREATING, SPOOL_CREATED };

struct transaction {
	struct list in_peer;
	struct hashtable_item in_filling; /* of its peer's, until it is submitted or abandoned */
	struct intake *intake;
	struct intake_peer *peer; /* NULL: its channel has gone, or it was abandoned */
	uint64_t number;
	struct log log; /* with the session, a number of the peer's */
	struct arena arena;
	struct accepted m;
	bool has_envelope, accepting;
	enum spool_state spool;
	uint64_t spool_call, submit_call;
	struct new_recipient *recipients;
	size_t capacity, addresses_bytes;
	struct list in_submitted;
	enum progress progress;
	struct quota quota;
	struct str *unseen; /* recipients that can be new to the login: the store is asked */
	size_t unseen_n;
	uint64_t new_recipients;
	unsigned overs; /* how often its charges were over in the store */
	struct rec_to_sign *to_sign;
	size_t to_sign_n;
	uint64_t sign_call; /* 0: none */
	void (*signed_)(struct transaction *t, struct verdict v);
	size_t counted; /* bytes of the arena and of `recipients` that peer->bytes includes */
};

/* ---- intake.c ---- */
void transaction_free(struct transaction *t);
void transaction_answer(struct transaction *t, struct verdict v); /* to the channel that submitted it, if that is open */
void transaction_drop_file(struct transaction *t); /* the file of a large message, so that another message can have the id */

/* ---- bounds.c: what an honest submission process can send ---- */
bool intake_id_is_allowed(const struct channel *ch, uint64_t id);
bool intake_recipients_are_allowed(const struct msg_recipients *m);

/* ---- authorize.c: a transaction that is whole: is it allowed? Then it is signed and stored. Ends in its answer. ---- */
void authorize(struct transaction *t);

/* ---- senders.c ---- */
/* Whose message is it, and can it go out as that session's? Fills in the login, the device, and what is to be signed. */
struct verdict judge_sender(struct transaction *t, const struct msg_submit *m);

/* ---- signing.c ---- */
/* Take the digests of the message, if they are of the domain that signs for these authors (resenders: NULL, or who sends on). */
struct verdict signing_prepare(struct transaction *t, const struct msg_submit *m, const struct str_list *from,
			       const struct str_list *resenders);
/* How many bytes the signatures will have at most. */
size_t signing_room(const struct transaction *t);
/* Put the signatures into the prefix. `done` can be called at once; it is never called after signing_cancel(). */
void signing_start(struct transaction *t, void (*done)(struct transaction *t, struct verdict v));
void signing_cancel(struct transaction *t);

#endif
