/* home_networks.h - client networks from which somebody has logged in lately, whoever it was. When passwords are guessed from
 * there, the network is slowed, not banned, for the sake of its other users. In memory; at the start it is filled from the
 * buckets of seen_networks.h. The number is bounded: a network that has no place can be banned. */
#ifndef QUEUE_HOME_NETWORKS_H
#define QUEUE_HOME_NETWORKS_H

#include "posthouse/hashtable.h"

struct accounting;

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
