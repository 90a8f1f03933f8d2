/* failed_logins.c - failed logins and what follows. */
#include "queue.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define FAILURES_MAX       20000
#define TURNS_MAX          6
#define TRIED_MAX          200 /* bytes of a name that was tried */
#define NETWORK_LONGEST_MS (86400 * 1000ull)
#define LOGIN_LONGEST_MS   (3600 * 1000ull) /* whoever knows the password is kept out so long at most */

void failures_init(struct queue *q)
{
	list_init(&q->failures.recent);
}

struct str network_key(struct arena *a, struct str network)
{
	return arena_printf(a, "net:%.*s", STR_ARG(str_head(network, TRIED_MAX)));
}

struct str login_key(struct arena *a, struct str login)
{
	struct str name = str_head(login, str_find(login, '/'));

	return arena_lower(a, arena_printf(a, "login:%.*s", STR_ARG(str_head(name, TRIED_MAX))));
}

struct str password_key(struct arena *a, struct str login, struct str device)
{
	struct str key = login_key(a, login);

	return device.n > 0 ? arena_printf(a, "%.*s/%.*s", STR_ARG(key), STR_ARG(arena_lower(a, str_head(device, TRIED_MAX))))
			    : key;
}

struct str turn_key(struct arena *a, struct str login, struct str device, struct str network)
{
	struct str whose = str_from(password_key(a, login, device), 6);

	return arena_printf(a, "at:%.*s %.*s", STR_ARG(whose), STR_ARG(str_head(network, TRIED_MAX)));
}

static struct rate rate_of(const struct queue *q)
{
	return role_config(q->role)->auth.failures;
}

static struct str rule_of(const struct queue *q, struct arena *a)
{
	return arena_printf(a, "failures %.*s", STR_ARG(rate_words(a, rate_of(q))));
}

/* ---- counting ---- */

static bool is_ours(const struct bucket *b)
{
	return str_starts(str_of(b->rule), S("failures "));
}

/* In the order of their last failure. Above the bound the one that failed longest ago is forgotten: bans are kept apart. */
static void place(struct queue *q, struct bucket *b)
{
	q->failures.n += list_empty(&b->in_recent);
	list_remove(&b->in_recent);
	list_append(&q->failures.recent, &b->in_recent);
	if (q->failures.n > FAILURES_MAX) {
		struct bucket *oldest = CONTAINER_OF(list_first(&q->failures.recent), struct bucket, in_recent);

		q->failures.n--;
		bucket_forget(q, oldest);
	}
}

void failures_read(struct queue *q, struct bucket *b)
{
	struct arena a = { 0 };

	if (is_ours(b) && str_eq(str_of(b->rule), rule_of(q, &a))) {
		b->rate = rate_of(q);
		place(q, b);
	}
	arena_fini(&a);
}

void failures_gone(struct queue *q, struct bucket *b)
{
	q->failures.n -= !list_empty(&b->in_recent);
}

void failures_apply(struct queue *q)
{
	struct arena a = { 0 };
	struct str rule = rule_of(q, &a);

	LIST_EACH (i, &q->failures.recent) {
		struct bucket *b = CONTAINER_OF(i, struct bucket, in_recent);

		if (str_eq(str_of(b->rule), rule))
			continue;
		q->failures.n--;
		bucket_forget(q, b);
	}
	arena_fini(&a);
}

/* One more; true when it is beyond the rate. */
static bool is_too_much(struct queue *q, struct str key, uint64_t now)
{
	struct arena a = { 0 };
	struct bucket *b = bucket_get(q, key, rule_of(q, &a));
	bool full;

	arena_fini(&a);
	b->rate = rate_of(q);
	full = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) > 0;
	if (!full)
		b->tat_us = gcra_take(b->tat_us, b->rate, 1, now * 1000);
	place(q, b);
	if (!full)
		bucket_touch(q, b);
	return full;
}

/* ---- bans ---- */

/* Each one that follows within a week is twice as long as the last, up to the longest. */
static void ban(struct queue *q, struct str key, uint64_t longest_ms, const char *event, struct str login, struct str network,
		struct str client, uint64_t now)
{
	const struct ban *last = ban_find(q, key);
	uint64_t level = last && last->until + BAN_REMEMBERED_MS > now ? last->level + 1 : 1;
	uint64_t ms = rate_of(q).window_ms;

	for (uint64_t i = 1; i < level && ms < longest_ms; i++)
		ms *= 2;
	if (ms > longest_ms)
		ms = longest_ms;
	ban_put(q, key, level, now, now + ms, S("failed logins"));
	log_warning(NULL, event, kv("client", client), kv("network", network), kv("login", login), kv("for_ms", ms),
		    kv("level", level));
}

