/* summary.c - what waits, by recipient domain. A call looks at a few messages, so that mail does not wait for it. */
#include "rows.h"

#include "posthouse/clock.h"

#define MESSAGES_MAX 1000
#define ROWS_ENOUGH  150 /* the page ends there */
#define ROWS_MAX     250 /* … so that only a message with very many domains has some of them in one row */

static const uint64_t ages[SUMMARY_AGES - 1] = { 5 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS };

struct destination {
	struct hashtable_item node;
	const char *name; /* of the row */
	size_t row;
};

struct summary {
	struct engine *e;
	struct arena *arena;
	struct hashtable by_name; /* struct destination */
	struct summary_row *rows;
	size_t n, capacity;
	uint64_t now;
};

static struct summary_row *row_for(struct summary *s, struct str domain)
{
	struct destination *d = HASHTABLE_NAMED(&s->by_name, domain, struct destination, node, name);

	if (d)
		return &s->rows[d->row];
	if (s->n >= ROWS_MAX && !str_eq(domain, S("*")))
		return row_for(s, S("*"));
	ARENA_GROW(s->arena, s->rows, s->n, s->capacity);
	d = ARENA_NEW(s->arena, struct destination);
	d->name = arena_cstr(s->arena, domain);
	d->row = s->n;
	hashtable_add(&s->by_name, &d->node, hash_text(domain));
	s->rows[s->n] = (struct summary_row){ .destination = str_of(d->name) };
	return &s->rows[s->n++];
}

static size_t age_of(const struct summary *s, uint64_t received_at)
{
	uint64_t age = s->now > received_at ? s->now - received_at : 0;
	size_t i = 0;

	while (i < SUMMARY_AGES - 1 && age >= ages[i])
		i++;
	return i;
}

/* A row of summary_recipients. */
static void count_recipient(struct summary *s, struct db_rows *q, uint64_t received_at)
{
	struct summary_row *row = row_for(s, lane_domain(s->arena, db_str(q, 0)));
	uint64_t replied_at = db_u64(q, 5);

	row->recipients++;
	row->held += db_u64(q, 1) == RCPT_HELD;
	row->ages[age_of(s, received_at)]++;
	if (row->oldest_at == 0 || received_at < row->oldest_at)
		row->oldest_at = received_at;
	if (replied_at <= row->reply_at)
		return;
	row->reply_at = replied_at;
	row->reply = stored_reply(s->arena, q, 2);
}

void run_summary(struct engine *e, struct request *r)
{
	struct summary s = { .e = e, .arena = &r->arena, .now = clock_now_ms() };
	size_t max = r->max < MESSAGES_MAX ? r->max : MESSAGES_MAX, n = 0;
	uint64_t cursor = r->cursor;
	struct db_rows *messages = db_query(&e->db, Q_summary_messages, INT(cursor), INT(max));

	while (s.n < ROWS_ENOUGH && db_row(&e->db, messages)) {
		uint64_t received_at = db_u64(messages, 1);
		struct db_rows *q;

		cursor = db_u64(messages, 0);
		n++;
		q = db_query(&e->db, Q_summary_recipients, INT(cursor));
		while (db_row(&e->db, q))
			count_recipient(&s, q, received_at);
	}
	db_end(messages);
	hashtable_fini(&s.by_name);
	r->out.next = n == max || s.n >= ROWS_ENOUGH ? cursor : 0;
	r->out.rows = s.rows;
	r->out.n = s.n;
}
