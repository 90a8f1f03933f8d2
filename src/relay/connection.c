/* connection.c - one connection to a next hop: TCP and TLS, its time limits, and its end. attempt.c chooses the next address;
 * client_events.c runs the session. */
#include "ca_store.h"
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/secret.h"

#include <assert.h>
#include <stdlib.h>

enum {
	IDLE_MS = 5000,       /* an idle connection is closed after this time, before the peer does so */
	QUIT_MS = 2000,       /* for the answer to QUIT (RFC 5321 4.1.1.10) */
	WRONG_PORT_MS = 8000, /* for a greeting in clear text on port 465 */
	POLICY_MS = 120000,   /* for the policy of a domain: see sts_find of messages.def */
	TURN_MS = 5000,       /* at most, for an address to answer while there are others to try */
	RENEWAL_MS = 3000,    /* for vault to get another token after a refusal */
	ATTEMPTS_MAX = 3000,  /* bytes of a transcript about failed attempts */
};

#define TO(state) (1u << CONNECTION_##state)

/* Names, and the states that can follow. */
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[CONNECTION_RESOLVING] = { "resolving", TO(ASKING) | TO(CONNECTING) | TO(CLOSING) },
	[CONNECTION_WAITING] = { "waiting", TO(RESOLVING) | TO(CLOSING) },
	[CONNECTION_ASKING] = { "asking", TO(ASKING) | TO(CONNECTING) | TO(CLOSING) },
	[CONNECTION_CONNECTING] = { "connecting", TO(ASKING) | TO(CONNECTING) | TO(OPENING) | TO(CLOSING) },
	[CONNECTION_OPENING] = { "opening",
				 TO(ASKING) | TO(CONNECTING) | TO(WAITING) | TO(IDLE) | TO(BUSY) | TO(QUITTING) | TO(CLOSING) },
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
	c->context = pool->ca_store ? tls_context_ref(pool->ca_store->context) : NULL;
	c->config.hostname = arena_str(&c->arena, role_config(relay->role)->hostname);
	c->config.mechanisms = arena_str(&c->arena, pool->mechanisms);
	c->config.login_optional = pool->login_optional;
	c->transfer.fd = -1;
	buf_init(&c->attempts, ATTEMPTS_MAX);
	uv_timer_init(relay->loop, &c->timer);
	uv_timer_init(relay->loop, &c->look);
	c->timer.data = c->look.data = c;
	c->parts = 2;
	list_append(&pool->connections, &c->in_pool);
	pool->connections_n++;
	relay->connections++;
	role_busy(relay->role, +1);
	connection_limit(c);
	relay->ops->begin(c);
	return c;
}

/* ---- the stream ---- */

static void on_connect(void *ctx, struct stream *st, struct verdict v)
{
	struct connection *c = ctx;

	if (st != c->stream)
		return;
	if (v.class != OK) {
		host_status_note(c->relay, HOST_DEAD, &connection_candidate(c)->address);
		c->relay->ops->not_connected(c, v, STEP_OPENING, FAULT_CONNECTION);
		return;
	}
	host_status_answered(c->relay, &connection_candidate(c)->address);
	connection_enter(c, CONNECTION_OPENING);
	connection_limit(c);
	if (!c->tls.implicit)
		return;
	connection_start_tls(c);
	c->relay->ops->advance(c);
}

/* A session with the same server can be resumed; a test of an upstream is to see the certificate. */
static struct str session_name(struct connection *c)
{
	const struct candidate *t = connection_candidate(c);

	if (c->pool->probe || c->whole_handshake)
		return S("");
	return arena_printf(&c->arena, "%.*s:%u", STR_ARG(t->host), candidate_port(t));
}

void connection_start_tls(struct connection *c)
{
	static const enum tls_demand demands[] = { [TLS_LEVEL_VERIFY] = TLS_DEMAND_NAMES,
						   [TLS_LEVEL_DANE] = TLS_DEMAND_TLSA,
						   [TLS_LEVEL_PINNED] = TLS_DEMAND_FINGERPRINTS };

	if (!c->context) {
		smtp_client_closed(c->client, temp(421, S("4.7.5"), S("there are no CA certificates to verify it with")),
				   FAULT_TLS);
		return;
	}
	c->handshaking = true;
	stream_start_client_tls(c->stream, c->tls.old ? ca_store_old_tls(c->relay) : c->context,
				&(struct tls_client_options){ .names = c->tls.names,
							      .sni = c->tls.sni,
							      .demand = demands[c->tls.level],
							      .judge = c->tls.testing,
							      .tlsa = c->tls.tlsa,
							      .tlsa_n = c->tls.tlsa_n,
							      .fingerprints = c->tls.fingerprints,
							      .resume_as = session_name(c) });
}

