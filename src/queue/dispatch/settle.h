/* settle.h - the outcomes of a delivery are offered to the store until it has them. */
#ifndef QUEUE_SETTLE_H
#define QUEUE_SETTLE_H

#include "dispatch/lease.h"

struct settling {
	uv_timer_t retry;
	bool failing; /* the store has no room for outcomes: nothing is leased until it has room */
	size_t held;  /* leases whose outcomes wait for the next try */
};

void settle_init(struct dispatch *d);

/* Record l->outcomes. This ends the lease. Where the result came from relay, relay gets `settled` once the outcomes are durable. */
void settle(struct lease *l);

#endif
