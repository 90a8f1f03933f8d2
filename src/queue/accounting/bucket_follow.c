/* bucket_follow.c - several nodes share the rows of buckets: what an administrator has reset on one node is reset on all, and
 * what all have charged is shown. In between memory learns from the answers to its own charges (bucket_learn). */
#include "accounting/accounting.h"

#include "posthouse/clock.h"

#define FOLLOW_MS 1000
#define PAGE_MAX  5000 /* at a time: the loop is not held up */

/* ---- rounds ---- */

/* Limits of upstreams are reset by nobody, and dispatch writes them in its own time. */
static bool is_of_upstream(const struct bucket *b)
{
	return subject_is(str_of(b->key), SUBJECT_UPSTREAM);
}

/* Else it is a time that ends. */
static bool is_rate(const struct bucket *b)
{
	return (b->rate.amount > 0 || !b->user) && !is_of_upstream(b);
}

/* What all nodes have charged, and what this one has charged and not written. */
static void take_state(struct bucket *b, uint64_t state_us, uint64_t now)
{
	int64_t from = (int64_t)(state_us > now * 1000 ? state_us : now * 1000);

	b->saved_us = state_us;
	b->tat_us = state_us;
	if (b->owed_us != 0)
		b->tat_us = from + b->owed_us > 0 ? (uint64_t)(from + b->owed_us) : 0;
	if (b->rate.window_ms > 0 && b->tat_us > (now + b->rate.window_ms) * 1000)
		b->tat_us = (now + b->rate.window_ms) * 1000;
}

static void follow_row(struct accounting *acc, const struct bucket_row *row, uint64_t now)
{
	struct bucket *b = bucket_find(acc, row->key, row->rule);

	if (!b) {
		bucket_read_row(acc, row, now);
		b = bucket_find(acc, row->key, row->rule);
	} else if (is_rate(b) && b->written_in != acc->buckets.round) {
		take_state(b, row->tat_us, now);
		b->warned_at = row->warned_at;
	}
	if (b)
		b->read_in = acc->buckets.round;
}

/* Those that have no row any more. One that was never written has none so far. */
static void forget_rows(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct bucket, b, &acc->buckets.table, in_table) {
		if (b->read_in == acc->buckets.round || b->written_in == acc->buckets.round || is_of_upstream(b) ||
		    (b->user && b->user->outlives_reset))
			continue;
		if (is_rate(b)) {
			take_state(b, 0, now);
			b->warned_at = 0;
		} else if (b->saved_us != 0 && list_empty(&b->in_dirty)) {
			b->tat_us = b->saved_us = 0;
		}
	}
}

static void end_round(struct accounting *acc)
{
	struct list readers;

	acc->buckets.reading = false;
	buckets_remember_place(&acc->buckets, NULL);
	list_init(&readers);
	list_move_all(&acc->buckets.readers, &readers);
	LIST_EACH_OF (struct buckets_reader, r, &readers, in_readers) {
		list_remove(&r->in_readers);
		r->done(r);
	}
}

static void on_rows(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct accounting *acc = ctx;
	uint64_t now = clock_now_ms();

	if (!accounting_may_store(acc) || v.class != OK) {
		end_round(acc);
		return;
	}
	for (size_t i = 0; i < n; i++)
		follow_row(acc, &rows[i], now);
	if (n == PAGE_MAX) {
		buckets_remember_place(&acc->buckets, &rows[n - 1]);
		store_buckets(acc->store, str_of(acc->buckets.read_key), str_of(acc->buckets.read_rule), PAGE_MAX, on_rows, acc);
		return;
	}
	forget_rows(acc, now);
	end_round(acc);
}

void buckets_read_again(struct accounting *acc, struct buckets_reader *reader)
{
	if (reader)
		list_append(&acc->buckets.readers, &reader->in_readers);
	if (acc->buckets.reading)
		return;
	acc->buckets.reading = true;
	acc->buckets.round++;
	store_buckets(acc->store, S(""), S(""), PAGE_MAX, on_rows, acc);
}

/* ---- resets on other nodes ---- */

static void on_look(uv_timer_t *t)
{
	buckets_follow(t->data);
}

static void on_reset_row(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct accounting *acc = ctx;
	struct buckets *all = &acc->buckets;

	if (!accounting_may_store(acc))
		return;
	if (v.class == OK && n == 1 && str_eq(rows[0].key, S(RESET_KEY)) && rows[0].tat_us != all->reset_at_us) {
		all->reset_at_us = rows[0].tat_us;
		buckets_read_again(acc, NULL);
	}
	if (store_is_shared(acc->store))
		uv_timer_start(&all->follow, on_look, FOLLOW_MS, 0);
}

void buckets_follow(struct accounting *acc)
{
	if (accounting_may_store(acc))
		store_buckets(acc->store, S(RESET_KEY), S(""), 1, on_reset_row, acc);
}

void buckets_follow_init(struct accounting *acc)
{
	list_init(&acc->buckets.readers);
	timers_add(acc->timers, &acc->buckets.follow, acc);
}
