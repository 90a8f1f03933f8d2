/* fake_admin.c - the in-memory store: administration, gates, history. */
#include "fake_op.h"

#include <assert.h>
#include <stdlib.h>

/* ---- administration ---- */

/* Pages of made-up rows with long texts, so that the asker meets the datagram's bound: message i has id i. */
static void run_select(struct store *st, struct op *op)
{
	static char words[1500];
	struct message_row rows[200] = { 0 };
	size_t n = 0;

	memset(words, 'x', sizeof words);
	for (uint64_t id = op->id + 1; id <= 300 && n < op->n; id++)
		rows[n++] = (struct message_row){ .id = id, .reply = str_make(words, sizeof words) };
	op->call.rows(op->ctx, ok(), rows, n, op->id + n < 300 ? op->id + n : 0);
}

void store_select(struct store *st, const struct selector *s, uint64_t cursor, size_t max, store_rows_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_select, ctx);

	op->call.rows = done;
	op->id = cursor;
	op->n = max;
}

static void run_show(struct store *st, struct op *op)
{
	struct fake_message *m = fake_find(op->id);
	struct message_row row = { 0 };
	struct recipient_row r = { 0 };

	if (!m) {
		op->call.show(op->ctx, perm(550, S("5.0.0"), S("no such message")), NULL, NULL, 0, 0);
		return;
	}
	row = (struct message_row){ .id = m->m.id, .envelope = m->m.envelope, .recipients = m->m.recipients_n };
	r = (struct recipient_row){ .n = 1,
				    .address = m->recipients[0].new.address,
				    .state = m->recipients[0].state,
				    .leased = m->recipients[0].leased,
				    .due_at = m->recipients[0].due_at };
	op->call.show(op->ctx, ok(), &row, &r, 1, 0);
}

void store_show(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_show_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_show, ctx);

	op->call.show = done;
	op->id = id;
}

static void run_trace(struct store *st, struct op *op)
{
	struct event_row row = { .at = 1, .name = S("mail.accepted"), .fields = S("login=alice") };

	op->call.trace(op->ctx, ok(), &row, 1, S("transcript"), 0);
}

void store_trace(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_trace_fn done, void *ctx)
{
	fake_issue(st, run_trace, ctx)->call.trace = done;
}

static void run_alter(struct store *st, struct op *op)
{
	uint64_t count = 0, in_flight = 0;

	LIST_EACH (i, &st->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		for (size_t k = 0; k < m->m.recipients_n; k++) {
			struct fake_recipient *r = &m->recipients[k];

			if ((op->selector->id && op->selector->id != m->m.id) ||
			    (op->selector->user.n && !str_eq(op->selector->user, m->m.envelope.login)) ||
			    r->state != (op->alter == ALTER_RELEASE ? RCPT_HELD : RCPT_WAITING))
				continue;
			if (r->leased) {
				in_flight++;
				r->removing = op->alter == ALTER_REMOVE;
				continue;
			}
			count++;
			r->state = op->alter == ALTER_REMOVE ? RCPT_REMOVED : op->alter == ALTER_HOLD ? RCPT_HELD : RCPT_WAITING;
			r->due_at = 0;
		}
	}
	st->alters++;
	op->call.alter(op->ctx, ok(), count, in_flight, 0);
}

void store_alter(struct store *st, const struct selector *s, enum alter operation, struct str reason, uint64_t cursor,
		 store_alter_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_alter, ctx);

	op->call.alter = done;
	op->selector = s;
	op->alter = operation;
}

/* ---- gates, history, figures ---- */

static void run_gates(struct store *st, struct op *op)
{
	if (fake_gates_unreadable)
		op->call.gates(op->ctx, temp(451, S("4.3.0"), S("no gates")), NULL, 0);
	else
		op->call.gates(op->ctx, ok(), st->gates, st->gates_n);
}

void store_gates(struct store *st, store_gates_fn done, void *ctx)
{
	fake_issue(st, run_gates, ctx)->call.gates = done;
}

struct gate_state *fake_gate(const char *name)
{
	for (size_t i = 0; i < fake_store->gates_n; i++)
		if (str_eq(fake_store->gates[i].name, str_of(name)))
			return &fake_store->gates[i];
	return NULL;
}

static void run_gate_put(struct store *st, struct op *op)
{
	struct str name = arena_str(&st->arena, op->gate->name);
	struct gate_state *g = fake_gate(arena_cstr(&st->arena, name));

	if (!g && st->gates_n < 8)
		g = &st->gates[st->gates_n++];
	st->gate_puts++;
	if (g) {
		*g = *op->gate;
		g->name = name;
		g->reason = arena_str(&st->arena, op->gate->reason);
	}
	op->call.done(op->ctx, ok());
}

void store_gate_put(struct store *st, const struct gate_state *g, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_gate_put, ctx);

	op->call.done = done;
	op->gate = g;
}

/* In one page: what is due too late is due now. */
static void run_mend(struct store *st, struct op *op)
{
	struct mending next = *op->mending;

	st->mends++;
	LIST_EACH (i, &st->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		for (size_t n = 0; n < m->m.recipients_n; n++)
			if (m->recipients[n].due_at > next.now + next.retry_ms &&
			    m->m.envelope.release_at < m->recipients[n].due_at) {
				m->recipients[n].due_at = next.now;
				next.recipients++;
			}
	}
	next.step = MENDED;
	op->call.mend(op->ctx, ok(), &next);
}

void store_mend(struct store *st, const struct mending *m, store_mend_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_mend, ctx);

	op->call.mend = done;
	op->mending = m;
}

uint64_t fake_prunable;

static void run_prune(struct store *st, struct op *op)
{
	st->prunes++;
	op->call.count(op->ctx, ok(), fake_prunable > op->n ? op->n : fake_prunable);
	fake_prunable -= fake_prunable > op->n ? op->n : fake_prunable;
}

void store_prune(struct store *st, uint64_t before, size_t max, store_count_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_prune, ctx);

	op->call.count = done;
	op->n = max;
}

void store_stats(const struct store *st, struct store_stats *stats_out)
{
	*stats_out = (struct store_stats){ .accepted = st->accepts, .lanes = st->due_lanes, .set_back = fake_set_back };
}
