/* delivery.c - one lease of queue: the message, its recipients and their outcomes. The text is freed when the result is sent; the
 * lease itself is kept until queue says that the result is durable. */
#include "delivery.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/crash.h"
#include "posthouse/tls_wish.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	GIVEN_UP_MAX = 2048,
	OUTCOME_TEXT_MAX = 1000,     /* of the reply in one outcome … */
	RESULT_TEXT_MAX = 88 * 1024, /* … and of all replies in a result, so that it fits a datagram */
};

struct delivery *delivery_find(struct relay *relay, uint64_t lease)
{
	struct hashtable_item *item = hashtable_find(&relay->deliveries, lease, NULL);

	return item ? CONTAINER_OF(item, struct delivery, in_relay) : NULL;
}

/* Copies, because the views of the message end with it. */
static void copy_envelope(struct delivery *d, const struct msg_deliver *m)
{
	struct arena *a = &d->arena;

	d->envelope = m->envelope;
	envelope_keep(a, &d->envelope);
	if (d->envelope.deliver_by == 0)
		d->envelope.deliver_by_mode = BY_NONE;
	d->prefix = arena_str(a, m->prefix);
	d->from = arena_str(a, m->from);
	d->text = arena_str(a, m->text);
	d->size = m->size;
	d->wish = tls_wish_of(m->envelope.options, m->envelope.sender);
	d->ask_tls = m->envelope.options & (OPTION_REQUIRETLS | OPTION_REQUIRETLS_OFFERED);
	d->long_lines = m->envelope.options & OPTION_LONG_LINES;
	d->recipients_n = m->recipients.n;
	d->recipients = ARENA_ARRAY(a, struct recipient, m->recipients.n);
	for (size_t i = 0; i < m->recipients.n; i++) {
		d->recipients[i].n = m->recipients.at[i].n;
		d->recipients[i].address = arena_str(a, m->recipients.at[i].address);
		d->recipients[i].orcpt = arena_str(a, m->recipients.at[i].orcpt);
		d->recipients[i].notify = (unsigned)m->recipients.at[i].notify;
	}
}

struct delivery *delivery_new(struct relay *relay, const struct msg_deliver *m, int fd)
{
	struct delivery *d = NEW(struct delivery);

	d->relay = relay;
	d->lease = m->lease;
	d->id = m->id;
	d->epoch = m->epoch;
	d->log.message = m->id;
	d->fd = fd;
	buf_init(&d->transcript, TRANSCRIPT_MAX);
	buf_init(&d->given_up, GIVEN_UP_MAX);
	list_init(&d->in_pool);
	hashtable_add(&relay->deliveries, &d->in_relay, m->lease);
	role_busy(relay->role, +1);
	copy_envelope(d, m);
	return d;
}

bool delivery_is_complete(const struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++)
		if (!d->recipients[i].known)
			return false;
	return true;
}

void delivery_settle_rest(struct delivery *d, struct verdict v)
{
	for (size_t i = 0; i < d->recipients_n; i++)
		if (!d->recipients[i].known)
			delivery_outcome(d, i, STEP_OURS, v);
}

void delivery_spread_refusal(struct delivery *d)
{
	for (size_t i = 0; i < d->recipients_n; i++) {
		struct recipient r = d->recipients[i];

		if (!r.known || r.verdict.class == OK || reply_class_gate(r.meaning) == GATE_FINE)
			continue;
		for (size_t k = 0; k < d->recipients_n; k++)
			if (!d->recipients[k].known)
				delivery_outcome(d, k, r.step, r.verdict);
		return;
	}
}

/* ---- the result ---- */

static size_t text_max(const struct delivery *d)
{
	size_t share = RESULT_TEXT_MAX / (d->recipients_n ? d->recipients_n : 1);

	return share < OUTCOME_TEXT_MAX ? share : OUTCOME_TEXT_MAX;
}

static void fill_outcomes(struct delivery *d, struct msg_result *m, bool *all_ok_out)
{
	size_t max = text_max(d);

	*all_ok_out = true;
	m->outcomes.at = ARENA_ARRAY(&d->arena, struct rec_outcome, d->recipients_n);
	m->outcomes.n = d->recipients_n;
	for (size_t i = 0; i < d->recipients_n; i++) {
		struct rec_outcome *o = &m->outcomes.at[i];

		*o = delivery_answer(d, i);
		o->verdict.text = str_head(o->verdict.text, max);
		*all_ok_out = *all_ok_out && o->verdict.class == OK;
	}
}

