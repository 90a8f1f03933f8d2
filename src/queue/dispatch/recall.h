/* recall.h - deliveries that do not go on: they are given back, orphaned by relay's end, or withdrawn. */
#ifndef QUEUE_RECALL_H
#define QUEUE_RECALL_H

#include <stdbool.h>

struct dispatch;
struct nexthop;
struct selector;

/* Give back all parked deliveries; those of one next hop, which has gone down. */
void leases_return_parked(struct dispatch *d);
void leases_return_nexthop(struct nexthop *hop);

/* Relay's channel has closed. The deliveries that it had are settled a moment later. died: relay died with them; not so when the whole program
 * stops, since then relay has ended in order. */
void leases_relay_gone(struct dispatch *d);
void leases_settle_orphans(struct dispatch *d, bool died);

/* An administrator removes these messages: relay is asked to drop the deliveries that it has not begun. */
void leases_withdraw(struct dispatch *d, const struct selector *s);

#endif
