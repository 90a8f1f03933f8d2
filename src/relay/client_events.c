/* client_events.c - the events of the SMTP client machine on a connection, in the order of a session. */
#include "ca_store.h"
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/sasl.h"

#include <assert.h>
#include <stdio.h>

/* ---- the session is opened ---- */

static void on_vault(void *ctx, struct verdict v, const struct msg_upstream_reply *m, int fd)
{
	struct connection *c = ctx;

	c->call = 0;
	if (m)
		v = m->verdict;
	if (v.class == OK) {
		c->proven = m->done;
		smtp_client_auth_response(c->client, m->response);
	} else {
		smtp_client_auth_abort(c->client, v);
	}
	client_events_advance(c);
}

/* Only vault knows the password. */
static void ask_vault(struct connection *c, const struct smtp_client_event *e)
{
	struct msg_upstream_step m = { .upstream = c->pool->name,
				       .connection = c->number,
				       .mechanism = e->mechanism,
				       .first = e->first,
				       .challenge = e->bytes };
	const struct sasl_mechanism *mechanism = sasl_find(e->mechanism);

	c->must_prove = mechanism && (mechanism->traits & SASL_PROVES_SERVER);
	c->proven = false;
	c->mechanism = e->mechanism;
	c->call = ipc_call_upstream_step(role_peer(c->relay->role, ROLE_VAULT, 0), &m, -1, on_vault, c);
}

/* The session is open. */
static void opened(struct connection *c)
{
	struct stream_tls_info tls;

	stream_tls_info(c->stream, &tls);
	if (c->pool->probe)
		c->relay->ops->probe_ended(c, true);
	else
		pool_connection_ready(c->pool, c->mechanism);
	c->relay->tls_resumed += tls.resumed;
	tally_count(&c->relay->tls_versions, tls.on ? str_of(tls.version) : S("none"));
	if (!tls.on && c->tls.level != TLS_LEVEL_NONE)
		c->tls_result = TLS_RESULT_STARTTLS_NOT_SUPPORTED;
	tls_reports_note(c, S(""));
	if (c->tls.old && tls.on)
		log_warning(&c->log, "connection.weak", kv("remote", c->remote), kv("tls", tls.version),
			    kv("cipher", tls.cipher));
	log_debug(&c->log, "connection.opened", kv("route", c->pool->route), kv("remote", c->remote), kv("tls", tls.version),
		  kv("cipher", tls.cipher), kv("tls_resumed", tls.resumed), kv("tls_result", tls_result_word(c->tls_result)));
}

/* ---- deliveries ---- */

/* The delivery ends with the facts about the next hop. */
static void end_delivery(struct connection *c)
{
	const struct smtp_peer *peer = smtp_client_peer(c->client);
	struct delivery *d = c->delivery;
	struct stream_tls_info tls = { .version = "", .cipher = "" };
	unsigned without = peer->features & ~extensions_usable(c);
	char tls_text[128] = "";

	stream_tls_info(c->stream, &tls);
	if (tls.on)
		snprintf(tls_text, sizeof tls_text, "%s/%s%s", tls.version, tls.cipher,
			 c->tls.level >= TLS_LEVEL_VERIFY ? " verified" : "");
	if (delivery_met_rate(d))
		pool_throttle(c->pool);
	c->delivery = NULL;
	c->log.message = 0;
	delivery_end(d, (struct msg_result){ .remote = str_of(c->remote),
					     .tls = str_of(tls_text),
					     .tls_policy = tls_policy_words(&d->arena, &c->tls),
					     .tls_result = tls_result_shown(c->tls_result),
					     .transcript = connection_transcript(c, &d->arena),
					     .connections = pool_limit(c->pool),
					     .rcptmax = c->pool->rcptmax ? c->pool->rcptmax : peer->rcptmax,
					     .without = extensions_words(&d->arena, without),
					     .dsn = (peer->features & ~without & PEER_DSN) != 0 });
}

/* Another connection takes the delivery. */
static void hand_back(struct connection *c)
{
	struct delivery *d = c->delivery;

	c->delivery = NULL;
	c->log.message = 0;
	pool_give_back(d);
}

