/* breaker.c - sudden changes. */
#include "queue.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define BOUNCES_MIN 20                 /* recipients before a share means anything */
#define FOR_EVER_MS 253402300799000ull /* the end of the year 9999: until an administrator ends it */

struct str breaker_key(struct arena *a, struct str login)
{
	return arena_lower(a, arena_printf(a, "breaker:%.*s", STR_ARG(login)));
}

const struct ban *breaker_tripped(const struct account *a)
{
	struct arena arena = { 0 };
	const struct ban *b = ban_find(a->queue, breaker_key(&arena, account_login(a)));

	arena_fini(&arena);
	return b;
}

/* ---- holding what waits already ---- */

/* The store's pages, twice: what was on its way into the queue when the breaker tripped is there by the second time. */
struct holding {
	struct queue *queue;
	struct arena arena;
	struct selector selector;
	struct str reason;
	unsigned passes;
	uint64_t held;
};

static void on_held(void *ctx, struct verdict v, uint64_t count, uint64_t in_flight, uint64_t next_cursor)
{
	struct holding *h = ctx;
	struct queue *q = h->queue;

	h->held += count;
	if (v.class == OK && in_flight > 0)
		leases_withdraw(q, &h->selector);
	if (v.class == OK && next_cursor == 0)
		h->passes++;
	if (v.class == OK && h->passes < 2 && queue_may_store(q)) {
		store_alter(q->store, &h->selector, ALTER_HOLD, h->reason, next_cursor, on_held, h);
		return;
	}
	if (v.class != OK)
		log_error(NULL, "breaker.unfinished", kv("login", h->selector.user), kv("reply", v.text));
	else
		log_info(NULL, "breaker.held", kv("login", h->selector.user), kv("messages", h->held));
	arena_fini(&h->arena);
	free(h);
	scheduler_wake(q);
}

static void hold_waiting(struct queue *q, struct str login, struct str reason)
{
	struct holding *h = NEW(struct holding);

	h->queue = q;
	h->selector.user = arena_str(&h->arena, login);
	h->reason = arena_str(&h->arena, reason);
	store_alter(q->store, &h->selector, ALTER_HOLD, h->reason, 0, on_held, h);
}

/* ---- tripping ---- */

static void trip(struct account *a, struct str why)
{
	struct queue *q = a->queue;
	struct arena arena = { 0 };
	struct str login = account_login(a),
		   reason = arena_printf(&arena, "the breaker of this login has tripped: %.*s", STR_ARG(why));

	if (!queue_may_store(q) || breaker_tripped(a)) {
		arena_fini(&arena);
		return;
	}
	log_error(NULL, "breaker.tripped", kv("login", login), kv("reason", why));
	ban_put(q, breaker_key(&arena, login), 1, FOR_EVER_MS, reason);
	hold_waiting(q, login, reason);
	notice_breaker(a, why);
	arena_fini(&arena);
}

void breaker_sent(struct account *a, uint64_t new_recipients, uint64_t now)
{
	const struct meter *m = &a->new_recipients;
	struct arena arena = { 0 };

	if (!m->bucket || new_recipients == 0 || gcra_wait_us(m->bucket->tat_us, m->rate, new_recipients, now * 1000) == 0)
		return;
	trip(a, arena_printf(&arena, "more than %.*s", STR_ARG(limit_words(&arena, METER_NEW, m->rate))));
	arena_fini(&arena);
}

void breaker_logged_in(struct account *a, struct str network, uint64_t now)
{
	struct rate r = role_config(a->queue->role)->breaker.networks;
	uint64_t before = network_used(a, network, now);
	struct arena arena = { 0 };
	struct bucket *b;

	if (!a->breaker || r.amount == 0 || (before > 0 && now < before + r.window_ms))
		return;
	b = bucket_get(a->queue, str_of(a->key), arena_printf(&arena, "breaker networks %.*s", STR_ARG(rate_words(&arena, r))));
	b->rate = r;
	if (gcra_wait_us(b->tat_us, r, 1, now * 1000) > 0)
		trip(a, arena_printf(&arena, "logins from more than %llu client networks in %.*s", (unsigned long long)r.amount,
				     STR_ARG(wait_words(&arena, r.window_ms))));
	b->tat_us = gcra_take(b->tat_us, r, 1, now * 1000);
	bucket_touch(a->queue, b);
	arena_fini(&arena);
}

/* ---- refused recipients ---- */

bool bounces_forgotten(const struct account *a, uint64_t now)
{
	for (size_t i = 0; i < BOUNCE_SLOTS; i++)
		if (a->bounces.slot[i] + BOUNCE_SLOTS > now / BOUNCE_SLOT_MS)
			return false;
	return true;
}

void bounces_reset(struct account *a)
{
	a->bounces = (struct bounces){ .slot = { 0 } };
}

void breaker_finished(struct queue *q, struct str login, bool refused, uint64_t now)
{
	uint64_t most = role_config(q->role)->breaker.bounces, slot = now / BOUNCE_SLOT_MS, finished = 0, bad = 0;
	struct account *a = login.n > 0 && most > 0 ? account_of(q, login) : NULL;
	struct bounces *b = a ? &a->bounces : NULL;
	size_t at = slot % BOUNCE_SLOTS;
	struct arena arena = { 0 };

	if (!a || !a->breaker)
		return;
	if (b->slot[at] != slot) {
		b->slot[at] = slot;
		b->finished[at] = b->refused[at] = 0;
	}
	b->finished[at]++;
	b->refused[at] += refused;
	if (!refused)
		return;
	for (size_t i = 0; i < BOUNCE_SLOTS; i++)
		if (b->slot[i] + BOUNCE_SLOTS > slot && b->slot[i] <= slot) {
			finished += b->finished[i];
			bad += b->refused[i];
		}
	if (finished >= BOUNCES_MIN && bad * 100 > most * finished)
		trip(a, arena_printf(&arena, "%llu of its last %llu recipients were refused for good", (unsigned long long)bad,
				     (unsigned long long)finished));
	arena_fini(&arena);
}
