/* home_networks.h - client networks from which people got in lately, whoever they were: guessers there are slowed, not banned, for the others' sake. In
 * memory; what the buckets of seen_networks.h remember fills it at the start. Bounded: what has no place can be banned. */
#ifndef QUEUE_HOME_NETWORKS_H
#define QUEUE_HOME_NETWORKS_H

#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

struct accounting;

struct home_networks {
	struct hashtable table;
};

void home_networks_init(struct accounting *acc);
void home_networks_fini(struct accounting *acc);

/* Somebody got in from there; it counts until then, ms. */
void home_network_add(struct accounting *acc, struct str network, uint64_t until);
bool home_network_known(struct accounting *acc, struct str network, uint64_t now);

/* The clock was set back: what would last longer than it can counts from now. */
void home_networks_mend(struct accounting *acc, uint64_t now);

/* Forget those whose time is over. */
void home_networks_collect(struct accounting *acc, uint64_t now);

#endif
