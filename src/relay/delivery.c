/* delivery.c - one lease of queue: what is to be delivered to whom, and what became of it. The text is forgotten as soon as the
 * result is sent; the lease itself only when queue says that the result is durable. */
#include "relay.h"

#include "posthouse/crash.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

static struct list *bucket(struct relay *relay, uint64_t lease)
{
	return &relay->leases[lease % LEASE_BUCKETS];
}

struct delivery *delivery_find(struct relay *relay, uint64_t lease)
{
	LIST_EACH (i, bucket(relay, lease)) {
		struct delivery *d = CONTAINER_OF(i, struct delivery, in_leases);

		if (d->lease == lease)
			return d;
	}
	return NULL;
}

/* What the message says must outlive it: copies. */
static void copy_envelope(struct delivery *d, const struct msg_deliver *m)
{
	struct arena *a = &d->arena;

	d->sender = arena_str(a, m->sender);
	d->prefix = arena_str(a, m->prefix);
	d->text = arena_str(a, m->text);
	d->size = m->size;
	d->body = (unsigned)m->body;
	d->utf8 = m->utf8 & 2; /* needed by the envelope; raw UTF-8 in the header alone passes as it is */
	d->recipients_n = m->recipients.n;
	d->recipients = ARENA_ARRAY(a, struct recipient, m->recipients.n);
	d->addresses = ARENA_ARRAY(a, struct str, m->recipients.n);
	for (size_t i = 0; i < m->recipients.n; i++) {
		d->recipients[i].n = m->recipients.at[i].n;
		d->addresses[i] = arena_str(a, m->recipients.at[i].address);
	}
}

void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd)
{
	struct delivery *d;

	if (delivery_find(relay, m->lease)) {
		log_error(&(struct log){ .message = m->id }, "lease.repeated", kv("lease", m->lease));
		if (fd >= 0)
			close(fd);
		return;
	}
	d = NEW(struct delivery);
	d->relay = relay;
	d->lease = m->lease;
	d->log.message = m->id;
	d->fd = fd;
	list_init(&d->in_pool);
	list_append(bucket(relay, m->lease), &d->in_leases);
	relay->deliveries++;
	copy_envelope(d, m);
	d->pool = pool_find(relay, m->upstream);
	if (relay->stopping) {
		delivery_end_untried(d);
		return;
	}
	if (!d->pool) {
		struct str reason = arena_printf(&d->arena, "upstream %.*s is not configured", STR_ARG(m->upstream));

		delivery_end_blocked(d, temp(451, S("4.3.5"), reason), S(""), reason);
		return;
	}
	pool_add(d->pool, d, false);
	pool_advance(d->pool);
}

void delivery_run(struct delivery *d)
{
	d->state = DELIVERY_RUNNING;
	d->relay->running++;
}

/* An idle connection was dead already: nothing of this message has reached the peer. */
void delivery_rerun(struct delivery *d)
{
	log_debug(&d->log, "delivery.repeated", kv("lease", d->lease));
	for (size_t i = 0; i < d->recipients_n; i++)
		d->recipients[i].known = false;
	d->retried = true;
	d->state = DELIVERY_WAITING;
	d->relay->running--;
	pool_add(d->pool, d, true);
}

void delivery_outcome(struct delivery *d, size_t index, struct verdict v)
{
	assert(index < d->recipients_n);
	d->recipients[index].verdict = verdict_keep(&d->arena, v);
	d->recipients[index].known = true;
}

/* RFC 3463 X.4.5 is congestion: as a permanent failure it makes no sense. Gmail says it when a day's quota is used up, which is a
 * fault of ours and must not bounce mail. */
static bool over_quota(struct verdict v)
{
	return v.class == PERM && str_eq(v.enhanced, S("5.4.5"));
}

/* The texts of all outcomes together must fit a datagram. */
static size_t text_max(const struct delivery *d)
{
	size_t share = RESULT_TEXT_MAX / (d->recipients_n ? d->recipients_n : 1);

	return share < OUTCOME_TEXT_MAX ? share : OUTCOME_TEXT_MAX;
}

