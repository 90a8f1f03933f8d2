/* fake_report.c - the in-memory store: what is still to be told, and the reports that tell it. */
#include "fake_op.h"

/* Is the recipient one that a report of this kind is about? */
static bool is_news(const struct fake_recipient *r, enum message_kind kind)
{
	if (kind == KIND_FAILURE)
		return r->state == RCPT_FAILED;
	return kind == KIND_DELAY ? r->state == RCPT_WAITING : r->report_success;
}

static void list_message(struct op *op, struct fake_message *m, struct unreported *u, struct arena *a)
{
	bool leased = false;

	if (op->kind == KIND_DELAY && (m->m.warn_at == 0 || m->m.warn_at > op->now))
		return;
	u->failed = ARENA_ARRAY(a, struct failed_recipient, m->m.recipients_n);
	for (size_t k = 0; k < m->m.recipients_n; k++) {
		struct fake_recipient *r = &m->recipients[k];

		leased = leased || r->leased;
		if (is_news(r, op->kind))
			u->failed[u->failed_n++] = (struct failed_recipient){ .n = k + 1,
									      .attempts = r->attempts,
									      .address = r->new.address,
									      .orcpt = r->new.orcpt,
									      .notify = r->new.notify,
									      .remote = r->remote,
									      .last_at = r->last_at,
									      .verdict = r->verdict };
	}
	if (leased)
		u->failed_n = 0;
	u->id = m->m.id;
	u->kind = m->m.kind;
	u->received_at = m->m.received_at;
	u->expires_at = m->m.expires_at;
	u->envelope = m->m.envelope;
	u->size = m->m.size;
	u->header_size = m->m.header_size;
}

static void run_unreported(struct store *st, struct op *op)
{
	struct arena a = { 0 };
	struct unreported u = { 0 };

	LIST_EACH (i, &st->messages) {
		list_message(op, CONTAINER_OF(i, struct fake_message, in_store), &u, &a);
		if (u.failed_n > 0)
			break;
	}
	op->call.unreported(op->ctx, ok(), &u, u.failed_n > 0);
	arena_fini(&a);
}

void store_unreported(struct store *st, enum message_kind kind, uint64_t now, size_t max, store_unreported_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_unreported, ctx);

	op->call.unreported = done;
	op->kind = kind;
	op->now = now;
}

static void mark(struct fake_recipient *r, enum message_kind kind, bool told)
{
	if (kind == KIND_FAILURE && r->state == RCPT_FAILED)
		r->state = told ? RCPT_BOUNCED : RCPT_DISCARDED;
	if (kind == KIND_SUCCESS)
		r->report_success = false;
}

static void run_report(struct store *st, struct op *op)
{
	struct fake_message *m = fake_find(op->id);
	struct verdict v = ok();

	if (st->refuse_reports > 0) {
		st->refuse_reports--;
		v = fake_refused;
	} else if (op->accepted) {
		v = fake_insert(st, op->accepted);
	}
	if (v.class == OK) {
		for (size_t i = 0; i < op->n; i++)
			mark(&m->recipients[op->numbers[i] - 1], op->kind, op->accepted != NULL);
		if (op->kind == KIND_DELAY) {
			m->m.warn_at = 0;
			m->warned++;
		}
		if (op->accepted || op->kind == KIND_FAILURE)
			fake_add_event(st, op->id, 0, op->accepted ? S("mail.reported") : S("mail.discarded"), op->text);
	}
	op->call.done(op->ctx, v);
}

void store_report(struct store *st, enum message_kind kind, const struct accepted *report, uint64_t parent,
		  const uint64_t *n_list, size_t n, struct str event_fields, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_report, ctx);

	op->call.done = done;
	op->kind = kind;
	op->accepted = report;
	op->id = parent;
	op->numbers = n_list;
	op->n = n;
	op->text = event_fields;
}
