/* connection.c - one connection to a next hop: its addresses in turn, TCP and TLS, and its end. What is said on it: session.c. */
#include "relay.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

#define TO(state) (1u << CONNECTION_##state)

/* In the order they happen, which is the order of this file. */
static void try_address(struct connection *c);
static void on_connect(void *ctx, struct stream *st, struct verdict v);
static void on_tls(void *ctx, struct stream *st, struct verdict v);
static size_t on_input(void *ctx, struct stream *st, struct str bytes);
static void on_drain(void *ctx, struct stream *st);
static void on_end(void *ctx, struct stream *st, struct str why);
static void on_timer(uv_timer_t *timer);
static void on_stream_closed(void *ctx, struct stream *st);
static void on_timer_closed(uv_handle_t *h);

static const struct stream_ops stream_ops = {
	.on_connect = on_connect,
	.on_tls = on_tls,
	.on_input = on_input,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_closed = on_stream_closed,
};

/* Names, and which states may follow. */
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[CONNECTION_RESOLVING] = { "resolving", TO(CONNECTING) | TO(CLOSING) },
	[CONNECTION_CONNECTING] = { "connecting", TO(CONNECTING) | TO(OPENING) | TO(CLOSING) },
	[CONNECTION_OPENING] = { "opening", TO(CONNECTING) | TO(IDLE) | TO(BUSY) | TO(QUITTING) | TO(CLOSING) },
	[CONNECTION_IDLE] = { "idle", TO(BUSY) | TO(QUITTING) | TO(CLOSING) },
	[CONNECTION_BUSY] = { "busy", TO(BUSY) | TO(IDLE) | TO(QUITTING) | TO(CLOSING) },
	[CONNECTION_QUITTING] = { "quitting", TO(CLOSING) },
	[CONNECTION_CLOSING] = { "closing", 0 },
};

void connection_enter(struct connection *c, enum connection_state state)
{
	assert(states[c->state].next & (1u << state));
	log_debug(&c->log, "connection.moved", kv("from", states[c->state].name), kv("to", states[state].name));
	c->state = state;
}

struct connection *connection_open(struct pool *pool)
{
	struct relay *relay = pool->relay;
	struct connection *c = NEW(struct connection);

	c->relay = relay;
	c->pool = pool;
	c->number = ++relay->next_connection;
	c->log.session = c->number;
	c->generation = pool->generation;
	c->host = arena_str(&c->arena, pool->host);
	c->tls_name = arena_str(&c->arena, pool->tls_name);
	c->tls = pool->tls;
	c->context = pool->trust ? tls_context_ref(pool->trust->context) : NULL;
	c->config.hostname = arena_str(&c->arena, role_config(relay->role)->hostname);
	c->config.mechanisms = pool->login ? S("PLAIN LOGIN") : S("");
	c->transfer.fd = -1;
	uv_timer_init(relay->loop, &c->timer);
	c->timer.data = c;
	c->parts = 1;
	list_append(&pool->connections, &c->in_pool);
	pool->connections_n++;
	relay->connections++;
	session_limit(c);
	pool_find_addresses(pool, c);
	return c;
}

/* ---- addresses in turn ---- */

void connection_try_addresses(struct connection *c)
{
	struct pool *pool = c->pool;

	c->addresses_n = pool->addresses_n;
	c->addresses = xcalloc(c->addresses_n, sizeof *c->addresses);
	for (size_t i = 0; i < c->addresses_n; i++)
		c->addresses[i] = pool->addresses[(pool->first + i) % pool->addresses_n];
	c->tried = 0;
	try_address(c);
}

/* "smtp.example.net [192.0.2.1]:587", for results and reasons. */
static void set_remote(struct connection *c, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const void *from = address->ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr;
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->ss_family, from, text, sizeof text);
	snprintf(c->remote, sizeof c->remote, "%.*s [%s]:%u", STR_ARG(str_head(c->host, 255)), text,
		 ntohs(address->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port));
}

