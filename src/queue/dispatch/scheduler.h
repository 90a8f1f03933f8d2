/* scheduler.h - takes due recipients out of their lanes, in turn, as far as relay and next hops have room for them. */
#ifndef QUEUE_SCHEDULER_H
#define QUEUE_SCHEDULER_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct dispatch;
struct due_lane;

/* ---- lane_scan.c: a scan goes through all lanes that are due, a page in each round of the scheduler. Blocked lanes are passed
 * by; but now and then they are looked through for messages whose time is over (an expiry scan) ---- */

#define LANES_MAX 128 /* of a page */

struct lane_scan {
	bool is_going;           /* there are lanes that it has not met */
	uint64_t first_lane;     /* when this lane comes again, all have had their turn */
	uint64_t met;            /* lanes that it has met */
	uint64_t blocked_until;  /* when the first blocked lane that it has met can go; 0: none is blocked */
	uint64_t opens_at;       /* the same of the last whole scan */
	bool for_expired;        /* it is an expiry scan */
	bool found_expired;      /* it has found a message whose time is over */
	uint64_t expiry_scan_at; /* when the next one is due */
};

void lane_scan_begin(struct dispatch *d, uint64_t now);
void lane_scan_end(struct dispatch *d, uint64_t now);

/* Here is a page of the scheduler's size, or what there was of it. Are there due lanes that the scan has not met? The store's
 * turn goes round without an end. */
bool lane_scan_has_more(struct dispatch *d, const struct due_lane *lanes, size_t n);

struct scheduler {
	uv_timer_t timer; /* for the next thing that is due; at most a minute ahead, because the clock can be set */
	unsigned asking;  /* operations of the running round that have not called back; 0: no round runs */
	bool again;       /* something happened during the round */
	bool productive;  /* at least one leased recipient is being delivered */
	bool urgent;  /* mail of high priority has come: ask for lanes although no next hop has room, so that this mail waits in
			 front */
	bool failing; /* the store has refused: wait for a while */
	size_t room;  /* deliveries that this round can still lease */
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
