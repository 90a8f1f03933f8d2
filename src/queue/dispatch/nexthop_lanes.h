/* nexthop_lanes.h - lanes that are due and wait for room at a next hop. */
#ifndef QUEUE_NEXTHOP_LANES_H
#define QUEUE_NEXTHOP_LANES_H

#include "dispatch/nexthop.h"

/* The lane waits; a lane is in the list once. False: it is there already, or there is no place for it: then the store's turn brings it again.
 * True: it is served once gate_resume_waiting() was called. */
bool gate_wait(struct gate *g, uint64_t lane, unsigned priority);

/* Take one out: the highest priority first, but each fourth time the one that waits longest. There must be one. */
uint64_t gate_next_waiting(struct gate *g);

void gate_forget_waiting(struct gate *g);

/* Its hosts are known now: its lanes are served. */
void gate_resume_waiting(struct gate *g);

#endif