static void try_address(struct connection *c)
{
	const struct sockaddr_storage *address = &c->addresses[c->tried];

	set_remote(c, address);
	c->config.tls = c->tls == UPSTREAM_IMPLICIT;
	c->config.use_starttls = c->tls == UPSTREAM_STARTTLS || (c->tls == UPSTREAM_OPPORTUNISTIC && !c->in_clear);
	c->config.need_tls = c->tls == UPSTREAM_STARTTLS || c->tls == UPSTREAM_IMPLICIT;
	c->client = smtp_client_new(&c->config);
	c->stream = stream_connect(c->relay->loop, (const struct sockaddr *)address, &stream_ops, c);
	c->parts++;
	connection_enter(c, CONNECTION_CONNECTING);
	session_limit(c);
}

/* Leave this attempt's stream and machine behind: the stream ends by itself. */
static void drop_attempt(struct connection *c)
{
	ipc_cancel(NULL, c->call);
	c->call = 0;
	c->handshaking = false;
	if (c->stream && c->state == CONNECTION_OPENING) {
		smtp_client_quit(c->client);
		session_flush(c);
		stream_finish(c->stream);
	} else if (c->stream) {
		stream_close(c->stream);
	}
	c->stream = NULL;
	smtp_client_free(c->client);
	c->client = NULL;
}

/* An address that does not do: the next one, or in clear text where that is allowed. A refused login is not tried elsewhere: who does
 * that gets locked out. */
void connection_attempt_failed(struct connection *c, struct verdict v, enum smtp_fault fault)
{
	bool may_be_clear = c->handshaking && c->tls == UPSTREAM_OPPORTUNISTIC && !c->in_clear && c->config.mechanisms.n == 0;

	v = verdict_keep(&c->arena, v);
	log_debug(&c->log, "connection.failed", kv("remote", c->remote), kv("reason", v.text));
	drop_attempt(c);
	if (c->state != CONNECTION_RESOLVING && may_be_clear) {
		c->in_clear = true;
		try_address(c);
		return;
	}
	c->in_clear = false;
	c->tried++;
	if (c->state != CONNECTION_RESOLVING && c->tried == 1)
		c->pool->first++;
	if (fault != FAULT_AUTH && c->tried < c->addresses_n && !c->relay->stopping) {
		try_address(c);
		return;
	}
	pool_connection_failed(c->pool, c, v, fault);
	connection_close(c, "failed");
}

/* ---- the stream ---- */

static void on_connect(void *ctx, struct stream *st, struct verdict v)
{
	struct connection *c = ctx;

	if (st != c->stream)
		return;
	if (v.class != OK) {
		connection_attempt_failed(c, v, FAULT_CONNECTION);
		return;
	}
	connection_enter(c, CONNECTION_OPENING);
	session_limit(c);
	if (c->tls != UPSTREAM_IMPLICIT)
		return;
	if (!c->context) {
		session_break(c, temp(421, S("4.7.5"), S("there are no CA certificates to verify it with")), FAULT_TLS);
		return;
	}
	c->handshaking = true;
	stream_start_client_tls(st, c->context, c->tls_name, true);
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct connection *c = ctx;

	if (st != c->stream)
		return;
	if (v.class != OK) {
		session_break(c, v, FAULT_TLS);
		return;
	}
	c->handshaking = false;
	smtp_client_tls_started(c->client); /* of no effect when TLS came first */
	session_advance(c);
}

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct connection *c = ctx;

	if (st != c->stream || c->state == CONNECTION_CLOSING)
		return bytes.n;
	if (c->state == CONNECTION_QUITTING) {
		connection_close(c, "quit");
		return bytes.n;
	}
	smtp_client_feed(c->client, bytes);
	session_advance(c);
	return bytes.n;
}

