/* quota.c - see quota.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define TELL_EACH_MS (10 * MINUTE_MS)
#define WARN_EACH_MS HOUR_MS /* or once per window, where that is longer */
#define WARN_MIN     5       /* a smaller amount would warn too often */

/* Held mail is not charged: this rate per login keeps a whole newsletter from filling the disk. */
static const struct rate held_rate = { 10000, DAY_MS };

struct charged {
	struct bucket *bucket;
	struct rate rate;
	uint64_t amount, warned_before;
	bool must_fit; /* else it is charged whatever else the bucket has */
};

void quota_init(struct quota *quota, struct accounting *acc, struct str login, struct str device)
{
	if (login.n == 0)
		return;
	quota->account = account_hold(account_of(acc, login));
	quota->device = account_hold(account_of_device(acc, login, device));
	quota->account->is_local = str_eq(device, S(LOCAL_DEVICE));
	if (quota->device)
		quota->device->is_local = quota->account->is_local;
}

bool quota_counts_new(const struct quota *quota)
{
	if (!quota->account)
		return false;
	return account_has(quota->account, METER_NEW) || account_has(quota->device, METER_NEW) ||
	       quota->account->new_recipients.bucket;
}

/* ---- checking ---- */

/* Of all rates that are used up, the one with the longest wait. */
struct over {
	const struct meter *meter; /* NULL: all fits */
	const struct account *account;
	uint64_t wait_us;
};

/* The state of the bucket, with reservations added. */
static uint64_t with_reserved(const struct account *a, const struct meter *m, uint64_t now)
{
	return gcra_take(m->bucket->tat_us, m->rate, a->reserved[m->kind], now * 1000);
}

static void look(struct over *over, const struct account *a, const struct amounts *amounts, uint64_t now)
{
	for (size_t i = 0; a && i < a->meters_n; i++) {
		const struct meter *m = &a->meters[i];
		uint64_t amount = amounts->of[m->kind], wait;

		if (amount == 0)
			continue;
		wait = gcra_wait_us(with_reserved(a, m, now), m->rate, amount, now * 1000);
		if (wait > over->wait_us)
			*over = (struct over){ m, a, wait };
	}
}

/* "180 of 200 messages per hour are used" */
static struct str state_words(struct arena *a, const struct over *over, uint64_t now)
{
	const struct meter *m = over->meter;
	uint64_t used = gcra_used(with_reserved(over->account, m, now), m->rate, now * 1000);

	return arena_printf(a, "%.*s are used", STR_ARG(format_used(a, m->kind, m->rate, used)));
}

static const char *whose(const struct over *over)
{
	return over->account->is_device ? "this device" : "this login";
}

/* RFC 3463: X.7.1 delivery not authorized; X.3.4 message too big; X.5.3 too many recipients. */
static struct verdict refusal(struct arena *a, const struct over *over, uint64_t now)
{
	const struct meter *m = over->meter;

	if (over->wait_us < UINT64_MAX)
		return temp(450, S("4.7.1"),
			    arena_printf(a, "over the limit of %s: %.*s, try again in %.*s", whose(over),
					 STR_ARG(state_words(a, over, now)),
					 STR_ARG(format_wait(a, (over->wait_us + 999) / 1000))));
	if (m->kind == METER_BYTES)
		return perm(552, S("5.3.4"),
			    arena_printf(a, "larger than the limit of %s ever allows: %.*s", whose(over),
					 STR_ARG(format_limit(a, m->kind, m->rate))));
	return perm(552, S("5.5.3"),
		    arena_printf(a, "more recipients than the limit of %s ever allows: %.*s", whose(over),
				 STR_ARG(format_limit(a, m->kind, m->rate))));
}

/* Count and log that a limit is reached; the line does not come again for each attempt of a program that does not give up. */
static void tell(const struct over *over, const char *what, uint64_t now)
{
	struct bucket *b = over->meter->bucket;

	tally_count(&over->account->accounting->limited, str_of(b->rule));
	if (b->logged_at > 0 && now >= b->logged_at && now - b->logged_at < TELL_EACH_MS)
		return;
	b->logged_at = now;
	log_warning(NULL, "limit.exceeded", kv("account", over->account->key), kv("rule", b->rule), kv("over", what));
}

struct verdict quota_check(struct arena *a, const struct account *account, const struct account *device,
			   const struct amounts *amounts)
{
	uint64_t now = clock_now_ms();
	struct over over = { .meter = NULL };

	if (account->hold)
		return ok();
	look(&over, account, amounts, now);
	look(&over, device, amounts, now);
	if (!over.meter)
		return ok();
	tell(&over, "refused", now);
	return refusal(a, &over, now);
}