/* No further transaction is wanted or allowed for this delivery. */
static bool must_end(const struct connection *c)
{
	return c->delivery->orphan || c->delivery->past_horizon || c->relay->stopping;
}

/* The connection is lost while no transaction is open: the open recipients go on another connection, once. */
static void lose_delivery(struct connection *c, struct verdict v)
{
	struct delivery *d = c->delivery;

	if (!d->retried && !must_end(c)) {
		d->retried = true;
		hand_back(c);
		return;
	}
	if (v.class != TEMP)
		v = temp(v.code, S("4.4.2"), v.text);
	delivery_settle_rest(d, v);
	end_delivery(c);
}

/* The connection takes no further message. A new connection of a refused address family takes one: it was opened because the
 * other family does not answer, and would otherwise be opened again and again. */
static bool worn_out(const struct connection *c)
{
	return (c->transactions > 0 && attempt_is_refused(c->pool, connection_candidate(c)->address.ss_family)) ||
	       c->generation != c->pool->generation || c->pool->gone || c->relay->stopping ||
	       c->transactions >= role_config(c->relay->role)->delivery.reuse;
}

/* RFC 9422 4.1, or the configuration: no more transactions in this session. */
static bool mailmax_reached(const struct connection *c)
{
	uint64_t max = smtp_client_peer(c->client)->mailmax, ours = c->pool->messages_per_connection;

	return (max > 0 && c->transactions >= max) || (ours > 0 && c->transactions >= ours);
}

static void begin_transaction(struct connection *c)
{
	struct delivery *d = c->delivery;
	unsigned what = downgrade_of(c);
	struct smtp_transaction t = { .sender = d->tx.sender,
				      .size = what ? d->downgraded_size : d->prefix.n + d->size,
				      .body = what & DOWNGRADE_7BIT ? 0 : d->envelope.body,
				      .utf8 = d->tx.utf8,
				      .avoid = smtp_client_peer(c->client)->features & ~extensions_usable(c),
				      .recipients = d->tx.recipients,
				      .recipients_n = d->tx.n,
				      .envid = d->envelope.envid,
				      .ret = d->envelope.ret,
				      .by_mode = d->envelope.deliver_by_mode,
				      .by_s = requirements_seconds(d, clock_now_ms()),
				      .priority = d->envelope.priority,
				      .require_tls = d->ask_tls && requirements_offers_tls(c) };

	c->transactions++;
	smtp_client_send(c->client, &t);
}

/* Begin the next transaction or conversion for the delivery; false: the delivery has ended. */
static bool advance_delivery(struct connection *c)
{
	struct delivery *d = c->delivery;
	struct verdict v = tx_recipients_obstacle(c, extensions_usable(c));

	if (v.class == OK && downgrade_of(c)) {
		if (d->downgraded_as != downgrade_of(c))
			downgrade_begin(c);
		if (c->downgrading)
			return true;
		v = d->no_downgrade;
	}
	/* an address in the header needs SMTPUTF8, which this next hop offers: then the whole header stays in UTF-8 */
	if (str_eq(v.enhanced, S("5.6.7")) && (extensions_usable(c) & PEER_SMTPUTF8) && !(d->envelope.utf8 & UTF8_IN_ADDRESS)) {
		d->envelope.utf8 |= UTF8_IN_ADDRESS;
		return advance_delivery(c);
	}
	if (v.class != OK)
		delivery_settle_rest(d, v);
	if (v.class == OK && tx_recipients_fill(c, extensions_usable(c))) {
		begin_transaction(c);
		return true;
	}
	end_delivery(c);
	return false;
}

static void take_delivery(struct connection *c, struct delivery *d)
{
	if (c->state != CONNECTION_BUSY)
		connection_enter(c, CONNECTION_BUSY);
	c->delivery = d;
	c->log.message = d->log.message;
	d->state = DELIVERY_RUNNING;
	d->relay->running++;
}

