/* run.c - a real run: looks on a loop, until all facts are there or time is over. */
#include "source.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define RUN_MS  20000
#define DEEP_MS 60000
#define DEAF_MS 8000 /* without any answer of DNS there is no use in waiting for more */
#define LOOK_MS 20   /* answers that come within this time are looked at together */

struct doctor_run {
	struct source source; /* first: on_news() */
	struct arena arena;
	uv_timer_t look, limit;
	uint64_t began;
	unsigned timers; /* that are not closed */
	bool finished;
};

static void on_look(uv_timer_t *timer);

static void on_news(struct source *s)
{
	struct doctor_run *r = (struct doctor_run *)(void *)s;

	if (s->gone)
		doctor_end(r);
	else if (!r->finished && !uv_is_active((uv_handle_t *)&r->look))
		uv_timer_start(&r->look, on_look, LOOK_MS, 0);
}

static void keep_addresses(struct source *s)
{
	const struct situation *at = doctor_situation(s->doctor);
	json_t *list = json_array();

	for (size_t i = 0; i < at->addresses_n; i++)
		json_array_append_new(list, json_stringn(at->addresses[i].text.p, at->addresses[i].text.n));
	cache_keep(s->cache, S("addresses"), list);
}

static void on_look(uv_timer_t *timer)
{
	struct doctor_run *r = timer->data;

	if (!r->finished && doctor_is_deaf(r) && uv_now(r->source.loop) - r->began > DEAF_MS)
		doctor_give_up(r->source.doctor);
	if (r->finished || !doctor_look(r->source.doctor))
		return;
	r->finished = true;
	uv_timer_stop(&r->limit);
	if (doctor_situation(r->source.doctor)->addresses_n > 0)
		keep_addresses(&r->source);
	r->source.hooks.done(r->source.hooks.ctx);
}

static void on_limit(uv_timer_t *timer)
{
	struct doctor_run *r = timer->data;

	doctor_give_up(r->source.doctor);
	uv_timer_start(&r->look, on_look, 0, 0);
}

/* The addresses of the last run, from the cache. */
static struct str_list last_addresses(struct arena *a, struct cache *c)
{
	json_t *list = cache_find(c, S("addresses"), UINT64_MAX);
	struct str_list last = { .at = ARENA_ARRAY(a, struct str, json_array_size(list) + 1) };

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *text = json_array_get(list, i);

		last.at[last.n++] = arena_str(a, str_make(json_string_value(text), json_string_length(text)));
	}
	return last;
}

static uint64_t since(void *ctx, struct str key, struct str what)
{
	struct source *s = ctx;

	return cache_since(s->cache, key, what);
}

struct doctor_run *doctor_start(uv_loop_t *loop, const struct config *c, const struct doctor_options *o,
				const struct doctor_hooks *hooks, uid_t uid, gid_t gid)
{
	struct doctor_run *r = NEW(struct doctor_run);
	struct source *s = &r->source;
	const struct doctor_source functions = { s, resolvers_ask, pool_probe, pool_upstream, pool_sample, pool_policy, since };
	struct doctor_options options = *o;

	*s = (struct source){ .loop = loop, .config = c, .hooks = *hooks, .news = on_news, .deep = o->deep };
	s->cache = cache_open(&r->arena, c->state_dir, uid, gid, o->now);
	options.last_addresses = last_addresses(&r->arena, s->cache);
	s->doctor = doctor_new(c, &options, &functions);
	uv_timer_init(loop, &r->look);
	uv_timer_init(loop, &r->limit);
	r->look.data = r->limit.data = r;
	r->timers = 2;
	r->began = uv_now(loop);
	if (!o->offline)
		resolvers_open(s, o->resolver);
	uv_timer_start(&r->look, on_look, 0, 0);
	uv_timer_start(&r->limit, on_limit, o->deep ? DEEP_MS : RUN_MS, 0);
	return r;
}

struct doctor *doctor_of(struct doctor_run *r)
{
	return r->source.doctor;
}

bool doctor_sees_world(const struct doctor_run *r)
{
	return r->source.world_possible;
}

bool doctor_is_deaf(const struct doctor_run *r)
{
	return r->source.asked > 0 && r->source.answered == 0;
}

static void on_closed(uv_handle_t *h)
{
	struct doctor_run *r = h->data;

	if (--r->timers > 0)
		return;
	pool_free(&r->source);
	doctor_free(r->source.doctor);
	arena_fini(&r->arena);
	free(r);
}

void doctor_end(struct doctor_run *r)
{
	if (!r)
		return;
	if (!r->source.gone) {
		r->source.gone = r->finished = true;
		resolvers_close(&r->source);
		cache_close(r->source.cache);
	}
	if (r->source.running > 0 || uv_is_closing((uv_handle_t *)&r->look))
		return; /* the last thread that comes back ends it */
	uv_close((uv_handle_t *)&r->look, on_closed);
	uv_close((uv_handle_t *)&r->limit, on_closed);
}
