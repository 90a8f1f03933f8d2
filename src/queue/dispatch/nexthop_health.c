/* nexthop_health.c - the health of next hops: up and down, their pauses, and what of them is read after a restart. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define GATES_MAX        10000  /* remembered ones: MX domains that are down, upstreams that are long gone */
#define FORGET_AFTER_MS  DAY_MS /* an MX domain that was down and got no mail for so long */
#define REASON_MAX_BYTES 500
#define STATS_MAX        100
#define COMPLAIN_EACH_MS HOUR_MS
#define COMPLAINT_MS     DAY_MS /* so long status shows it */

/* ---- start, clock and configuration ---- */

static void mend(struct gate *g, uint64_t now)
{
	bool foreign = clock_is_foreign(g->last_ok_at, now, 0);

	g->last_ok_at = clock_mended(g->last_ok_at, now, 0);
	g->tried_at = clock_mended(g->tried_at, now, 0);
	if (g->status != GATE_UP && clock_is_foreign(g->down_until, now, g->pause_ms)) {
		g->down_until = now;
		foreign = true;
	}
	if (foreign)
		gate_save(g);
}

void gates_mend(struct dispatch *d, uint64_t now)
{
	HASHTABLE_EACH (k, &d->gates.table)
		mend(CONTAINER_OF(k, struct gate, in_table), now);
}

static void on_gates(void *ctx, struct verdict v, const struct gate_state *states, size_t n)
{
	struct dispatch *d = ctx;
	uint64_t now = clock_now_ms();

	if (v.class != OK) {
		log_warning(NULL, "upstream.unsaved", kv("reply", v.text));
		n = 0;
	}
	for (size_t i = 0; i < n && i < GATES_MAX; i++) {
		struct gate *g;

		if (pause_load(d, &states[i]))
			continue;
		if (states[i].failures == 0 && str_starts(states[i].name, S("mx:")))
			continue;
		g = gate_get(d, states[i].name);
		g->last_ok_at = states[i].last_ok_at;
		if (states[i].failures > 0) {
			g->status = GATE_DOWN;
			g->failures = states[i].failures;
			g->down_until = states[i].down_until;
			g->pause_ms = states[i].pause_ms ? states[i].pause_ms : PAUSE_LONGEST_MS;
			gate_set_reason(g, states[i].reason);
			gate_place(g);
		}
		mend(g, now);
	}
	d->gates.known = true;
	d->ops->wake(d);
}

void gates_load(struct dispatch *d)
{
	gates_apply(d);
	store_gates(d->store, on_gates, d);
}

void gates_probe_now(struct dispatch *d)
{
	pauses_probe_now(d);
	HASHTABLE_EACH (k, &d->gates.table) {
		struct gate *g = CONTAINER_OF(k, struct gate, in_table);

		if (g->status == GATE_DOWN)
			g->status = GATE_PROBING;
	}
}

void gates_apply(struct dispatch *d)
{
	const struct config *c = role_config(d->role);

	LIST_EACH (i, &d->gates.upstreams) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		g->connections = 0;
		limits_forget(g);
	}
	for (size_t i = 0; i < c->upstreams_n; i++) {
		const struct cfg_upstream *u = &c->upstreams[i];
		struct arena a = { 0 };

		if (route_uses(c, u->name)) {
			struct gate *g = gate_get(d, arena_printf(&a, "upstream:%.*s", STR_ARG(u->name)));

			g->connections = u->connections ? u->connections : 1;
			limits_apply(g, &u->messages);
		}
		arena_fini(&a);
	}
	d->gates.mx_used = route_uses(c, S("mx"));
	HASHTABLE_EACH (k, &d->gates.table) {
		struct gate *g = CONTAINER_OF(k, struct gate, in_table);

		gate_forget_waiting(g);
		if (g->is_mx)
			g->connections = c->delivery.connections_per_destination;
	}
	gates_probe_now(d);
}

void gates_collect(struct dispatch *d)
{
	uint64_t now = clock_now_ms();

	LIST_EACH (i, &d->gates.idle)
		gate_free(CONTAINER_OF(i, struct gate, in_class));
	LIST_EACH (i, &d->gates.down) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		if (d->gates.down_n <= GATES_MAX && now < g->down_until + FORGET_AFTER_MS)
			return; /* those used last are at the end */
		if (!gate_is_used(g))
			gate_forget(g);
	}
}

