/* pending_reports.c - finds failures, delays and successes that were not reported to their senders. report.c stores reports. */
#include "rows.h"

#define SCAN_UNREPORTED_MAX 1000 /* messages that one call looks at */

static const struct report_turn the_beginning = { 0, 0 };

/* The messages for each kind of report, and the recipients that the report is about. */
static const struct {
	bool by_time; /* messages are taken in the order of warn_at, and only when it has passed */
	enum statement messages, recipients;
} kinds[KIND_COUNT] = {
	[KIND_FAILURE] = { false, Q_failed_messages, Q_failed_recipients },
	[KIND_DELAY] = { true, Q_late_messages, Q_late_recipients },
	[KIND_SUCCESS] = { false, Q_good_messages, Q_good_recipients },
};

/* A row of ..._recipients. */
static struct failed_recipient read_recipient(struct arena *a, struct db_rows *q)
{
	return (struct failed_recipient){ .n = db_u64(q, 0),
					  .address = db_keep(a, q, 1),
					  .orcpt = db_keep(a, q, 2),
					  .remote = db_keep(a, q, 3),
					  .notify = (unsigned)db_u64(q, 4),
					  .last_at = db_u64(q, 5),
					  .attempts = db_u64(q, 6),
					  .verdict = stored_verdict(a, q, 7),
					  .meaning = db_u64(q, 11),
					  .route = db_keep(a, q, 12) };
}

/* All recipients of the message that the report is about. */
static void read_recipients(struct engine *e, enum message_kind kind, struct arena *a, struct unreported *u)
{
	struct db_rows *q = db_query(&e->db, kinds[kind].recipients, INT(u->id));
	size_t capacity = 0;

	while (db_row(&e->db, q)) {
		ARENA_GROW(a, u->failed, u->failed_n, capacity);
		u->failed[u->failed_n++] = read_recipient(a, q);
	}
}

/* Read what the report says about the message. */
static void read_message(struct engine *e, struct arena *a, struct unreported *u)
{
	struct db_rows *q = db_query(&e->db, Q_envelope, INT(u->id));

	if (!db_row(&e->db, q))
		return;
	u->kind = (enum message_kind)db_u64(q, 0);
	u->received_at = db_u64(q, 1);
	u->expires_at = db_u64(q, 2);
	u->size = db_u64(q, 4);
	u->header_size = db_u64(q, 6);
	u->envelope = stored_envelope(a, q, 8);
	db_end(q);
}

struct unreported_page {
	enum message_kind kind;
	struct unreported *at;
	size_t n, max, seen;
};

/* Add a message to the page, unless there is nothing to report about it now. */
static void take_message(struct engine *e, struct request *r, struct unreported_page *page, uint64_t id)
{
	struct unreported *u = &page->at[page->n];

	if (lease_has_any(e, id)) /* wait until all deliveries have ended: one report for all recipients */
		return;
	*u = (struct unreported){ .id = id };
	read_recipients(e, page->kind, &r->arena, u);
	if (u->failed_n == 0) /* its late recipients are held */
		return;
	read_message(e, &r->arena, u);
	page->n++;
}

/* Continue with the messages after `from`, up to `to`; false when the page is full or SCAN_UNREPORTED_MAX is reached. */
static bool take_messages(struct engine *e, struct request *r, struct unreported_page *page, struct report_turn from,
			  struct report_turn to)
{
	struct db_rows *q = db_query(&e->db, kinds[page->kind].messages, INT(from.at), INT(from.id), INT(to.at), INT(to.id));

	while (page->n < page->max && page->seen < SCAN_UNREPORTED_MAX) {
		if (!db_row(&e->db, q))
			return true;
		e->reported[page->kind] =
			(struct report_turn){ .id = db_u64(q, 0), .at = kinds[page->kind].by_time ? db_u64(q, 1) : 0 };
		page->seen++;
		take_message(e, r, page, db_u64(q, 0));
	}
	db_end(q);
	return false;
}

static bool is_later(struct report_turn a, struct report_turn b)
{
	return a.at != b.at ? a.at > b.at : a.id > b.id;
}

void run_unreported(struct engine *e, struct request *r)
{
	struct unreported_page page = { .kind = r->report_kind, .max = r->max < 100 ? r->max : 100 };
	struct report_turn last, end;

	if (page.kind >= KIND_COUNT || !kinds[page.kind].messages) {
		r->verdict = perm(501, S("5.5.4"), S("no such kind of report"));
		return;
	}
	page.at = ARENA_ARRAY(&r->arena, struct unreported, page.max + 1);
	/* Messages take turns, so that one whose report cannot be made does not hold up the others. */
	last = e->reported[page.kind];
	end = (struct report_turn){ .at = kinds[page.kind].by_time ? r->cursor : 0, .id = INT64_MAX };
	if (take_messages(e, r, &page, last, end))
		(void)take_messages(e, r, &page, the_beginning,
				    is_later(last, end) ? end : last); /* false: a later call continues */
	r->out.rows = page.at;
	r->out.n = page.n;
}
