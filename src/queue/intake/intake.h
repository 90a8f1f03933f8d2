/* intake.h - messages on their way in. A transaction is filled by envelope, recipients and submit, dies with its channel, and is
 * answered when the store has it. */
#ifndef QUEUE_INTAKE_H
#define QUEUE_INTAKE_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct queue;
struct role;

struct intake {
	struct list peers;        /* struct intake_peer: channels with transactions */
	struct list judged;       /* struct transaction: submitted, and not answered yet */
	size_t accepting;         /* operations that the store has, and what waits for what was read at the start */
	uint64_t clock_logged_at; /* monotonic */
};

void intake_init(struct queue *q);
void intake_peer_gone(struct queue *q, const struct channel *ch);
void intake_fini(struct queue *q);

/* Would a message be taken now? OK, or why not (a static text). */
struct verdict intake_takes_mail(struct queue *q);

/* What is known of limits and bans has been read: what waited for that goes on; or the queue ends before it was. */
void intake_resume(struct queue *q); /* what was used before the start is known now, or cannot be read */
void intake_give_up(struct queue *q);

/* Handlers; their ctx is the role. */
void handle_spool_open(void *ctx, struct channel *ch, const struct msg_spool_open *m, int fd);
void handle_envelope(void *ctx, struct channel *ch, const struct msg_envelope *m, int fd);
void handle_recipients(void *ctx, struct channel *ch, const struct msg_recipients *m, int fd);
void handle_submit(void *ctx, struct channel *ch, const struct msg_submit *m, int fd);
void handle_abandon_transaction(void *ctx, struct channel *ch, const struct msg_abandon_transaction *m, int fd);

#endif
