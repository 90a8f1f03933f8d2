/* gate.c - the health of next hops. */
#include "queue.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_FIRST_MS   (5 * 1000)
#define PAUSE_MAX_MS     (5 * 60 * 1000)
#define PREFETCH_MIN     8
#define GATES_MAX        10000 /* remembered ones, of upstreams that are long gone too */
#define REASON_MAX_BYTES 500

void gates_init(struct queue *q)
{
	list_init(&q->gates.all);
}

void gates_fini(struct queue *q)
{
	LIST_EACH (i, &q->gates.all) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_gates);

		assert(list_empty(&g->parked));
		list_remove(&g->in_gates);
		free(g->name);
		free(g->reason);
		free(g);
	}
}

static char *copy_text(struct str s)
{
	char *z = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

static void set_reason(struct gate *g, struct str reason)
{
	char *old = g->reason;

	g->reason = copy_text(str_head(reason, REASON_MAX_BYTES)); /* before the free: `reason` may be a view of the old one */
	free(old);
}

static struct gate *find(struct queue *q, struct str name)
{
	LIST_EACH (i, &q->gates.all) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_gates);

		if (str_eq(str_of(g->name), name))
			return g;
	}
	return NULL;
}

static struct gate *find_or_add(struct queue *q, struct str name)
{
	struct gate *g = find(q, name);

	if (g)
		return g;
	g = NEW(struct gate);
	g->queue = q;
	g->name = copy_text(name);
	g->reason = copy_text(S(""));
	list_init(&g->parked);
	list_append(&q->gates.all, &g->in_gates);
	return g;
}

/* ---- kept over restarts ---- */

/* One state on its way to the store. */
struct gate_put {
	struct arena arena;
	struct gate_state state;
};

static void on_put(void *ctx, struct verdict v)
{
	struct gate_put *put = ctx;

	/* Lost, it costs one probe after a restart. */
	if (v.class != OK)
		log_warning(NULL, "upstream.unsaved", kv("gate", put->state.name), kv("reply", v.text));
	arena_fini(&put->arena);
	free(put);
}

static void save(const struct gate *g)
{
	struct gate_put *put;

	if (!queue_may_store(g->queue))
		return;
	put = NEW(struct gate_put);
	put->state = (struct gate_state){
		.name = arena_str(&put->arena, str_of(g->name)),
		.down_until = g->status == GATE_UP ? 0 : g->down_until,
		.failures = g->failures,
		.last_ok_at = g->last_ok_at,
		.reason = arena_str(&put->arena, str_of(g->reason)),
	};
	store_gate_put(g->queue->store, &put->state, on_put, put);
}

static void on_gates(void *ctx, struct verdict v, const struct gate_state *states, size_t n)
{
	struct queue *q = ctx;

	if (v.class != OK) {
		log_warning(NULL, "upstream.unsaved", kv("reply", v.text));
		n = 0;
	}
	for (size_t i = 0; i < n && i < GATES_MAX; i++) {
		struct gate *g = find_or_add(q, states[i].name);

		g->last_ok_at = states[i].last_ok_at;
		if (states[i].failures == 0)
			continue;
		g->status = GATE_DOWN;
		g->failures = states[i].failures;
		g->down_until = states[i].down_until;
		set_reason(g, states[i].reason);
	}
	q->gates.known = true;
	scheduler_wake(q);
}

void gates_load(struct queue *q)
{
	gates_apply(q);
	store_gates(q->store, on_gates, q);
}

void gates_apply(struct queue *q)
{
	const struct config *c = role_config(q->role);

	LIST_EACH (i, &q->gates.all)
		CONTAINER_OF(i, struct gate, in_gates)->connections = 0;
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (route_uses(c, &c->upstreams[i]))
			gate_of(q, &c->upstreams[i])->connections = c->upstreams[i].connections ? c->upstreams[i].connections : 1;
	gates_probe_now(q);
}

struct gate *gate_of(struct queue *q, const struct cfg_upstream *u)
{
	struct arena a = { 0 };
	struct gate *g = find_or_add(q, arena_printf(&a, "upstream:%.*s", STR_ARG(u->name)));

	arena_fini(&a);
	return g;
}

/* ---- how much at once ---- */

/* Twice the connections, so that relay has the next delivery at hand when one ends. */
static size_t window(const struct gate *g)
{
	return 2 * g->connections;
}

size_t gate_slots(const struct gate *g)
{
	size_t most = g->status == GATE_UP ? window(g) : g->status == GATE_PROBING ? 1 : 0;

	return most > g->in_flight ? most - g->in_flight : 0;
}

static size_t prefetch(const struct gate *g)
{
	return window(g) < PREFETCH_MIN ? PREFETCH_MIN : window(g);
}

size_t gate_room(const struct gate *g)
{
	size_t used = g->in_flight + g->parked_n;
	size_t most = 0;

	if (g->connections > 0 && g->status == GATE_UP)
		most = window(g) + prefetch(g);
	else if (g->connections > 0 && g->status == GATE_PROBING)
		most = 1;
	return most > used ? most - used : 0;
}

bool gate_takes(const struct gate *g)
{
	return g->status == GATE_UP ? g->parked_n < 4 * prefetch(g) : gate_room(g) > 0;
}

/* Has the pause ended? One that is longer than any we give comes from a clock that was set back. */
static void tick(struct gate *g, uint64_t now)
{
	if (g->status == GATE_DOWN && (now >= g->down_until || g->down_until - now > PAUSE_MAX_MS))
		g->status = GATE_PROBING;
}

size_t gates_room(struct queue *q, uint64_t now, uint64_t *wake_at_out)
{
	size_t room = 0;

	*wake_at_out = 0;
	LIST_EACH (i, &q->gates.all) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_gates);

		if (g->connections == 0)
			continue;
		tick(g, now);
		room += gate_room(g);
		if (g->status == GATE_DOWN && (*wake_at_out == 0 || g->down_until < *wake_at_out))
			*wake_at_out = g->down_until;
	}
	return room;
}

/* ---- up and down ---- */

bool gate_worked(struct gate *g, uint64_t now)
{
	if (g->status == GATE_UP)
		return false;
	log_warning(NULL, "upstream.up", kv("gate", g->name), kv("failures", g->failures), kv("was", g->reason));
	g->status = GATE_UP;
	g->failures = 0;
	g->down_until = 0;
	g->last_ok_at = now;
	set_reason(g, S(""));
	save(g);
	return true;
}

bool gate_failed(struct gate *g, struct str reason, uint64_t now)
{
	uint64_t pause = PAUSE_FIRST_MS;

	if (g->status == GATE_DOWN) /* one of several deliveries that met the same fault */
		return false;
	g->failures++;
	for (uint64_t i = 1; i < g->failures && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	g->status = GATE_DOWN;
	g->down_until = now + pause;
	set_reason(g, reason.n ? reason : S("no reason was given"));
	log_error(NULL, "upstream.down", kv("gate", g->name), kv("reason", g->reason), kv("failures", g->failures),
		  kv("next_probe_ms", pause));
	save(g);
	return g->failures == 1;
}

void gates_probe_now(struct queue *q)
{
	LIST_EACH (i, &q->gates.all) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_gates);

		if (g->status == GATE_DOWN)
			g->status = GATE_PROBING;
	}
}
