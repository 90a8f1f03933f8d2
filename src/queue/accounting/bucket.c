/* bucket.c - token buckets in memory, and their rows. */
#include "queue.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS_MAX  500000 /* that are read at the start */
#define PAGE_MAX     5000   /* at a time: the loop is not held up */
#define BATCH_MAX    500
#define RETRY_MS     2000
#define TOLD_KEPT_US (7 * 86400 * 1000000ull)

static void remember_place(struct buckets *all, const struct bucket_row *last);

static void on_retry(uv_timer_t *t)
{
	struct queue *q = t->data;

	writebehind_flush(&q->buckets.changes);
}

char *copy_text(struct str s)
{
	char *z = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

static void bucket_free(struct bucket *b)
{
	list_remove(&b->in_dirty);
	list_remove(&b->in_recent);
	free(b->key);
	free(b->rule);
	free(b);
}

void buckets_fini(struct queue *q)
{
	HASHTABLE_EACH (i, &q->buckets.table)
		bucket_free(CONTAINER_OF(i, struct bucket, in_table));
	hashtable_fini(&q->buckets.table);
	remember_place(&q->buckets, NULL);
	LIST_EACH (i, &q->buckets.changes.dirty) /* forgotten ones */
		bucket_free(CONTAINER_OF(i, struct bucket, in_dirty));
}

/* ---- finding ---- */

static struct bucket *find(struct queue *q, struct str key, struct str rule, uint64_t hash)
{
	HASHTABLE_FIND (i, &q->buckets.table, hash) {
		struct bucket *b = CONTAINER_OF(i, struct bucket, in_table);

		if (str_eq(str_of(b->rule), rule) && str_eq(str_of(b->key), key))
			return b;
	}
	return NULL;
}

struct bucket *bucket_find(struct queue *q, struct str key, struct str rule)
{
	return find(q, key, rule, hash_text(key));
}

struct bucket *bucket_get(struct queue *q, struct str key, struct str rule)
{
	uint64_t hash = hash_text(key);
	struct bucket *b = find(q, key, rule, hash);

	if (b)
		return b;
	b = NEW(struct bucket);
	b->key = copy_text(key);
	b->rule = copy_text(rule);
	list_init(&b->in_dirty);
	list_init(&b->in_recent);
	hashtable_add(&q->buckets.table, &b->in_table, hash);
	return b;
}

bool buckets_are_many(const struct queue *q)
{
	return q->buckets.table.n >= BUCKETS_MAX;
}

/* ---- kept over restarts ---- */

/* A bucket further ahead than its window, or its other period, was written by another clock. What was told or happened then, was so now. */
static bool mend(struct bucket *b, uint64_t now)
{
	uint64_t network_us = network_period_us(b), window_us = window_of_rule(str_of(b->rule)) * 1000, now_us = now * 1000;
	uint64_t period = network_us ? network_us : window_us;
	bool foreign = (period > 0 && clock_is_foreign(b->tat_us, now_us, period)) || clock_is_foreign(b->warned_at, now, 0);

	if (period > 0 && clock_is_foreign(b->tat_us, now_us, period))
		b->tat_us = now_us + network_us;
	b->warned_at = clock_mended(b->warned_at, now, 0);
	return foreign;
}

void buckets_mend(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->buckets.table) {
		struct bucket *b = CONTAINER_OF(i, struct bucket, in_table);

		if (mend(b, now))
			bucket_touch(q, b);
	}
}

static void on_buckets(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n);

/* The rows that follow those that were read. */
static void load_page(struct queue *q)
{
	struct buckets *all = &q->buckets;

	store_buckets(q->store, str_of(all->read_key ? all->read_key : ""), str_of(all->read_rule ? all->read_rule : ""),
		      PAGE_MAX, on_buckets, q);
}

static void on_load_retry(uv_timer_t *t)
{
	load_page(t->data);
}

static void read_row(struct queue *q, const struct bucket_row *row, uint64_t now)
{
	struct bucket *b;

	/* empty again: as if it had never been used, but for what somebody was told */
	if (row->tat_us <= now * 1000 && row->warned_at * 1000 + TOLD_KEPT_US <= now * 1000)
		return;
	if (q->buckets.table.n >= BUCKETS_MAX) {
		q->buckets.beyond++;
		return;
	}
	b = bucket_get(q, row->key, row->rule);
	b->tat_us = b->saved_us = row->tat_us;
	b->warned_at = row->warned_at;
	if (mend(b, now))
		bucket_touch(q, b);
	networks_read(q, b);
	failures_read(q, b);
}

static void remember_place(struct buckets *all, const struct bucket_row *last)
{
	free(all->read_key);
	free(all->read_rule);
	all->read_key = last ? copy_text(last->key) : NULL;
	all->read_rule = last ? copy_text(last->rule) : NULL;
}

