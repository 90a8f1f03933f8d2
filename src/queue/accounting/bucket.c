/* bucket.c - token buckets in memory, and their rows. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/limit.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_MAX      500000 /* that are read at the start */
#define PAGE_MAX         5000   /* at a time: the loop is not held up */
#define BATCH_MAX        500
#define RETRY_MS         2000
#define NOTIFIED_KEPT_US (7 * DAY_MS * 1000)

static void bucket_free(struct bucket *b)
{
	list_remove(&b->in_dirty);
	list_remove(&b->in_recent);
	free(b->key);
	free(b->rule);
	free(b);
}

void buckets_remember_place(struct buckets *all, const struct bucket_row *last)
{
	free(all->read_key);
	free(all->read_rule);
	all->read_key = last ? str_dup(last->key) : NULL;
	all->read_rule = last ? str_dup(last->rule) : NULL;
}

void buckets_fini(struct accounting *acc)
{
	HASHTABLE_EACH (i, &acc->buckets.table)
		bucket_free(CONTAINER_OF(i, struct bucket, in_table));
	hashtable_fini(&acc->buckets.table);
	buckets_remember_place(&acc->buckets, NULL);
	LIST_EACH (i, &acc->buckets.changes.dirty) /* those that are forgotten: their rows were still to be written */
		bucket_free(CONTAINER_OF(i, struct bucket, in_dirty));
}

/* ---- users ---- */

static const struct bucket_user *user_of(const struct accounting *acc, struct str rule)
{
	for (const struct bucket_user *const *user = acc->buckets.users; *user; user++)
		if (str_starts(rule, str_of((*user)->rule)))
			return *user;
	return NULL;
}

/* ---- finding ---- */

struct bucket *bucket_find(struct accounting *acc, struct str key, struct str rule)
{
	uint64_t hash = hash_text(key);

	HASHTABLE_FIND_OF (struct bucket, b, &acc->buckets.table, hash, in_table)
		if (str_eq(str_of(b->rule), rule) && str_eq(str_of(b->key), key))
			return b;
	return NULL;
}

struct bucket *bucket_get(struct accounting *acc, struct str key, struct str rule)
{
	struct bucket *b = bucket_find(acc, key, rule);

	if (b)
		return b;
	b = NEW(struct bucket);
	b->key = str_dup(key);
	b->rule = str_dup(rule);
	b->user = user_of(acc, rule);
	list_init(&b->in_dirty);
	list_init(&b->in_recent);
	hashtable_add(&acc->buckets.table, &b->in_table, hash_text(key));
	return b;
}

bool buckets_are_many(const struct accounting *acc)
{
	return acc->buckets.table.n >= BUCKETS_MAX;
}

struct bucket **buckets_page(const struct accounting *acc, struct arena *a, uint64_t *cursor, size_t *n_out)
{
	struct hashtable_item **items = hashtable_page(&acc->buckets.table, a, cursor, n_out);
	struct bucket **page = ARENA_ARRAY(a, struct bucket *, *n_out);

	for (size_t i = 0; i < *n_out; i++)
		page[i] = CONTAINER_OF(items[i], struct bucket, in_table);
	return page;
}

/* ---- kept over restarts ---- */

/* A bucket whose time is further ahead than possible was written by another clock: treat it as written now. */
static bool mend(struct bucket *b, uint64_t now)
{
	uint64_t remembered_us = b->user ? b->user->period_us : 0, window_us = window_of_rule(str_of(b->rule)) * 1000,
		 now_us = now * 1000;
	uint64_t period = remembered_us ? remembered_us : window_us;
	bool foreign = (period > 0 && clock_is_foreign(b->tat_us, now_us, period)) || clock_is_foreign(b->warned_at, now, 0);

	if (period > 0 && clock_is_foreign(b->tat_us, now_us, period))
		b->tat_us = now_us + remembered_us;
	b->warned_at = clock_mended(b->warned_at, now, 0);
	return foreign;
}

void buckets_mend(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct bucket, b, &acc->buckets.table, in_table)
		if (mend(b, now))
			bucket_touch(acc, b);
}

static void on_buckets(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n);

/* Read the rows that follow the last one that was read. */
void buckets_load(struct accounting *acc)
{
	struct buckets *all = &acc->buckets;

	store_buckets(acc->store, str_of(all->read_key ? all->read_key : ""), str_of(all->read_rule ? all->read_rule : ""),
		      PAGE_MAX, on_buckets, acc);
}

static void on_load_retry(uv_timer_t *t)
{
	buckets_load(t->data);
}

void bucket_read_row(struct accounting *acc, const struct bucket_row *row, uint64_t now)
{
	struct bucket *b;

	if (str_eq(row->key, S(RESET_KEY))) {
		acc->buckets.reset_at_us = row->tat_us;
		return;
	}
	/* an empty bucket is the same as none, unless it records that somebody was notified */
	if (row->tat_us <= now * 1000 && row->warned_at * 1000 + NOTIFIED_KEPT_US <= now * 1000)
		return;
	if (acc->buckets.table.n >= BUCKETS_MAX) {
		acc->buckets.beyond++;
		return;
	}
	b = bucket_get(acc, row->key, row->rule);
	b->tat_us = b->saved_us = row->tat_us;
	b->warned_at = row->warned_at;
	if (mend(b, now))
		bucket_touch(acc, b);
	if (b->user && b->user->loaded)
		b->user->loaded(acc, b);
}

