/* home_networks.c - see seen_networks.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define HOMES_MAX 50000

struct home {
	struct hashtable_item in_table;
	char *network;
	uint64_t until;
};

static struct home *find(struct accounting *acc, struct str network)
{
	return HASHTABLE_NAMED(&acc->home_networks.table, network, struct home, in_table, network);
}

static void drop(struct accounting *acc, struct home *h)
{
	hashtable_remove(&acc->home_networks.table, &h->in_table);
	free(h->network);
	free(h);
}

void home_networks_fini(struct accounting *acc)
{
	HASHTABLE_EACH (i, &acc->home_networks.table)
		drop(acc, CONTAINER_OF(i, struct home, in_table));
	hashtable_fini(&acc->home_networks.table);
}

void home_networks_mend(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct home, h, &acc->home_networks.table, in_table)
		if (clock_is_foreign(h->until, now, NETWORK_KNOWN_MS))
			h->until = now + NETWORK_KNOWN_MS;
}

void home_networks_collect(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct home, h, &acc->home_networks.table, in_table)
		if (h->until <= now)
			drop(acc, h);
}

void home_network_add(struct accounting *acc, struct str network, uint64_t until)
{
	struct home *h = find(acc, network);

	if (!h && acc->home_networks.table.n >= HOMES_MAX)
		return;
	if (!h) {
		h = NEW(struct home);
		h->network = str_dup(network);
		hashtable_add(&acc->home_networks.table, &h->in_table, hash_text(network));
	}
	if (until > h->until)
		h->until = until;
}

bool home_network_known(struct accounting *acc, struct str network, uint64_t now)
{
	const struct home *h = find(acc, network);

	return h && h->until > now;
}