/* Limits that cannot be read are no open door: until they can, mail is refused for the moment (see authorize.c), and nobody logs in. */
static void on_buckets(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct queue *q = ctx;
	struct buckets *all = &q->buckets;
	uint64_t now = clock_now_ms();

	if (!queue_may_store(q))
		return;
	if (v.class != OK) {
		if (!all->unreadable)
			log_error(NULL, "limits.unknown", kv("reply", v.text));
		all->unreadable = true;
		intake_resume(q);
		uv_timer_start(&all->load_retry, on_load_retry, RETRY_MS, 0);
		return;
	}
	for (size_t i = 0; i < n; i++)
		read_row(q, &rows[i], now);
	if (n == PAGE_MAX) {
		remember_place(all, &rows[n - 1]);
		load_page(q);
		return;
	}
	if (all->beyond > 0)
		log_warning(NULL, "limits.crowded", kv("read", all->table.n), kv("left_out", all->beyond));
	remember_place(all, NULL);
	all->unreadable = false;
	all->known = true;
	admission_ready(q);
	scheduler_wake(q);
}

void buckets_load(struct queue *q)
{
	load_page(q);
}

struct bucket_row bucket_row_of(struct arena *a, const struct bucket *b)
{
	return (struct bucket_row){
		.key = arena_str(a, str_of(b->key)),
		.rule = arena_str(a, str_of(b->rule)),
		.tat_us = b->tat_us,
		.warned_at = b->warned_at,
	};
}

/* ---- what changes is written, in batches ---- */

static bool can_write(void *ctx)
{
	return queue_may_store(ctx);
}

static void make_row(void *ctx, struct arena *a, struct list *item, void *row_out)
{
	struct bucket *b = CONTAINER_OF(item, struct bucket, in_dirty);

	*(struct bucket_row *)row_out = bucket_row_of(a, b);
	b->saved_us = b->tat_us;
	if (b->forgotten)
		bucket_free(b);
}

static void write_rows(void *ctx, const void *rows, size_t n, void *batch)
{
	struct queue *q = ctx;

	store_bucket_put(q->store, rows, n, writebehind_done, batch);
}

static struct list *find_item(void *ctx, const void *row)
{
	const struct bucket_row *r = row;
	struct bucket *b = bucket_find(ctx, r->key, r->rule);

	return b ? &b->in_dirty : NULL;
}

static void write_failed(void *ctx, size_t n, struct verdict v)
{
	log_warning(NULL, "limits.unsaved", kv("buckets", n), kv("reply", v.text));
}

static void retry_later(void *ctx)
{
	struct queue *q = ctx;

	uv_timer_start(&q->buckets.retry, on_retry, RETRY_MS, 0);
}

static const struct writebehind_ops write_ops = {
	.row_size = sizeof(struct bucket_row),
	.batch_max = BATCH_MAX,
	.can_write = can_write,
	.make_row = make_row,
	.write = write_rows,
	.find = find_item,
	.failed = write_failed,
	.retry_later = retry_later,
};

void buckets_init(struct queue *q)
{
	writebehind_init(&q->buckets.changes, &write_ops, q);
	queue_timer_init(q, &q->buckets.retry);
	queue_timer_init(q, &q->buckets.load_retry);
}

void bucket_touch(struct queue *q, struct bucket *b)
{
	writebehind_touch(&q->buckets.changes, &b->in_dirty);
}

void bucket_forget(struct queue *q, struct bucket *b)
{
	assert(b->users == 0 && !b->forgotten);
	hashtable_remove(&q->buckets.table, &b->in_table);
	list_remove(&b->in_recent);
	b->tat_us = b->warned_at = 0;
	b->forgotten = true;
	if (q->buckets.changes.failing ||
	    b->saved_us == 0) /* memory is what matters: the store forgets it when its time is over */
		bucket_free(b);
	else
		bucket_touch(q, b);
}

struct bucket_row bucket_empty(struct arena *a, struct bucket *b)
{
	b->tat_us = b->saved_us = 0;
	b->warned_at = b->told_at = 0;
	return bucket_row_of(a, b);
}

void buckets_collect(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->buckets.table) {
		struct bucket *b = CONTAINER_OF(i, struct bucket, in_table);

		if (b->users > 0 || b->tat_us > now * 1000 || !list_empty(&b->in_dirty))
			continue;
		/* what somebody was told stays known, or a second mail would tell it */
		if (b->warned_at * 1000 + TOLD_KEPT_US > now * 1000)
			continue;
		hashtable_remove(&q->buckets.table, &b->in_table);
		failures_gone(q, b);
		bucket_free(b);
	}
}
