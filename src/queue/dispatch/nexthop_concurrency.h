/* nexthop_concurrency.h - how many deliveries a next hop can have at once. */
#ifndef QUEUE_NEXTHOP_CONCURRENCY_H
#define QUEUE_NEXTHOP_CONCURRENCY_H

#include "dispatch/nexthop.h"

/* Can a delivery take this way now? Not while it is down, probed by another one, or at its limit; a window that is full is no
 * reason to go elsewhere. */
bool gate_is_open(struct gate *g, uint64_t now);

/* Deliveries that can be sent now, and those that can be leased (in advance) when it is open. */
size_t gate_slots(const struct gate *g);
size_t gate_room(const struct gate *g, uint64_t now);

/* Is there a place for a delivery that was leased already? More generous than the room: a message can split into several. */
bool gate_takes(const struct gate *g);

/* A result has come, and the next hop lets us have so many connections (0: not known). */
void gate_pace(struct gate *g, size_t connections);

/* The room of all upstreams; *wake_at_out: when one of them may open (0: none). */
size_t gates_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out);

/* Is some gate down in a way that may end the time of messages that wait for it? */
bool gates_may_expire(const struct dispatch *d);

/* Deliveries that the store was asked for count as room that is used, until the round ends. */
void gate_expect(struct gate *g, size_t n);
void gates_expect_nothing(struct dispatch *d);

#endif
