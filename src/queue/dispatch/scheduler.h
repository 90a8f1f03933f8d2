/* scheduler.h - takes due recipients out of their lanes, in turn, as relay has room for them. */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct dispatch;

struct scheduler {
	uv_timer_t timer; /* the next thing that is due; at most a minute ahead, for a clock that is set */
	unsigned asking;  /* operations of the running round that have not called back; 0: no round */
	bool again;       /* something happened during the round */
	bool fruitful;    /* the round leased something that goes on */
	bool urgent;      /* mail of high priority has come: look at lanes although no gate has room, so that it waits in front */
	bool failing;     /* the store refused: wait a while */
	size_t room;      /* deliveries that this round may still lease */
	uint64_t next_lane_at; /* when the next lane is due, as the store last said; 0: none */

	/* A sweep goes through all due lanes, a page each round; those that are blocked are passed by. */
	size_t page;            /* lanes that this round asks for; 0: none */
	bool sweeping;          /* there are more */
	uint64_t first_lane;    /* of the sweep: when it comes again, all had their turn */
	uint64_t swept;         /* lanes that it has met */
	unsigned vain_pages;    /* in a row that gave nothing */
	uint64_t paused_until;  /* monotonic: after many such pages */
	uint64_t blocked_until; /* when the first blocked lane of this sweep may go; 0: none was blocked */
	uint64_t opens_at;      /* the same of the last whole sweep */

	/* Blocked lanes are looked through now and then, for messages whose time is over. */
	bool looking; /* this sweep does so */
	bool expired; /* it found one */
	uint64_t look_at;

	struct list fetched; /* struct message: leased in this round, its siblings are on their way */
};

void scheduler_init(struct dispatch *d);

/* Something has happened that may let mail go: an accept, a result, a channel, a gate, a configuration, an administrator. */
void scheduler_wake(struct dispatch *d);

/* The same, for mail of more than normal priority. */
void scheduler_wake_urgent(struct dispatch *d);

/* The clock was set back: times that were looked forward to are forgotten. */
void scheduler_mend(struct dispatch *d);

#endif
