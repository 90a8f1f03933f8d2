/* policies.c - see policies.h. */
#include "policies.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define FUTURE_MS MINUTE_MS

bool policies_keep(struct store *s, struct str domain, const struct policy_row *row)
{
	sqlite3_stmt *q = store_query(s, Q_policy_keep);

	store_bind(q, 1, domain);
	store_bind(q, 2, row->id);
	store_bind(q, 3, row->text);
	store_bind_number(q, 4, row->fetched_at);
	store_bind_number(q, 5, row->valid_until);
	store_bind_number(q, 6, row->refresh_at);
	store_bind_number(q, 7, row->used_at);
	return store_run(s, q);
}

static void mend(uint64_t now, struct policy_row *row)
{
	uint64_t age = row->valid_until > row->fetched_at ? row->valid_until - row->fetched_at : 0;

	if (!clock_is_foreign(row->fetched_at, now, FUTURE_MS))
		return;
	row->fetched_at = row->refresh_at = row->used_at = now;
	row->valid_until = now + age;
}

bool policies_find(struct store *s, struct arena *a, struct str domain, uint64_t now, struct policy_row *row_out)
{
	sqlite3_stmt *q = store_query(s, Q_policy_find);

	store_bind(q, 1, domain);
	if (!store_row(s, q))
		return false;
	*row_out = (struct policy_row){ .id = arena_str(a, store_text(q, 0)),
					.text = arena_str(a, store_text(q, 1)),
					.fetched_at = store_number(q, 2),
					.valid_until = store_number(q, 3),
					.refresh_at = store_number(q, 4),
					.used_at = store_number(q, 5) };
	store_end(q);
	mend(now, row_out);
	return row_out->valid_until > now;
}

static void change(struct store *s, enum statement which, struct str domain, uint64_t value)
{
	sqlite3_stmt *q = store_query(s, which);

	store_bind(q, 1, domain);
	store_bind_number(q, 2, value);
	(void)store_run(s, q);
}

void policies_refresh_at(struct store *s, struct str domain, uint64_t at)
{
	change(s, Q_policy_refresh_at, domain, at);
}

void policies_note_use(struct store *s, struct str domain, uint64_t now)
{
	change(s, Q_policy_used, domain, now);
}

struct str policies_due(struct store *s, struct arena *a, uint64_t now)
{
	sqlite3_stmt *q = store_query(s, Q_policy_due);
	struct str domain = S("");

	store_bind_number(q, 1, now);
	if (store_row(s, q)) {
		domain = arena_str(a, store_text(q, 0));
		store_end(q);
	}
	return domain;
}

void policies_mend(struct store *s, uint64_t now)
{
	sqlite3_stmt *q = store_query(s, Q_policy_mend);

	store_bind_number(q, 1, now);
	store_bind_number(q, 2, now + FUTURE_MS);
	(void)store_run(s, q);
}

/* Give back to the disk what was removed. */
static void shrink(struct store *s)
{
	(void)store_run(s, store_query(s, Q_policy_shrink));
}

void policies_prune(struct store *s, uint64_t now)
{
	sqlite3_stmt *q = store_query(s, Q_policy_prune);

	store_bind_number(q, 1, now);
	if (store_run(s, q) && sqlite3_changes(s->handle) > 0)
		shrink(s);
}

struct policies_size policies_measure(struct store *s)
{
	sqlite3_stmt *q = store_query(s, Q_policy_measure);
	struct policies_size size = { 0 };

	if (store_row(s, q)) {
		size = (struct policies_size){ .n = store_number(q, 0), .bytes = store_number(q, 1) };
		store_end(q);
	}
	return size;
}

/* A few; false: there are none, or the file does not take it. */
static bool drop_some(struct store *s, struct policies_size *size)
{
	sqlite3_stmt *q = store_query(s, Q_policy_drop);
	uint64_t before = size->n;

	while (store_row(s, q)) {
		size->n--;
		size->bytes -= store_number(q, 0);
	}
	return size->n < before;
}

void policies_drop(struct store *s, uint64_t most, struct policies_size *size)
{
	while (size->bytes > most && drop_some(s, size))
		shrink(s);
}
