/* nexthop_rate.c - token buckets of upstreams. */
#include "dispatch/dispatch.h"

#include "common/format.h"

#include "posthouse/clock.h"
#include "posthouse/limit.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define TELL_EACH_MS (10 * MINUTE_MS)

/* The buckets of a next hop on their way to the store. */
struct saving {
	struct nexthop *nexthop;
	struct arena arena;
	struct bucket_row *rows;
	uint64_t *states; /* what other nodes have charged too */
	size_t n;
	uint64_t made;
};

static void save(struct nexthop *hop);

static void learn(const struct saving *s)
{
	struct accounting *acc = s->nexthop->dispatch->accounting;
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < s->n; i++) {
		struct bucket *b = bucket_find(acc, s->rows[i].key, s->rows[i].rule);

		if (b)
			bucket_learn(b, s->states[i], now);
	}
}

static void on_saved(void *ctx, struct verdict v)
{
	struct saving *s = ctx;
	struct nexthop *hop = s->nexthop;
	struct dispatch *d = hop->dispatch;

	/* The messages of a charge that is lost are not counted after a restart. That is better than mail that does not go. */
	if (v.class != OK)
		log_warning(NULL, "limits.unsaved", kv("gate", hop->name), kv("reply", v.text));
	learn(s);
	hop->charges.saving = false;
	if (hop->charges.durable < s->made)
		hop->charges.durable = s->made;
	arena_fini(&s->arena);
	free(s);
	if (hop->charges.dirty)
		save(hop);
	d->ops->send(d);
}

/* There is one write at a time; what is charged meanwhile goes with the next one. */
static void save(struct nexthop *hop)
{
	struct charges *c = &hop->charges;
	struct saving *s;
	size_t n = 0;

	c->dirty = true;
	if (c->saving || !dispatch_may_store(hop->dispatch))
		return;
	s = NEW(struct saving);
	s->nexthop = hop;
	s->made = c->made;
	s->rows = ARENA_ARRAY(&s->arena, struct bucket_row, c->n + 1);
	for (; n < c->n; n++)
		s->rows[n] = bucket_row_of(&s->arena, c->buckets[n]);
	if (c->warmup.since)
		s->rows[n++] = bucket_row_of(&s->arena, c->warmup.since);
	c->dirty = false;
	c->saving = true;
	s->n = n;
	s->states = ARENA_ARRAY(&s->arena, uint64_t, n + 1);
	store_bucket_charge(hop->dispatch->store, s->rows, n, s->states, on_saved, s);
}

/* ---- configuration ---- */

void nexthop_rate_forget(struct nexthop *hop)
{
	for (size_t i = 0; i < hop->charges.n; i++)
		hop->charges.buckets[i]->users--;
	warmup_end(&hop->charges.warmup);
	free(hop->charges.buckets);
	hop->charges.buckets = NULL;
	hop->charges.n = hop->charges.messages_n = 0;
	hop->charges.dirty = false;
	hop->charges.durable = hop->charges.made; /* nothing waits for the store */
}

static void add_bucket(struct nexthop *hop, struct rate rate, struct str rule)
{
	struct bucket *b = bucket_get(hop->dispatch->accounting, str_of(hop->name), rule);

	b->rate = rate;
	b->users++;
	hop->charges.buckets[hop->charges.n++] = b;
}

static void begin_warmup(struct nexthop *hop, struct str key, struct cfg_warmup config)
{
	struct charges *c = &hop->charges;

	warmup_begin(&c->warmup, hop->dispatch->accounting, key, config);
	if (!c->warmup.messages)
		return;
	c->warmup.messages->users++;
	c->buckets[c->n++] = c->warmup.messages;
	c->messages_n++;
}

void nexthop_rate_apply_mx(struct nexthop *hop, struct cfg_warmup warmup)
{
	nexthop_rate_forget(hop);
	if (warmup.start == 0)
		return;
	hop->charges.buckets = xcalloc(1, sizeof(struct bucket *));
	begin_warmup(hop, S("mx"), warmup);
}

void nexthop_rate_apply(struct nexthop *hop, const struct cfg_upstream *upstream)
{
	const struct rate_list *messages = &upstream->messages, *recipients = &upstream->recipients;
	struct arena a = { 0 };

	nexthop_rate_forget(hop);
	if (messages->n + recipients->n + upstream->warmup.start == 0)
		return;
	hop->charges.buckets = xcalloc(messages->n + recipients->n + 1, sizeof(struct bucket *));
	hop->charges.messages_n = messages->n;
	for (size_t i = 0; i < messages->n; i++)
		add_bucket(hop, messages->at[i], format_rate(&a, messages->at[i]));
	begin_warmup(hop, str_of(hop->name), upstream->warmup);
	for (size_t i = 0; i < recipients->n; i++)
		add_bucket(hop, recipients->at[i], format_rule(&a, METER_RECIPIENTS, recipients->at[i]));
	arena_fini(&a);
}

