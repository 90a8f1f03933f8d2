/* relay.c - the role that carries mail to the next hops: it takes deliveries from queue and gives back the outcome of each
 * recipient. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

enum {
	LAST_RESULTS_MS = 500, /* at the end: for queue to take the results */
};

static void on_connection_closed(struct connection *c)
{
	transfer_fini(&c->transfer);
	if (c->pool->probe)
		probe_free(c);
	if (c->pool->look)
		look_free(c);
	pool_connection_gone(c->pool, c);
}

static const struct relay_ops relay_ops = {
	.begin = attempt_begin,
	.not_found = attempt_lookup_failed,
	.not_connected = attempt_failed,
	.advance = client_events_advance,
	.resume = client_events_resume,
	.give = client_events_give,
	.writable = transfer_go_on,
	.closed = on_connection_closed,
	.probe_note = probe_note,
	.probe_ended = probe_ended,
	.probe_sender = probe_sender,
	.probe_heard = probe_heard,
	.look_note = look_note,
	.found = attempt_found,
	.tlsa_known = attempt_go_on,
};

/* The state of the role, made with the first configuration. */
static struct relay *relay_of(struct role *r)
{
	struct relay *relay = role_data(r);

	if (relay)
		return relay;
	relay = NEW(struct relay);
	relay->role = r;
	relay->ops = &relay_ops;
	relay->loop = role_loop(r);
	raise_descriptor_limit();
	list_init(&relay->pools);
	list_init(&relay->ca_stores);
	list_init(&relay->unasked);
	relay->dns = resolving_start(&relay->resolving, r);
	uv_timer_init(relay->loop, &relay->grace);
	relay->grace.data = relay;
	uv_timer_init(relay->loop, &relay->sweep);
	relay->sweep.data = relay;
	role_set_data(r, relay);
	return relay;
}

/* ---- configuration ---- */

static struct verdict configure(struct role *r, const struct config *c)
{
	return nexthops_check(relay_of(r), c);
}

static void apply(struct role *r)
{
	nexthops_apply(r);
	probes_forget(relay_of(r));
}

/* ---- messages ---- */

static void handle_look_up(void *ctx, struct channel *ch, const struct msg_look_up *m, int fd)
{
	struct relay *relay = relay_of(ctx);
	struct arena a = { 0 };
	struct str why;
	struct pool *pool = !relay->stopping ? nexthop_find(relay, m->route, &a, &why) : NULL;

	if (pool && pool->mx)
		domain_lookup_add(pool, ch, m->call);
	else
		domain_lookup_answer(ch, m->call, false); /* the delivery that follows gets the reason */
	arena_fini(&a);
}

static void handle_deliver(void *ctx, struct channel *ch, const struct msg_deliver *m, int fd)
{
	delivery_begin(relay_of(ctx), m, fd);
}

/* Only a delivery that waits is withdrawn; one that runs is completed. */
static void handle_withdraw(void *ctx, struct channel *ch, const struct msg_withdraw *m, int fd)
{
	struct delivery *d = delivery_find(relay_of(ctx), m->lease);

	if (!d || d->state != DELIVERY_WAITING)
		return;
	pool_remove(d);
	delivery_end_untried(d);
}

static void handle_settled(void *ctx, struct channel *ch, const struct msg_settled *m, int fd)
{
	struct delivery *d = delivery_find(relay_of(ctx), m->lease);

	if (d && d->state == DELIVERY_REPORTED)
		delivery_free(d);
}

static void handle_horizon(void *ctx, struct channel *ch, const struct msg_horizon *m, int fd)
{
	allowances_horizon(relay_of(ctx), m);
}

static void handle_allow(void *ctx, struct channel *ch, const struct msg_allow *m, int fd)
{
	allowance_begin(relay_of(ctx), m);
}

static void handle_upstream_test(void *ctx, struct channel *ch, const struct msg_upstream_test *m, int fd)
{
	probe_begin(relay_of(ctx), ch, m);
}

static void handle_tls_look(void *ctx, struct channel *ch, const struct msg_tls_look *m, int fd)
{
	look_begin(relay_of(ctx), ch, m);
}

static void handle_names_changed(void *ctx, struct channel *ch, const struct msg_names_changed *m, int fd)
{
	LIST_EACH_OF (struct pool, pool, &relay_of(ctx)->pools, in_relay)
		if (pool->mx)
			attempt_resolve_again(pool);
}

static void peer_up(struct role *r, struct channel *ch)
{
	resolving_peer_up(&relay_of(r)->resolving, ch);
	questions_role_up(relay_of(r), channel_peer(ch));
}