void delivery_free(struct delivery *d)
{
	struct relay *relay = d->relay;

	assert(d->state != DELIVERY_RUNNING && list_empty(&d->in_pool));
	if (d->fd >= 0)
		close(d->fd);
	hashtable_remove(&relay->deliveries, &d->in_relay);
	buf_fini(&d->transcript);
	buf_fini(&d->given_up);
	arena_fini(&d->arena);
	free(d);
	role_busy(relay->role, -1);
}

/* The lines about features that were given up, then the last dialogue with a failure, or that of the session which failed. */
static struct str transcript_of(struct delivery *d, struct str session, bool session_failed)
{
	struct str said = d->transcript.n && !session_failed ? buf_view(&d->transcript) : session;

	if (d->given_up.n == 0)
		return said;
	said = str_head(said, TRANSCRIPT_MAX - d->given_up.n);
	return arena_printf(&d->arena, "%.*s%.*s", STR_ARG(buf_view(&d->given_up)), STR_ARG(said));
}

static struct str head_lines(struct str text, size_t max)
{
	return text.n <= max ? text : str_head(text, str_rfind(str_head(text, max), '\n') + 1);
}

static void report(struct delivery *d, struct msg_result m)
{
	struct channel *queue = role_peer(d->relay->role, ROLE_QUEUE, 0);
	bool session_failed = m.gate != GATE_FINE, all_ok;
	struct meaning meaning;

	m.lease = d->lease;
	m.unfit = d->unfit;
	m.remote = str_head(m.remote, OUTCOME_TEXT_MAX);
	if (!session_failed) {
		m.gate = delivery_gate(d, &meaning, &m.gate_reason);
		m.gate_meaning = meaning_pack(meaning);
		m.gate_pause_ms = meaning.pause_ms;
	}
	m.gate_reason = str_head(m.gate_reason, OUTCOME_TEXT_MAX);
	fill_outcomes(d, &m, &all_ok);
	m.transcript = transcript_of(d, m.transcript, session_failed);
	if (all_ok) /* it is kept for each message: whole lines of the beginning */
		m.transcript = head_lines(m.transcript, TRANSCRIPT_OK_MAX);
	log_debug(&d->log, "delivery.reported", kv("lease", d->lease), kv("remote", m.remote), kv("tls", m.tls),
		  kv("recipients", m.outcomes.n), kv("all_sent", all_ok), kv("gate", m.gate), kv("gate_reason", m.gate_reason));
	if (all_ok)
		crash_point("relay.after_accept");
	if (!ipc_send_result(queue, &m, -1))
		d->orphan = true; /* the queue process has ended, and the lease with it */
	if (all_ok)
		crash_point("relay.after_result");
}

void delivery_end(struct delivery *d, struct msg_result hop)
{
	assert(list_empty(&d->in_pool) && d->state != DELIVERY_REPORTED);
	if (d->state == DELIVERY_RUNNING)
		d->relay->running--;
	d->state = DELIVERY_REPORTED;
	if (!d->orphan)
		report(d, hop);
	d->pool = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	buf_release(&d->transcript);
	buf_release(&d->given_up);
	arena_fini(&d->arena);
	if (d->orphan)
		delivery_free(d);
}

void delivery_end_with(struct delivery *d, struct verdict v, struct msg_result hop)
{
	delivery_settle_rest(d, v);
	delivery_end(d, hop);
}

/* Recipients that the next hop accepted before stay delivered. */
void delivery_end_blocked(struct delivery *d, struct verdict v, struct msg_result hop)
{
	if (hop.gate_reason.n == 0)
		hop.gate_reason = S("next hop at fault");
	v.class = TEMP;
	delivery_end_with(d, v, hop);
}

void delivery_end_unroutable(struct delivery *d, struct str reason)
{
	delivery_end_with(d, temp(451, S("4.3.5"), reason), (struct msg_result){ .gate = GATE_BUSY, .gate_reason = reason });
}

void delivery_end_untried(struct delivery *d)
{
	delivery_end_with(d, temp(0, S(""), S("withdrawn")), (struct msg_result){ 0 });
}
