/* pool.c - one next hop: the limit of its connections, the deliveries that wait, and what follows when no connection can be
 * opened. */
#include "ca_store.h"
#include "connection.h"
#include "delivery.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/units.h"
#include "posthouse/clock.h"

#include <stdlib.h>

enum {
	SWEEP_MS = 5000,       /* how often unused pools of domains are looked for */
	FEWER_MS = MINUTE_MS,  /* after a refused connection, no more than those that work are opened for this time */
	THROTTLED_MS = 600000, /* after a refusal because of a rate, fewer connections are used for this time */
};

/* ---- waiting deliveries, connections for them ---- */

void pool_add(struct pool *pool, struct delivery *d, bool at_front)
{
	if (at_front)
		list_prepend(&pool->waiting, &d->in_pool);
	else
		list_append(&pool->waiting, &d->in_pool);
	pool->waiting_n++;
	pool->relay->waiting++;
}

void pool_remove(struct delivery *d)
{
	list_remove(&d->in_pool);
	d->pool->waiting_n--;
	d->relay->waiting--;
}

struct delivery *pool_take(struct pool *pool)
{
	struct list *first = list_first(&pool->waiting);
	struct delivery *d;

	if (!first)
		return NULL;
	d = CONTAINER_OF(first, struct delivery, in_pool);
	pool_remove(d);
	return d;
}

void pool_give_back(struct delivery *d)
{
	log_debug(&d->log, "delivery.repeated", kv("lease", d->lease));
	tx_recipients_forget(d);
	d->state = DELIVERY_WAITING;
	d->relay->running--;
	if (d->pool->gone) { /* a reload has removed the upstream: no connection would take the delivery */
		delivery_end_unroutable(d, S("the upstream is no longer configured"));
		return;
	}
	pool_add(d->pool, d, true);
}

static size_t count(const struct pool *pool, enum connection_state from, enum connection_state to)
{
	size_t n = 0;

	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		n += c->state >= from && c->state <= to;
	return n;
}

static struct connection *idle_connection(const struct pool *pool)
{
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		if (c->state == CONNECTION_IDLE)
			return c;
	return NULL;
}

size_t pool_limit(struct pool *pool)
{
	if (pool->fewer > 0 && clock_mono_ms() >= pool->fewer_until)
		pool->fewer = 0;
	return pool->fewer > 0 && pool->fewer < pool->limit ? pool->fewer : pool->limit;
}

void pool_advance(struct pool *pool)
{
	struct connection *c;
	size_t limit = pool_limit(pool), allowed = allowance_of(pool), opening;

	if (allowed < limit)
		limit = allowed;
	while (pool->waiting_n > 0 && !allowance_is_over(pool) && (c = idle_connection(pool)) != NULL)
		pool->relay->ops->give(c, pool_take(pool));
	opening = count(pool, CONNECTION_RESOLVING, CONNECTION_OPENING);
	if (pool->mechanisms.n > 0 && !pool->proven && limit > 1)
		limit = 1; /* a wrong password is tried once, not by each connection */
	/* each opening connection will take one delivery */
	while (pool->waiting_n > opening && pool->connections_n < limit && !pool->gone && !pool->relay->stopping) {
		connection_open(pool);
		opening++;
	}
}

void pool_close_idle(struct pool *pool, const char *reason)
{
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		if (c->state == CONNECTION_IDLE)
			connection_quit(c, reason);
}

void pool_close_opening(struct pool *pool)
{
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		if (c->state <= CONNECTION_OPENING)
			connection_close(c, "the configuration has changed");
}

/* ---- results of connections ---- */

/* The mechanism that worked comes first from now on, because each refusal of another one counts as a failed login. */
static void prefer_mechanism(struct pool *pool, struct str mechanism)
{
	struct str rest = pool->mechanisms, all = mechanism, word;

	if (mechanism.n == 0 || str_starts(pool->mechanisms, mechanism))
		return;
	while (str_split(&rest, ' ', &word))
		if (!str_eq(word, mechanism))
			all = arena_printf(&pool->arena, "%.*s %.*s", STR_ARG(all), STR_ARG(word));
	log_info(&pool->relay->log, "upstream.mechanism", kv("upstream", pool->name), kv("mechanism", mechanism));
	pool->mechanisms = arena_str(&pool->arena, all);
}

void pool_connection_ready(struct pool *pool, struct str mechanism)
{
	bool first = !pool->proven;

	pool->proven = true;
	pool->token_refused = false;
	prefer_mechanism(pool, mechanism);
	if (first)
		pool_advance(pool); /* the others that are allowed */
	free(pool->failure);
	pool->failure = NULL;
}

void pool_throttle(struct pool *pool)
{
	size_t now = pool_limit(pool);

	pool->fewer = now > 1 ? now / 2 : 1;
	pool->fewer_until = clock_mono_ms() + THROTTLED_MS;
	log_info(&pool->relay->log, "upstream.throttled", kv("route", pool->route), kv("connections", pool->fewer));
}

void pool_refuse_waiting(struct pool *pool, struct verdict v, struct str transcript)
{
	struct delivery *d;

	while ((d = pool_take(pool)) != NULL)
		delivery_end_with(d, v, (struct msg_result){ .transcript = transcript });
}

static const char *const fault_names[] = { "none", "connection", "peer", "tls", "login", "loop" };

