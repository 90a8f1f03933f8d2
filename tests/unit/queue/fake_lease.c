/* fake_lease.c - the in-memory store: lanes, leases, texts, outcomes. */
#include "fake_op.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- leasing: a lane is a message's login and the recipient's domain, numbered by a hash ---- */

static uint64_t lane_of(const struct fake_message *m, const struct fake_recipient *r)
{
	uint64_t h = 1469598103934665603ull;
	struct str domain = str_from(r->new.address, str_find(r->new.address, '@'));

	for (size_t i = 0; i < domain.n + m->m.envelope.login.n; i++)
		h = (h ^ (unsigned char)(i < domain.n ? ascii_lower(domain.p[i]) : m->m.envelope.login.p[i - domain.n])) *
		    1099511628211ull;
	return h;
}

#define DUE_LANES_MAX 1024

/* In lower case, as the store has it. */
static struct str lane_domain(struct arena *a, const struct fake_recipient *r)
{
	return arena_lower(a, str_from(r->new.address, str_find(r->new.address, '@') + 1));
}

/* The due lanes in a fixed order; those that were given have their next turn when the others had theirs. */
static void run_lanes(struct store *st, struct op *op)
{
	static struct due_lane lanes[DUE_LANES_MAX], page[DUE_LANES_MAX];
	struct arena names = { 0 };
	uint64_t next_at = 0;
	size_t n = 0, given;

	st->lane_asks++;
	LIST_EACH (i, &st->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		for (size_t k = 0; k < m->m.recipients_n; k++) {
			struct fake_recipient *r = &m->recipients[k];
			bool known = false;

			if (r->state != RCPT_WAITING || r->leased)
				continue;
			if (r->due_at > op->now) {
				next_at = next_at == 0 || r->due_at < next_at ? r->due_at : next_at;
				continue;
			}
			for (size_t j = 0; j < n; j++)
				known = known || lanes[j].lane == lane_of(m, r);
			if (!known && n < DUE_LANES_MAX)
				lanes[n++] = (struct due_lane){ .lane = lane_of(m, r),
								.domain = lane_domain(&names, r),
								.login = m->m.envelope.login };
		}
	}
	st->due_lanes = n;
	given = n < op->n ? n : op->n;
	for (size_t i = 0; i < given; i++)
		page[i] = lanes[st->lane_turn++ % n];
	op->call.lanes(op->ctx, ok(), page, given, given < n ? op->now : next_at);
	arena_fini(&names);
}

void store_lanes(struct store *st, uint64_t now, size_t max, store_lanes_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_lanes, ctx);

	op->call.lanes = done;
	op->now = now;
	op->n = max;
}

/* Has the message recipients in the lane that are due for the first time? */
static bool is_fresh(const struct op *op, const struct fake_message *m, uint64_t lane)
{
	for (size_t k = 0; k < m->m.recipients_n; k++) {
		const struct fake_recipient *r = &m->recipients[k];

		if (r->attempts == 0 && r->state == RCPT_WAITING && !r->leased && r->due_at <= op->now && lane_of(m, r) == lane)
			return true;
	}
	return false;
}

/* Lease of one message what is due, in the lane (0: in any). */
static size_t lease_of(struct op *op, struct fake_message *m, uint64_t lane, size_t max, struct due_message *due, struct arena *a)
{
	size_t n = 0;

	due->recipients = ARENA_ARRAY(a, struct due_recipient, m->m.recipients_n);
	for (size_t k = 0; k < m->m.recipients_n && n < max && n < 100; k++) {
		struct fake_recipient *r = &m->recipients[k];

		if (r->state != RCPT_WAITING || r->leased || r->due_at > op->now || (lane && lane_of(m, r) != lane))
			continue;
		r->leased = true;
		due->recipients[n++] = (struct due_recipient){ .n = k + 1,
							       .address = r->new.address,
							       .orcpt = r->new.orcpt,
							       .notify = r->new.notify,
							       .attempts = r->attempts,
							       .deaths = r->deaths };
	}
	due->recipients_n = n;
	due->others_open = 0;
	for (size_t k = 0; k < m->m.recipients_n; k++)
		due->others_open += m->recipients[k].state == RCPT_WAITING || m->recipients[k].state == RCPT_HELD ||
				    m->recipients[k].state == RCPT_FAILED;
	due->others_open -= n;
	due->id = m->m.id;
	due->kind = m->m.kind;
	due->received_at = m->m.received_at;
	due->expires_at = m->m.expires_at;
	due->envelope = m->m.envelope;
	due->prefix = m->m.prefix;
	due->size = m->m.size;
	due->header_size = m->m.header_size;
	due->place = m->m.place;
	due->text = op->with_text ? m->m.text : S("");
	return n;
}

