/* seen_networks.h - from which client networks a login got in during the last 30 days: a ban of the login does not hold there, and its breaker
 * counts new ones. Each is a bucket, "login:alice@example.org" "network 192.0.2.1", that ends 30 days after the last login. */
#ifndef QUEUE_SEEN_NETWORKS_H
#define QUEUE_SEEN_NETWORKS_H

#include "accounting/account.h"

#define NETWORK_KNOWN_MS (30 * 86400 * 1000ull)

/* Has the login, as it was tried, got in from there? */
bool network_known(struct queue *q, struct str login, struct str network, uint64_t now);

/* It got in. When it had done so before, ms; 0: not in the last 30 days. */
uint64_t network_used(struct account *a, struct str network, uint64_t now);

/* Is the bucket one of these? Then it ends so long after what it remembers, us; 0: it is none. */
uint64_t network_period_us(const struct bucket *b);

/* A bucket was read from the store: is it one of these? */
void networks_read(struct queue *q, struct bucket *b);

/* Let those go that ended. */
void networks_collect(struct account *a, uint64_t now);

#endif
