/* nexthop.c - the next hops that are known, and where their states are kept. What changes their health is in nexthop_health.c. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define REASON_MAX_BYTES 500
#define PROVEN_MS        HOUR_MS

void gates_init(struct dispatch *d)
{
	struct gates *g = &d->gates;

	list_init(&g->upstreams);
	list_init(&g->idle);
	list_init(&g->down);
	list_init(&g->ready);
	list_init(&g->waiting);
	list_init(&g->asked);
}

void gate_free(struct gate *g)
{
	assert(list_empty(&g->parked) && g->leases == 0);
	hashtable_remove(&g->dispatch->gates.table, &g->in_table);
	list_remove(&g->in_class);
	list_remove(&g->in_ready);
	list_remove(&g->in_waiting);
	list_remove(&g->in_asked);
	list_remove(&g->in_inquiries);
	limits_forget(g);
	free(g->waiting);
	free(g->name);
	free(g->reason);
	free(g->complaint);
	free(g);
}

void gates_fini(struct dispatch *d)
{
	HASHTABLE_EACH (k, &d->gates.table)
		gate_free(CONTAINER_OF(k, struct gate, in_table));
	hashtable_fini(&d->gates.table);
}

void gate_set_reason(struct gate *g, struct str reason)
{
	char *old = g->reason;

	g->reason = str_dup(str_head(reason, REASON_MAX_BYTES)); /* before the free: `reason` may be a view of the old one */
	free(old);
}

/* ---- known ones ---- */

static struct proven *proven_slot(struct dispatch *d, uint64_t hash)
{
	return &d->gates.proven[(hash >> 16) % PROVEN_SLOTS];
}

static bool worked_lately(struct dispatch *d, struct str name)
{
	uint64_t hash = hash_text(name);
	const struct proven *p = proven_slot(d, hash);

	return p->hash == hash && clock_mono_ms() < p->until;
}

void gate_prove(struct gate *g, uint64_t now)
{
	uint64_t hash = hash_text(str_of(g->name));

	g->last_ok_at = now;
	if (!g->is_mx)
		return;
	g->proven = true;
	*proven_slot(g->dispatch, hash) = (struct proven){ .hash = hash, .until = clock_mono_ms() + PROVEN_MS };
}

void gate_disprove(struct gate *g)
{
	struct proven *p = proven_slot(g->dispatch, hash_text(str_of(g->name)));

	g->proven = false;
	if (p->hash == hash_text(str_of(g->name)))
		p->until = 0;
}

struct gate *gate_get(struct dispatch *d, struct str name)
{
	uint64_t hash = hash_text(name);
	struct gate *g;

	HASHTABLE_FIND (i, &d->gates.table, hash) {
		g = CONTAINER_OF(i, struct gate, in_table);
		if (str_eq(str_of(g->name), name))
			return g;
	}
	g = NEW(struct gate);
	g->dispatch = d;
	g->name = str_dup(name);
	g->reason = str_dup(S(""));
	g->is_mx = str_starts(name, S("mx:"));
	if (g->is_mx) {
		g->connections = role_config(d->role)->delivery.connections_per_destination;
		g->proven = worked_lately(d, name);
	}
	list_init(&g->parked);
	list_init(&g->in_class);
	list_init(&g->in_ready);
	list_init(&g->in_waiting);
	list_init(&g->in_asked);
	list_init(&g->in_inquiries);
	hashtable_add(&d->gates.table, &g->in_table, hash);
	if (!g->is_mx)
		list_append(&d->gates.upstreams, &g->in_class);
	gate_place(g);
	return g;
}

bool gate_is_used(const struct gate *g)
{
	return g->leases > 0 || g->expected > 0 || g->waiting_n > 0 || g->hosts == HOSTS_WANTED || g->hosts == HOSTS_ASKED;
}

/* One that is down. */
void gate_forget(struct gate *g)
{
	g->dispatch->gates.down_n--;
	g->status = GATE_UP;
	g->failures = 0;
	gate_save(g);
	gate_free(g);
}

void gate_place(struct gate *g)
{
	struct gates *all = &g->dispatch->gates;
	bool was_down = g->is_mx && g->in_down;

	if (!g->is_mx)
		return;
	list_remove(&g->in_class);
	g->in_down = g->status != GATE_UP;
	all->down_n += (size_t)g->in_down - (size_t)was_down;
	if (g->in_down)
		list_append(&all->down, &g->in_class);
	else if (!gate_is_used(g))
		list_append(&all->idle, &g->in_class);
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

void gate_row_save(struct dispatch *d, const struct gate_state *row)
{
	struct gate_put *put;

	if (!dispatch_may_store(d))
		return;
	put = NEW(struct gate_put);
	put->state = *row;
	put->state.name = arena_str(&put->arena, row->name);
	put->state.reason = arena_str(&put->arena, row->reason);
	store_gate_put(d->store, &put->state, on_put, put);
}

void gate_save(const struct gate *g)
{
	gate_row_save(g->dispatch, &(struct gate_state){ .name = str_of(g->name),
							 .down_until = g->status == GATE_UP ? 0 : g->down_until,
							 .pause_ms = g->status == GATE_UP ? 0 : g->pause_ms,
							 .failures = g->failures,
							 .last_ok_at = g->last_ok_at,
							 .reason = str_of(g->reason) });
}

/* ---- small questions ---- */

void gate_tick(struct gate *g, uint64_t now)
{
	if (g->status == GATE_DOWN && clock_mended(g->down_until, now, g->pause_ms) <= now)
		g->status = GATE_PROBING;
}

bool gate_knows_hosts(const struct gate *g)
{
	return !g->is_mx || g->proven || g->hosts == HOSTS_FOUND || g->hosts == HOSTS_MISSING;
}