static uint64_t banned_ms(struct queue *q, struct str key, uint64_t longest_ms, uint64_t now)
{
	const struct ban *b = rate_of(q).amount > 0 ? ban_in_force(q, key, now) : NULL;

	if (!b)
		return 0;
	return b->until - now < longest_ms ? b->until - now : longest_ms; /* those of before could be longer */
}

struct verdict network_banned(struct arena *a, uint64_t ms)
{
	return temp(421, S("4.7.0"),
		    arena_printf(a, "too many failed logins from your network, try again in %.*s", STR_ARG(wait_words(a, ms))));
}

uint64_t network_banned_ms(struct queue *q, struct str network, uint64_t now)
{
	struct arena a = { 0 };
	uint64_t ms = banned_ms(q, network_key(&a, network), NETWORK_LONGEST_MS, now);

	arena_fini(&a);
	return ms > 0 && !home_known(q, network, now) ? ms : 0;
}

uint64_t login_banned_ms(struct queue *q, struct str login, struct str device, uint64_t now)
{
	struct arena a = { 0 };
	uint64_t ms = banned_ms(q, password_key(&a, login, device), LOGIN_LONGEST_MS, now);

	arena_fini(&a);
	return ms;
}

/* Above the rate just now? */
static struct bucket *full_bucket(struct queue *q, struct str key, uint64_t now)
{
	struct arena a = { 0 };
	struct bucket *b = rate_of(q).amount > 0 ? bucket_find(q, key, rule_of(q, &a)) : NULL;

	arena_fini(&a);
	return b && gcra_wait_us(b->tat_us, rate_of(q), 1, now * 1000) > 0 ? b : NULL;
}

bool network_is_slowed(struct queue *q, struct str network, uint64_t now)
{
	struct arena a = { 0 };
	bool slowed = home_known(q, network, now) && full_bucket(q, network_key(&a, network), now);

	arena_fini(&a);
	return slowed;
}

/* Said once in the rate's time. */
static void tell_slowed(struct queue *q, struct str key, struct str network, struct str client, uint64_t now)
{
	struct bucket *b = full_bucket(q, key, now);

	if (!b || (b->told_at > 0 && now >= b->told_at && now - b->told_at < rate_of(q).window_ms))
		return;
	b->told_at = now;
	log_warning(NULL, "network.slowed", kv("client", client), kv("network", network));
}

bool network_failed(struct queue *q, struct str network, struct str client, uint64_t longest_ms, uint64_t now)
{
	struct arena a = { 0 };
	struct str key = network_key(&a, network);
	bool too_much = rate_of(q).amount > 0 && is_too_much(q, key, now);

	if (too_much && home_known(q, network, now)) {
		tell_slowed(q, key, network, client, now);
		too_much = false;
	}
	if (too_much)
		ban(q, key, longest_ms < NETWORK_LONGEST_MS ? longest_ms : NETWORK_LONGEST_MS, "network.banned", S(""), network,
		    client, now);
	arena_fini(&a);
	return too_much;
}

bool login_failed(struct queue *q, struct str login, struct str device, struct str client, uint64_t now)
{
	struct arena a = { 0 };
	struct str key = password_key(&a, login, device);
	bool too_much = rate_of(q).amount > 0 && is_too_much(q, key, now);

	if (too_much)
		ban(q, key, LOGIN_LONGEST_MS, "login.banned", str_from(key, 6), S(""), client, now);
	arena_fini(&a);
	return too_much;
}

/* ---- turns ---- */

void turn_failed(struct queue *q, struct str login, struct str device, struct str network, uint64_t now)
{
	struct arena a = { 0 };

	if (rate_of(q).amount > 0)
		is_too_much(q, turn_key(&a, login, device, network), now);
	arena_fini(&a);
}

uint64_t turn_wait_ms(struct queue *q, struct str login, struct str device, struct str network, uint64_t slot_ms, uint64_t now)
{
	struct arena a = { 0 };
	struct bucket *b = full_bucket(q, turn_key(&a, login, device, network), now);
	uint64_t turn_at;

	arena_fini(&a);
	if (!b)
		return 0;
	turn_at = clock_mended(b->told_at, now, TURNS_MAX * slot_ms) + slot_ms; /* told_at: here, whose turn was the last */
	if (turn_at < now || b->told_at == 0)
		turn_at = now;
	if (turn_at - now > TURNS_MAX * slot_ms)
		return TURN_NEVER;
	b->told_at = turn_at;
	return turn_at - now;
}
