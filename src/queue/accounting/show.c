/* show.c - showing and resetting limits. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define PAGE_ROWS_MAX 200
#define WORD_MAX      300

/* Which keys belong to the one that was asked for. */
struct whose {
	bool all;
	struct str user, device, login, passwords, turns, device_turns, network, network_turns, breaker;
};

static struct whose whose_of(struct arena *a, struct str user)
{
	struct str name, network;

	user = str_head(user, WORD_MAX);
	name = arena_lower(a, str_head(user, str_find(user, '/')));
	network = network_of(a, str_head(user, str_ends(user, S("/64")) ? user.n - 3 : user.n));
	return (struct whose){
		.all = user.n == 0,
		.user = user_key(a, name),
		.device = device_key(a, name, S("")),
		.login = login_key(a, name),
		.passwords = password_keys(a, name),
		.turns = turn_key(a, name, S(""), S("")),
		.device_turns = device_turn_keys(a, name),
		.network = network_key(a, network),
		.network_turns = turn_key(a, S(""), S(""), network),
		.breaker = breaker_key(a, name),
	};
}

/* Does the key belong to them? Limits of upstreams belong to nobody. */
static bool is_of(const struct whose *w, struct str key)
{
	if (w->all)
		return !subject_is(key, SUBJECT_UPSTREAM);
	return str_eq(key, w->user) || str_starts(key, w->device) || str_eq(key, w->login) || str_starts(key, w->passwords) ||
	       str_starts(key, w->turns) || str_starts(key, w->device_turns) || str_eq(key, w->network) ||
	       str_eq(key, w->network_turns) || str_eq(key, w->breaker);
}

/* ---- show ---- */

struct page {
	struct arena arena;
	struct rec_limit_row *rows;
	size_t n;
};

static struct str cut(struct page *p, struct str s)
{
	return arena_str(&p->arena, str_head(s, WORD_MAX));
}

/* A bucket that no account points to: make the account, to see what the configuration says about the bucket now. */
static void look_up_limits(struct accounting *acc, const struct bucket *b)
{
	struct str key = str_of(b->key), name = subject_name(key);
	size_t slash = str_find(name, '/');

	if (b->users > 0)
		return;
	if (subject_is(key, SUBJECT_USER))
		account_of(acc, name);
	else if (subject_is(key, SUBJECT_DEVICE))
		account_of_device(acc, str_head(name, slash), str_from(name, slash + 1));
}

/* Does the configuration have this rule now? Other rules of a login are kept, because they can come back. */
static bool is_current(const struct bucket *b)
{
	return b->users > 0 || (b->user && b->user->needs_no_pointer);
}

/* When all are shown, only buckets in use; of one login all buckets. */
static void show_bucket(struct accounting *acc, struct page *p, const struct bucket *b, bool all, uint64_t now)
{
	if (b->user && b->user->is_record)
		return;
	look_up_limits(acc, b);
	if (b->rate.amount == 0 || !is_current(b) || ((all || b->users == 0) && b->tat_us <= now * 1000))
		return;
	p->rows[p->n++] = (struct rec_limit_row){
		.key = cut(p, str_of(b->key)),
		.rule = cut(p, str_of(b->rule)),
		.used = gcra_used(b->tat_us, b->rate, now * 1000),
		.amount = b->rate.amount,
		.wait_ms = (gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) + 999) / 1000,
	};
}

static void show_ban(struct page *p, const struct ban *b, uint64_t now)
{
	bool breaker = subject_is(str_of(b->key), SUBJECT_BREAKER);

	if (b->until <= now)
		return;
	p->rows[p->n++] = (struct rec_limit_row){
		.key = cut(p, str_of(b->key)),
		.rule = breaker ? S("breaker") : S("ban"),
		.used = b->level,
		.wait_ms = breaker ? 0 : b->until - now,
		.text = cut(p, str_of(b->reason)),
	};
}

