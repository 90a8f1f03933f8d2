/* scheduler.h - takes due recipients out of their lanes, in turn, as far as relay and next hops have room for them. */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include "dispatch/lane_scan.h"

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct dispatch;

struct scheduler {
	uv_timer_t timer; /* for the next thing that is due; at most a minute ahead, because the clock can be set */
	unsigned asking;  /* operations of the running round that have not called back; 0: no round runs */
	bool again;       /* something happened during the round */
	bool productive;  /* at least one leased recipient is being delivered */
	bool urgent; /* mail of high priority has come: ask for lanes although no next hop has room, so that this mail waits in front */
	bool failing;          /* the store has refused: wait for a while */
	size_t room;           /* deliveries that this round can still lease */
	uint64_t next_lane_at; /* when the next lane is due, as the store last said; 0: none */

	struct lane_scan scan;
	size_t page;           /* lanes that this round asks for; 0: none */
	unsigned idle_pages;   /* of blocked lanes, in a row */
	uint64_t paused_until; /* monotonic: after many such pages */

	struct list fetched; /* struct message: leased in this round; its recipients in other lanes are being leased */
};

void scheduler_init(struct dispatch *d);

/* Mail can perhaps go now: because of an accept, a result, a channel, a next hop, a configuration, an administrator. */
void scheduler_wake(struct dispatch *d);

/* The same, because mail of more than normal priority was accepted. */
void scheduler_wake_urgent(struct dispatch *d);

/* The clock was set back: forget the times for which it waits. */
void scheduler_mend(struct dispatch *d);

#endif