/* The outcomes as queue wants them. */
static void fill_outcomes(struct delivery *d, struct msg_result *m, bool *all_ok_out)
{
	size_t over = 0, max = text_max(d);

	*all_ok_out = true;
	m->outcomes.at = ARENA_ARRAY(&d->arena, struct rec_outcome, d->recipients_n);
	m->outcomes.n = d->recipients_n;
	for (size_t i = 0; i < d->recipients_n; i++) {
		struct verdict v = d->recipients[i].verdict;

		if (!d->recipients[i].known)
			v = temp(451, S("4.3.0"), S("the delivery ended without an answer"));
		if (over_quota(v)) {
			v = temp(v.code, S("4.4.5"), v.text);
			over++;
		}
		v.text = str_head(v.text, max);
		*all_ok_out = *all_ok_out && v.class == OK;
		m->outcomes.at[i] = (struct rec_outcome){ .n = d->recipients[i].n, .verdict = v };
	}
	if (over > 0 && over == d->recipients_n && !m->gate) {
		m->gate = 1;
		m->gate_reason = m->outcomes.at[0].verdict.text;
	}
}

static void delivery_free(struct delivery *d)
{
	struct relay *relay = d->relay;

	assert(d->state != DELIVERY_RUNNING && list_empty(&d->in_pool));
	if (d->fd >= 0)
		close(d->fd);
	list_remove(&d->in_leases);
	relay->deliveries--;
	arena_fini(&d->arena);
	free(d);
	relay_check_stopped(relay);
}

static void report(struct delivery *d, const struct hop *hop)
{
	struct channel *queue = role_peer(d->relay->role, ROLE_QUEUE, 0);
	struct msg_result m = { .lease = d->lease,
				.remote = str_head(hop->remote, OUTCOME_TEXT_MAX),
				.tls = hop->tls,
				.gate = hop->gate_reason.n > 0,
				.gate_reason = str_head(hop->gate_reason, OUTCOME_TEXT_MAX),
				.rcptmax = hop->rcptmax };
	bool all_ok;

	fill_outcomes(d, &m, &all_ok);
	if (!all_ok)
		m.transcript = hop->transcript;
	log_debug(&d->log, "delivery.reported", kv("lease", d->lease), kv("remote", m.remote), kv("tls", m.tls),
		  kv("recipients", m.outcomes.n), kv("all_sent", all_ok), kv("gate", m.gate_reason));
	if (all_ok)
		crash_point("relay.after_accept");
	if (!ipc_send_result(queue, &m, -1))
		d->orphan = true; /* queue is gone, and with it the lease */
	if (all_ok)
		crash_point("relay.after_result");
}

void delivery_end(struct delivery *d, const struct hop *hop)
{
	assert(list_empty(&d->in_pool) && d->state != DELIVERY_REPORTED);
	if (d->state == DELIVERY_RUNNING)
		d->relay->running--;
	d->state = DELIVERY_REPORTED;
	if (!d->orphan)
		report(d, hop);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	arena_fini(&d->arena);
	if (d->orphan)
		delivery_free(d);
}

void delivery_end_blocked(struct delivery *d, struct verdict v, struct str remote, struct str reason)
{
	struct hop hop = {
		.remote = remote, .tls = S(""), .transcript = S(""), .gate_reason = reason.n ? reason : S("next hop at fault")
	};

	for (size_t i = 0; i < d->recipients_n; i++)
		delivery_outcome(d, i, v);
	delivery_end(d, &hop);
}

/* It goes back as it came. */
void delivery_end_untried(struct delivery *d)
{
	struct hop hop = { .remote = S(""), .tls = S(""), .transcript = S(""), .gate_reason = S("") };

	for (size_t i = 0; i < d->recipients_n; i++)
		delivery_outcome(d, i, temp(0, S(""), S("withdrawn")));
	delivery_end(d, &hop);
}

void delivery_settled(struct delivery *d)
{
	if (d->state == DELIVERY_REPORTED)
		delivery_free(d);
}

/* Nobody waits for results any more: forget what has not begun and what is done, and let the rest end. */
void deliveries_orphan(struct relay *relay)
{
	for (size_t b = 0; b < LEASE_BUCKETS; b++) {
		LIST_EACH (i, &relay->leases[b]) {
			struct delivery *d = CONTAINER_OF(i, struct delivery, in_leases);

			d->orphan = true;
			if (d->state == DELIVERY_WAITING && !list_empty(&d->in_pool)) {
				list_remove(&d->in_pool);
				d->pool->waiting_n--;
				relay->waiting--;
			}
			if (d->state != DELIVERY_RUNNING)
				delivery_free(d);
		}
	}
}
