/* sender_pause.c - see sender_pause.h. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define PAUSES_MAX      10000
#define STATS_MAX       100
#define FORGET_AFTER_MS DAY_MS
#define PROBE_MS        MINUTE_MS /* within which the result of a probe should come */

static const struct str between = { " from ", 6 };

void sender_pauses_init(struct dispatch *d)
{
	list_init(&d->sender_pauses.all);
}

static void pause_free(struct dispatch *d, struct sender_pause *p)
{
	hashtable_remove(&d->sender_pauses.table, &p->in_table);
	list_remove(&p->in_all);
	free(p->name);
	free(p->reason);
	free(p);
}

void sender_pauses_fini(struct dispatch *d)
{
	LIST_EACH (i, &d->sender_pauses.all)
		pause_free(d, CONTAINER_OF(i, struct sender_pause, in_all));
	hashtable_fini(&d->sender_pauses.table);
}

/* ---- names ---- */

/* Upper case does not tell senders apart; "<>" is the null sender. */
static struct str name_of(struct arena *a, const struct nexthop *hop, struct str sender, enum scope scope)
{
	struct str key = sender.n > 0 ? arena_lower(a, sender) : S("<>");

	if (scope == SCOPE_DOMAIN)
		key = str_from(key, str_rfind(key, '@'));
	return arena_printf(a, "%s%.*s%.*s", hop->name, STR_ARG(between), STR_ARG(key));
}

static struct sender_pause *find(const struct dispatch *d, struct str name)
{
	return HASHTABLE_NAMED(&d->sender_pauses.table, name, struct sender_pause, in_table, name);
}

static struct sender_pause *find_scope(const struct nexthop *hop, struct str sender, enum scope scope)
{
	struct arena a = { 0 };
	struct sender_pause *p;

	if (hop->dispatch->sender_pauses.table.n == 0)
		return NULL;
	p = find(hop->dispatch, name_of(&a, hop, sender, scope));
	arena_fini(&a);
	return p;
}

static void set_reason(struct sender_pause *p, struct str reason)
{
	char *old = p->reason;

	p->reason = str_dup(str_head(reason.n ? reason : S("no reason was given"), REASON_MAX_BYTES));
	free(old);
}

static void save(struct dispatch *d, const struct sender_pause *p)
{
	nexthop_row_save(d, &(struct gate_state){ .name = str_of(p->name),
						  .down_until = p->failures > 0 ? p->until : 0,
						  .pause_ms = p->failures > 0 ? p->pause_ms : 0,
						  .failures = p->failures,
						  .reason = str_of(p->reason) });
}

/* The store forgets it too. */
static void forget(struct dispatch *d, struct sender_pause *p)
{
	p->failures = 0;
	save(d, p);
	pause_free(d, p);
}

static struct sender_pause *pause_new(struct dispatch *d, struct str name)
{
	struct sender_pause *p = NEW(struct sender_pause);

	if (d->sender_pauses.table.n >= PAUSES_MAX)
		forget(d, CONTAINER_OF(list_first(&d->sender_pauses.all), struct sender_pause, in_all));
	p->name = str_dup(name);
	hashtable_add(&d->sender_pauses.table, &p->in_table, hash_text(name));
	list_append(&d->sender_pauses.all, &p->in_all);
	return p;
}

/* ---- what happens ---- */

bool sender_pause_load(struct dispatch *d, const struct gate_state *row)
{
	struct sender_pause *p;

	if (str_search(row->name, between) == row->name.n)
		return false;
	if (row->failures == 0 || d->sender_pauses.table.n >= PAUSES_MAX)
		return true;
	p = pause_new(d, row->name);
	p->until = row->down_until;
	p->pause_ms = row->pause_ms;
	p->failures = row->failures;
	set_reason(p, row->reason);
	return true;
}

static bool holds(const struct sender_pause *p, uint64_t now)
{
	return clock_mended(p->until, now, p->pause_ms) > now;
}

