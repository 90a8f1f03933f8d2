/* summary.c - what waits, by recipient domain. A call looks at a few messages, so that mail does not wait for it. */
#include "rows.h"

#include "posthouse/clock.h"

#define MESSAGES_MAX 1000
#define READ_AT_ONCE 100 /* recipients, about */
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
	struct summary_row *row = row_for(s, lane_domain(s->arena, db_str(q, 1)));
	uint64_t replied_at = db_u64(q, 6);

	row->recipients++;
	row->held += db_u64(q, 2) == RCPT_HELD;
	row->ages[age_of(s, received_at)]++;
	if (row->oldest_at == 0 || received_at < row->oldest_at)
		row->oldest_at = received_at;
	if (replied_at <= row->reply_at)
		return;
	row->reply_at = replied_at;
	row->reply = stored_reply(s->arena, q, 3);
}

/* Messages whose recipients are read at once. */
struct group {
	uint64_t ids[MESSAGES_MAX], received_at[MESSAGES_MAX];
	size_t n;
	uint64_t recipients;
};

static void count_group(struct summary *s, struct group *g)
{
	struct many m = { .e = s->e, .statement = Q_summary_recipients, .ids = g->ids, .n = g->n };
	struct db_rows *q;
	size_t i = 0;

	while ((q = many_row(&m))) {
		while (i + 1 < g->n && g->ids[i] != db_u64(q, 0))
			i++;
		count_recipient(s, q, g->received_at[i]);
	}
	g->n = 0;
	g->recipients = 0;
}

void run_summary(struct engine *e, struct request *r)
{
	struct summary s = { .e = e, .arena = &r->arena, .now = clock_now_ms() };
	size_t max = r->max < MESSAGES_MAX ? r->max : MESSAGES_MAX, n = 0;
	struct group *g = ARENA_NEW(&r->arena, struct group);
	uint64_t cursor = r->cursor;
	struct db_rows *messages = db_query(&e->db, Q_summary_messages, INT(cursor), INT(max));

	g->n = 0;
	g->recipients = 0;
	while (s.n < ROWS_ENOUGH && db_row(&e->db, messages)) {
		cursor = db_u64(messages, 0);
		n++;
		g->ids[g->n] = cursor;
		g->received_at[g->n++] = db_u64(messages, 1);
		g->recipients += db_u64(messages, 2);
		if (g->recipients >= READ_AT_ONCE)
			count_group(&s, g);
	}
	db_end(messages);
	count_group(&s, g);
	hashtable_fini(&s.by_name);
	r->out.next = n == max || s.n >= ROWS_ENOUGH ? cursor : 0;
	r->out.rows = s.rows;
	r->out.n = s.n;
}
