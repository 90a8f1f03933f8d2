/* session.c - the SMTP client machine on a connection: its events, in the order in which a session sees them. */
#include "relay.h"

#include "posthouse/secret.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void on_vault(void *ctx, struct verdict v, const struct msg_upstream_reply *m, int fd);

/* Write out what the machine has said; while a session is opened that may be credentials. */
void session_flush(struct connection *c)
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

static void start_tls(struct connection *c)
{
	session_flush(c);
	if (!c->context) {
		smtp_client_closed(c->client, temp(421, S("4.7.5"), S("there are no CA certificates to verify it with")),
				   FAULT_TLS);
		return;
	}
	c->handshaking = true;
	stream_start_client_tls(c->stream, c->context, c->tls_name, c->tls != UPSTREAM_OPPORTUNISTIC);
}

/* Only vault knows the password. */
static void ask_vault(struct connection *c, const struct smtp_client_event *e)
{
	struct msg_upstream_step m = { .upstream = c->pool->name,
				       .connection = c->number,
				       .mechanism = e->mechanism,
				       .first = e->first,
				       .challenge = e->bytes };

	c->call = ipc_call_upstream_step(role_peer(c->relay->role, ROLE_VAULT, 0), &m, -1, on_vault, c);
}

static void on_vault(void *ctx, struct verdict v, const struct msg_upstream_reply *m, int fd)
{
	struct connection *c = ctx;

	c->call = 0;
	if (m)
		v = m->verdict;
	if (v.class == OK)
		smtp_client_auth_response(c->client, m->response);
	else
		smtp_client_auth_abort(c->client, v);
	session_advance(c);
}

/* Not to be used for another message? */
static bool worn_out(const struct connection *c)
{
	return c->generation != c->pool->generation || c->pool->gone || c->relay->stopping ||
	       c->transactions >= role_config(c->relay->role)->delivery.reuse;
}

/* The session stands. */
static void opened(struct connection *c)
{
	struct stream_tls_info tls;

	stream_tls_info(c->stream, &tls);
	pool_connection_ready(c->pool);
	free(c->addresses);
	c->addresses = NULL;
	c->addresses_n = 0;
	log_debug(&c->log, "connection.opened", kv("upstream", c->pool->name), kv("remote", c->remote), kv("tls", tls.version),
		  kv("cipher", tls.cipher));
}

static void on_ready(struct connection *c)
{
	struct delivery *d;

	if (c->state == CONNECTION_OPENING)
		opened(c);
	if (worn_out(c)) {
		connection_quit(c, "worn out");
		return;
	}
	d = pool_take(c->pool);
	if (d)
		session_start(c, d);
	else
		connection_enter(c, CONNECTION_IDLE);
}

void session_start(struct connection *c, struct delivery *d)
{
	struct smtp_transaction t = { .sender = d->sender,
				      .size = d->prefix.n + d->size,
				      .body = d->body,
				      .utf8 = d->utf8,
				      .recipients = d->addresses,
				      .recipients_n = d->recipients_n };

	connection_enter(c, CONNECTION_BUSY);
	c->delivery = d;
	c->transactions++;
	c->log.message = d->log.message;
	delivery_run(d);
	smtp_client_send(c->client, &t);
}

void connection_give(struct connection *c, struct delivery *d)
{
	session_start(c, d);
	session_advance(c);
}

/* The result of a transaction, with what is known of the other side. */
static void end_delivery(struct connection *c, struct delivery *d)
{
	struct stream_tls_info tls = { .version = "", .cipher = "" };
	char tls_text[128] = "";

	stream_tls_info(c->stream, &tls);
	if (tls.on)
		snprintf(tls_text, sizeof tls_text, "%s/%s", tls.version, tls.cipher);
	delivery_end(d, &(struct hop){ .remote = str_of(c->remote),
				       .tls = str_of(tls_text),
				       .transcript = smtp_client_transcript(c->client),
				       .rcptmax = smtp_client_peer(c->client)->rcptmax,
				       .gate_reason = S("") });
}

static void on_done(struct connection *c, const struct smtp_client_event *e)
{
	struct delivery *d = c->delivery;
	bool idle_race = e->untouched && c->transactions > 1 && !d->retried && !d->orphan && !c->relay->stopping;

	c->delivery = NULL;
	c->log.message = 0;
	if (!c->transfer.reading)
		transfer_fini(&c->transfer);
	if (idle_race) {
		pool_close_idle(c->pool, "another one was dead"); /* the second try must not meet the same fate */
		delivery_rerun(d);
	} else {
		end_delivery(c, d);
	}
	if (!e->reusable)
		connection_close(c, "broken");
}

/* Before the session stood: another address may do. Later: only this connection is lost. */
static void on_failed(struct connection *c, const struct smtp_client_event *e)
{
	if (c->state == CONNECTION_OPENING)
		connection_attempt_failed(c, e->verdict, e->fault);
	else
		connection_close(c, "ended by the peer");
}

static void on_event(struct connection *c, const struct smtp_client_event *e)
{
	switch (e->type) {
	case CLIENT_STARTTLS: start_tls(c); return;
	case CLIENT_CHALLENGE: ask_vault(c, e); return;
	case CLIENT_READY: on_ready(c); return;
	case CLIENT_TEXT: transfer_begin(c); return;
	case CLIENT_RECIPIENT: delivery_outcome(c->delivery, e->index, e->verdict); return;
	case CLIENT_DONE: on_done(c, e); return;
	case CLIENT_FAILED: on_failed(c, e); return;
	}
}

void session_advance(struct connection *c)
{
	struct smtp_client *client = c->client; /* another address brings another machine */
	struct smtp_client_event e;

	while (c->client == client && c->state < CONNECTION_QUITTING && smtp_client_next(client, &e))
		on_event(c, &e);
	if (c->client != client || c->state >= CONNECTION_QUITTING)
		return;
	session_flush(c);
	session_limit(c);
}

void session_break(struct connection *c, struct verdict why, enum smtp_fault fault)
{
	if (c->state >= CONNECTION_QUITTING || !c->client)
		return;
	smtp_client_closed(c->client, why, fault);
	session_advance(c);
}
