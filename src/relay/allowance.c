/* allowance.c - several nodes share the connections of an upstream: this node has no more than queue allows it. Queue gives
 * some up when this role has said that it has closed them. Behind the horizon, and in another epoch, the node is allowed none,
 * whether queue can say so or not: then another node can have them. */
#include "connection.h"
#include "relay.h"

#include "posthouse/clock.h"

/* Is the number of its connections a matter of all nodes? That of a pool that ends is none, since it opens no more. */
static bool is_shared(const struct pool *pool)
{
	return pool->relay->shares && !pool->mx && !pool->gone;
}

size_t allowance_of(const struct pool *pool)
{
	const struct horizon *h = &pool->relay->horizon;

	if (!is_shared(pool))
		return SIZE_MAX;
	return horizon_is_past(h, h->epoch, clock_boot_ms()) || pool->allowed_epoch != h->epoch ? 0 : pool->allowed;
}

/* Those that end are not counted, so that no more end than must. */
bool allowance_is_over(const struct pool *pool)
{
	size_t allowed = allowance_of(pool), n = 0;

	if (pool->connections_n <= allowed)
		return false;
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		n += c->state < CONNECTION_QUITTING;
	return n > allowed;
}

void allowance_connection_gone(struct pool *pool)
{
	struct channel *queue = role_peer(pool->relay->role, ROLE_QUEUE, 0);
	const struct msg_allowed m = { .epoch = pool->allowed_epoch, .route = pool->route, .number = pool->allowed_number };

	if (!pool->tell_allowed || pool->connections_n > pool->allowed || !queue)
		return;
	pool->tell_allowed = false;
	ipc_send_allowed(queue, &m, -1);
}

/* Connections without a delivery end at once, the others between two messages. */
static void close_surplus(struct pool *pool)
{
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool) {
		if (!allowance_is_over(pool))
			return;
		if (c->state == CONNECTION_IDLE)
			connection_quit(c, "left to another node");
		else if (c->state < CONNECTION_IDLE)
			connection_close(c, "left to another node");
	}
}

static struct pool *find(struct relay *relay, struct str route)
{
	struct pool *found = NULL;

	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay)
		if (!pool->probe && !pool->look && str_eq(pool->route, route) && (!found || found->gone))
			found = pool;
	return found;
}

void allowance_begin(struct relay *relay, const struct msg_allow *m)
{
	struct pool *pool = find(relay, m->route);
	struct channel *queue = role_peer(relay->role, ROLE_QUEUE, 0);

	relay->shares = true;
	if (!pool) {
		if (queue)
			ipc_send_allowed(queue,
					 &(struct msg_allowed){ .epoch = m->epoch, .route = m->route, .number = m->number }, -1);
		return;
	}
	pool->allowed_epoch = m->epoch;
	pool->allowed_number = m->number;
	pool->allowed = (size_t)m->connections;
	pool->tell_allowed = true;
	close_surplus(pool);
	allowance_connection_gone(pool);
	if (!pool->gone)
		pool_advance(pool);
}

/* A horizon that was past can lie ahead again. */
void allowances_horizon(struct relay *relay, const struct msg_horizon *m)
{
	bool was_past = horizon_is_past(&relay->horizon, m->epoch, clock_boot_ms());

	relay->horizon = (struct horizon){ m->epoch, m->boottime_ms };
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay)
		if (was_past && is_shared(pool))
			pool_advance(pool);
}
