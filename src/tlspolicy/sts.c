/* sts.c - see sts.h. A policy that is kept and valid holds, whatever DNS and HTTPS say or do not say (RFC 8461 3.3): nobody makes
 * a domain unprotected by blocking either. Only another policy of the domain replaces it. */
#include "sts.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/names.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define KEPT_MAX       (128 * MIB)      /* of all policies; beyond, those that were not used for longest are dropped … */
#define KEPT_LOW       (120 * MIB)      /* … until this is left, so that not each new one is a reason to measure all */
#define ASKS_MAX       20000            /* of all domains */
#define AGE_MIN_MS     MINUTE_MS        /* a policy is used for as long, even if it says less */
#define FAILURE_MS     (5 * MINUTE_MS)  /* RFC 8461 3.3 */
#define PASSING_MS     (30 * SECOND_MS) /* of a failure that is this relay's own */
#define USED_MS        DAY_MS           /* how exactly it is known when a policy was last used */
#define UNUSED_MS      (30 * DAY_MS)    /* what is not used for so long is not refreshed */
#define REFRESH_MS     DAY_MS           /* RFC 8461 3.3 */
#define REFRESH_MIN_MS HOUR_MS
#define REFRESHES_MAX  8     /* at once */
#define FEW            10000 /* policies that are counted in no time; more than that are counted … */
#define COUNT_TICKS    60    /* … after so many minutes */

struct ask {
	struct list in_discovery;
	struct channel *ch;
	uint64_t call;
};

static uint64_t scaled(uint64_t ms)
{
	return clock_scaled(ms, "POSTHOUSE_STS_MINUTE_MS", MINUTE_MS);
}

static uint64_t now_of(struct sts *s)
{
	return steady_now(&s->clock, clock_now_ms(), clock_mono_ms());
}

/* ---- answers ---- */

/* have: the policy that holds; NULL: none. */
static void answer(const struct ask *q, const struct policy_row *have, uint64_t now, enum tls_result fault, struct str why)
{
	struct msg_sts_found m = { .call = q->call, .verdict = ok(), .fault = fault, .why = str_head(why, FAILURE_WHY_MAX) };
	struct arena a = { 0 };
	struct sts_policy p = { 0 };

	if (have && sts_policy_read(&a, have->text, &p).n == 0) {
		m.mode = p.mode;
		m.id = have->id;
		m.text = have->text;
		m.valid_ms = have->valid_until - now;
		m.mx.at = ARENA_ARRAY(&a, struct rec_sts_mx, p.mx.n + 1);
		for (; m.mx.n < p.mx.n; m.mx.n++)
			m.mx.at[m.mx.n].pattern = p.mx.at[m.mx.n];
	}
	ipc_send_sts_found(q->ch, &m, -1);
	arena_fini(&a);
}

static uint64_t age_ms_of(const struct sts_policy *p)
{
	return p->max_age_s * SECOND_MS > AGE_MIN_MS ? p->max_age_s * SECOND_MS : AGE_MIN_MS;
}

static void answer_all(struct sts *s, struct discovery *d)
{
	uint64_t now = now_of(s);
	struct arena a = { 0 };
	struct policy_row row = { .id = d->id, .text = d->text, .valid_until = now + age_ms_of(&d->policy) };
	/* a policy that was fetched counts, also where the file does not take it and has an older one */
	bool have = d->result == DISCOVERED_POLICY || policies_find(s->store, &a, d->domain, now, &row);

	LIST_EACH_OF (struct ask, q, &d->asks, in_discovery) {
		answer(q, have ? &row : NULL, now, d->fault, d->fault != TLS_RESULT_NONE ? d->why : S(""));
		list_remove(&q->in_discovery);
		s->asked--;
		free(q);
	}
	arena_fini(&a);
}

/* ---- what is kept ---- */

/* Once a day, or twice in its life: at a time that differs from policy to policy. */
static uint64_t refresh_after(uint64_t age_ms)
{
	uint64_t ms = age_ms / 2 < scaled(REFRESH_MS) ? age_ms / 2 : scaled(REFRESH_MS);

	if (ms < scaled(REFRESH_MIN_MS))
		ms = scaled(REFRESH_MIN_MS);
	return ms / 4 * 3 + random_u64() % (ms / 2 + 1);
}

