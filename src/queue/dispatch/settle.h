/* settle.h - hands the outcomes of a delivery to the store until it has them. */
#ifndef QUEUE_SETTLE_H
#define QUEUE_SETTLE_H

#include "dispatch/lease.h"

struct settling {
	uv_timer_t retry;
	bool failing; /* the store has no room for results: nothing is leased until it has */
	size_t held;  /* leases that wait for the next try */
};

void settle_init(struct dispatch *d);

/* Record l->outcomes. Ends the lease; where the result came from relay, `settled` follows once it is durable. */
void settle(struct lease *l);

#endif