static void peer_down(struct role *r, struct channel *ch)
{
	struct relay *relay = relay_of(r);

	if (channel_peer(ch) != ROLE_QUEUE)
		return;
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay)
		domain_lookups_answer(pool, false); /* nobody gets the answers */
	deliveries_orphan(relay);
}

/* ---- the end ---- */

static void on_last_results(uv_timer_t *timer)
{
	struct relay *relay = timer->data;

	log_warning(&relay->log, "relay.hurried", kv("unsettled", relay->deliveries.n));
	role_stopped(relay->role);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct relay *relay = timer->data;

	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay) {
		LIST_EACH_OF (struct connection, c, &pool->connections, in_pool) {
			connection_break(c, temp(421, S("4.3.2"), S("broken off: the relay is being stopped")), FAULT_CONNECTION);
			connection_close(c, "stopping");
		}
	}
	uv_timer_start(timer, on_last_results, LAST_RESULTS_MS, 0);
}

/* Waiting deliveries go back, running ones can end, and connections without a delivery are closed. */
static void stop(struct role *r, uint64_t grace_ms)
{
	struct relay *relay = relay_of(r);

	relay->stopping = true;
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay) {
		struct delivery *d;

		while ((d = pool_take(pool)) != NULL)
			delivery_end_untried(d);
		LIST_EACH_OF (struct connection, c, &pool->connections, in_pool) {
			if (c->state == CONNECTION_IDLE)
				connection_quit(c, "stopping");
			else if (c->state < CONNECTION_IDLE)
				connection_close(c, "stopping");
		}
	}
	uv_timer_start(&relay->grace, on_grace_over, grace_ms - grace_ms / 10, 0);
}

static void idle(struct role *r)
{
	struct channel *queue = role_peer(r, ROLE_QUEUE, 0);

	uv_timer_stop(&relay_of(r)->grace);
	if (queue)
		ipc_send_drained(queue, &(struct msg_drained){ 0 }, -1);
	role_stopped(r);
}

/* ---- figures ---- */

static void stats(struct role *r)
{
	struct relay *relay = relay_of(r);
	struct arena a = { 0 };
	size_t domains = 0;

	role_stat(r, METRIC_RELAY_CONNECTIONS, relay->connections);
	role_stat(r, METRIC_RELAY_DELIVERIES_WAITING, relay->waiting);
	role_stat(r, METRIC_RELAY_DELIVERIES_RUNNING, relay->running);
	role_stat(r, METRIC_RELAY_DELIVERIES_UNSETTLED, relay->deliveries.n - relay->waiting - relay->running);
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay) {
		struct str text = arena_printf(&a, "%.*s:%u, %zu waiting%s%s", STR_ARG(pool->host), pool->port, pool->waiting_n,
					       pool->failure ? ", last failure: " : "", pool->failure ? pool->failure : "");

		if (pool->mx)
			domains += !pool->look;
		else if (!pool->probe)
			role_stat_of(r, METRIC_RELAY_UPSTREAM_CONNECTIONS, pool->name, pool->connections_n, text);
	}
	role_stat(r, METRIC_RELAY_DOMAINS, domains);
	role_tally(r, METRIC_RELAY_TLS, &relay->tls_versions);
	role_stat(r, METRIC_RELAY_TLS_RESUMED, relay->tls_resumed);
	role_stat(r, METRIC_RELAY_HORIZON_CLOSED, relay->horizon_closed);
	for (size_t i = 0; i < role_config(r)->tls_n; i++) {
		const struct cfg_tls *entry = &role_config(r)->tls[i];

		for (size_t k = 0; k < entry->destinations.n && entry->demand.require == TLS_REQUIRE_NONE; k++)
			role_stat_of(r, METRIC_RELAY_TLS_EXCEPTION, entry->destinations.at[k], 1, S(""));
	}
	arena_fini(&a);
}

static const struct ipc_handlers handlers = {
	.look_up = handle_look_up,
	.deliver = handle_deliver,
	.withdraw = handle_withdraw,
	.settled = handle_settled,
	.horizon = handle_horizon,
	.allow = handle_allow,
	.names_changed = handle_names_changed,
	.upstream_test = handle_upstream_test,
	.tls_look = handle_tls_look,
};

static const struct role_ops ops = {
	.id = ROLE_RELAY,
	.configure = configure,
	.apply = apply,
	.abandon = nexthops_abandon,
	.peer_up = peer_up,
	.peer_down = peer_down,
	.stop = stop,
	.idle = idle,
	.stats = stats,
	.handlers = &handlers,
};

int main(int argc, char **argv)
{
	return role_main(argc, argv, &ops);
}
