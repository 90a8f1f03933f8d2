/* dkim_look.c - what DNS has of our keys: a run of doctor that asks for nothing else. */
#include "dkim_command.h"

#include "posthouse/clock.h"

#include <stdlib.h>
#include <unistd.h>

struct dkim_look {
	uv_loop_t loop;
	struct doctor_run *run;
	bool done;
};

static void on_done(void *ctx)
{
	struct dkim_look *l = ctx;

	l->done = true;
	uv_stop(&l->loop);
}

struct dkim_look *dkim_look_begin(const struct config *c, struct str domain, const char *resolver)
{
	static struct str checks[] = { S("dkim.works"), S("dkim.rotation") }; /* they ask for every key */
	struct doctor_options o = { .domain = domain, .only = { checks, 2 }, .now = clock_now_ms() };
	struct dkim_look *l = NEW(struct dkim_look);
	const struct doctor_hooks hooks = { .ctx = l, .done = on_done };

	if (resolver)
		o.resolver = str_of(resolver);
	uv_loop_init(&l->loop);
	l->run = doctor_start(&l->loop, c, &o, &hooks, geteuid(), getegid());
	while (!l->done)
		uv_run(&l->loop, UV_RUN_DEFAULT);
	return l;
}

struct dkim_sight dkim_look_key(struct dkim_look *l, const struct cfg_sign *key)
{
	struct dkim_sight sight;

	dkim_look_at(doctor_of(l->run), key, &sight);
	return sight;
}

void dkim_look_end(struct dkim_look *l)
{
	if (!l)
		return;
	doctor_end(l->run);
	uv_run(&l->loop, UV_RUN_DEFAULT);
	uv_loop_close(&l->loop);
	free(l);
}