/* ---- charging ---- */

/* Is this the charge with which the rate becomes nearly used up, so that somebody is notified? */
static bool is_nearly_used(const struct bucket *b, struct rate r, uint64_t now)
{
	uint64_t each = r.window_ms > WARN_EACH_MS ? r.window_ms : WARN_EACH_MS;

	if (r.amount < WARN_MIN || (b->warned_at > 0 && now >= b->warned_at && now - b->warned_at < each))
		return false;
	return gcra_used(b->tat_us, r, now * 1000) >= r.amount - r.amount / 5;
}

static void charge(struct quota *quota, const struct meter *m, uint64_t amount, bool must_fit, uint64_t now)
{
	struct bucket *b = m->bucket;

	if (amount == 0)
		return;
	quota->charged[quota->charged_n++] = (struct charged){
		.bucket = b, .rate = m->rate, .amount = amount, .warned_before = b->warned_at, .must_fit = must_fit
	};
	b->users++;
	b->tat_us = gcra_take(b->tat_us, m->rate, amount, now * 1000);
}

/* A notification for when the message is stored. It is made now, because the configuration, and with it the meter, can have
 * changed by then. */
static struct account_event event_of(struct arena *a, enum account_event_kind kind, const struct account *account,
				     const struct meter *m, uint64_t used)
{
	return (struct account_event){
		.kind = kind,
		.login = arena_str(a, account_login(account)),
		.name = arena_str(a, account_name(account)),
		.meter = m->kind,
		.rate = m->rate,
		.used = used,
		.hold = account->hold,
		.is_local = account->is_local,
	};
}

static void charge_account(struct quota *quota, struct arena *a, struct account *account, const struct amounts *amounts,
			   uint64_t now)
{
	for (size_t i = 0; account && i < account->meters_n; i++) {
		const struct meter *m = &account->meters[i];

		charge(quota, m, amounts->of[m->kind], true, now);
		if (amounts->of[m->kind] == 0 || !is_nearly_used(m->bucket, m->rate, now))
			continue;
		m->bucket->warned_at = now;
		quota->events[quota->events_n++] =
			event_of(a, LIMIT_NEARLY_USED, account, m, gcra_used(m->bucket->tat_us, m->rate, now * 1000));
	}
}

static void fill_rows(struct quota *quota, struct arena *a, struct accepted *m)
{
	struct bucket_row *rows = ARENA_ARRAY(a, struct bucket_row, quota->charged_n + 1);

	for (size_t i = 0; i < quota->charged_n; i++) {
		const struct charged *c = &quota->charged[i];
		int64_t owed = c->bucket->owed_us; /* what is owed beside is written otherwise */

		rows[i] = bucket_row_of(a, c->bucket);
		c->bucket->owed_us = owed;
		rows[i].cost_us = (int64_t)gcra_cost_us(c->rate, c->amount);
		rows[i].window_us = c->rate.window_ms * 1000;
		rows[i].must_fit = c->must_fit;
	}
	m->charges = rows;
	m->charges_n = quota->charged_n;
	m->states_out = quota->states = ARENA_ARRAY(a, uint64_t, quota->charged_n + 1);
}

/* Accept the message as held. */
static struct verdict hold(struct quota *quota, struct arena *a, struct accepted *m, struct str reason, uint64_t now)
{
	uint64_t wait = gcra_wait_us(quota->account->held_tat_us, held_rate, 1, now * 1000);

	if (wait > 0)
		return temp(450, S("4.7.1"),
			    arena_printf(a, "too much mail of this login is held already, try again in %.*s",
					 STR_ARG(format_wait(a, (wait + 999) / 1000))));
	quota->account->held_tat_us = gcra_take(quota->account->held_tat_us, held_rate, 1, now * 1000);
	m->held = arena_str(a, reason);
	return ok();
}

/* The bucket beside a rate's own whose time ends when mail over the rate can be notified again. */
const struct bucket_user quota_notified_rule = { .rule = "told ", .is_record = true };