/* The number of sessions of a login, only when the login is asked for by name. */
static void show_connections(struct accounting *acc, struct page *p, const struct whose *w)
{
	const struct account *a = account_find(acc, w->user);

	if (!a || (a->connections == 0 && a->connections_max == 0))
		return;
	p->rows[p->n++] = (struct rec_limit_row){
		.key = cut(p, w->user), .rule = S("connections"), .used = a->connections, .amount = a->connections_max
	};
}

/* The cursor goes through the slots of the table of buckets, then through those of bans. */
#define AT_BANS HASHTABLE_CURSOR_END

static uint64_t next_slot(const struct accounting *acc, uint64_t cursor)
{
	uint64_t next;

	if (cursor < AT_BANS) {
		next = hashtable_cursor_next(&acc->buckets.table, cursor);
		return next ? next : AT_BANS;
	}
	next = hashtable_cursor_next(&acc->bans.table, cursor - AT_BANS);
	return next ? AT_BANS + next : 0;
}

/* One slot of the tables, whole; false when the page has no room for it. */
static bool slot_rows(struct accounting *acc, struct page *p, const struct whose *w, uint64_t cursor, uint64_t now)
{
	bool bans = cursor >= AT_BANS;
	struct hashtable_item *slot =
		bans ? hashtable_slot(&acc->bans.table, cursor - AT_BANS) : hashtable_slot(&acc->buckets.table, cursor);
	struct hashtable_item **items;
	size_t n = 0;

	for (struct hashtable_item *i = slot; i; i = i->next)
		n++;
	if (p->n + n > PAGE_ROWS_MAX && p->n > 0)
		return false;
	if (p->n + n > PAGE_ROWS_MAX) { /* a slot alone is a page */
		struct rec_limit_row *more = ARENA_ARRAY(&p->arena, struct rec_limit_row, n + 1);

		memcpy(more, p->rows, p->n * sizeof *more);
		p->rows = more;
	}
	items = ARENA_ARRAY(&p->arena, struct hashtable_item *, n + 1);
	n = 0;
	for (struct hashtable_item *i = slot; i;
	     i = i->next) /* looking up a login's limits makes buckets: the table grows, and its slots move */
		items[n++] = i;
	for (size_t i = 0; i < n; i++) {
		const struct ban *ban = CONTAINER_OF(items[i], struct ban, in_table);
		const struct bucket *bucket = CONTAINER_OF(items[i], struct bucket, in_table);

		if (bans && is_of(w, str_of(ban->key)))
			show_ban(p, ban, now);
		if (!bans && is_of(w, str_of(bucket->key)))
			show_bucket(acc, p, bucket, w->all, now);
	}
	return true;
}

static struct verdict may_ask(const struct accounting *acc)
{
	if (!accounting_may_store(acc) || !accounting_is_ready(acc))
		return temp(451, S("4.3.0"), S("queue unavailable, try again"));
	return ok();
}

void accounting_limits_page(struct accounting *acc, struct channel *ch, const struct msg_limits_page *m)
{
	struct page p = { .n = 0 };
	struct whose w = whose_of(&p.arena, m->user);
	struct msg_limits_rows answer = { .call = m->call, .verdict = may_ask(acc) };
	uint64_t cursor = m->cursor;

	p.rows = ARENA_ARRAY(&p.arena, struct rec_limit_row, PAGE_ROWS_MAX + 1);
	if (answer.verdict.class == OK) {
		if (cursor == 0 && !w.all && str_find(m->user, '@') < m->user.n) {
			account_of(acc, m->user); /* the login shows its limits also before it has sent anything */
			show_connections(acc, &p, &w);
		}
		do {
			if (!slot_rows(acc, &p, &w, cursor, clock_now_ms()))
				break;
			cursor = next_slot(acc, cursor);
		} while (cursor != 0);
		answer.cursor = cursor;
		answer.rows.at = p.rows;
		answer.rows.n = p.n;
	}
	ipc_send_limits_rows(ch, &answer, -1);
	arena_fini(&p.arena);
}

