/* show.c - showing and resetting limits. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define PAGE_ROWS 200 /* a page ends when it has so many rows, or a few more */
#define WORD_MAX  300

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
	struct accounting *accounting;
	struct arena arena, scratch;
	struct rec_limit_row *rows;
	size_t n, capacity;
	struct whose whose;
	uint64_t now;
};

static void add_row(struct page *p, struct rec_limit_row row)
{
	ARENA_GROW(&p->arena, p->rows, p->n, p->capacity);
	p->rows[p->n++] = row;
}

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
static void show_bucket(struct page *p, const struct bucket *b)
{
	uint64_t now_us = p->now * 1000;

	if (!is_of(&p->whose, str_of(b->key)) || (b->user && b->user->is_record))
		return;
	look_up_limits(p->accounting, b);
	if (b->rate.amount == 0 || !is_current(b) || ((p->whose.all || b->users == 0) && b->tat_us <= now_us))
		return;
	add_row(p, (struct rec_limit_row){
			   .key = cut(p, str_of(b->key)),
			   .rule = cut(p, str_of(b->rule)),
			   .used = gcra_used(b->tat_us, b->rate, now_us),
			   .amount = b->rate.amount,
			   .wait_ms = (gcra_wait_us(b->tat_us, b->rate, 1, now_us) + 999) / 1000,
		   });
}

static void show_ban(struct page *p, const struct ban *b)
{
	bool breaker = subject_is(str_of(b->key), SUBJECT_BREAKER);

	if (b->until <= p->now || !is_of(&p->whose, str_of(b->key)))
		return;
	add_row(p, (struct rec_limit_row){
			   .key = cut(p, str_of(b->key)),
			   .rule = breaker ? S("breaker") : S("ban"),
			   .used = b->level,
			   .wait_ms = breaker ? 0 : b->until - p->now,
			   .text = cut(p, str_of(b->reason)),
		   });
}

/* The number of sessions of a login, only when the login is asked for by name. */
static void show_connections(struct page *p)
{
	const struct account *a = account_find(p->accounting, p->whose.user);

	if (!a || (a->connections == 0 && a->connections_max == 0))
		return;
	add_row(p, (struct rec_limit_row){ .key = cut(p, p->whose.user),
					   .rule = S("connections"),
					   .used = a->connections,
					   .amount = a->connections_max,
					   .node = p->accounting->node });
}

static void show_buckets(struct page *p, uint64_t *cursor)
{
	size_t n;
	struct bucket **buckets = buckets_page(p->accounting, &p->scratch, cursor, &n);

	for (size_t i = 0; i < n; i++)
		show_bucket(p, buckets[i]);
}

static void show_bans(struct page *p, uint64_t *cursor)
{
	size_t n;
	struct ban **bans = bans_page(p->accounting, &p->scratch, cursor, &n);

	for (size_t i = 0; i < n; i++)
		show_ban(p, bans[i]);
}

/* What a listing consists of, in this order. The console's cursor is the cursor within a list, times the number of lists, plus
 * the number of the list. */
static void (*const lists[])(struct page *p, uint64_t *cursor) = { show_buckets, show_bans };
#define LISTS (sizeof lists / sizeof lists[0])

/* The rows at the cursor; returns the next cursor, 0 after the last row. */
static uint64_t show_some(struct page *p, uint64_t cursor)
{
	uint64_t list = cursor % LISTS, within = cursor / LISTS;

	arena_reset(&p->scratch);
	lists[list](p, &within);
	if (within == 0)
		return (list + 1) % LISTS;
	return within * LISTS + list;
}

/* Limits are in memory, so they are shown without a database too, if they have been read once. */
static struct verdict may_ask(const struct accounting *acc, struct arena *a)
{
	if (acc->away_since != 0 && !accounting_is_ready(acc))
		return format_away(a, acc->node, acc->away_since, acc->away_fault);
	if (!accounting_may_store(acc) || !accounting_is_ready(acc))
		return temp(451, S("4.3.0"), S("queue unavailable, try again"));
	return ok();
}