/* ---- up and down ---- */

bool gate_worked(struct gate *g, uint64_t now)
{
	if (g->status == GATE_UP)
		return false;
	if (g->is_mx)
		log_info(NULL, "destination.up", kv("gate", g->name), kv("failures", g->failures), kv("was", g->reason));
	else
		log_warning(NULL, "upstream.up", kv("gate", g->name), kv("failures", g->failures), kv("was", g->reason));
	g->status = GATE_UP;
	g->fault = FAULT_NONE;
	g->failures = 0;
	g->down_until = 0;
	g->tried_at = 0;
	gate_set_reason(g, S(""));
	gate_place(g);
	gate_save(g);
	return true;
}

static void tell_down(const struct gate *g, uint64_t meaning, uint64_t pause)
{
	static const char *const faults[] = { "", "unreachable", "ours", "policy" };

	bool ours = !g->is_mx || meaning_actor(meaning) == ACTOR_ADMIN;

	log_at(ours ? LOG_ERROR : LOG_WARNING, NULL, g->is_mx ? "destination.down" : "upstream.down", kv("gate", g->name),
	       kv("fault", faults[g->fault]), kv("class", trouble_name(meaning_trouble(meaning))),
	       kv("who", actor_name(meaning_actor(meaning))), kv("reason", g->reason), kv("failures", g->failures),
	       kv("next_probe_ms", pause));
}

bool gate_failed(struct gate *g, const struct gate_trouble *t, uint64_t now)
{
	uint64_t pause;

	if (t->tried_at > g->tried_at)
		g->tried_at = t->tried_at;
	if (g->is_mx) {
		gate_disprove(g);
		if (g->hosts == HOSTS_FOUND || g->hosts == HOSTS_MISSING)
			g->hosts = HOSTS_UNKNOWN; /* they are looked for again before the next one tries */
	}
	if (g->status == GATE_DOWN) /* one of several deliveries that met the same fault */
		return false;
	g->failures++;
	g->fault = t->fault;
	pause = pause_after(&role_config(g->dispatch->role)->queue, g->is_mx, t->fault, t->pause_ms, g->failures);
	g->status = GATE_DOWN;
	g->down_until = now + pause;
	g->pause_ms = pause;
	gate_set_reason(g, t->reason.n ? t->reason : S("no reason was given"));
	gate_forget_waiting(g);
	gate_place(g);
	tell_down(g, t->meaning, pause);
	gate_save(g);
	return g->failures == 1;
}

void gate_complained(struct gate *g, uint64_t meaning, struct str reason, uint64_t now)
{
	free(g->complaint);
	g->complaint = str_dup(str_head(reason, REASON_MAX_BYTES));
	g->complaint_at = now;
	if (g->complaint_told_at > 0 && now >= g->complaint_told_at && now - g->complaint_told_at < COMPLAIN_EACH_MS)
		return;
	g->complaint_told_at = now;
	log_error(NULL, "upstream.complained", kv("gate", g->name), kv("class", trouble_name(meaning_trouble(meaning))),
		  kv("who", actor_name(meaning_actor(meaning))), kv("reason", g->complaint));
}

/* ---- figures ---- */

static void stat_of(struct dispatch *d, const struct gate *g)
{
	struct arena a = { 0 };
	struct str text = str_of(g->reason);
	uint64_t now = clock_now_ms();

	if (g->status == GATE_UP && g->complaint && now < g->complaint_at + COMPLAINT_MS)
		text = arena_printf(&a, "but it complains: %s", g->complaint);
	role_stat_of(d->role, METRIC_QUEUE_NEXTHOP_DOWN, str_of(g->name), g->status == GATE_UP ? 0 : g->down_until, text);
	arena_fini(&a);
}

void gates_stats(struct dispatch *d)
{
	size_t told = 0;

	LIST_EACH (i, &d->gates.upstreams) {
		const struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		if (g->connections > 0 || g->status != GATE_UP)
			stat_of(d, g);
	}
	role_stat(d->role, METRIC_QUEUE_DESTINATIONS_DOWN, d->gates.down_n);
	LIST_EACH (i, &d->gates.down)
		if (told++ < STATS_MAX)
			stat_of(d, CONTAINER_OF(i, struct gate, in_class));
}