/* Is this the first mail over the rate in its window, so that somebody is notified? */
static bool is_first_held(const struct account *a, const struct meter *m, uint64_t now)
{
	struct arena arena = { 0 };
	struct bucket *b = bucket_get(a->accounting, str_of(a->key),
				      arena_printf(&arena, "%s%s", quota_notified_rule.rule, m->bucket->rule));
	bool first = b->tat_us <= now * 1000 || b->tat_us > (now + m->rate.window_ms) * 1000; /* the clock was wrong then */

	arena_fini(&arena);
	if (!first)
		return false;
	b->tat_us = (now + m->rate.window_ms) * 1000;
	bucket_touch(a->accounting, b);
	return true;
}

/* The message is over a limit, and the login's mail is held then: nothing is charged; a notification is sent once per window. */
static struct verdict hold_over(struct quota *quota, struct arena *a, struct accepted *m, const struct over *over, uint64_t now)
{
	struct str reason = arena_printf(a, "over the limit of %s: %.*s", whose(over), STR_ARG(state_words(a, over, now)));
	struct verdict v = hold(quota, a, m, reason, now);

	tell(over, "held", now);
	if (v.class == OK && is_first_held(over->account, over->meter, now)) {
		quota->events[0] = event_of(a, MAIL_HELD, over->account, over->meter, 0);
		quota->events[0].reason = reason;
		quota->events_n = 1;
	}
	return v;
}

struct verdict quota_charge(struct quota *quota, struct arena *a, struct accepted *m, const struct amounts *amounts)
{
	uint64_t now = clock_now_ms();
	struct over over = { .meter = NULL };
	const struct ban *tripped;
	size_t meters;

	if (!quota->account)
		return ok();
	meters = quota->account->meters_n + (quota->device ? quota->device->meters_n : 0);
	look(&over, quota->account, amounts, now);
	look(&over, quota->device, amounts, now);
	if (over.meter && !quota->account->hold) {
		tell(&over, "refused", now);
		return refusal(a, &over, now);
	}
	quota->charged = ARENA_ARRAY(a, struct charged, meters + 1);
	quota->events = ARENA_ARRAY(a, struct account_event, meters + 1);
	breaker_sent(quota->account, amounts->of[METER_NEW], now);
	tripped = breaker_tripped(quota->account);
	if (over.meter && !tripped)
		return hold_over(quota, a, m, &over, now);
	if (tripped) {
		struct verdict v = hold(quota, a, m, str_of(tripped->reason), now);

		if (v.class != OK || over.meter)
			return v;
	}
	charge_account(quota, a, quota->account, amounts, now);
	charge_account(quota, a, quota->device, amounts, now);
	if (quota->account->new_recipients.bucket)
		charge(quota, &quota->account->new_recipients, amounts->of[METER_NEW], !tripped, now);
	fill_rows(quota, a, m);
	return ok();
}

/* ---- the end ---- */

static void forget_charges(struct quota *quota)
{
	for (size_t i = 0; i < quota->charged_n; i++)
		quota->charged[i].bucket->users--;
	quota->charged_n = quota->events_n = 0;
}

static void end(struct quota *quota)
{
	forget_charges(quota);
	account_release(quota->account);
	account_release(quota->device);
	quota->account = quota->device = NULL;
}

/* What the store knows of the buckets. */
static void learn(struct quota *quota, uint64_t now)
{
	for (size_t i = 0; i < quota->charged_n; i++)
		bucket_learn(quota->charged[i].bucket, quota->states[i], now);
}

void quota_keep(struct quota *quota)
{
	const struct accounting_observer *o = quota->account ? quota->account->accounting->observer : NULL;

	learn(quota, clock_now_ms());
	for (size_t i = 0; i < quota->events_n; i++)
		o->notify(o->ctx, &quota->events[i]);
	end(quota);
}

/* A later message's row can have stored this charge already: write the bucket again. */
static void give_back(struct quota *quota, uint64_t now)
{
	for (size_t i = 0; i < quota->charged_n; i++) {
		const struct charged *c = &quota->charged[i];

		c->bucket->tat_us = gcra_return(c->bucket->tat_us, c->rate, c->amount, now * 1000);
		c->bucket->warned_at = c->warned_before;
		bucket_touch(quota->account->accounting, c->bucket);
	}
}

void quota_give_back(struct quota *quota)
{
	give_back(quota, clock_now_ms());
	end(quota);
}

struct verdict quota_charge_again(struct quota *quota, struct arena *a, struct accepted *m, const struct amounts *amounts)
{
	uint64_t now = clock_now_ms();

	give_back(quota, now);
	learn(quota, now);
	forget_charges(quota);
	m->held = S("");
	m->charges_n = 0;
	return quota_charge(quota, a, m, amounts);
}
