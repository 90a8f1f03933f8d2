/* collect.c - see collect.h. In the order they happen: collect_begin, on_status, ask_role for each role, on_stats for each
 * answer, finish. */
#include "collect.h"

#include "posthouse/metrics.h"

#define WITHIN_MS 1500 /* a monitor that asks gives up after 2 s or more */

struct collect_call {
	struct collect *collect;
	uint64_t number; /* 0: answered, or not made */
	struct role_told *told;
};

static void finish(struct collect *c)
{
	for (size_t i = 0; i < c->calls_n; i++)
		ipc_cancel(c->calls[i].number);
	c->calls_n = 0;
	c->running = false;
	uv_timer_stop(&c->deadline);
	c->done(c->ctx);
}

static void on_deadline(uv_timer_t *timer)
{
	finish(timer->data);
}

static void answered(struct collect_call *call)
{
	struct collect *c = call->collect;

	call->number = 0;
	if (--c->waiting == 0)
		finish(c);
}

/* The rows are the message's: copy them, but for those that are no figures of this role. */
static void keep(struct arena *a, struct role_told *told, const struct msg_stats_are *m)
{
	struct rec_stat *rows = ARENA_ARRAY(a, struct rec_stat, m->stats.n + 1);

	told->stats_n = 0;
	for (size_t i = 0; i < m->stats.n; i++) {
		struct rec_stat row = m->stats.at[i];

		if (row.metric >= METRIC_COUNT || !metric_is_of((enum metric)row.metric, (enum role_id)told->state.role))
			continue;
		row.label = arena_str(a, row.label);
		row.text = arena_str(a, row.text);
		rows[told->stats_n++] = row;
	}
	told->stats = rows;
	told->answers = true;
}

static void on_stats(void *ctx, struct verdict v, const struct msg_stats_are *m, int fd)
{
	struct collect_call *call = ctx;

	if (m && m->verdict.class == OK)
		keep(&call->collect->arena, call->told, m);
	answered(call);
}

static void on_summed(void *ctx, struct verdict v, const struct msg_queue_summed *m, int fd)
{
	struct collect_call *call = ctx;
	struct collect *c = call->collect;

	c->is.health.store_answers = m && m->verdict.class == OK;
	if (c->is.health.store_answers)
		c->summed(c->ctx, m);
	answered(call);
}

static struct collect_call *call_new(struct collect *c, struct role_told *told)
{
	struct collect_call *call = &c->calls[c->calls_n++];

	*call = (struct collect_call){ .collect = c, .told = told };
	c->waiting++;
	return call;
}

static void ask_role(struct collect *c, struct role_told *told, struct channel *ch)
{
	struct collect_call *call = call_new(c, told);

	call->number = ipc_call_stats(ch, &(struct msg_stats){ .role = told->state.role, .index = told->state.index }, -1,
				      on_stats, call);
}

static void on_status(void *ctx, struct verdict v, const struct msg_status_is *m, int fd)
{
	struct collect_call *first = ctx;
	struct collect *c = first->collect;
	struct collect_call *summary;
	size_t n = m ? m->roles.n : 0;

	if (!m || m->verdict.class != OK) {
		answered(first);
		return;
	}
	c->roles = ARENA_ARRAY(&c->arena, struct role_told, n + 1);
	c->is.master_answers = true;
	c->alive(c->ctx);
	c->is.version = arena_str(&c->arena, m->version);
	c->is.generation = m->generation;
	c->is.health.roles = c->roles;
	c->is.health.n = n;
	c->calls = ARENA_ARRAY(&c->arena, struct collect_call, n + 3);
	c->calls_n = c->waiting = 0;
	summary = call_new(c, NULL); /* counted before the first answer can come, as those below */
	summary->number = ipc_call_queue_summary(role_peer(c->role, ROLE_QUEUE, 0), &(struct msg_queue_summary){ 0 }, -1,
						 on_summed, summary);
	ask_role(c, &c->is.master, role_peer(c->role, ROLE_MASTER, 0));
	for (size_t i = 0; i < n; i++) {
		c->roles[i].state = m->roles.at[i];
		c->roles[i].state.user = S(""); /* the message does not stay */
		if (c->roles[i].state.role == ROLE_WEB)
			c->is.own = i;
		else
			ask_role(c, &c->roles[i],
				 role_peer(c->role, (enum role_id)c->roles[i].state.role, (unsigned)c->roles[i].state.index));
	}
}

void collect_init(struct collect *c, struct role *r)
{
	c->role = r;
	c->deadline.data = c;
	uv_timer_init(role_loop(r), &c->deadline);
}

void collect_begin(struct collect *c)
{
	struct collect_call *call;

	if (c->running)
		return;
	c->running = true;
	arena_reset(&c->arena);
	c->is = (struct collected){ .own = SIZE_MAX, .master.state.role = ROLE_MASTER };
	c->roles = NULL;
	c->calls = ARENA_ARRAY(&c->arena, struct collect_call, 1);
	c->calls_n = c->waiting = 0;
	call = call_new(c, NULL);
	uv_timer_start(&c->deadline, on_deadline, WITHIN_MS, 0);
	call->number = ipc_call_status(role_peer(c->role, ROLE_MASTER, 0), &(struct msg_status){ 0 }, -1, on_status, call);
}
