/* nexthop_lanes.h - lanes that are due and wait for room at a next hop. */
#ifndef QUEUE_NEXTHOP_LANES_H
#define QUEUE_NEXTHOP_LANES_H

#include "dispatch/nexthop.h"

/* Add a lane. True: it waits until it is served, see nexthop_resume_waiting(). False: it waits already, or the list has no place for it; the store
 * names it again in a later page. */
bool nexthop_wait(struct nexthop *hop, uint64_t lane, unsigned priority);

/* Take out the lane of the highest priority, but each fourth time the one that waits longest. There must be one. */
uint64_t nexthop_next_waiting(struct nexthop *hop);

/* Remove all; the store names them again. */
void nexthop_forget_waiting(struct nexthop *hop);

/* The next hop's mail servers are known: from now on the scheduler serves its lanes. */
void nexthop_resume_waiting(struct nexthop *hop);

#endif
