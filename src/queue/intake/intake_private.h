/* intake_private.h - a transaction, between intake.c, which fills it, and authorize.c, which answers it. */
#ifndef QUEUE_INTAKE_PRIVATE_H
#define QUEUE_INTAKE_PRIVATE_H

#include "accounting/accounting.h"
#include "intake/intake.h"

#include "posthouse/id.h"
#include "posthouse/smtp_server.h"

struct intake_peer {
	struct list in_peers;
	struct channel *channel;
	struct list transactions;
	size_t n, bytes;
	uint64_t since; /* by the clock: what is older can have been submitted before, over another channel */
};

/* How far a submitted message has come. */
enum progress { NOT_SUBMITTED, WAITS_FOR_START, IS_LOOKED_UP, IS_COUNTED, IS_STORED };

enum spool_state { SPOOL_NONE, SPOOL_CREATING, SPOOL_CREATED };

struct transaction {
	struct list in_peer;
	struct intake *intake;
	struct intake_peer *peer; /* NULL: its channel has gone, or it was abandoned */
	uint64_t number;
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
	size_t counted; /* bytes of the arena that peer->bytes includes */
};

/* ---- intake.c ---- */
void transaction_free(struct transaction *t);
void transaction_answer(struct transaction *t, struct verdict v); /* to the channel that submitted it, if that is open */
void transaction_drop_file(struct transaction *t); /* the file of a large message, so that another message can have the id */

/* ---- authorize.c: a transaction that is whole: is it allowed? Then it is stored. Ends in its answer. ---- */
void authorize(struct transaction *t);

#endif
