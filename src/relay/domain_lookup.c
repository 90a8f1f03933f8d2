/* domain_lookup.c - queue asks for the mail servers of a domain before it hands over mail for the domain, so that a failure of
 * the DNS costs no delivery. The result is kept for some seconds, for the delivery that follows. */
#include "pool.h"
#include "relay.h"

#include <stdlib.h>

struct lookup_call {
	struct list in_pool;
	struct channel *queue;
	uint64_t call; /* to be answered */
};

void domain_lookup_answer(struct channel *queue, uint64_t call, bool known)
{
	ipc_send_looked_up(queue, &(struct msg_looked_up){ .call = call, .known = known }, -1);
}

void domain_lookup_add(struct pool *pool, struct channel *queue, uint64_t call)
{
	struct lookup_call *i = NEW(struct lookup_call);

	i->queue = queue;
	i->call = call;
	list_append(&pool->asking, &i->in_pool);
	pool->early = pool->connections_n == 0;
	if (candidates_fresh(pool))
		domain_lookups_answer(pool, pool->candidates_n > 0);
	else
		candidates_ask(pool);
}

void domain_lookups_answer(struct pool *pool, bool known)
{
	LIST_EACH_OF (struct lookup_call, i, &pool->asking, in_pool) {
		domain_lookup_answer(i->queue, i->call, known);
		list_remove(&i->in_pool);
		free(i);
	}
}
