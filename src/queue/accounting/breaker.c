/* breaker.c - see breaker.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <stdlib.h>

#define BOUNCES_MIN 20 /* with fewer recipients the share of refused ones means nothing */
#define RETRY_MS    1000
#define FOR_EVER_MS 253402300799000ull /* the end of the year 9999: until an administrator ends it */

const struct ban *breaker_tripped(const struct account *a)
{
	struct arena arena = { 0 };
	const struct ban *b = ban_find(a->accounting, breaker_key(&arena, account_login(a)));

	arena_fini(&arena);
	return b;
}

/* ---- holding what waits already ---- */

/* Holds the mail that waits, page by page of the store, twice: messages that were being accepted when the breaker tripped are
 * there by the second time. */
struct holding {
	struct list in_holdings;
	struct accounting *accounting;
	struct arena arena;
	struct selector selector;
	struct str reason;
	unsigned passes;
	uint64_t held;
};

#define REASON S("the breaker of this login has tripped: ")

/* The level of a breaker's row: the waiting mail is held; or it is still to be held, also after a restart. */
enum { LEVEL_HELD = 1, LEVEL_HOLDING = 2 };

static void on_held(void *ctx, struct verdict v, const struct altered *altered);

static void hold_page(struct holding *h, uint64_t cursor)
{
	store_alter(h->accounting->store, &h->selector, ALTER_HOLD, h->reason, cursor, on_held, h);
}

static void holding_free(struct holding *h)
{
	list_remove(&h->in_holdings);
	arena_fini(&h->arena);
	free(h);
}

/* The store failed: begin again with all that wait. */
static void on_retry(uv_timer_t *timer)
{
	struct accounting *acc = timer->data;

	LIST_EACH_OF (struct holding, h, &acc->breakers.holdings, in_holdings) {
		list_remove(&h->in_holdings);
		hold_page(h, 0);
	}
}

/* All waiting mail is held: record that, unless an administrator has lifted the breaker meanwhile. */
static void holding_done(struct holding *h)
{
	struct accounting *acc = h->accounting;
	struct str key = breaker_key(&h->arena, h->selector.user);

	log_info(NULL, "breaker.held", kv("login", h->selector.user), kv("messages", h->held));
	if (ban_find(acc, key))
		ban_put(acc, key, LEVEL_HELD, clock_now_ms(), FOR_EVER_MS, h->reason);
	holding_free(h);
	acc->observer->mail_was_held(acc->observer->ctx);
}

static void on_held(void *ctx, struct verdict v, const struct altered *altered)
{
	struct holding *h = ctx;
	struct accounting *acc = h->accounting;

	if (!accounting_may_store(acc)) { /* the next start continues */
		holding_free(h);
		return;
	}
	if (v.class != OK) {
		log_error(NULL, "breaker.unfinished", kv("login", h->selector.user), kv("reply", v.text));
		list_append(&acc->breakers.holdings, &h->in_holdings);
		uv_timer_start(&acc->breakers.retry, on_retry, RETRY_MS, 0);
		return;
	}
	h->held += altered->count;
	crash_point("queue.holding");
	if (altered->leased_n > 0)
		acc->observer->hold_in_flight(acc->observer->ctx, altered->leased, altered->leased_n);
	h->passes += altered->next_cursor == 0;
	if (h->passes < 2)
		hold_page(h, altered->next_cursor);
	else
		holding_done(h);
}

static void hold_waiting(struct accounting *acc, struct str login, struct str reason)
{
	struct holding *h = NEW(struct holding);

	list_init(&h->in_holdings);
	h->accounting = acc;
	h->selector.user = arena_str(&h->arena, login);
	h->reason = arena_str(&h->arena, reason);
	hold_page(h, 0);
}

static void tell(const struct accounting *acc, struct str login, struct str why, bool is_local)
{
	const struct account_event e = {
		.kind = BREAKER_TRIPPED, .login = login, .name = login, .reason = why, .is_local = is_local
	};

	acc->observer->notify(acc->observer->ctx, &e);
}

