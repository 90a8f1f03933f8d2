/* nexthop_rate.h - how many messages and recipients an upstream takes in a period: token buckets. They are charged in memory
 * when a delivery is parked. The delivery is sent when the store has the charge, and the charge is given back when the delivery
 * comes to nothing. */
#ifndef QUEUE_NEXTHOP_RATE_H
#define QUEUE_NEXTHOP_RATE_H

#include "accounting/bucket.h"
#include "accounting/warmup.h"

struct nexthop;
struct dispatch;

/* The buckets of one next hop, and which charges are durable. */
struct charges {
	struct bucket **buckets; /* the first messages_n count messages, the others each recipient of each message */
	size_t n, messages_n;
	struct warmup warmup;   /* its bucket is one of those that count messages */
	uint64_t made, durable; /* numbers of the last charge made, and of the last one that the store has */
	bool saving, dirty;
};

/* The next hop gets buckets for its upstream's rates. What is used of a rate stays used as long as the rate is the same. */
void nexthop_rate_apply(struct nexthop *hop, const struct cfg_upstream *upstream);
/* A domain's own server has none but the warm-up, which all of them have in common. */
void nexthop_rate_apply_mx(struct nexthop *hop, struct cfg_warmup warmup);
void nexthop_rate_forget(struct nexthop *hop);

/* How many messages to one recipient each can pass now. / How many recipients. / After how many ms the next one can (0: now). */
size_t nexthop_rate_room(const struct nexthop *hop, uint64_t now);
size_t nexthop_rate_recipients(const struct nexthop *hop, uint64_t now);
uint64_t nexthop_rate_wait_ms(const struct nexthop *hop, uint64_t now);

/* Charge one delivery to so many recipients; returns the number of its charge, 0 where there is no limit. / Give the charge back,
 * and set it to 0; harmless without a next hop (NULL) or a charge (0). / Has the store got it, so that it can be sent? */
uint64_t nexthop_rate_charge(struct nexthop *hop, size_t recipients);
void nexthop_rate_return(struct nexthop *hop, size_t recipients, uint64_t *charge);
bool nexthop_rate_is_durable(const struct nexthop *hop, uint64_t charge);

void nexthop_rates_stats(struct dispatch *d);

#endif