/* The disk is not for whoever has mail sent to very many domains. What has expired goes first. */
static void bound(struct sts *s, uint64_t now)
{
	uint64_t before;

	if (s->kept.bytes <= KEPT_MAX)
		return;
	if (steady_is_calm(&s->clock, clock_mono_ms()))
		policies_prune(s->store, now);
	s->kept = policies_measure(s->store);
	before = s->kept.n;
	policies_drop(s->store, KEPT_LOW, &s->kept);
	if (s->kept.n < before)
		log_warning(NULL, "sts.dropped", kv("policies", before - s->kept.n));
}

static void keep(struct sts *s, struct discovery *d)
{
	uint64_t now = now_of(s), age_ms = age_ms_of(&d->policy);
	struct arena a = { 0 };
	struct policy_row old, row = { .id = d->id, .text = d->text, .fetched_at = now, .used_at = now };
	bool had = policies_find(s->store, &a, d->domain, now, &old);

	row.valid_until = now + age_ms;
	row.refresh_at = now + refresh_after(age_ms);
	if (had && d->refreshing)
		row.used_at = old.used_at;
	s->kept.n += !had;
	s->kept.bytes += 6 * KIB + d->text.n; /* at most; and less when all is measured again */
	if (policies_keep(s->store, d->domain, &row) && (!had || !str_eq(old.text, row.text)))
		log_info(NULL, "sts.kept", kv("domain", d->domain), kv("mode", sts_mode_word(d->policy.mode)), kv("id", d->id),
			 kv("max_age_s", d->policy.max_age_s));
	bound(s, now);
	arena_fini(&a);
}

/* RFC 8461 3.3: administrators hear of a policy that cannot be refreshed, unless it is one of mode "none". */
static void note_failure(struct sts *s, struct discovery *d)
{
	uint64_t now = now_of(s);
	struct arena a = { 0 };
	struct policy_row row;
	struct sts_policy p = { 0 };
	bool have = policies_find(s->store, &a, d->domain, now, &row) && sts_policy_read(&a, row.text, &p).n == 0;

	failures_add(&s->recent, d->domain, d->id, d->fault, d->why, clock_mono_ms(),
		     scaled(d->passing ? PASSING_MS : FAILURE_MS));
	if (have && p.mode != STS_NONE)
		log_warning(NULL, "sts.not_refreshed", kv("domain", d->domain), kv("tls_result", tls_result_word(d->fault)),
			    kv("reason", d->why), kv("expires_in_ms", row.valid_until - now));
	else if (!have)
		log_info(NULL, "sts.failed", kv("domain", d->domain), kv("tls_result", tls_result_word(d->fault)),
			 kv("reason", d->why));
	arena_fini(&a);
}

/* ---- discoveries ---- */

/* Is the present policy the one that is kept, or one that could not be had a moment ago? */
static enum discovered judge_id(void *ctx, struct discovery *d, struct str id)
{
	struct sts *s = ctx;
	const struct failure *failed;

	if (str_eq(id, d->known_id))
		return DISCOVERED_UNCHANGED;
	failed = failures_find(&s->recent, d->domain, id, clock_mono_ms());
	if (!failed)
		return DISCOVERED_POLICY;
	d->fault = failed->fault;
	d->why = arena_str(&d->arena, failed->why);
	return DISCOVERED_FAILURE;
}

static void refresh(struct sts *s);

static void on_discovered(void *ctx, struct discovery *d)
{
	struct sts *s = ctx;

	if (d->result == DISCOVERED_POLICY)
		keep(s, d);
	else if (d->result == DISCOVERED_FAILURE &&
		 (d->refreshing || !failures_find(&s->recent, d->domain, d->id, clock_mono_ms())))
		note_failure(s, d);
	answer_all(s, d);
	if (d->refreshing) {
		s->refreshing--;
		refresh(s);
	}
}

static const struct discovery_ops ops = { .judge_id = judge_id, .done = on_discovered };

/* ---- questions ---- */

static void note_use(struct sts *s, struct str domain, const struct policy_row *row, uint64_t now)
{
	if (row->used_at <= now && now - row->used_at < USED_MS)
		return;
	policies_note_use(s->store, domain, now);
	if (row->refresh_at >= row->valid_until) /* it was not used for long */
		policies_refresh_at(s->store, domain, now + refresh_after(row->valid_until - now));
}

