/* report.c - the reports that tell senders what became of their mail, stored together with the marks that they were told. */
#include "rows.h"

/* What a report changes about the recipients that it names. */
struct telling {
	struct engine *e;
	enum message_kind kind;
	uint64_t parent;
	bool told; /* there is a report */
	uint64_t closed_n;
};

/* The recipient's next state and bits; false when there is nothing (more) to report about it. */
static bool next_mark(const struct telling *t, uint64_t n, unsigned *state, unsigned *reported)
{
	struct db_rows *q = db_query(&t->e->db, Q_recipient_get, INT(t->parent), INT(n));

	if (!db_row(&t->e->db, q))
		return false;
	*state = (unsigned)db_u64(q, 0);
	*reported = (unsigned)db_u64(q, 4);
	db_end(q);
	if (t->kind == KIND_DELAY) {
		*reported |= t->told ? TOLD_DELAY : 0;
		return *state == RCPT_WAITING;
	}
	if (t->kind == KIND_SUCCESS) {
		if (!(*reported & TO_TELL_SUCCESS))
			return false;
		*reported = (*reported & ~(unsigned)TO_TELL_SUCCESS) | (t->told ? TOLD_SUCCESS : 0);
		return true;
	}
	if (*state != RCPT_FAILED)
		return false;
	*state = t->told ? RCPT_BOUNCED : RCPT_DISCARDED;
	*reported |= TOLD_FAILURE;
	return true;
}

/* Is there still something to report about any of the recipients? No after a crash between the report and its answer, and when a
 * delay has ended. */
static bool is_news(const struct telling *t, const uint64_t *n_list, size_t n)
{
	unsigned state, reported;

	for (size_t i = 0; i < n; i++)
		if (next_mark(t, n_list[i], &state, &reported))
			return true;
	return false;
}

/* Mark one recipient. */
static void mark(struct telling *t, uint64_t n)
{
	unsigned state, reported;

	if (!next_mark(t, n, &state, &reported))
		return;
	db_run(&t->e->db, Q_recipient_report, INT(t->parent), INT(n), INT(state), INT(reported));
	if (t->kind == KIND_FAILURE)
		count_state(t->e, RCPT_FAILED, state);
	t->closed_n += t->kind != KIND_DELAY;
}

/* Add the event to the parent's history. A delay or success without a report makes no event. */
static void add_report_event(const struct telling *t, uint64_t at, struct str fields)
{
	if (t->told)
		add_event(t->e, t->parent, 0, at, S("mail.reported"), fields);
	else if (t->kind == KIND_FAILURE)
		add_event(t->e, t->parent, 0, at, S("mail.discarded"), fields);
}

void run_report(struct engine *e, struct request *r)
{
	const struct accepted *report = r->in.accepted;
	struct telling t = { .e = e, .kind = r->report_kind, .parent = r->parent, .told = report != NULL };
	bool news;

	if (t.kind != KIND_FAILURE && t.kind != KIND_DELAY && t.kind != KIND_SUCCESS) {
		r->verdict = perm(501, S("5.5.4"), S("no such kind of report"));
		return;
	}
	if (t.kind == KIND_DELAY && db_number(&e->db, db_query(&e->db, Q_message_warn_at, INT(t.parent))) == 0)
		return; /* the sender knows of the delay already */
	news = is_news(&t, r->n_list, r->max);
	if (report && news) {
		r->verdict = accept_message(e, report, NULL);
		if (r->verdict.class != OK)
			return;
	}
	if (t.kind == KIND_DELAY && (news || !report))
		db_run(&e->db, Q_message_warned, INT(t.parent));
	if (!news)
		return;
	for (size_t i = 0; i < r->max; i++)
		mark(&t, r->n_list[i]);
	add_report_event(&t, r->cursor, r->text);
	if (t.closed_n)
		message_reduce_open(e, t.parent, t.closed_n, r->cursor);
}
