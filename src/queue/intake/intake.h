/* intake.h - messages on their way in. A transaction is filled by envelope, recipients and submit, dies with its channel, and is
 * answered when the store has it. */
#ifndef QUEUE_INTAKE_H
#define QUEUE_INTAKE_H

#include "posthouse/envelope.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct accounting;
struct role;
struct store;

/* What intake tells; rooms.c fills it in. Each is called with ctx. */
struct intake_observer {
	void (*message_stored)(void *ctx, bool urgent); /* urgent: of a higher priority than others */
	void (*idle)(void *ctx);                        /* an operation has ended: see `accepting` */
	void *ctx;
};

struct intake {
	struct role *role;
	struct accounting *accounting;
	const struct intake_observer *observer;
	struct store *store; /* NULL: not open, or closing */
	bool without_room;   /* the store finds no room to open */
	bool stopping;       /* nothing is accepted any more */
	enum node_state node_state;
	struct str node_fault;    /* as in struct store_node */
	struct list peers;        /* struct intake_peer: channels with transactions */
	struct list submitted;    /* struct transaction: submitted, and not answered yet */
	size_t accepting;         /* operations in the store, and messages that wait until limits are known */
	uint64_t clock_logged_at; /* monotonic */
};

void intake_init(struct intake *in, struct role *r, struct accounting *acc, const struct intake_observer *o);
void intake_peer_gone(struct intake *in, const struct channel *ch);
void intake_fini(struct intake *in);

/* Would a message be accepted now? OK, or why not (a static text). */
struct verdict intake_takes_mail(struct intake *in);

/* Are the numbers of the envelope those that a submission process can make of what a client says? */
bool intake_envelope_is_allowed(const struct envelope *e);

/* A text of one line, of a length that is not absurd? */
bool intake_text_is_allowed(struct str text);

/* Limits and bans have been read, or cannot be read: submitted messages that waited for that go on. */
void intake_resume(struct intake *in);

/* The store is about to be closed: messages that still wait for limits are refused. After that the store is not asked any
 * more. */
void intake_close(struct intake *in);

/* Messages of submission. */
void intake_spool_open(struct intake *in, struct channel *ch, const struct msg_spool_open *m);
void intake_envelope(struct intake *in, struct channel *ch, const struct msg_envelope *m);
void intake_recipients(struct intake *in, struct channel *ch, const struct msg_recipients *m);
void intake_submit(struct intake *in, struct channel *ch, const struct msg_submit *m);
void intake_abandon_transaction(struct intake *in, struct channel *ch, const struct msg_abandon_transaction *m);

#endif
