/* seen_networks.h - from which client networks a login got in during the last 30 days: a ban of the login does not hold there, and its breaker
 * counts new ones. Each is a bucket, "login:alice@example.org" "network 192.0.2.1", that ends 30 days after the last login. */
#ifndef QUEUE_SEEN_NETWORKS_H
#define QUEUE_SEEN_NETWORKS_H

#include "accounting/account.h"

#include "posthouse/units.h"

#define NETWORK_KNOWN_MS (30 * DAY_MS)

/* Has the login, as it was tried, got in from there? */
bool seen_network_known(struct accounting *acc, struct str login, struct str network, uint64_t now);

/* It got in. When it had done so before, ms; 0: not in the last 30 days. */
uint64_t seen_network_use(struct account *a, struct str network, uint64_t now);

void seen_networks_init(struct accounting *acc);

/* Forget those whose time is over. */
void seen_networks_collect(struct accounting *acc, uint64_t now);

#endif