void sender_pauses_mend(struct dispatch *d, uint64_t now)
{
	LIST_EACH_OF (struct sender_pause, p, &d->sender_pauses.all, in_all) {
		p->given_at = clock_mended(p->given_at, now, 0);
		p->tried_at = clock_mended(p->tried_at, now, 0);
		if (!clock_is_foreign(p->until, now, p->pause_ms))
			continue;
		p->until = now;
		save(d, p);
	}
}

void sender_pause_begin(struct nexthop *hop, struct str sender, const struct sender_refusal *r, uint64_t now)
{
	struct dispatch *d = hop->dispatch;
	struct sender_pause *p = find_scope(hop, sender, r->scope);
	bool is_new = !p;
	uint64_t pause;

	if (is_new) {
		struct arena a = { 0 };

		p = pause_new(d, name_of(&a, hop, sender, r->scope));
		arena_fini(&a);
	}
	if (r->tried_at > p->tried_at)
		p->tried_at = r->tried_at;
	if (r->tried_at <= p->given_at && p->given_at <= now) /* this is one of several deliveries that met the same refusal */
		return;
	p->failures++;
	p->pause_ms = pause = pause_grown(r->pause_ms, p->failures);
	p->given_at = now;
	p->until = now + pause;
	set_reason(p, r->reason);
	list_remove(&p->in_all);
	list_append(&d->sender_pauses.all, &p->in_all);
	log_at(meaning_actor(r->meaning) == ACTOR_ADMIN ? LOG_ERROR : LOG_WARNING, NULL, "sender.paused", kv("gate", hop->name),
	       kv("sender", str_from(str_of(p->name), strlen(hop->name) + between.n)),
	       kv("class", trouble_name(meaning_trouble(r->meaning))), kv("who", actor_name(meaning_actor(r->meaning))),
	       kv("reason", p->reason), kv("failures", p->failures), kv("next_try_ms", pause));
	save(d, p);
}

const struct sender_pause *sender_pause_of(const struct nexthop *hop, struct str sender, uint64_t now)
{
	const struct sender_pause *of_address = find_scope(hop, sender, SCOPE_SENDER),
				  *of_domain = find_scope(hop, sender, SCOPE_DOMAIN);

	if (of_address && holds(of_address, now))
		return of_address;
	return of_domain && holds(of_domain, now) ? of_domain : NULL;
}

void sender_pause_probe(struct nexthop *hop, struct str sender, uint64_t now)
{
	for (enum scope scope = SCOPE_SENDER; scope <= SCOPE_DOMAIN; scope++) {
		struct sender_pause *p = find_scope(hop, sender, scope);

		if (!p)
			continue;
		p->pause_ms = PROBE_MS;
		p->until = now + PROBE_MS;
	}
}

void sender_pause_end(struct nexthop *hop, struct str sender, uint64_t now)
{
	for (enum scope scope = SCOPE_SENDER; scope <= SCOPE_DOMAIN; scope++) {
		struct sender_pause *p = find_scope(hop, sender, scope);

		if (!p)
			continue;
		log_info(NULL, "sender.resumed", kv("gate", hop->name),
			 kv("sender", str_from(str_of(p->name), strlen(hop->name) + between.n)), kv("failures", p->failures));
		forget(hop->dispatch, p);
	}
}

void sender_pauses_collect(struct dispatch *d, uint64_t now)
{
	LIST_EACH_OF (struct sender_pause, p, &d->sender_pauses.all, in_all) {
		if (now < p->until + FORGET_AFTER_MS)
			return; /* those that a delivery met last are at the end */
		forget(d, p);
	}
}

void sender_pauses_probe_now(struct dispatch *d)
{
	uint64_t now = clock_now_ms();

	LIST_EACH_OF (struct sender_pause, p, &d->sender_pauses.all, in_all)
		if (p->until > now)
			p->until = now;
}

void sender_pauses_stats(struct dispatch *d)
{
	size_t told = 0;

	LIST_EACH_OF (const struct sender_pause, p, &d->sender_pauses.all, in_all)
		if (told++ < STATS_MAX)
			role_stat_of(d->role, METRIC_QUEUE_SENDER_PAUSED, str_of(p->name), p->until, str_of(p->reason));
}