static void on_drain(void *ctx, struct stream *st)
{
	struct connection *c = ctx;

	if (st == c->stream && c->state == CONNECTION_BUSY)
		transfer_drained(c);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	struct connection *c = ctx;
	struct str text = S("");

	if (st != c->stream)
		return;
	if (c->state == CONNECTION_QUITTING) {
		connection_close(c, "quit");
		return;
	}
	if (why.n > 0)
		text = arena_printf(&c->arena, "connection lost at %s: %.*s", smtp_client_stage(c->client), STR_ARG(why));
	session_break(c, temp(421, S("4.4.2"), text), FAULT_CONNECTION);
}

/* ---- time limits ---- */

static void on_timer(uv_timer_t *timer)
{
	connection_timed_out(timer->data);
}

/* Start the limit for what the connection waits for now. */
void session_limit(struct connection *c)
{
	const struct cfg_timeouts *limits = &role_config(c->relay->role)->delivery.timeouts;
	uint64_t ms = limits->command_ms;

	switch (c->state) {
	case CONNECTION_RESOLVING:
	case CONNECTION_CONNECTING: ms = limits->connect_ms; break;
	case CONNECTION_OPENING:
	case CONNECTION_BUSY:
		if (smtp_client_waits(c->client) == WAIT_GREETING)
			ms = limits->greeting_ms;
		else if (smtp_client_waits(c->client) == WAIT_DATA)
			ms = limits->data_ms;
		break;
	case CONNECTION_IDLE: ms = IDLE_MS; break;
	case CONNECTION_QUITTING: ms = QUIT_MS; break;
	case CONNECTION_CLOSING: return;
	}
	uv_timer_start(&c->timer, on_timer, ms, 0);
}

void connection_timed_out(struct connection *c)
{
	struct str text;

	switch (c->state) {
	case CONNECTION_RESOLVING:
		connection_attempt_failed(c, temp(451, S("4.4.3"), S("the name service does not answer in time")),
					  FAULT_CONNECTION);
		return;
	case CONNECTION_CONNECTING:
		connection_attempt_failed(c, temp(421, S("4.4.1"), S("the connection was not made in time")), FAULT_CONNECTION);
		return;
	case CONNECTION_OPENING:
	case CONNECTION_BUSY:
		text = arena_printf(&c->arena, "no answer in time at %s", smtp_client_stage(c->client));
		session_break(c, temp(421, S("4.4.2"), text), FAULT_CONNECTION);
		return;
	case CONNECTION_IDLE: connection_quit(c, "idle"); return;
	case CONNECTION_QUITTING: connection_close(c, "no answer to QUIT"); return;
	case CONNECTION_CLOSING: return;
	}
}

/* ---- the end ---- */

void connection_quit(struct connection *c, const char *reason)
{
	smtp_client_quit(c->client);
	session_flush(c);
	connection_enter(c, CONNECTION_QUITTING);
	log_debug(&c->log, "connection.quit", kv("reason", reason), kv("transactions", c->transactions));
	session_limit(c);
}

void connection_close(struct connection *c, const char *reason)
{
	if (c->state == CONNECTION_CLOSING)
		return;
	assert(!c->delivery);
	connection_enter(c, CONNECTION_CLOSING);
	ipc_cancel(NULL, c->call);
	c->call = 0;
	log_debug(&c->log, "connection.closed", kv("remote", c->remote), kv("reason", reason),
		  kv("transactions", c->transactions));
	if (c->stream)
		stream_close(c->stream);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static void on_stream_closed(void *ctx, struct stream *st)
{
	connection_part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
	connection_part_closed(h->data);
}

void connection_part_closed(struct connection *c)
{
	struct relay *relay = c->relay;

	if (--c->parts > 0)
		return;
	transfer_fini(&c->transfer);
	smtp_client_free(c->client);
	tls_context_unref(c->context);
	pool_connection_gone(c->pool, c);
	free(c->addresses);
	arena_fini(&c->arena);
	free(c);
	relay_check_stopped(relay);
}
