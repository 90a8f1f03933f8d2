/* pool.c - one next hop: how many connections it may have, what waits for them, where it is. */
#include "relay.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n);

struct pool *pool_find(struct relay *relay, struct str name)
{
	LIST_EACH (i, &relay->pools) {
		struct pool *pool = CONTAINER_OF(i, struct pool, in_relay);

		if (!pool->gone && str_eq(pool->name, name))
			return pool;
	}
	return NULL;
}

/* ---- the configuration ---- */

static unsigned port_of(const struct cfg_upstream *u)
{
	if (u->port > 0)
		return (unsigned)u->port;
	return u->tls == UPSTREAM_IMPLICIT ? 465 : 587;
}

static bool same_definition(const struct pool *pool, const struct cfg_upstream *u)
{
	return str_eq(pool->host, u->host) && pool->port == port_of(u) && pool->tls == u->tls &&
	       pool->login == (u->login.n > 0) && str_eq(pool->tls_name, u->tls_name.n ? u->tls_name : u->host) &&
	       (!pool->trust || str_eq(pool->trust->ca_pem, u->ca_pem));
}

static void forget_addresses(struct pool *pool)
{
	resolve_cancel(pool->resolving);
	pool->resolving = NULL;
	free(pool->addresses);
	pool->addresses = NULL;
	pool->addresses_n = pool->first = 0;
}

/* Take over a definition, which the first phase of the configuration has found usable. */
static void define(struct pool *pool, const struct cfg_upstream *u)
{
	struct verdict why = ok();

	arena_reset(&pool->arena);
	trust_leave(pool->trust);
	pool->trust = NULL;
	pool->name = arena_str(&pool->arena, u->name);
	pool->host = arena_str(&pool->arena, u->host);
	pool->tls_name = arena_str(&pool->arena, u->tls_name.n ? u->tls_name : u->host);
	pool->port = port_of(u);
	pool->tls = u->tls;
	pool->login = u->login.n > 0;
	pool->generation++;
	pool->fewer = 0;
	if (u->tls == UPSTREAM_NONE)
		return;
	pool->trust = trust_get(pool->relay, u->ca_pem, &pool->arena, &why);
	if (pool->trust)
		trust_use(pool->trust);
	else
		log_error(&pool->relay->log, "upstream.failed", kv("upstream", pool->name), kv("reason", why.text));
}

/* No delivery can go this way any more. */
static void end_waiting(struct pool *pool, struct verdict v, struct str remote, struct str reason)
{
	struct delivery *d;

	while ((d = pool_take(pool)) != NULL)
		delivery_end_blocked(d, v, remote, reason);
}

/* Connections that are being made to what is no longer configured. */
static void close_opening(struct pool *pool)
{
	LIST_EACH (i, &pool->connections) {
		struct connection *c = CONTAINER_OF(i, struct connection, in_pool);

		if (c->state <= CONNECTION_OPENING)
			connection_close(c, "the configuration has changed");
	}
}

static void pool_free_if_gone(struct pool *pool)
{
	if (!pool->gone || pool->connections_n > 0 || pool->waiting_n > 0)
		return;
	list_remove(&pool->in_relay);
	forget_addresses(pool);
	trust_leave(pool->trust);
	arena_fini(&pool->arena);
	free(pool->failure);
	free(pool);
}

static void retire(struct pool *pool)
{
	struct str reason = S("the upstream is no longer configured");

	pool->gone = true;
	close_opening(pool);
	pool_close_idle(pool, "no longer configured");
	end_waiting(pool, temp(451, S("4.3.5"), reason), S(""), reason);
	pool_free_if_gone(pool);
}

static struct pool *pool_new(struct relay *relay)
{
	struct pool *pool = NEW(struct pool);

	pool->relay = relay;
	list_init(&pool->connections);
	list_init(&pool->waiting);
	list_append(&relay->pools, &pool->in_relay);
	return pool;
}

static void apply_one(struct relay *relay, const struct config *config, const struct cfg_upstream *u)
{
	struct pool *pool = pool_find(relay, u->name);
	bool fresh = !pool;

	if (fresh)
		pool = pool_new(relay);
	if (fresh || !same_definition(pool, u)) {
		define(pool, u);
		forget_addresses(pool);
		close_opening(pool);
		pool_close_idle(pool, "the configuration has changed");
	}
	pool->limit = u->connections ? u->connections : config->delivery.connections_per_destination;
	if (pool->limit == 0)
		pool->limit = 1;
	pool_advance(pool);
}

static bool configured(const struct config *config, struct str name)
{
	for (size_t i = 0; i < config->upstreams_n; i++)
		if (str_eq(config->upstreams[i].name, name))
			return true;
	return false;
}

void pools_apply(struct relay *relay, const struct config *config)
{
	LIST_EACH (i, &relay->pools) {
		struct pool *pool = CONTAINER_OF(i, struct pool, in_relay);

		if (!pool->gone && !configured(config, pool->name))
			retire(pool);
	}
	for (size_t i = 0; i < config->upstreams_n; i++)
		apply_one(relay, config, &config->upstreams[i]);
	trusts_sweep(relay);
}

/* ---- who waits, who carries ---- */

void pool_add(struct pool *pool, struct delivery *d, bool at_front)
{
	if (at_front)
		list_prepend(&pool->waiting, &d->in_pool);
	else
		list_append(&pool->waiting, &d->in_pool);
	pool->waiting_n++;
	pool->relay->waiting++;
}

struct delivery *pool_take(struct pool *pool)
{
	struct list *first = list_first(&pool->waiting);