/* Vault has signed with the key of our certificate, or not; then the server is not to blame. */
static void on_signed(void *ctx, struct verdict v, const struct msg_tls_signed *m, int fd)
{
	struct connection *c = ctx;

	c->call = 0;
	if (m)
		v = m->verdict;
	if (v.class == OK) {
		stream_signed(c->stream, m->signature);
		return;
	}
	c->handshaking = false;
	connection_break(c,
			 temp(451, S("4.7.5"), arena_printf(&c->arena, "our certificate cannot be shown: %.*s", STR_ARG(v.text))),
			 FAULT_CONNECTION);
}

static void on_sign(void *ctx, struct stream *st, const struct tls_to_sign *what)
{
	struct connection *c = ctx;
	struct msg_tls_sign m = { .upstream = c->pool->name, .key = what->key, .scheme = what->scheme, .text = what->text };

	if (st == c->stream)
		c->call = ipc_call_tls_sign(role_peer(c->relay->role, ROLE_VAULT, 0), &m, -1, on_signed, c);
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct connection *c = ctx;
	struct stream_tls_info info;

	if (st != c->stream)
		return;
	stream_tls_info(st, &info);
	c->tls_result = info.result;
	c->tls_judged = info.judged;
	c->session_offered = info.offered;
	if (v.class != OK) {
		connection_break(c, v, FAULT_TLS);
		return;
	}
	c->handshaking = false;
	smtp_client_tls_started(c->client); /* of no effect when TLS came first */
	c->relay->ops->advance(c);
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
	c->relay->ops->advance(c);
	if (c->state == CONNECTION_BUSY)
		c->relay->ops->writable(c);
	return bytes.n;
}

static void on_drain(void *ctx, struct stream *st)
{
	struct connection *c = ctx;

	if (st == c->stream && c->state == CONNECTION_BUSY)
		c->relay->ops->writable(c);
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
	connection_break(c, temp(421, S("4.4.2"), text), FAULT_CONNECTION);
}

static void on_stream_closed(void *ctx, struct stream *st)
{
	connection_part_closed(ctx);
}

static const struct stream_ops stream_ops = {
	.on_connect = on_connect,
	.on_sign = on_sign,
	.on_tls = on_tls,
	.on_input = on_input,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_closed = on_stream_closed,
};

void connection_connect(struct connection *c, const struct candidate *t)
{
	const struct sockaddr_storage *source = &c->relay->source[t->address.ss_family == AF_INET6];

	c->stream = stream_connect_from(c->relay->loop, source->ss_family ? (const struct sockaddr *)source : NULL,
					(const struct sockaddr *)&t->address, &stream_ops, c);
	c->parts++;
	connection_enter(c, CONNECTION_CONNECTING);
	connection_limit(c);
}

/* ---- output and transcript ---- */

/* While a session is opened, the output can contain credentials: it is wiped. */
void connection_flush(struct connection *c)
{
	struct buf *output = smtp_client_output(c->client);
	struct str bytes = buf_view(output);

	if (bytes.n == 0 || !c->stream)
		return;
	stream_write(c->stream, bytes);
	if (c->state == CONNECTION_OPENING)
		wipe(output->p + output->from, output->n);
	buf_consume(output, bytes.n);
}

void connection_break(struct connection *c, struct verdict why, enum smtp_fault fault)
{
	if (c->state >= CONNECTION_QUITTING || !c->client)
		return;
	smtp_client_closed(c->client, why, fault);
	c->relay->ops->advance(c);
}

struct str connection_transcript(struct connection *c, struct arena *a)
{
	struct str said = c->client ? smtp_client_transcript(c->client) : S(""), before = buf_view(&c->attempts);
	size_t room = said.n < TRANSCRIPT_MAX ? TRANSCRIPT_MAX - said.n : 0;

	if (before.n > room) /* whole lines */
		before = str_head(before, str_rfind(str_head(before, room), '\n') + 1);
	if (before.n > room)
		before = S("");
	return arena_printf(a, "%.*s%.*s", STR_ARG(before), STR_ARG(said));
}

/* ---- time limits ---- */

/* While there are other addresses to try, an address gets a quarter of the time, and at most some seconds. */
static uint64_t connect_ms(const struct connection *c)
{
	uint64_t whole = role_config(c->relay->role)->delivery.timeouts.connect_ms;

	if (candidates_await_policy(c->pool))
		return POLICY_MS;
	if (c->state == CONNECTION_RESOLVING || c->second_turn || c->candidates_n == 1)
		return whole;
	return whole / 4 < TURN_MS ? whole / 4 : TURN_MS;
}