/* ---- reset ---- */

struct reset {
	struct list in_resets;
	struct accounting *accounting;
	struct channel *channel; /* NULL: has gone */
	uint64_t call, count;
	struct arena arena;
	struct bucket_row *buckets;
	struct ban_row *bans;
	size_t buckets_n, bans_n;
	unsigned open; /* operations that the store has */
	struct verdict verdict;
};

static void on_written(void *ctx, struct verdict v)
{
	struct reset *r = ctx;
	struct accounting *acc = r->accounting;

	if (v.class != OK)
		r->verdict = verdict_keep(&r->arena, v);
	if (--r->open > 0)
		return;
	ipc_send_limits_were_reset(
		r->channel, &(struct msg_limits_were_reset){ .call = r->call, .verdict = r->verdict, .count = r->count }, -1);
	list_remove(&r->in_resets);
	arena_fini(&r->arena);
	free(r);
	acc->observer->idle(acc->observer->ctx);
}

void resets_peer_gone(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH (i, &acc->resets) {
		struct reset *r = CONTAINER_OF(i, struct reset, in_resets);

		if (r->channel == ch)
			r->channel = NULL;
	}
}

static void empty_buckets(struct reset *r, const struct whose *w, uint64_t now)
{
	struct hashtable *t = &r->accounting->buckets.table;

	r->buckets = ARENA_ARRAY(&r->arena, struct bucket_row, t->n + 1);
	HASHTABLE_EACH (i, t) {
		struct bucket *b = CONTAINER_OF(i, struct bucket, in_table);

		if (!is_of(w, str_of(b->key)) || (b->user && b->user->outlives_reset))
			continue;
		r->count += b->tat_us > now * 1000 && !(b->user && b->user->is_record);
		r->buckets[r->buckets_n++] = bucket_empty(&r->arena, b);
	}
}

static void lift_bans(struct reset *r, const struct whose *w, uint64_t now)
{
	struct hashtable *t = &r->accounting->bans.table;

	r->bans = ARENA_ARRAY(&r->arena, struct ban_row, t->n + 1);
	HASHTABLE_EACH (i, t) {
		struct ban *b = CONTAINER_OF(i, struct ban, in_table);

		if (!is_of(w, str_of(b->key)))
			continue;
		r->count += b->until > now;
		r->bans[r->bans_n++] = ban_lift(r->accounting, &r->arena, b);
	}
}

static void forget_counts(struct accounting *acc, const struct whose *w)
{
	HASHTABLE_EACH (i, &acc->accounts) {
		struct account *a = CONTAINER_OF(i, struct account, in_table);

		if (is_of(w, str_of(a->key))) {
			a->bounces = (struct bounces){ .slot = { 0 } };
			a->held_tat_us = 0;
		}
	}
}

void accounting_limits_reset(struct accounting *acc, struct channel *ch, const struct msg_limits_reset *m)
{
	struct verdict v = may_ask(acc);
	uint64_t now = clock_now_ms();
	struct reset *r;
	struct whose w;

	if (v.class != OK) {
		ipc_send_limits_were_reset(ch, &(struct msg_limits_were_reset){ .call = m->call, .verdict = v }, -1);
		return;
	}
	r = NEW(struct reset);
	r->accounting = acc;
	r->channel = ch;
	r->call = m->call;
	r->open = 2;
	r->verdict = ok();
	w = whose_of(&r->arena, m->user);
	empty_buckets(r, &w, now);
	lift_bans(r, &w, now);
	forget_counts(acc, &w);
	list_append(&acc->resets, &r->in_resets);
	log_info(NULL, "limits.reset", kv("of", w.all ? S("all") : str_head(m->user, WORD_MAX)), kv("count", r->count));
	store_bucket_put(acc->store, r->buckets, r->buckets_n, on_written, r);
	store_ban_put(acc->store, r->bans, r->bans_n, on_written, r);
}