static void join(struct sts *s, struct discovery *d, const struct ask *ask)
{
	struct ask *q = NEW(struct ask);

	*q = *ask;
	list_append(&d->asks, &q->in_discovery);
	s->asked++;
}

static struct str without_dot(struct str domain)
{
	return str_ends(domain, S(".")) ? str_head(domain, domain.n - 1) : domain;
}

void sts_ask(struct sts *s, struct channel *ch, const struct msg_sts_find *m)
{
	struct ask ask = { .ch = ch, .call = m->call };
	struct arena a = { 0 };
	struct str domain = S("");
	struct policy_row row;
	struct discovery *d;
	uint64_t now = now_of(s);
	bool good = domain_to_ascii(&a, without_dot(m->domain), &domain) && dns_is_askable(domain), have;

	domain = arena_lower(&a, domain);
	have = good && policies_find(s->store, &a, domain, now, &row);
	d = good && m->kept == 0 ? discovery_find(&s->discoveries, domain) : NULL;
	if (have && m->kept == 0)
		note_use(s, domain, &row, now);
	if (good && m->kept == 0 && !d && s->asked < ASKS_MAX)
		d = discovery_start(&s->discoveries, domain, false, have ? row.id : S(""));
	if (!d || s->asked >= ASKS_MAX || (have && d->refreshing)) /* a refresh takes its time; mail need not */
		answer(&ask, have ? &row : NULL, now, TLS_RESULT_NONE, S(""));
	else
		join(s, d, &ask);
	arena_fini(&a);
}

void sts_drop(struct sts *s, const struct channel *ch)
{
	HASHTABLE_EACH_OF (struct discovery, d, &s->discoveries.by_domain, item) {
		LIST_EACH_OF (struct ask, q, &d->asks, in_discovery) {
			if (q->ch != ch)
				continue;
			list_remove(&q->in_discovery);
			s->asked--;
			free(q);
		}
	}
}

/* ---- time ---- */

/* Begin the refresh of one; false: none is due, or there is no room. */
static bool refresh_one(struct sts *s, struct arena *a, uint64_t now)
{
	struct str domain = policies_due(s->store, a, now);
	struct policy_row row;

	if (domain.n == 0)
		return false;
	if (!policies_find(s->store, a, domain, now, &row)) {
		policies_refresh_at(s->store, domain, now + scaled(REFRESH_MS)); /* it has expired, and is removed later */
	} else if (row.used_at + UNUSED_MS < now) {
		policies_refresh_at(s->store, domain, row.valid_until);
	} else {
		policies_refresh_at(s->store, domain, now + refresh_after(0)); /* where this one fails */
		if (!discovery_find(&s->discoveries, domain)) {
			s->refreshing++;
			if (!discovery_start(&s->discoveries, domain, true, row.id))
				s->refreshing--;
		}
	}
	return true;
}

static void refresh(struct sts *s)
{
	uint64_t now = now_of(s);
	struct arena a = { 0 };

	while (s->refreshing < REFRESHES_MAX && refresh_one(s, &a, now))
		arena_reset(&a);
	arena_fini(&a);
}

/* Only by a clock that has not jumped for a while. */
static void tidy(struct sts *s, uint64_t now)
{
	bool calm = steady_is_calm(&s->clock, clock_mono_ms());

	if (calm)
		policies_prune(s->store, now);
	if (calm && !s->mended)
		policies_mend(s->store, now);
	s->mended = calm;
}

static void on_tick(uv_timer_t *timer)
{
	struct sts *s = timer->data;
	uint64_t now = now_of(s);

	tidy(s, now);
	refresh(s);
	if (s->kept.n < FEW || s->ticks++ % COUNT_TICKS == 0)
		s->kept = policies_measure(s->store);
	bound(s, now);
}

void sts_init(struct sts *s, struct role *r, struct dns *dns, struct store *store)
{
	s->role = r;
	s->store = store;
	failures_init(&s->recent);
	discoveries_init(&s->discoveries, r, dns, &ops, s);
	uv_timer_init(role_loop(r), &s->tick);
	s->tick.data = s;
	uv_timer_start(&s->tick, on_tick, 0, scaled(MINUTE_MS));
	(void)now_of(s);
}

void sts_fini(struct sts *s)
{
	uv_timer_stop(&s->tick);
	failures_fini(&s->recent);
}
