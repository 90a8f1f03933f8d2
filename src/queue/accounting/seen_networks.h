/* seen_networks.h - the client networks from which a login got in during the last 30 days: there a ban of the login does not
 * hold; and the breaker counts networks that are new. Each is a bucket, "login:alice@example.org" "network 192.0.2.1", which
 * ends 30 days after the last login. */
#ifndef QUEUE_SEEN_NETWORKS_H
#define QUEUE_SEEN_NETWORKS_H

#include "accounting/account.h"

#include "posthouse/units.h"

#define NETWORK_KNOWN_MS (30 * DAY_MS)

/* Did the login (as the client gave it) get in from this network? */
bool seen_network_known(struct accounting *acc, struct arena *a, struct str login, struct str network, uint64_t now);

/* The login got in. Returns when it had done so before, in ms; 0: not in the last 30 days. */
uint64_t seen_network_use(struct account *a, struct str network, uint64_t now);

extern const struct bucket_user seen_networks_rule;

/* Let go of the networks whose time is over. */
void seen_networks_collect(struct accounting *acc, uint64_t now);

/* ---- home_networks.c: client networks from which some login, no matter which, got in lately ----
 *
 * When passwords are guessed from there, the network is slowed, not banned, for the sake of its other users. In memory; at the
 * start it is filled from the buckets of seen networks. The number is bounded: a network that has no place can be banned. */

struct home_networks {
	struct hashtable table;
};

void home_networks_fini(struct accounting *acc);

/* Somebody logged in from the network; it counts until this time, ms. / Does it count now? */
void home_network_add(struct accounting *acc, struct str network, uint64_t until);
bool home_network_known(struct accounting *acc, struct str network, uint64_t now);

/* The clock was set back: a time that ends later than possible ends NETWORK_KNOWN_MS from now. */
void home_networks_mend(struct accounting *acc, uint64_t now);

/* Free the networks whose time is over. */
void home_networks_collect(struct accounting *acc, uint64_t now);

#endif
