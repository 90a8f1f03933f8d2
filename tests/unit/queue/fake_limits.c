/* fake_limits.c - the in-memory store: token buckets, bans, and who has written to whom. They outlive a store, as on a disk. */
#include "fake_op.h"

#include <assert.h>
#include <stdlib.h>

struct bucket_row fake_buckets[FAKE_BUCKETS_MAX];
size_t fake_buckets_n;
struct ban_row fake_bans[FAKE_BUCKETS_MAX];
size_t fake_bans_n;
bool fake_hold_start;
unsigned fake_unreadable, fake_bans_unreadable;
static struct str known[FAKE_BUCKETS_MAX * 8]; /* "login address" */
static size_t known_n;
static struct arena kept;

void fake_forget_buckets(void)
{
	arena_fini(&kept);
	fake_buckets_n = fake_bans_n = known_n = 0;
	fake_hold_start = false;
}

/* ---- buckets ---- */

static struct bucket_row *bucket(struct str key, struct str rule)
{
	for (size_t i = 0; i < fake_buckets_n; i++)
		if (str_eq(fake_buckets[i].key, key) && str_eq(fake_buckets[i].rule, rule))
			return &fake_buckets[i];
	return NULL;
}

struct bucket_row *fake_bucket(const char *key, const char *rule)
{
	return bucket(str_of(key), str_of(rule));
}

void fake_put_buckets(const struct bucket_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct bucket_row *row = bucket(rows[i].key, rows[i].rule);

		if (!row) {
			assert(fake_buckets_n < FAKE_BUCKETS_MAX);
			row = &fake_buckets[fake_buckets_n++];
			row->key = arena_str(&kept, rows[i].key);
			row->rule = arena_str(&kept, rows[i].rule);
		}
		row->tat_us = rows[i].tat_us;
		row->warned_at = rows[i].warned_at;
	}
}

static void run_buckets(struct store *st, struct op *op)
{
	if (fake_hold_start) {
		st->held_start = NEW(struct op);
		*st->held_start = *op;
		return;
	}
	if (fake_unreadable > 0) {
		fake_unreadable--;
		op->call.buckets(op->ctx, fake_refused, NULL, 0);
		return;
	}
	op->call.buckets(op->ctx, ok(), fake_buckets, fake_buckets_n);
}

void store_buckets(struct store *st, struct str key, struct str rule, size_t max, store_buckets_fn done, void *ctx)
{
	assert(key.n == 0 && max > FAKE_BUCKETS_MAX); /* all are one page */
	fake_issue(st, run_buckets, ctx)->call.buckets = done;
}

void fake_release_start(void)
{
	struct op *held = fake_store->held_start;

	fake_hold_start = false;
	fake_store->held_start = NULL;
	held->call.buckets(held->ctx, ok(), fake_buckets, fake_buckets_n);
	free(held);
}

static void run_bucket_put(struct store *st, struct op *op)
{
	if (st->hold_buckets) {
		assert(!st->held_put);
		st->held_put = NEW(struct op);
		*st->held_put = *op;
		return;
	}
	if (!st->drop_buckets)
		fake_put_buckets(op->buckets, op->n);
	st->bucket_puts++;
	op->call.done(op->ctx, ok());
}

void fake_release_buckets(void)
{
	struct op *held = fake_store->held_put, *op = fake_issue(fake_store, run_bucket_put, held->ctx);

	op->call.done = held->call.done;
	op->buckets = held->buckets;
	op->n = held->n;
	fake_store->hold_buckets = false;
	fake_store->held_put = NULL;
	free(held);
}

void store_bucket_put(struct store *st, const struct bucket_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_bucket_put, ctx);

	op->call.done = done;
	op->buckets = rows;
	op->n = n;
}

/* ---- bans ---- */

struct ban_row *fake_ban(const char *key)
{
	for (size_t i = 0; i < fake_bans_n; i++)
		if (str_eq(fake_bans[i].key, str_of(key)))
			return &fake_bans[i];
	return NULL;
}

static void run_bans(struct store *st, struct op *op)
{
	if (fake_bans_unreadable > 0) {
		fake_bans_unreadable--;
		op->call.bans(op->ctx, fake_refused, NULL, 0);
		return;
	}
	op->call.bans(op->ctx, ok(), fake_bans, fake_bans_n);
}

void store_bans(struct store *st, store_bans_fn done, void *ctx)
{
	fake_issue(st, run_bans, ctx)->call.bans = done;
}

static void run_ban_put(struct store *st, struct op *op)
{
	for (size_t i = 0; i < op->n; i++) {
		struct ban_row *row = fake_ban(arena_cstr(&kept, op->bans[i].key));

		if (!row) {
			assert(fake_bans_n < FAKE_BUCKETS_MAX);
			row = &fake_bans[fake_bans_n++];
		}
		*row = op->bans[i];
		row->key = arena_str(&kept, row->key);
		row->reason = arena_str(&kept, row->reason);
	}
	st->ban_puts++;
	op->call.done(op->ctx, ok());
}

void store_ban_put(struct store *st, const struct ban_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_ban_put, ctx);

	op->call.done = done;
	op->bans = rows;
	op->n = n;
}

/* ---- known recipients ---- */

static bool is_known(struct str login, struct str address)
{
	struct str pair = arena_printf(&kept, "%.*s %.*s", STR_ARG(login), STR_ARG(address));

	for (size_t i = 0; i < known_n; i++)
		if (str_ieq(known[i], pair))
			return true;
	return false;
}

void fake_remember(struct str login, struct str address)
{
	if (is_known(login, address))
		return;
	assert(known_n < FAKE_BUCKETS_MAX * 8);
	known[known_n++] = arena_printf(&kept, "%.*s %.*s", STR_ARG(login), STR_ARG(address));
}

static void run_known(struct store *st, struct op *op)
{
	bool answers[1000];

	assert(op->n <= 1000);
	st->knowns++;
	for (size_t i = 0; i < op->n; i++)
		answers[i] = is_known(op->text, op->addresses[i]);
	op->call.known(op->ctx, ok(), answers, op->n);
}

void store_known(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done, void *ctx)
{
	struct op *op = fake_issue(st, run_known, ctx);

	op->call.known = done;
	op->text = login;
	op->addresses = addresses;
	op->n = n;
}