/* The machine is ready: continue the present delivery, then take others, until a transaction has begun or none waits. */
static void find_work(struct connection *c)
{
	struct delivery *d;

	if (c->delivery && must_end(c)) {
		delivery_settle_rest(c->delivery, temp(0, S(""), S("withdrawn")));
		end_delivery(c);
	} else if (c->delivery && mailmax_reached(c))
		hand_back(c);
	else if (c->delivery && advance_delivery(c))
		return;
	for (;;) {
		if (worn_out(c) || mailmax_reached(c)) {
			connection_quit(c, "worn out");
			pool_advance(c->pool); /* other connections take the waiting deliveries */
			return;
		}
		if (allowance_is_over(c->pool)) {
			connection_quit(c, "left to another node");
			return;
		}
		d = pool_take(c->pool);
		if (!d)
			break;
		take_delivery(c, d);
		if (advance_delivery(c))
			return;
	}
	if (c->state != CONNECTION_IDLE)
		connection_enter(c, CONNECTION_IDLE);
}

static void on_ready(struct connection *c)
{
	if (c->state == CONNECTION_OPENING && c->must_prove && !c->proven) {
		attempt_failed(c, temp(454, S("4.7.8"), S("the server has not shown that it knows the password")), STEP_AUTH,
			       FAULT_AUTH);
		return;
	}
	if (c->state == CONNECTION_OPENING && c->pool->probe && c->relay->ops->probe_sender(c))
		return;
	if (c->state == CONNECTION_OPENING) {
		struct verdict v = requirements_check_server(c);

		if (v.class != OK) {
			attempt_failed(c, v, STEP_OPENING, FAULT_PEER);
			return;
		}
		opened(c);
	}
	find_work(c);
}

void client_events_give(struct connection *c, struct delivery *d)
{
	take_delivery(c, d);
	if (!advance_delivery(c))
		find_work(c);
	client_events_advance(c);
}

void client_events_resume(struct connection *c)
{
	assert(!c->downgrading);
	if (c->state == CONNECTION_BUSY && c->delivery)
		find_work(c);
	client_events_advance(c);
}

/* ---- the machine's events ---- */

static void on_recipient(struct connection *c, const struct smtp_client_event *e)
{
	struct delivery *d = c->delivery;
	size_t index = d->tx.index[e->index];

	if (d->past_horizon) /* those that were refused before have had their event */
		delivery_hear(d, index, STEP_OURS, temp(0, S(""), S("the text got no end")));
	else
		delivery_hear(d, index, e->step, e->verdict);
	d->recipients[index].heard = true;
	d->recipients[index].suspect = e->suspect;
}

/* Keep the dialogue when it explains a failure, because the next transaction overwrites it. */
static void keep_transcript(struct connection *c)
{
	struct delivery *d = c->delivery;

	for (size_t i = 0; i < d->tx.n; i++) {
		if (d->recipients[d->tx.index[i]].verdict.class == OK)
			continue;
		buf_clear(&d->transcript);
		buf_add(&d->transcript, connection_transcript(c, &d->arena));
		return;
	}
}

/* Decide about the recipients that the transaction has left open. `moves`: they go on another connection. */
static void after_transaction(struct connection *c, const struct smtp_client_event *e, bool moves)
{
	struct delivery *d = c->delivery;
	struct meaning meaning;
	struct str reason;

	if (delivery_is_complete(d)) {
		end_delivery(c);
	} else if (must_end(c)) {
		delivery_settle_rest(d, temp(0, S(""), S("withdrawn")));
		end_delivery(c);
	} else if (moves) {
		log_debug(&c->log, "delivery.other_family", kv("remote", c->remote));
		hand_back(c);                                          /* this connection is worn out */
	} else if (delivery_gate(d, &meaning, &reason) != GATE_FINE) { /* the others would fare no better */
		delivery_spread_refusal(d);
		end_delivery(c);
	} else if (!e->reusable) {
		delivery_settle_rest(d, temp(421, S("4.4.2"), e->verdict.text));
		end_delivery(c);
	}
	/* else the next transaction begins when the machine is ready */
}

