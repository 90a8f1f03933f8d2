/* ban.c - bans and tripped breakers in memory, and their rows. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define STRANGERS_MAX 20000
#define BANS_MAX      (2 * STRANGERS_MAX) /* rows that are read; breakers come first */
#define BATCH_MAX     500
#define RETRY_MS      2000
#define FOLLOW_MS     1000
#define CLOCKS_MS     (2 * MINUTE_MS) /* so much the clocks of two nodes differ at most */
#define LONGEST_MS    DAY_MS          /* of rows that an older version wrote, without a length */

static void ban_free(struct ban *b)
{
	list_remove(&b->in_recent);
	list_remove(&b->in_dirty);
	free(b->key);
	free(b->reason);
	free(b);
}

void bans_fini(struct accounting *acc)
{
	HASHTABLE_EACH (i, &acc->bans.table)
		ban_free(CONTAINER_OF(i, struct ban, in_table));
	hashtable_fini(&acc->bans.table);
	LIST_EACH (i, &acc->bans.changes.dirty) /* those that are forgotten: their rows were still to be written */
		ban_free(CONTAINER_OF(i, struct ban, in_dirty));
}

/* ---- finding ---- */

struct ban *ban_find(struct accounting *acc, struct str key)
{
	return HASHTABLE_NAMED(&acc->bans.table, key, struct ban, in_table, key);
}

struct ban *ban_in_force(struct accounting *acc, struct str key, uint64_t now)
{
	struct ban *b = ban_find(acc, key);

	return b && b->until > now && !clock_is_foreign(b->until, now, b->length_ms) ? b : NULL;
}

static bool is_breaker(const struct ban *b)
{
	return subject_is(str_of(b->key), SUBJECT_BREAKER);
}

static struct ban *get(struct accounting *acc, struct str key)
{
	struct ban *b = ban_find(acc, key);

	if (b)
		return b;
	b = NEW(struct ban);
	b->key = str_dup(key);
	b->reason = str_dup(S(""));
	list_init(&b->in_recent);
	list_init(&b->in_dirty);
	hashtable_add(&acc->bans.table, &b->in_table, hash_text(key));
	acc->bans.strangers += !is_breaker(b);
	return b;
}

struct ban **bans_page(const struct accounting *acc, struct arena *a, uint64_t *cursor, size_t *n_out)
{
	struct hashtable_item **items = hashtable_page(&acc->bans.table, a, cursor, n_out);
	struct ban **page = ARENA_ARRAY(a, struct ban *, *n_out);

	for (size_t i = 0; i < *n_out; i++)
		page[i] = CONTAINER_OF(items[i], struct ban, in_table);
	return page;
}

/* ---- kept over restarts ---- */

static void touch(struct accounting *acc, struct ban *b)
{
	b->changed = ++acc->bans.changes_n;
	writebehind_touch(&acc->bans.changes, &b->in_dirty);
}

static void mend(struct accounting *acc, struct ban *b, uint64_t now)
{
	if (is_breaker(b) || !clock_is_foreign(b->until, now, b->length_ms)) /* a breaker has no end */
		return;
	b->until = now;
	touch(acc, b);
}

void bans_mend(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH (i, &acc->bans.table)
		mend(acc, CONTAINER_OF(i, struct ban, in_table), now);
}

static void read_row(struct accounting *acc, const struct ban_row *row, uint64_t now)
{
	struct ban *b;

	if (row->level == 0 || row->until + BAN_REMEMBERED_MS <= now)
		return;
	b = get(acc, row->key);
	free(b->reason);
	b->reason = str_dup(row->reason);
	b->level = row->level;
	b->until = row->until;
	b->length_ms = row->length_ms ? row->length_ms : LONGEST_MS;
	mend(acc, b, now);
	if (!is_breaker(b))
		list_append(&acc->bans.recent, &b->in_recent);
}

static void follow_later(struct accounting *acc, size_t bans_n);

static void on_load_retry(uv_timer_t *t)
{
	bans_load(t->data);
}

