/* failed_logins.c - see failed_logins.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define FAILURES_MAX       20000
#define TURNS_MAX          6
#define NETWORK_LONGEST_MS DAY_MS
#define LOGIN_LONGEST_MS   HOUR_MS /* the owner of the login waits for this time at most */

static struct rate rate_of(const struct accounting *acc)
{
	return role_config(acc->role)->auth.failures;
}

static struct str rule_of(const struct accounting *acc, struct arena *a)
{
	return arena_printf(a, "failures %.*s", STR_ARG(format_rate(a, rate_of(acc))));
}

/* ---- counting ---- */

/* Keep buckets in the order of their last failure. Above the bound the one that failed longest ago is freed; a ban does not
 * depend on its bucket. */
static void place(struct accounting *acc, struct bucket *b)
{
	acc->failed_logins.n += list_empty(&b->in_recent);
	list_remove(&b->in_recent);
	list_append(&acc->failed_logins.recent, &b->in_recent);
	if (acc->failed_logins.n > FAILURES_MAX) {
		struct bucket *oldest = CONTAINER_OF(list_first(&acc->failed_logins.recent), struct bucket, in_recent);

		acc->failed_logins.n--;
		bucket_forget(acc, oldest);
	}
}

static void on_loaded(struct accounting *acc, struct bucket *b)
{
	struct arena a = { 0 };

	if (str_eq(str_of(b->rule), rule_of(acc, &a))) {
		b->rate = rate_of(acc);
		place(acc, b);
	}
	arena_fini(&a);
}

static void on_forgotten(struct accounting *acc, struct bucket *b)
{
	acc->failed_logins.n -= !list_empty(&b->in_recent);
}

const struct bucket_user failed_logins_rule = {
	.rule = "failures ",
	.needs_no_pointer = true,
	.loaded = on_loaded,
	.forgotten = on_forgotten,
};

void failed_logins_init(struct accounting *acc)
{
	list_init(&acc->failed_logins.recent);
}

void failed_logins_apply(struct accounting *acc)
{
	struct arena a = { 0 };
	struct str rule = rule_of(acc, &a);

	LIST_EACH_OF (struct bucket, b, &acc->failed_logins.recent, in_recent) {
		if (str_eq(str_of(b->rule), rule))
			continue;
		acc->failed_logins.n--;
		bucket_forget(acc, b);
	}
	arena_fini(&a);
}

/* Count one more failure; true when that is above the rate. */
static bool is_too_much(struct accounting *acc, struct arena *a, struct str key, uint64_t now)
{
	struct bucket *b = bucket_get(acc, key, rule_of(acc, a));
	bool full;

	b->rate = rate_of(acc);
	full = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) > 0;
	if (!full)
		bucket_charge(b, b->rate, 1, now);
	place(acc, b);
	if (!full)
		bucket_touch(acc, b);
	return full;
}

/* ---- bans ---- */

/* A ban that follows another one within a week is twice as long, up to `longest_ms`. */
static void ban(struct accounting *acc, struct str key, uint64_t longest_ms, struct str login, struct str network,
		struct str client, uint64_t now)
{
	const struct ban *last = ban_find(acc, key);
	uint64_t level = last && last->until + BAN_REMEMBERED_MS > now ? last->level + 1 : 1;
	uint64_t ms = rate_of(acc).window_ms;

	for (uint64_t i = 1; i < level && ms < longest_ms; i++)
		ms *= 2;
	if (ms > longest_ms)
		ms = longest_ms;
	ban_put(acc, key, level, now, now + ms, S("failed logins"));
	log_warning(NULL, network.n > 0 ? "network.banned" : "login.banned", kv("client", client), kv("network", network),
		    kv("login", login), kv("for_ms", ms), kv("ban", level));
}

static uint64_t banned_ms(struct accounting *acc, struct str key, uint64_t longest_ms, uint64_t now)
{
	const struct ban *b = rate_of(acc).amount > 0 ? ban_in_force(acc, key, now) : NULL;

	if (!b)
		return 0;
	return b->until - now < longest_ms ? b->until - now : longest_ms; /* bans of older versions could be longer */
}

struct verdict network_banned(struct arena *a, uint64_t ms)
{
	return temp(421, S("4.7.0"),
		    arena_printf(a, "too many failed logins from your network, try again in %.*s", STR_ARG(format_wait(a, ms))));
}

uint64_t network_banned_ms(struct accounting *acc, struct arena *a, struct str network, uint64_t now)
{
	uint64_t ms = banned_ms(acc, network_key(a, network), NETWORK_LONGEST_MS, now);

	return ms > 0 && !home_network_known(acc, network, now) ? ms : 0;
}

uint64_t login_banned_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, uint64_t now)
{
	return banned_ms(acc, password_key(a, login, device), LOGIN_LONGEST_MS, now);
}

/* The bucket, if it is above the rate now; else NULL. */
static struct bucket *full_bucket(struct accounting *acc, struct arena *a, struct str key, uint64_t now)
{
	struct bucket *b = rate_of(acc).amount > 0 ? bucket_find(acc, key, rule_of(acc, a)) : NULL;

	return b && gcra_wait_us(b->tat_us, rate_of(acc), 1, now * 1000) > 0 ? b : NULL;
}

bool network_is_slowed(struct accounting *acc, struct arena *a, struct str network, uint64_t now)
{
	return home_network_known(acc, network, now) && full_bucket(acc, a, network_key(a, network), now);
}

/* Log it once per window of the rate. */
static void tell_slowed(struct accounting *acc, struct arena *a, struct str key, struct str network, struct str client,
			uint64_t now)
{
	struct bucket *b = full_bucket(acc, a, key, now);

	if (!b || (b->logged_at > 0 && now >= b->logged_at && now - b->logged_at < rate_of(acc).window_ms))
		return;
	b->logged_at = now;
	log_warning(NULL, "network.slowed", kv("client", client), kv("network", network));
}

bool network_failed(struct accounting *acc, struct arena *a, struct str network, struct str client, uint64_t longest_ms,
		    uint64_t now)
{
	struct str key = network_key(a, network);

	if (rate_of(acc).amount == 0 || !is_too_much(acc, a, key, now))
		return false;
	if (home_network_known(acc, network, now)) {
		tell_slowed(acc, a, key, network, client, now);
		return false;
	}
	ban(acc, key, longest_ms < NETWORK_LONGEST_MS ? longest_ms : NETWORK_LONGEST_MS, S(""), network, client, now);
	return true;
}

bool login_failed(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str client, uint64_t now)
{
	struct str key = password_key(a, login, device);

	if (rate_of(acc).amount == 0 || !is_too_much(acc, a, key, now))
		return false;
	ban(acc, key, LOGIN_LONGEST_MS, subject_name(key), S(""), client, now);
	return true;
}

/* ---- turns ---- */

void turn_failed(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network, uint64_t now)
{
	if (rate_of(acc).amount > 0)
		is_too_much(acc, a, turn_key(a, login, device, network), now);
}

uint64_t turn_wait_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network,
		      uint64_t slot_ms, uint64_t now)
{
	struct bucket *b = full_bucket(acc, a, turn_key(a, login, device, network), now);
	uint64_t turn_at;

	if (!b)
		return 0;
	turn_at =
		clock_mended(b->logged_at, now, TURNS_MAX * slot_ms) + slot_ms; /* here logged_at is the time of the last turn */
	if (turn_at < now || b->logged_at == 0)
		turn_at = now;
	if (turn_at - now > TURNS_MAX * slot_ms)
		return TURN_NEVER;
	b->logged_at = turn_at;
	return turn_at - now;
}
