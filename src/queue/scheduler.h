/* scheduler.h - takes due recipients out of their lanes, in turn, as relay has room for them. */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct queue;

struct scheduler {
	uv_timer_t timer;      /* the next thing that is due; at most a minute ahead, for a clock that is set */
	unsigned asking;       /* operations of the running round that have not called back; 0: no round */
	bool again;            /* something happened during the round */
	bool fruitful;         /* the round leased something */
	size_t room;           /* deliveries that this round may still lease */
	size_t share;          /* for one lane */
	uint64_t next_lane_at; /* when the next lane is due, as the store last said; 0: none */
	bool failing;          /* the store refused: wait a while */
	struct list fetched;   /* struct message: leased in this round, its siblings are on their way */
	struct credit_wait credit;
};

void scheduler_init(struct queue *q);
void scheduler_fini(struct queue *q);

/* Something has happened that may let mail go: an accept, a result, a channel, a gate, a configuration, an administrator. */
void scheduler_wake(struct queue *q);

/* Go on when relay's channel has credit again. */
void scheduler_wait_credit(struct queue *q);

#endif
