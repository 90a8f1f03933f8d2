/* report.c - permanent failures that nobody has been told of, and the reports that tell. */
#include "writer.h"

/* A row of failed_recipients. */
static struct failed_recipient read_failed(struct arena *a, sqlite3_stmt *q)
{
	return (struct failed_recipient){ .n = db_u64(q, 0),
					  .address = db_keep(a, q, 1),
					  .orcpt = db_keep(a, q, 2),
					  .remote = db_keep(a, q, 3),
					  .notify = (unsigned)db_u64(q, 4),
					  .last_at = db_u64(q, 5),
					  .verdict = stored_verdict(a, q, 6) };
}

/* All failed recipients of the message. */
static void read_all_failed(struct writer *w, struct arena *a, struct unreported *u)
{
	sqlite3_stmt *q = db_query(&w->db, Q_failed_recipients, INT(u->id));
	size_t capacity = 0;

	while (db_row(&w->db, q)) {
		if (u->failed_n == capacity) {
			struct failed_recipient *more =
				ARENA_ARRAY(a, struct failed_recipient, capacity = capacity ? capacity * 2 : 4);

			if (u->failed_n)
				memcpy(more, u->failed, u->failed_n * sizeof(*more));
			u->failed = more;
		}
		u->failed[u->failed_n++] = read_failed(a, q);
	}
}

/* What the report says of the message. */
static void read_message(struct writer *w, struct arena *a, struct unreported *u)
{
	sqlite3_stmt *q = db_query(&w->db, Q_envelope, INT(u->id));

	if (!db_row(&w->db, q))
		return;
	u->kind = (enum message_kind)db_u64(q, 0);
	u->received_at = db_u64(q, 1);
	u->login = db_keep(a, q, 3);
	u->sender = db_keep(a, q, 4);
	u->envid = db_keep(a, q, 5);
	u->sign_domain = db_keep(a, q, 6);
	u->ret = (unsigned)db_u64(q, 8);
	u->utf8 = (unsigned)db_u64(q, 10);
	u->size = db_u64(q, 12);
	u->header_size = db_u64(q, 14);
	db_end(q);
}

/* Take messages after `from` up to `to`; the number in `rows` grows. */
static size_t take_failed(struct writer *w, struct op *op, struct unreported *rows, size_t n, size_t max, uint64_t from,
			  uint64_t to)
{
	sqlite3_stmt *q = db_query(&w->db, Q_failed_messages, INT(from), INT(to));

	while (n < max && db_row(&w->db, q)) {
		uint64_t id = db_u64(q, 0);

		w->last_unreported = id;
		if (leases_has_any(&w->leases, id)) /* one report for all: when the last comes back */
			continue;
		rows[n].id = id;
		read_all_failed(w, &op->arena, &rows[n]);
		read_message(w, &op->arena, &rows[n]);
		n++;
	}
	if (n == max)
		db_end(q);
	return n;
}

void run_unreported(struct writer *w, struct op *op)
{
	size_t max = op->max < 100 ? op->max : 100, n;
	struct unreported *rows = ARENA_ARRAY(&op->arena, struct unreported, max + 1);
	uint64_t last = w->last_unreported;

	/* In turn: a message whose report cannot be made does not keep the others waiting. */
	n = take_failed(w, op, rows, 0, max, last, INT64_MAX);
	n = take_failed(w, op, rows, n, max, 0, last);
	op->out.rows = rows;
	op->out.n = n;
}

/* Mark one recipient as reported; false when it was not failed (any more). */
static bool mark(struct writer *w, uint64_t id, uint64_t n, enum recipient_state next)
{
	sqlite3_stmt *q = db_query(&w->db, Q_recipient_get, INT(id), INT(n));
	uint64_t state;

	if (!db_row(&w->db, q))
		return false;
	state = db_u64(q, 0);
	db_end(q);
	if (state != RCPT_FAILED)
		return false;
	db_run(&w->db, Q_recipient_report, INT(id), INT(n), INT(next));
	count_state(w, RCPT_FAILED, next);
	return true;
}

void run_report(struct writer *w, struct op *op)
{
	const struct accepted *report = op->in.accepted;
	uint64_t closed_n = 0, at = op->cursor;

	if (report) {
		op->verdict = accept_message(w, report, false);
		if (op->verdict.class != OK)
			return;
	}
	for (size_t i = 0; i < op->max; i++)
		closed_n += mark(w, op->parent, op->n_list[i], report ? RCPT_BOUNCED : RCPT_DISCARDED);
	if (closed_n == 0)
		return;
	add_event(w, op->parent, 0, at, report ? S("mail.reported") : S("mail.discarded"), op->text);
	message_reduce_open(w, op->parent, closed_n, at);
}