/* The administrator can mend an upstream, but not the servers of a domain. */
static void log_failure(struct connection *c, struct str reason)
{
	const struct pool *pool = c->pool;
	const struct failure *f = &c->failure;
	const char *class = trouble_name(f->meaning.trouble), *tls = tls_result_word(f->tls_result);

	if (pool->mx)
		log_info(&c->log, "destination.failed", kv("domain", pool->name), kv("reason", reason),
			 kv("code", f->verdict.code), kv("class", class), kv("waiting", pool->waiting_n), kv("tls_result", tls));
	else
		log_at(reply_class_gate(f->meaning) == GATE_OURS ? LOG_ERROR : LOG_WARNING, &c->log, "upstream.failed",
		       kv("upstream", pool->name), kv("fault", fault_names[f->fault]), kv("reason", reason),
		       kv("code", f->verdict.code), kv("class", class), kv("waiting", pool->waiting_n), kv("tls_result", tls),
		       kv("hint", meaning_hint(meaning_pack(f->meaning))));
}

/* RFC 8689 4.2.1: no server of the domain can do what REQUIRETLS demands, which all mail of this pool has. It comes back, or
 * takes another choice of its route. */
static void refuse_unfit(struct connection *c)
{
	struct verdict v = c->failure.verdict;
	struct delivery *d;

	if (v.class != PERM)
		v = perm(550, S("5.7.10"), arena_printf(&c->arena, "REQUIRETLS is demanded, and %.*s", STR_ARG(v.text)));
	while ((d = pool_take(c->pool)) != NULL) {
		d->unfit = true;
		delivery_end_with(
			d, v,
			(struct msg_result){ .remote = c->failure.remote, .transcript = connection_transcript(c, &c->arena) });
	}
}

/* While other connections work or are being opened, they take the deliveries, and no more than these are opened for a while,
 * because many providers allow few connections. Otherwise the next hop is at fault: the deliveries go back to queue, which keeps
 * the mail and probes the next hop later. */
void pool_connection_failed(struct connection *c)
{
	struct pool *pool = c->pool;
	const struct failure *f = &c->failure;
	size_t others = count(pool, CONNECTION_RESOLVING, CONNECTION_BUSY);
	struct verdict v = f->verdict;
	struct str reason = arena_printf(&c->arena, "%.*s%s%.*s%s%.*s", STR_ARG(f->remote), f->remote.n ? ": " : "",
					 STR_ARG(v.enhanced), v.enhanced.n ? " " : "", STR_ARG(v.text));
	struct msg_result hop;
	struct delivery *d;

	if (pool->probe) {
		pool->relay->ops->probe_ended(c, false);
		return;
	}
	if (c->state <= CONNECTION_BUSY)
		others--;
	free(pool->failure);
	pool->failure = strdup(arena_cstr(&c->arena, reason));
	if (f->fault == FAULT_AUTH)
		pool->proven = false;
	if (others > 0) {
		log_info(&c->log, "upstream.limited", kv("route", pool->route), kv("connections", others), kv("reason", reason));
		pool->fewer = others;
		pool->fewer_until = clock_mono_ms() + FEWER_MS;
		return;
	}
	log_failure(c, reason);
	pool->fewer = 0;
	if (pool->wish == TLS_WISH_REQUIRE && !c->maybe_fit) {
		refuse_unfit(c);
		return;
	}
	if (f->meaning.trouble == TROUBLE_RATE)
		pool_throttle(pool);
	hop = (struct msg_result){ .remote = f->remote,
				   .tls_policy = f->tls_policy,
				   .tls_result = tls_result_shown(f->tls_result),
				   .transcript = connection_transcript(c, &c->arena),
				   .gate = reply_class_gate(f->meaning),
				   .gate_meaning = meaning_pack(f->meaning),
				   .gate_pause_ms = f->meaning.pause_ms,
				   .gate_reason = reason };
	while ((d = pool_take(pool)) != NULL)
		delivery_end_blocked(d, v, hop);
}

void pool_connection_gone(struct pool *pool, struct connection *c)
{
	list_remove(&c->in_pool);
	pool->connections_n--;
	pool->relay->connections--;
	allowance_connection_gone(pool);
	if (!pool->gone)
		pool_advance(pool);
	pool_free_if_unused(pool);
}

void pool_free_if_unused(struct pool *pool)
{
	if ((!pool->gone && !pool->mx) || pool->connections_n > 0 || pool->waiting_n > 0)
		return;
	if (!list_empty(&pool->asking) || (pool->early && (candidates_fresh(pool) || candidates_await_policy(pool))))
		return; /* a delivery can follow; otherwise on_sweep() frees the pool */
	list_remove(&pool->in_relay);
	candidates_forget(pool);
	arena_fini(&pool->candidates_arena);
	arena_fini(&pool->sts.arena);
	if (pool->ca_store)
		pool->ca_store->users--;
	arena_fini(&pool->arena);
	free(pool->failure);
	free(pool);
}

static void on_sweep(uv_timer_t *timer)
{
	struct relay *relay = timer->data;
	bool more = false;

	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay) {
		more = more || pool->mx;
		pool_free_if_unused(pool);
	}
	if (!more)
		uv_timer_stop(timer);
}

void pools_sweep(struct relay *relay)
{
	if (!uv_is_active((uv_handle_t *)&relay->sweep))
		uv_timer_start(&relay->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}
