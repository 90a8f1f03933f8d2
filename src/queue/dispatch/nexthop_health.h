/* nexthop_health.h - what happens to the health of a next hop: results, configurations, restarts, administrators. */
#ifndef QUEUE_NEXTHOP_HEALTH_H
#define QUEUE_NEXTHOP_HEALTH_H

#include "dispatch/nexthop.h"

/* Read the states from before the restart; then the scheduler starts. */
void gates_load(struct dispatch *d);

/* The configuration has changed: new connection counts and limits, and what is down is tried at once. */
void gates_apply(struct dispatch *d);

/* End all pauses: an administrator or a new configuration says that it is worth a try. */
void gates_probe_now(struct dispatch *d);

/* The next hop works, or is at fault; true when this was not known. `tried_at`: when the delivery was begun. */
bool gate_worked(struct gate *g, uint64_t now);
struct gate_trouble {
	enum gate_fault fault;
	uint64_t meaning;  /* see meaning.h, packed */
	uint64_t pause_ms; /* that the next hop's words ask for; 0: none */
	struct str reason;
	uint64_t tried_at;
};
bool gate_failed(struct gate *g, const struct gate_trouble *t, uint64_t now);

/* It works, but said something about our set-up or repute that an administrator should know: once in an hour to the log, and to status. */
void gate_complained(struct gate *g, uint64_t meaning, struct str reason, uint64_t now);

/* The clock was set back: a pause that would last longer than it was made for is over, also in the store. */
void gates_mend(struct dispatch *d, uint64_t now);

/* Free the MX gates that are up and unused, and forget those that were down long ago. */
void gates_collect(struct dispatch *d);

void gates_stats(struct dispatch *d);

#endif
