/* nexthop_health.h - what happens to the health of a next hop: results, configurations, restarts, administrators. */
#ifndef QUEUE_NEXTHOP_HEALTH_H
#define QUEUE_NEXTHOP_HEALTH_H

#include "dispatch/nexthop.h"

/* Read the states from before the restart. Then the scheduler starts. */
void nexthops_load(struct dispatch *d);

/* The configuration has changed: connection counts and rates are taken from it, and next hops that are down are tried at once. */
void nexthops_apply(struct dispatch *d);

/* End all pauses, because an administrator or a new configuration says that it is worth a try. */
void nexthops_probe_now(struct dispatch *d);

/* The next hop works, or is at fault. True when this was not known before. */
bool nexthop_worked(struct nexthop *hop, uint64_t now);
struct nexthop_trouble {
	enum nexthop_fault fault;
	uint64_t meaning;  /* see meaning.h, packed */
	uint64_t pause_ms; /* a pause that the next hop's reply asks for; 0: none */
	struct str reason;
	uint64_t tried_at; /* when the delivery was begun */
};
bool nexthop_failed(struct nexthop *hop, const struct nexthop_trouble *t, uint64_t now);

/* The next hop works, but it said something about this relay's set-up or reputation that an administrator should know. It goes to the log, once
 * in an hour, and to `status`. */
void nexthop_complained(struct nexthop *hop, uint64_t meaning, struct str reason, uint64_t now);

/* The clock was set back: pauses that would now last longer than they were meant to are over, also in the store. */
void nexthops_mend(struct dispatch *d, uint64_t now);

/* Free the MX domains that are up and unused, and forget those that were down long ago. */
void nexthops_collect(struct dispatch *d);

void nexthops_stats(struct dispatch *d);

#endif
