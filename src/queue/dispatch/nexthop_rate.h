/* nexthop_rate.h - how many messages an upstream takes in a time: token buckets, charged in memory when a delivery is parked, sent only
 * when the charge is durable, given back when nothing came of it. */
#ifndef QUEUE_NEXTHOP_RATE_H
#define QUEUE_NEXTHOP_RATE_H

#include "accounting/bucket.h"

struct gate;
struct dispatch;

/* Of one gate: its buckets, and which charges are durable. */
struct charges {
	struct bucket **buckets;
	size_t n;
	uint64_t made, durable; /* numbers of the last charge made, and of the last one that the store has */
	bool saving, dirty;
};

/* The buckets of a gate, by its upstream's rates (NULL: none). What was used of a rate stays used while the rate is the same. */
void limits_apply(struct gate *g, const struct rate_list *rates);
void limits_forget(struct gate *g);

/* How many messages may pass now, and when the next one may (ms; 0: now). */
size_t limits_room(const struct gate *g, uint64_t now);
uint64_t limits_wait_ms(const struct gate *g, uint64_t now);

/* Charge one delivery; returns the number of its charge, 0 where there is no limit. / Give the charge back, and set it to 0; harmless without
 * a gate (NULL) or a charge (0). / Has the store got it, so that the delivery can be sent? */
uint64_t limits_charge(struct gate *g);
void limits_return(struct gate *g, uint64_t *charge);
bool limits_durable(const struct gate *g, uint64_t charge);

void limits_stats(struct dispatch *d);

#endif