	if (!first)
		return NULL;
	list_remove(first);
	pool->waiting_n--;
	pool->relay->waiting--;
	return CONTAINER_OF(first, struct delivery, in_pool);
}

static size_t count(const struct pool *pool, enum connection_state from, enum connection_state to)
{
	size_t n = 0;

	LIST_EACH (i, &pool->connections) {
		struct connection *c = CONTAINER_OF(i, struct connection, in_pool);

		n += c->state >= from && c->state <= to;
	}
	return n;
}

static struct connection *idle_connection(const struct pool *pool)
{
	LIST_EACH (i, &pool->connections) {
		struct connection *c = CONTAINER_OF(i, struct connection, in_pool);

		if (c->state == CONNECTION_IDLE)
			return c;
	}
	return NULL;
}

static size_t limit_now(struct pool *pool)
{
	if (pool->fewer > 0 && clock_mono_ms() >= pool->fewer_until)
		pool->fewer = 0;
	return pool->fewer > 0 && pool->fewer < pool->limit ? pool->fewer : pool->limit;
}

void pool_advance(struct pool *pool)
{
	struct connection *c;
	size_t limit = limit_now(pool), opening;

	while (pool->waiting_n > 0 && (c = idle_connection(pool)) != NULL)
		connection_give(c, pool_take(pool));
	opening = count(pool, CONNECTION_RESOLVING, CONNECTION_OPENING);
	/* Each opening one will take a delivery; and none is opened for what is being given up. */
	while (pool->waiting_n > opening && pool->connections_n < limit && !pool->gone && !pool->relay->stopping) {
		connection_open(pool);
		opening++;
	}
}

void pool_close_idle(struct pool *pool, const char *reason)
{
	LIST_EACH (i, &pool->connections) {
		struct connection *c = CONTAINER_OF(i, struct connection, in_pool);

		if (c->state == CONNECTION_IDLE)
			connection_quit(c, reason);
	}
}

void pool_connection_ready(struct pool *pool)
{
	free(pool->failure);
	pool->failure = NULL;
}

static const char *fault_name(enum smtp_fault fault)
{
	static const char *const names[] = { "none", "connection", "tls", "login", "peer" };

	return names[fault];
}

/* A connection could not be made. As long as others work or are still trying, the deliveries are theirs, and no more than those are
 * opened for a while: many providers allow few. Otherwise the next hop is at fault: the deliveries go back to queue, whose gate
 * keeps the mail and probes. */
void pool_connection_failed(struct pool *pool, struct connection *c, struct verdict v, enum smtp_fault fault)
{
	size_t others = count(pool, CONNECTION_RESOLVING, CONNECTION_BUSY);
	struct str reason = arena_printf(&c->arena, "%s%s%.*s%s%.*s", c->remote, c->remote[0] ? ": " : "", STR_ARG(v.enhanced),
					 v.enhanced.n ? " " : "", STR_ARG(v.text));
	bool ours = fault == FAULT_AUTH || fault == FAULT_TLS;

	if (c->state <= CONNECTION_BUSY)
		others--;
	free(pool->failure);
	pool->failure = strdup(arena_cstr(&c->arena, reason));
	if (others > 0) {
		log_info(&c->log, "upstream.limited", kv("upstream", pool->name), kv("connections", others),
			 kv("reason", reason));
		pool->fewer = others;
		pool->fewer_until = clock_mono_ms() + FEWER_MS;
		return;
	}
	log_at(ours ? LOG_ERROR : LOG_WARNING, &c->log, "upstream.failed", kv("upstream", pool->name),
	       kv("fault", fault_name(fault)), kv("reason", reason), kv("code", v.code), kv("waiting", pool->waiting_n));
	pool->fewer = 0;
	v.class = TEMP;
	end_waiting(pool, v, str_of(c->remote), reason);
}

void pool_connection_gone(struct pool *pool, struct connection *c)
{
	list_remove(&c->in_pool);
	pool->connections_n--;
	pool->relay->connections--;
	if (pool->gone)
		pool_free_if_gone(pool);
	else
		pool_advance(pool);
}

/* ---- addresses ---- */

void pool_find_addresses(struct pool *pool, struct connection *c)
{
	const struct cfg_delivery *d = &role_config(pool->relay->role)->delivery;

	if (pool->addresses_n > 0 && clock_mono_ms() - pool->addresses_at < ADDRESSES_MS) {
		connection_try_addresses(c);
		return;
	}
	if (!pool->resolving)
		pool->resolving = resolve_host(pool->relay->loop, pool->host, pool->port, d->ipv4, d->ipv6, on_resolved, pool);
}

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct pool *pool = ctx;

	pool->resolving = NULL;
	forget_addresses(pool);
	if (n > ADDRESSES_OF_HOST_MAX)
		n = ADDRESSES_OF_HOST_MAX;
	if (v.class == OK && n > 0) {
		pool->addresses = xcalloc(n, sizeof *pool->addresses);
		memcpy(pool->addresses, addresses, n * sizeof *addresses);
		pool->addresses_n = n;
		pool->addresses_at = clock_mono_ms();
	}
	if (v.class == OK && n == 0)
		v = temp(451, S("4.4.3"), S("the name has no address"));
	LIST_EACH (i, &pool->connections) {
		struct connection *c = CONTAINER_OF(i, struct connection, in_pool);

		if (c->state != CONNECTION_RESOLVING)
			continue;
		if (v.class == OK)
			connection_try_addresses(c);
		else
			connection_attempt_failed(c, v, FAULT_CONNECTION);
	}
}