static void connecting_timed_out(struct connection *c)
{
	struct candidate *t = connection_candidate(c);

	t->cut = !c->second_turn && c->candidates_n > 1;
	host_status_silent(c->relay, &t->address);
	c->relay->ops->not_connected(c, temp(421, S("4.4.1"), S("the connection was not made in time")), STEP_OPENING,
				     FAULT_CONNECTION);
}

static void on_timer(uv_timer_t *timer)
{
	struct connection *c = timer->data;
	struct str text;

	switch (c->state) {
	case CONNECTION_RESOLVING:
		c->relay->ops->not_found(
			c, candidates_await_policy(c->pool)
				   ? temp(451, S("4.7.5"), S("the MTA-STS policy of the domain is not known in time"))
				   : temp(451, S("4.4.3"), S("the name service does not answer in time")));
		return;
	case CONNECTION_WAITING:
		connection_enter(c, CONNECTION_RESOLVING);
		connection_limit(c);
		c->relay->ops->begin(c);
		return;
	case CONNECTION_ASKING: return; /* the question has a limit of its own */
	case CONNECTION_CONNECTING: connecting_timed_out(c); return;
	case CONNECTION_OPENING:
	case CONNECTION_BUSY:
		text = arena_printf(&c->arena, "no answer in time at %s", smtp_client_stage(c->client));
		connection_break(c, temp(421, S("4.4.2"), text), FAULT_CONNECTION);
		return;
	case CONNECTION_IDLE: connection_quit(c, "idle"); return;
	case CONNECTION_QUITTING: connection_close(c, "no answer to QUIT"); return;
	case CONNECTION_CLOSING: return;
	}
}

void connection_limit(struct connection *c)
{
	const struct cfg_timeouts *limits = &role_config(c->relay->role)->delivery.timeouts;
	uint64_t ms = limits->command_ms;

	switch (c->state) {
	case CONNECTION_RESOLVING:
	case CONNECTION_CONNECTING: ms = connect_ms(c); break;
	case CONNECTION_WAITING: ms = RENEWAL_MS; break;
	case CONNECTION_ASKING: uv_timer_stop(&c->timer); return; /* the question has a limit of its own */
	case CONNECTION_OPENING:
	case CONNECTION_BUSY:
		if (smtp_client_waits(c->client) == WAIT_GREETING)
			ms = !c->tls.implicit && c->pool->port == 465 && limits->greeting_ms > WRONG_PORT_MS
				     ? WRONG_PORT_MS /* most likely both sides wait for the other */
				     : limits->greeting_ms;
		else if (smtp_client_waits(c->client) == WAIT_DATA)
			ms = limits->data_ms;
		c->limited_at = smtp_client_progress(c->client);
		break;
	case CONNECTION_IDLE: ms = IDLE_MS; break;
	case CONNECTION_QUITTING: ms = QUIT_MS; break;
	case CONNECTION_CLOSING: return;
	}
	uv_timer_start(&c->timer, on_timer, ms, 0);
}

void connection_limit_progress(struct connection *c)
{
	bool talking = c->state == CONNECTION_OPENING || c->state == CONNECTION_BUSY;

	if (!talking || smtp_client_progress(c->client) != c->limited_at)
		connection_limit(c);
}

/* ---- the end ---- */

void connection_quit(struct connection *c, const char *reason)
{
	smtp_client_quit(c->client);
	connection_flush(c);
	connection_enter(c, CONNECTION_QUITTING);
	log_debug(&c->log, "connection.quit", kv("reason", reason), kv("transactions", c->transactions));
	connection_limit(c);
}

static void on_timer_closed(uv_handle_t *h)
{
	connection_part_closed(h->data);
}

void connection_close(struct connection *c, const char *reason)
{
	if (c->state == CONNECTION_CLOSING)
		return;
	assert(!c->delivery);
	connection_enter(c, CONNECTION_CLOSING);
	ipc_cancel(c->call);
	c->call = 0;
	dns_cancel(c->tlsa);
	c->tlsa = NULL;
	log_debug(&c->log, "connection.closed", kv("remote", c->remote), kv("reason", reason),
		  kv("transactions", c->transactions));
	if (c->stream)
		stream_close(c->stream);
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
	uv_close((uv_handle_t *)&c->look, on_timer_closed);
}

void connection_part_closed(struct connection *c)
{
	struct relay *relay = c->relay;

	if (--c->parts > 0)
		return;
	relay->ops->closed(c);
	smtp_client_free(c->client);
	tls_context_unref(c->context);
	buf_fini(&c->attempts);
	arena_fini(&c->arena);
	free(c);
	role_busy(relay->role, -1);
}
