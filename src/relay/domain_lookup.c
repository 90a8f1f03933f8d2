/* domain_lookup.c - queue asks for a domain's mail servers before it hands over any of its mail: what the DNS does not tell costs no delivery.
 * What was found, or that nothing was, is kept for some seconds for the delivery that follows. */
#include "relay.h"

#include <stdlib.h>

struct inquiry {
	struct list in_pool;
	struct channel *queue;
	uint64_t call; /* to be answered */
};

static void answer(struct channel *queue, uint64_t call, bool known)
{
	ipc_send_looked_up(queue, &(struct msg_looked_up){ .call = call, .known = known }, -1);
}

void handle_look_up(void *ctx, struct channel *ch, const struct msg_look_up *m, int fd)
{
	struct relay *relay = role_data(ctx);
	struct arena a = { 0 };
	struct str why;
	struct pool *pool = relay && !relay->stopping ? hop_find(relay, m->route, &a, &why) : NULL;

	if (pool && pool->mx) {
		struct inquiry *i = NEW(struct inquiry);

		i->queue = ch;
		i->call = m->call;
		list_append(&pool->inquiries, &i->in_pool);
		targets_find_early(pool);
	} else {
		answer(ch, m->call, false); /* a delivery will hear why */
	}
	arena_fini(&a);
}

void inquiries_answer(struct pool *pool, bool known)
{
	LIST_EACH (k, &pool->inquiries) {
		struct inquiry *i = CONTAINER_OF(k, struct inquiry, in_pool);

		answer(i->queue, i->call, known);
		list_remove(&i->in_pool);
		free(i);
	}
}

void inquiries_drop(struct relay *relay)
{
	LIST_EACH (i, &relay->pools) {
		struct pool *pool = CONTAINER_OF(i, struct pool, in_relay);

		LIST_EACH (k, &pool->inquiries) {
			struct inquiry *q = CONTAINER_OF(k, struct inquiry, in_pool);

			list_remove(&q->in_pool);
			free(q);
		}
	}
}
