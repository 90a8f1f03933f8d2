/* nexthop_rate.c - token buckets of upstreams. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/limit.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define TELL_EACH_MS (10 * MINUTE_MS)

/* The state of a gate's buckets on its way to the store. */
struct saving {
	struct gate *gate;
	struct arena arena;
	struct bucket_row *rows;
	uint64_t made;
};

static void save(struct gate *g);

static void on_saved(void *ctx, struct verdict v)
{
	struct saving *s = ctx;
	struct gate *g = s->gate;
	struct dispatch *d = g->dispatch;

	/* Lost, the messages that it counted are not counted after a restart: better than mail that does not go. */
	if (v.class != OK)
		log_warning(NULL, "limits.unsaved", kv("gate", g->name), kv("reply", v.text));
	g->charges.saving = false;
	if (g->charges.durable < s->made)
		g->charges.durable = s->made;
	arena_fini(&s->arena);
	free(s);
	if (g->charges.dirty)
		save(g);
	d->ops->send(d);
}

/* One write at a time: what is charged meanwhile goes with the next. */
static void save(struct gate *g)
{
	struct charges *c = &g->charges;
	struct saving *s;

	c->dirty = true;
	if (c->saving || !dispatch_may_store(g->dispatch))
		return;
	s = NEW(struct saving);
	s->gate = g;
	s->made = c->made;
	s->rows = ARENA_ARRAY(&s->arena, struct bucket_row, c->n);
	for (size_t i = 0; i < c->n; i++)
		s->rows[i] = bucket_row_of(&s->arena, c->buckets[i]);
	c->dirty = false;
	c->saving = true;
	store_bucket_put(g->dispatch->store, s->rows, c->n, on_saved, s);
}

/* ---- configuration ---- */

void limits_forget(struct gate *g)
{
	for (size_t i = 0; i < g->charges.n; i++)
		g->charges.buckets[i]->users--;
	free(g->charges.buckets);
	g->charges.buckets = NULL;
	g->charges.n = 0;
	g->charges.dirty = false;
	g->charges.durable = g->charges.made; /* nothing to wait for any more */
}

void limits_apply(struct gate *g, const struct rate_list *rates)
{
	struct arena a = { 0 };

	limits_forget(g);
	if (!rates || rates->n == 0)
		return;
	g->charges.buckets = xcalloc(rates->n, sizeof(struct bucket *));
	for (size_t i = 0; i < rates->n; i++) {
		struct bucket *b = bucket_get(g->dispatch->accounting, str_of(g->name), format_rate(&a, rates->at[i]));

		b->rate = rates->at[i];
		b->users++;
		g->charges.buckets[g->charges.n++] = b;
	}
	arena_fini(&a);
}

/* ---- charging ---- */

size_t limits_room(const struct gate *g, uint64_t now)
{
	size_t room = SIZE_MAX;

	for (size_t i = 0; i < g->charges.n; i++) {
		const struct bucket *b = g->charges.buckets[i];
		uint64_t left = b->rate.amount - gcra_used(b->tat_us, b->rate, now * 1000);

		if (left == 0 && gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) == 0)
			left = 1; /* the two round differently */
		if (left < room)
			room = (size_t)left;
	}
	return room;
}

uint64_t limits_wait_ms(const struct gate *g, uint64_t now)
{
	uint64_t wait = 0;

	for (size_t i = 0; i < g->charges.n; i++) {
		const struct bucket *b = g->charges.buckets[i];
		uint64_t us = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000);

		if (us / 1000 + (us % 1000 > 0) > wait)
			wait = us / 1000 + (us % 1000 > 0);
	}
	return wait;
}

/* Say that a limit is reached, but not with every message of a queue that goes at its pace. */
static void tell_if_reached(struct gate *g, uint64_t now)
{
	for (size_t i = 0; i < g->charges.n; i++) {
		struct bucket *b = g->charges.buckets[i];
		uint64_t us = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000);

		if (us == 0 || (b->logged_at > 0 && now >= b->logged_at && now - b->logged_at < TELL_EACH_MS))
			continue;
		b->logged_at = now;
		log_info(NULL, "upstream.exhausted", kv("gate", g->name), kv("rule", b->rule), kv("next_in_ms", us / 1000));
	}
}

uint64_t limits_charge(struct gate *g)
{
	uint64_t now = clock_now_ms();

	if (g->charges.n == 0)
		return 0;
	g->charges.made++;
	for (size_t i = 0; i < g->charges.n; i++) {
		struct bucket *b = g->charges.buckets[i];

		b->tat_us = gcra_take(b->tat_us, b->rate, 1, now * 1000);
	}
	tell_if_reached(g, now);
	save(g);
	return g->charges.made;
}

void limits_return(struct gate *g, uint64_t *charge)
{
	uint64_t now = clock_now_ms();

	if (!g || *charge == 0)
		return;
	*charge = 0;
	for (size_t i = 0; i < g->charges.n; i++) {
		struct bucket *b = g->charges.buckets[i];

		b->tat_us = gcra_return(b->tat_us, b->rate, 1, now * 1000);
	}
	if (g->charges.n > 0)
		save(g);
}

bool limits_durable(const struct gate *g, uint64_t charge)
{
	return charge <= g->charges.durable;
}

void limits_stats(struct dispatch *d)
{
	uint64_t now = clock_now_ms();

	LIST_EACH (i, &d->gates.upstreams) {
		const struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		for (size_t k = 0; k < g->charges.n; k++) {
			const struct bucket *b = g->charges.buckets[k];
			uint64_t wait_s = gcra_wait_us(b->tat_us, b->rate, 1, now * 1000) / 1000000;
			struct arena a = { 0 };
			struct str text = arena_printf(&a, "of %s%s", b->rule, wait_s ? "; the next one in " : "");

			if (wait_s)
				text = arena_printf(&a, "%.*s%.*s", STR_ARG(text), STR_ARG(duration_words(&a, wait_s * 1000)));
			role_stat_of(d->role, METRIC_QUEUE_NEXTHOP_USED, arena_printf(&a, "%s %s", g->name, b->rule),
				     gcra_used(b->tat_us, b->rate, now * 1000), text);
			arena_fini(&a);
		}
	}
}