static void run_lease(struct store *st, struct op *op)
{
	struct arena a = { 0 };
	struct due_message due[64] = { 0 };
	size_t n = 0, max = op->id ? 1 : op->n; /* messages */

	st->leases++;
	st->siblings += op->id != 0;
	for (int retries = op->id ? 1 : 0; retries < 2; retries++) /* first attempts before retries */
		LIST_EACH (i, &st->messages) {
			struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);
			size_t got;

			if (n == max || n == 64 || (op->id && m->m.id != op->id))
				continue;
			if (!retries && !is_fresh(op, m, (uint64_t)op->numbers))
				continue;
			got = lease_of(op, m, op->id ? 0 : (uint64_t)op->numbers, op->id ? op->n : 100, &due[n], &a);
			n += got > 0;
		}
	op->call.due(op->ctx, ok(), due, n);
	arena_fini(&a);
}

void store_lease(struct store *st, uint64_t lane, uint64_t now, size_t max, bool with_text, store_due_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_lease, ctx);

	op->call.due = done;
	op->numbers = (const uint64_t *)(uintptr_t)lane;
	op->with_text = with_text;
	op->now = now;
	op->n = max;
}

void store_lease_siblings(struct store *st, uint64_t id, uint64_t now, size_t max, store_due_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_lease, ctx);

	op->call.due = done;
	op->id = id;
	op->now = now;
	op->n = max;
}

static void run_text(struct store *st, struct op *op)
{
	struct fake_message *m = fake_find(op->id);
	int fd = -1;

	if (!m || st->text_gone) {
		op->call.text(op->ctx, perm(554, S("5.3.0"), S("the file is missing")), S(""), -1);
		return;
	}
	if (m->m.place == PLACE_FILE) {
		fd = memfd_create("large", 0);
		if (write(fd, "Subject: large\r\n\r\nbody\r\n", 24) != 24)
			abort();
	}
	op->call.text(op->ctx, ok(), fd >= 0 ? S("") : m->m.text, fd);
}

void store_text(struct store *st, uint64_t id, store_text_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_text, ctx);

	op->call.text = done;
	op->id = id;
}

/* ---- settling ---- */

static void settle_one(struct store *st, const struct outcome *o)
{
	struct fake_message *m = fake_find(o->id);
	struct fake_recipient *r = &m->recipients[o->n - 1];
	struct arena *a = &m->arena;

	assert(o->n >= 1 && o->n <= m->m.recipients_n && r->leased);
	r->leased = false;
	r->state = r->removing && o->state != RCPT_DELIVERED ? RCPT_REMOVED : o->state;
	r->due_at = o->due_at;
	r->report_success = o->report_success;
	r->attempts += o->attempted;
	r->deaths += o->died;
	r->last_at = o->at;
	r->route = arena_str(a, o->route);
	if (o->verdict.class != OK || o->verdict.code != 0) {
		r->verdict = verdict_keep(a, o->verdict);
		r->remote = arena_str(a, o->remote);
	}
	if (o->transcript.n)
		r->transcript = arena_str(a, o->transcript);
	if (o->event.n)
		fake_add_event(st, o->id, o->n, o->event, o->event_fields);
}

static void run_settle(struct store *st, struct op *op)
{
	struct verdict v = ok();

	st->settles++;
	st->settled += op->n;
	if (st->refuse_settles > 0) {
		st->refuse_settles--;
		v = fake_refused;
	}
	for (size_t i = 0; v.class == OK && i < op->n; i++)
		settle_one(st, &op->outcomes[i]);
	op->call.done(op->ctx, v);
}

void store_settle(struct store *st, const struct outcome *outcomes, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_settle, ctx);

	op->call.done = done;
	op->outcomes = outcomes;
	op->n = n;
}
