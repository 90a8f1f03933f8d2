/* nexthop_concurrency.h - how many deliveries a next hop can have at once. */
#ifndef QUEUE_NEXTHOP_CONCURRENCY_H
#define QUEUE_NEXTHOP_CONCURRENCY_H

#include "dispatch/nexthop.h"

/* Is this next hop a possible choice of a route now? Not while it is down, probed by another delivery, or at the limit of its rates. A window
 * that is full is no reason to choose another one. */
bool nexthop_is_open(struct nexthop *hop, uint64_t now);

/* How many deliveries can be sent now, and how many can be leased (in advance) when it is open. */
size_t nexthop_slots(const struct nexthop *hop);
size_t nexthop_room(const struct nexthop *hop, uint64_t now);

/* Is there a place for a delivery that was leased already? There are more places than room, because a message can split into several deliveries. */
bool nexthop_takes(const struct nexthop *hop);

/* A result has come. connections: how many the next hop grants; 0: not known. */
void nexthop_pace(struct nexthop *hop, size_t connections);

/* The room of all upstreams. *wake_at_out: when the first of the others can open; 0: there is none. */
size_t nexthops_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out);

/* Is some next hop down in such a way that the time of messages which wait for it can end? */
bool nexthops_may_expire(const struct dispatch *d);

/* Deliveries that the store was asked for use up room until the round ends. */
void nexthop_expect(struct nexthop *hop, size_t n);
void nexthops_expect_nothing(struct dispatch *d);

#endif