/* The features that the delivery is sent again without; 0: it is not sent again. When the peer accepts a recipient, the features
 * given up before are proven to be the cause. */
static unsigned give_up(struct connection *c, const struct smtp_client_event *e)
{
	struct delivery *d = c->delivery;
	bool open = false, taken = false;

	for (size_t i = 0; i < d->tx.n; i++) {
		const struct recipient *r = &d->recipients[d->tx.index[i]];

		open = open || (r->suspect & e->suspect);
		taken = taken || r->verdict.class == OK;
	}
	if (taken) {
		extensions_note(c, d->unproven);
		d->unproven = 0;
	}
	if (open)
		return extensions_give_up(c, e->suspect, e->verdict);
	extensions_note(c, e->suspect); /* the outcome is not known: the next attempt does not use these features */
	return 0;
}

static void on_done(struct connection *c, const struct smtp_client_event *e)
{
	struct delivery *d = c->delivery;
	unsigned given_up;
	bool moves;

	if (!c->transfer.reading)
		transfer_fini(&c->transfer);
	text_end_over(c);
	if (e->untouched && c->transactions > 1 && !d->retried && !must_end(c)) {
		pool_close_idle(c->pool, "another one was dead"); /* the second try must not get a dead connection too */
		d->retried = true;
		hand_back(c);
	} else {
		keep_transcript(c);
		moves = !d->other_family && tx_recipients_meet_family(d) && attempt_other_family(c);
		if (moves)
			log_debug(&c->log, "delivery.other_family", kv("remote", c->remote));
		d->other_family = d->other_family || moves;
		given_up = must_end(c) ? 0 : give_up(c, e);
		tx_recipients_commit(d, moves, given_up);
		d->retried = d->retried && e->untouched;
		after_transaction(c, e, moves || (given_up && !e->reusable));
	}
	if (!e->reusable)
		connection_close(c, "broken");
}

/* While the session is opened, the next address is tried; later only this connection is lost. */
static void on_failed(struct connection *c, const struct smtp_client_event *e)
{
	c->by_peer = e->replied;
	if (c->state == CONNECTION_OPENING && e->mechanism.n > 0 && attempt_mechanism(c, e->mechanism, e->verdict))
		return;
	if (c->state == CONNECTION_OPENING) {
		attempt_failed(c, e->verdict, e->step, e->fault);
		return;
	}
	if (c->delivery)
		lose_delivery(c, e->verdict);
	connection_close(c, "ended by the peer");
}

static void on_probed(struct connection *c, const struct smtp_client_event *e)
{
	if (e->reusable)
		c->relay->ops->probe_heard(c, e->verdict);
	else
		attempt_failed(c, e->verdict, STEP_MAIL, FAULT_CONNECTION);
}

static void on_event(struct connection *c, const struct smtp_client_event *e)
{
	if (c->state == CONNECTION_OPENING && e->type != CLIENT_FAILED &&
	    reach_is_ourselves(c)) { /* before it gets our password */
		attempt_met_ourselves(c);
		return;
	}
	switch (e->type) {
	case CLIENT_STARTTLS:
		connection_flush(c);
		connection_start_tls(c);
		return;
	case CLIENT_CHALLENGE: ask_vault(c, e); return;
	case CLIENT_READY: on_ready(c); return;
	case CLIENT_TEXT: transfer_to_wire(c, downgrade_of(c)); return;
	case CLIENT_RECIPIENT: on_recipient(c, e); return;
	case CLIENT_DONE:
		if (c->pool->probe)
			on_probed(c, e);
		else
			on_done(c, e);
		return;
	case CLIENT_FAILED: on_failed(c, e); return;
	}
}

void client_events_advance(struct connection *c)
{
	struct smtp_client *client = c->client; /* another address brings another machine */
	struct smtp_client_event e;

	while (c->client == client && c->state < CONNECTION_QUITTING && smtp_client_next(client, &e))
		on_event(c, &e);
	if (c->client != client || c->state >= CONNECTION_QUITTING)
		return;
	connection_flush(c);
	connection_limit_progress(c);
}
