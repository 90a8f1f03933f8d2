/* home_networks.c - see home_networks.h. */
#include "queue.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define HOMES_MAX 50000

struct home {
	struct hashtable_item in_table;
	char *network;
	uint64_t until;
};

void homes_init(struct queue *q)
{
}

static struct home *find(struct queue *q, struct str network)
{
	uint64_t hash = hash_text(network);

	HASHTABLE_FIND (i, &q->homes.table, hash) {
		struct home *h = CONTAINER_OF(i, struct home, in_table);

		if (str_eq(str_of(h->network), network))
			return h;
	}
	return NULL;
}

static void drop(struct queue *q, struct home *h)
{
	hashtable_remove(&q->homes.table, &h->in_table);
	free(h->network);
	free(h);
}

void homes_fini(struct queue *q)
{
	HASHTABLE_EACH (i, &q->homes.table)
		drop(q, CONTAINER_OF(i, struct home, in_table));
	hashtable_fini(&q->homes.table);
}

void homes_mend(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->homes.table) {
		struct home *h = CONTAINER_OF(i, struct home, in_table);

		if (clock_is_foreign(h->until, now, NETWORK_KNOWN_MS))
			h->until = now + NETWORK_KNOWN_MS;
	}
}

void homes_collect(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->homes.table) {
		struct home *h = CONTAINER_OF(i, struct home, in_table);

		if (h->until <= now)
			drop(q, h);
	}
}

void home_note(struct queue *q, struct str network, uint64_t until)
{
	struct home *h = find(q, network);

	if (!h && q->homes.table.n >= HOMES_MAX)
		return;
	if (!h) {
		h = NEW(struct home);
		h->network = copy_text(network);
		hashtable_add(&q->homes.table, &h->in_table, hash_text(network));
	}
	if (until > h->until)
		h->until = until;
}

bool home_known(struct queue *q, struct str network, uint64_t now)
{
	const struct home *h = find(q, network);

	return h && h->until > now;
}