/* Bans that cannot be read refuse logins and mail until they can, like limits (bucket.c). */
static void on_bans(void *ctx, struct verdict v, const struct ban_row *rows, size_t n)
{
	struct accounting *acc = ctx;
	uint64_t now = clock_now_ms(), most = n < BANS_MAX ? n : BANS_MAX;

	if (!accounting_may_store(acc))
		return;
	if (v.class != OK) {
		if (!acc->bans.unreadable)
			log_error(NULL, "bans.unknown", kv("reply", v.text));
		acc->bans.unreadable = true;
		acc->observer->loaded(acc->observer->ctx);
		uv_timer_start(&acc->bans.load_retry, on_load_retry, RETRY_MS, 0);
		return;
	}
	if (n > most)
		log_warning(NULL, "bans.crowded", kv("read", most), kv("left_out", n - most));
	for (size_t i = 0; i < most; i++)
		read_row(acc, &rows[i], now);
	acc->bans.unreadable = false;
	acc->bans.known = true;
	if (store_is_shared(acc->store))
		follow_later(acc, n);
	acc->observer->loaded(acc->observer->ctx);
	for (size_t i = 0; i < most; i++) {
		struct ban *b = ban_find(acc, rows[i].key);

		if (b && is_breaker(b))
			acc->bans.resume_breaker(acc, b);
	}
}

void bans_load(struct accounting *acc)
{
	if (accounting_may_store(acc))
		store_bans(acc->store, on_bans, acc);
}

static struct ban_row row_of(struct arena *a, const struct ban *b)
{
	return (struct ban_row){
		.key = arena_str(a, str_of(b->key)),
		.level = b->level,
		.until = b->until,
		.length_ms = b->length_ms,
		.reason = arena_str(a, str_of(b->reason)),
	};
}

/* ---- what changes is written, in batches ---- */

static void make_row(void *ctx, struct arena *a, struct list *item, void *row_out)
{
	struct ban *b = CONTAINER_OF(item, struct ban, in_dirty);

	*(struct ban_row *)row_out = row_of(a, b);
	if (b->forgotten)
		ban_free(b);
}

static void write_rows(void *ctx, const void *rows, size_t n, void *batch)
{
	struct accounting *acc = ctx;

	store_ban_put(acc->store, rows, n, writebehind_done, batch);
}

static struct list *find_item(void *ctx, const void *row)
{
	struct ban *b = ban_find(ctx, ((const struct ban_row *)row)->key);

	return b ? &b->in_dirty : NULL;
}

static void write_failed(void *ctx, size_t n, struct verdict v)
{
	log_warning(NULL, "bans.unsaved", kv("bans", n), kv("reply", v.text));
}

static const struct writebehind_ops write_ops = {
	.row_size = sizeof(struct ban_row),
	.batch_max = BATCH_MAX,
	.can_write = accounting_can_write,
	.make_row = make_row,
	.write = write_rows,
	.find = find_item,
	.failed = write_failed,
	.retry_later = accounting_write_later,
};

void bans_init(struct accounting *acc)
{
	list_init(&acc->bans.recent);
	writebehind_init(&acc->bans.changes, &write_ops, acc);
	timers_add(acc->timers, &acc->bans.load_retry, acc);
	timers_add(acc->timers, &acc->bans.follow, acc);
}

/* ---- beginning and ending ---- */

static void take_out(struct accounting *acc, struct ban *b)
{
	hashtable_remove(&acc->bans.table, &b->in_table);
	list_remove(&b->in_recent);
	acc->bans.strangers -= !is_breaker(b);
	acc->bans.removed_n++;
}

static void forget(struct accounting *acc, struct ban *b)
{
	take_out(acc, b);
	b->level = 0;
	b->forgotten = true;
	if (acc->bans.changes.failing)
		ban_free(b);
	else
		touch(acc, b);
}

/* Make room for one more ban of a network or login: one that is over goes, else the oldest. */
static void make_room(struct accounting *acc, uint64_t now)
{
	struct ban *oldest = NULL;

	if (acc->bans.strangers < STRANGERS_MAX)
		return;
	LIST_EACH_OF (struct ban, b, &acc->bans.recent, in_recent) {
		if (!oldest || b->until <= now)
			oldest = b;
		if (b->until <= now)
			break;
	}
	if (oldest)
		forget(acc, oldest);
}

struct ban *ban_put(struct accounting *acc, struct str key, uint64_t level, uint64_t now, uint64_t until, struct str reason)
{
	struct ban *b;

	make_room(acc, now);
	b = get(acc, key);
	free(b->reason);
	b->reason = str_dup(reason);
	b->level = level;
	b->until = until;
	b->length_ms = until > now ? until - now : 0;
	list_remove(&b->in_recent);
	if (!is_breaker(b))
		list_append(&acc->bans.recent, &b->in_recent);
	touch(acc, b);
	return b;
}