/* After a start, of each breaker's row: the queue died before all that waited was held, or before anybody was told. */
static void resume(struct accounting *acc, const struct ban *b)
{
	struct str login = subject_name(str_of(b->key)), reason = str_of(b->reason);

	if (b->level != LEVEL_HOLDING || !accounting_may_store(acc))
		return;
	hold_waiting(acc, login, reason);
	tell(acc, login, str_from(reason, REASON.n), false);
}

const struct bucket_user breaker_networks_rule = { .rule = "breaker networks ", .needs_no_pointer = true };

void breakers_init(struct accounting *acc)
{
	list_init(&acc->breakers.holdings);
	timers_add(acc->timers, &acc->breakers.retry, acc);
	acc->bans.resume_breaker = resume;
}

void breakers_fini(struct accounting *acc)
{
	LIST_EACH (i, &acc->breakers.holdings)
		holding_free(CONTAINER_OF(i, struct holding, in_holdings));
}

/* ---- tripping ---- */

static void trip(struct account *a, struct str why)
{
	struct accounting *acc = a->accounting;
	struct arena arena = { 0 };
	struct str login = account_login(a), reason = arena_printf(&arena, "%.*s%.*s", STR_ARG(REASON), STR_ARG(why));

	if (!accounting_may_store(acc) || breaker_tripped(a)) {
		arena_fini(&arena);
		return;
	}
	log_error(NULL, "breaker.tripped", kv("login", login), kv("reason", why));
	ban_put(acc, breaker_key(&arena, login), LEVEL_HOLDING, clock_now_ms(), FOR_EVER_MS, reason);
	hold_waiting(acc, login, reason);
	tell(acc, login, why, a->is_local);
	arena_fini(&arena);
}

void breaker_sent(struct account *a, uint64_t new_recipients, uint64_t now)
{
	const struct meter *m = &a->new_recipients;
	struct arena arena = { 0 };

	if (!m->bucket || new_recipients == 0 || gcra_wait_us(m->bucket->tat_us, m->rate, new_recipients, now * 1000) == 0)
		return;
	trip(a, arena_printf(&arena, "more than %.*s", STR_ARG(format_limit(&arena, METER_NEW, m->rate))));
	arena_fini(&arena);
}

void breaker_logged_in(struct account *a, struct str network, uint64_t now)
{
	struct rate r = role_config(a->accounting->role)->breaker.networks;
	uint64_t before = seen_network_use(a, network, now);
	struct arena arena = { 0 };
	struct bucket *b;

	a->is_local = false;
	if (!a->breaker || r.amount == 0 || (before > 0 && now < before + r.window_ms))
		return;
	b = bucket_get(a->accounting, str_of(a->key),
		       arena_printf(&arena, "%s%.*s", breaker_networks_rule.rule, STR_ARG(format_rate(&arena, r))));
	b->rate = r;
	if (gcra_wait_us(b->tat_us, r, 1, now * 1000) > 0)
		trip(a, arena_printf(&arena, "logins from more than %llu client networks in %.*s", (unsigned long long)r.amount,
				     STR_ARG(format_wait(&arena, r.window_ms))));
	bucket_charge(b, r, 1, now);
	bucket_touch(a->accounting, b);
	arena_fini(&arena);
}

/* ---- refused recipients ---- */

void breaker_finished(struct accounting *acc, struct str login, bool refused, uint64_t now)
{
	uint64_t most = role_config(acc->role)->breaker.bounces, finished, bad;
	struct account *a = login.n > 0 && most > 0 ? account_of(acc, login) : NULL;
	struct arena arena = { 0 };

	if (!a || !a->breaker)
		return;
	bounces_count(&a->bounces, refused, now, &finished, &bad);
	if (refused && finished >= BOUNCES_MIN && bad * 100 > most * finished)
		trip(a, arena_printf(&arena, "%llu of its last %llu recipients were refused for good", (unsigned long long)bad,
				     (unsigned long long)finished));
	arena_fini(&arena);
}