/* ---- charging ---- */

/* How many units can pass by the buckets from this one on. */
static size_t room_from(const struct nexthop *hop, size_t first, uint64_t now)
{
	size_t room = SIZE_MAX;

	warmup_grow(&hop->charges.warmup, now);
	for (size_t i = first; i < hop->charges.n; i++) {
		const struct bucket *b = hop->charges.buckets[i];
		uint64_t left = b->rate.amount - gcra_used(b->tat_us, b->rate, now * 1000);

		if (left == 0 && gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) == 0)
			left = 1; /* the two round differently */
		if (left < room)
			room = (size_t)left;
	}
	return room;
}

size_t nexthop_rate_room(const struct nexthop *hop, uint64_t now)
{
	return room_from(hop, 0, now);
}

size_t nexthop_rate_recipients(const struct nexthop *hop, uint64_t now)
{
	return room_from(hop, hop->charges.messages_n, now);
}

uint64_t nexthop_rate_wait_ms(const struct nexthop *hop, uint64_t now)
{
	uint64_t wait = 0;

	warmup_grow(&hop->charges.warmup, now);
	for (size_t i = 0; i < hop->charges.n; i++) {
		const struct bucket *b = hop->charges.buckets[i];
		uint64_t us = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000);

		if (us / 1000 + (us % 1000 > 0) > wait)
			wait = us / 1000 + (us % 1000 > 0);
	}
	return wait;
}

/* Say that a limit is reached, but not for each message of a queue that drains at this rate. */
static void tell_if_reached(struct nexthop *hop, uint64_t now)
{
	for (size_t i = 0; i < hop->charges.n; i++) {
		struct bucket *b = hop->charges.buckets[i];
		uint64_t us = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000);

		if (us == 0 || (b->logged_at > 0 && now >= b->logged_at && now - b->logged_at < TELL_EACH_MS))
			continue;
		b->logged_at = now;
		log_info(NULL, "upstream.exhausted", kv("gate", hop->name), kv("rule", b->rule), kv("next_in_ms", us / 1000));
	}
}

static uint64_t amount_of(const struct nexthop *hop, size_t bucket, size_t recipients)
{
	return bucket < hop->charges.messages_n ? 1 : recipients;
}

uint64_t nexthop_rate_charge(struct nexthop *hop, size_t recipients)
{
	uint64_t now = clock_now_ms();

	if (hop->charges.n == 0)
		return 0;
	hop->charges.made++;
	warmup_grow(&hop->charges.warmup, now);
	warmup_charge(&hop->charges.warmup, now);
	for (size_t i = 0; i < hop->charges.n; i++) {
		struct bucket *b = hop->charges.buckets[i];

		bucket_charge(b, b->rate, amount_of(hop, i, recipients), now);
	}
	tell_if_reached(hop, now);
	save(hop);
	return hop->charges.made;
}

void nexthop_rate_return(struct nexthop *hop, size_t recipients, uint64_t *charge)
{
	uint64_t now = clock_now_ms();

	if (!hop || *charge == 0)
		return;
	*charge = 0;
	for (size_t i = 0; i < hop->charges.n; i++) {
		struct bucket *b = hop->charges.buckets[i];

		bucket_return(b, b->rate, amount_of(hop, i, recipients), now);
	}
	if (hop->charges.n > 0)
		save(hop);
}

bool nexthop_rate_is_durable(const struct nexthop *hop, uint64_t charge)
{
	return charge <= hop->charges.durable;
}

void nexthop_rates_stats(struct dispatch *d)
{
	uint64_t now = clock_now_ms();

	LIST_EACH_OF (const struct nexthop, hop, &d->nexthops.upstreams, in_class) {
		for (size_t k = 0; k < hop->charges.n; k++) {
			const struct bucket *b = hop->charges.buckets[k];
			uint64_t wait_s = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) / 1000000;
			struct arena a = { 0 };
			struct str day = b == hop->charges.warmup.messages ? warmup_text(&hop->charges.warmup, &a, now) : S("");
			struct str text = arena_printf(&a, "of %.*s%s", STR_ARG(day.n > 0 ? day : str_of(b->rule)),
						       wait_s ? "; the next one in " : "");

			if (wait_s)
				text = arena_printf(&a, "%.*s%.*s", STR_ARG(text), STR_ARG(format_duration(&a, wait_s * 1000)));
			role_stat_of(d->role, METRIC_QUEUE_NEXTHOP_USED, arena_printf(&a, "%s %s", hop->name, b->rule),
				     gcra_used(b->tat_us, b->rate, now * 1000), text);
			arena_fini(&a);
		}
	}
}