struct ban_row ban_lift(struct accounting *acc, struct arena *a, struct ban *b)
{
	struct ban_row row;

	take_out(acc, b);
	b->level = 0;
	row = row_of(a, b);
	ban_free(b);
	return row;
}

void bans_collect(struct accounting *acc, uint64_t now)
{
	LIST_EACH_OF (struct ban, b, &acc->bans.recent, in_recent) {
		if (b->until + BAN_REMEMBERED_MS <= now && list_empty(&b->in_dirty)) {
			take_out(acc, b);
			ban_free(b);
		}
	}
}

/* ---- what other nodes have changed ---- */

static void follow_row(struct accounting *acc, const struct ban_row *row, uint64_t now)
{
	struct bans *all = &acc->bans;
	struct ban *b = ban_find(acc, row->key);
	uint64_t length_ms = row->length_ms ? row->length_ms : LONGEST_MS, last = now + length_ms;

	if (row->level == 0 || row->until + BAN_REMEMBERED_MS <= now)
		return;
	if (!b) {
		if (all->removed_n != all->round_removed_n || all->strangers >= STRANGERS_MAX)
			return; /* perhaps it was removed here; the next round knows */
		b = get(acc, row->key);
		if (!is_breaker(b))
			list_append(&all->recent, &b->in_recent);
	} else if (!list_empty(&b->in_dirty) || b->changed > all->round_changes_n) {
		return;
	}
	b->read_in = all->round;
	b->level = row->level;
	b->length_ms = length_ms;
	b->until = row->until;
	if (!is_breaker(b) && row->until > last && row->until - last <= CLOCKS_MS)
		b->until = last; /* that node's clock is ahead */
	if (!str_eq(str_of(b->reason), row->reason)) {
		free(b->reason);
		b->reason = str_dup(row->reason);
	}
}

static void on_bans_again(void *ctx, struct verdict v, const struct ban_row *rows, size_t n)
{
	struct accounting *acc = ctx;
	struct bans *all = &acc->bans;
	uint64_t now = clock_now_ms();

	if (!accounting_may_store(acc))
		return;
	for (size_t i = 0; v.class == OK && i < n; i++)
		follow_row(acc, &rows[i], now);
	HASHTABLE_EACH_OF (struct ban, b, &all->table, in_table) {
		if (v.class != OK || b->read_in == all->round || !list_empty(&b->in_dirty) || b->changed > all->round_changes_n)
			continue;
		take_out(acc, b);
		ban_free(b);
	}
	if (store_is_shared(acc->store))
		follow_later(acc, n);
}

void bans_follow(struct accounting *acc)
{
	struct bans *all = &acc->bans;

	if (!accounting_may_store(acc))
		return;
	all->round++;
	all->round_changes_n = all->changes_n;
	all->round_removed_n = all->removed_n;
	store_bans(acc->store, on_bans_again, acc);
}

static void on_follow(uv_timer_t *t)
{
	bans_follow(t->data);
}

static void follow_later(struct accounting *acc, size_t bans_n)
{
	uv_timer_start(&acc->bans.follow, on_follow, FOLLOW_MS + bans_n / 10, 0);
}

/* ---- figures ---- */

#define BREAKERS_SHOWN 50

void bans_stats(struct accounting *acc)
{
	uint64_t now = clock_now_ms(), networks = 0, logins = 0, breakers = 0;

	HASHTABLE_EACH_OF (const struct ban, b, &acc->bans.table, in_table) {
		networks += b->until > now && subject_is(str_of(b->key), SUBJECT_NETWORK);
		logins += b->until > now && subject_is(str_of(b->key), SUBJECT_LOGIN);
		if (is_breaker(b) && breakers++ < BREAKERS_SHOWN)
			role_stat_of(acc->role, METRIC_QUEUE_BREAKER, subject_name(str_of(b->key)), 1, str_of(b->reason));
	}
	role_stat(acc->role, METRIC_QUEUE_BANNED_NETWORKS, networks);
	role_stat(acc->role, METRIC_QUEUE_BANNED_LOGINS, logins);
	role_stat(acc->role, METRIC_QUEUE_BREAKERS_TRIPPED, breakers);
}