static void send_page(struct accounting *acc, struct channel *ch, const struct msg_limits_page *m)
{
	struct page p = { .accounting = acc, .now = clock_now_ms() };
	struct msg_limits_rows answer = { .call = m->call, .node = acc->node, .as_of = acc->away_since };

	answer.verdict = may_ask(acc, &p.arena);

	if (answer.verdict.class == OK) {
		p.whose = whose_of(&p.arena, m->user);
		answer.cursor = m->cursor;
		if (m->cursor == 0 && !p.whose.all && str_find(m->user, '@') < m->user.n) {
			account_of(acc, m->user); /* the login shows its limits also before it has sent anything */
			show_connections(&p);
		}
		do
			answer.cursor = show_some(&p, answer.cursor);
		while (answer.cursor != 0 && p.n < PAGE_ROWS);
		answer.rows.at = p.rows;
		answer.rows.n = p.n;
	}
	ipc_send_limits_rows(ch, &answer, -1);
	arena_fini(&p.arena);
	arena_fini(&p.scratch);
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

/* The other nodes see by this row that they have to read all rows again. */
static void tell_nodes(struct reset *r, size_t capacity, uint64_t now)
{
	struct buckets *all = &r->accounting->buckets;

	if (!store_is_shared(r->accounting->store))
		return;
	all->reset_at_us = now * 1000 > all->reset_at_us ? now * 1000 : all->reset_at_us + 1;
	ARENA_GROW(&r->arena, r->buckets, r->buckets_n, capacity);
	r->buckets[r->buckets_n++] =
		(struct bucket_row){ .key = S(RESET_KEY), .rule = S(RESET_RULE), .tat_us = all->reset_at_us };
}

static void empty_buckets(struct reset *r, const struct whose *w, uint64_t now)
{
	uint64_t cursor = 0;
	size_t n, capacity = 0;

	do {
		struct bucket **page = buckets_page(r->accounting, &r->arena, &cursor, &n);

		for (size_t i = 0; i < n; i++) {
			struct bucket *b = page[i];

			if (!is_of(w, str_of(b->key)) || (b->user && b->user->outlives_reset))
				continue;
			r->count += b->tat_us > now * 1000 && !(b->user && b->user->is_record);
			ARENA_GROW(&r->arena, r->buckets, r->buckets_n, capacity);
			r->buckets[r->buckets_n++] = bucket_empty(&r->arena, b);
			b->written_in = r->accounting->buckets.round;
		}
	} while (cursor != 0);
	tell_nodes(r, capacity, now);
}

static void lift_bans(struct reset *r, const struct whose *w, uint64_t now)
{
	uint64_t cursor = 0;
	size_t n, capacity = 0;

	do {
		struct ban **page = bans_page(r->accounting, &r->arena, &cursor, &n);

		for (size_t i = 0; i < n; i++) {
			if (!is_of(w, str_of(page[i]->key)))
				continue;
			r->count += page[i]->until > now;
			ARENA_GROW(&r->arena, r->bans, r->bans_n, capacity);
			r->bans[r->bans_n++] = ban_lift(r->accounting, &r->arena, page[i]);
		}
	} while (cursor != 0);
}

static void forget_counts(struct accounting *acc, const struct whose *w)
{
	HASHTABLE_EACH_OF (struct account, a, &acc->accounts, in_table) {
		if (is_of(w, str_of(a->key))) {
			a->bounces = (struct bounces){ .slot = { 0 } };
			a->held_tat_us = 0;
		}
	}
}

static void reset(struct accounting *acc, struct channel *ch, const struct msg_limits_reset *m)
{
	uint64_t now = clock_now_ms();
	struct arena arena = { 0 };
	struct verdict v =
		acc->away_since != 0 ? format_away(&arena, acc->node, acc->away_since, acc->away_fault) : may_ask(acc, &arena);
	struct reset *r;
	struct whose w;

	if (v.class != OK)
		ipc_send_limits_were_reset(ch, &(struct msg_limits_were_reset){ .call = m->call, .verdict = v }, -1);
	arena_fini(&arena);
	if (v.class != OK)
		return;
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

/* ---- the console ---- */

#define READ_AGAIN_MAX 50000 /* with more rows a listing would hold up the mail: it shows what this node knows */

/* A question or an order that waits until the buckets have been read as all nodes have written them. */
struct asked {
	struct buckets_reader reader;
	struct list in_shows;
	struct accounting *accounting;
	struct channel *channel; /* NULL: has gone */
	bool resets;
	uint64_t call;
	struct str user;
	struct arena arena;
};

static void on_read_again(struct buckets_reader *reader)
{
	struct asked *q = CONTAINER_OF(reader, struct asked, reader);
	struct accounting *acc = q->accounting;

	if (q->resets)
		reset(acc, q->channel, &(struct msg_limits_reset){ .call = q->call, .user = q->user });
	else
		send_page(acc, q->channel, &(struct msg_limits_page){ .call = q->call, .user = q->user });
	list_remove(&q->in_shows);
	arena_fini(&q->arena);
	free(q);
	acc->observer->idle(acc->observer->ctx);
}

/* Has what other nodes have written to be read first? */
static bool is_behind(const struct accounting *acc)
{
	return accounting_may_store(acc) && accounting_is_ready(acc) && store_is_shared(acc->store) && acc->away_since == 0;
}

static void read_first(struct accounting *acc, struct channel *ch, bool resets, uint64_t call, struct str user)
{
	struct asked *q = NEW(struct asked);

	q->reader.done = on_read_again;
	q->accounting = acc;
	q->channel = ch;
	q->resets = resets;
	q->call = call;
	q->user = arena_str(&q->arena, user);
	list_append(&acc->shows, &q->in_shows);
	buckets_read_again(acc, &q->reader);
}

void accounting_limits_page(struct accounting *acc, struct channel *ch, const struct msg_limits_page *m)
{
	if (m->cursor == 0 && is_behind(acc) && acc->buckets.table.n <= READ_AGAIN_MAX)
		read_first(acc, ch, false, m->call, m->user);
	else
		send_page(acc, ch, m);
}

void accounting_limits_reset(struct accounting *acc, struct channel *ch, const struct msg_limits_reset *m)
{
	if (is_behind(acc))
		read_first(acc, ch, true, m->call, m->user);
	else
		reset(acc, ch, m);
}

void resets_peer_gone(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH_OF (struct reset, r, &acc->resets, in_resets)
		if (r->channel == ch)
			r->channel = NULL;
	LIST_EACH_OF (struct asked, q, &acc->shows, in_shows)
		if (q->channel == ch)
			q->channel = NULL;
}