/* Limits that cannot be read fail closed: until they are read, mail is refused with 451 (authorize.c), and nobody logs in. */
static void on_buckets(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct accounting *acc = ctx;
	struct buckets *all = &acc->buckets;
	uint64_t now = clock_now_ms();

	if (!accounting_may_store(acc))
		return;
	if (v.class != OK) {
		if (!all->unreadable)
			log_error(NULL, "limits.unknown", kv("reply", v.text));
		all->unreadable = true;
		acc->observer->loaded(acc->observer->ctx);
		uv_timer_start(&all->load_retry, on_load_retry, RETRY_MS, 0);
		return;
	}
	for (size_t i = 0; i < n; i++)
		bucket_read_row(acc, &rows[i], now);
	if (n == PAGE_MAX) {
		buckets_remember_place(all, &rows[n - 1]);
		buckets_load(acc);
		return;
	}
	if (all->beyond > 0)
		log_warning(NULL, "limits.crowded", kv("read", all->table.n), kv("left_out", all->beyond));
	buckets_remember_place(all, NULL);
	all->unreadable = false;
	all->known = true;
	if (store_is_shared(acc->store))
		buckets_follow(acc);
	acc->observer->loaded(acc->observer->ctx);
}

/* ---- charges ---- */

void bucket_charge(struct bucket *b, struct rate rate, uint64_t amount, uint64_t now)
{
	b->tat_us = gcra_take(b->tat_us, rate, amount, now * 1000);
	b->owed_us += (int64_t)gcra_cost_us(rate, amount);
}

void bucket_return(struct bucket *b, struct rate rate, uint64_t amount, uint64_t now)
{
	b->tat_us = gcra_return(b->tat_us, rate, amount, now * 1000);
	b->owed_us -= (int64_t)gcra_cost_us(rate, amount);
}

struct bucket_row bucket_row_of(struct arena *a, struct bucket *b)
{
	bool is_rate = b->rate.amount > 0 && !b->forgotten && !(b->user && b->user->period_us > 0);
	struct bucket_row row = {
		.key = arena_str(a, str_of(b->key)),
		.rule = arena_str(a, str_of(b->rule)),
		.tat_us = b->tat_us,
		.warned_at = b->warned_at,
		.cost_us = b->owed_us,
		.window_us = is_rate ? b->rate.window_ms * 1000 : 0,
		.now_us = clock_now_ms() * 1000,
	};

	b->owed_us = 0;
	return row;
}

void bucket_learn(struct bucket *b, uint64_t state_us, uint64_t now)
{
	uint64_t full = (now + b->rate.window_ms) * 1000;

	if (b->rate.amount == 0 || state_us <= b->tat_us)
		return;
	b->tat_us = state_us < full ? state_us : full; /* the clock of another node can be ahead */
}

/* ---- what changes is written, in batches ---- */

static void make_row(void *ctx, struct arena *a, struct list *item, void *row_out)
{
	struct bucket *b = CONTAINER_OF(item, struct bucket, in_dirty);

	*(struct bucket_row *)row_out = bucket_row_of(a, b);
	b->saved_us = b->tat_us;
	b->written_in = ((struct accounting *)ctx)->buckets.round;
	if (b->forgotten)
		bucket_free(b);
}

static void write_rows(void *ctx, const void *rows, size_t n, void *batch)
{
	struct accounting *acc = ctx;

	store_bucket_put(acc->store, rows, n, writebehind_done, batch);
}

static struct list *find_item(void *ctx, const void *row)
{
	const struct bucket_row *r = row;
	struct bucket *b = bucket_find(ctx, r->key, r->rule);

	if (b)
		b->owed_us += r->cost_us; /* it was not written */
	return b ? &b->in_dirty : NULL;
}

static void write_failed(void *ctx, size_t n, struct verdict v)
{
	log_warning(NULL, "limits.unsaved", kv("buckets", n), kv("reply", v.text));
}

static const struct writebehind_ops write_ops = {
	.row_size = sizeof(struct bucket_row),
	.batch_max = BATCH_MAX,
	.can_write = accounting_can_write,
	.make_row = make_row,
	.write = write_rows,
	.find = find_item,
	.failed = write_failed,
	.retry_later = accounting_write_later,
};

void buckets_init(struct accounting *acc, const struct bucket_user *const *users)
{
	acc->buckets.users = users;
	writebehind_init(&acc->buckets.changes, &write_ops, acc);
	timers_add(acc->timers, &acc->buckets.load_retry, acc);
	buckets_follow_init(acc);
}

void bucket_touch(struct accounting *acc, struct bucket *b)
{
	writebehind_touch(&acc->buckets.changes, &b->in_dirty);
}

void bucket_forget(struct accounting *acc, struct bucket *b)
{
	assert(b->users == 0 && !b->forgotten);
	hashtable_remove(&acc->buckets.table, &b->in_table);
	list_remove(&b->in_recent);
	b->tat_us = b->warned_at = 0;
	b->forgotten = true;
	if (acc->buckets.changes.failing ||
	    b->saved_us == 0) /* memory is what matters: the store forgets it when its time is over */
		bucket_free(b);
	else
		bucket_touch(acc, b);
}

struct bucket_row bucket_empty(struct arena *a, struct bucket *b)
{
	struct bucket_row row;

	b->tat_us = b->saved_us = 0;
	b->warned_at = b->logged_at = 0;
	row = bucket_row_of(a, b);
	row.cost_us = 0;
	row.window_us = 0; /* for all nodes */
	return row;
}

void buckets_collect(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct bucket, b, &acc->buckets.table, in_table) {
		if (b->users > 0 || b->tat_us > now * 1000 || !list_empty(&b->in_dirty))
			continue;
		/* without the record of a notification a second one would be sent */
		if (b->warned_at * 1000 + NOTIFIED_KEPT_US > now * 1000)
			continue;
		hashtable_remove(&acc->buckets.table, &b->in_table);
		if (b->user && b->user->forgotten)
			b->user->forgotten(acc, b);
		bucket_free(b);
	}
}
