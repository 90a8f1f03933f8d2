/* nexthop_follow.c - several nodes share the store: what one of them finds of a next hop is read by the others each second, and
 * one of them probes it. Pauses of single senders are each node's own. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define FOLLOW_MS SECOND_MS
#define CLAIM_MS  (30 * SECOND_MS) /* so long the others leave the probe to this node, which perhaps has no mail for it */

/* ---- what others have found ---- */

static void follow_row(struct dispatch *d, const struct gate_state *row)
{
	struct nexthops *all = &d->nexthops;
	struct nexthop *hop = HASHTABLE_NAMED(&all->table, row->name, struct nexthop, in_table, name);

	if (row->failures == 0 || str_find(row->name, ' ') < row->name.n) /* it is up; or the pause of a sender */
		return;
	if (!hop && (all->down_n >= NEXTHOPS_MAX || all->changes_n != all->round_changes_n))
		return; /* perhaps it was forgotten here; the next round knows */
	hop = hop ? hop : nexthop_get(d, row->name);
	hop->read_in = all->round;
	if (hop->changed > all->round_changes_n || hop->row_until == row->down_until)
		return;
	if (hop->status == NEXTHOP_UP) {
		log_info(NULL, hop->is_mx ? "destination.down" : "upstream.down", kv("gate", hop->name),
			 kv("reason", row->reason), kv("failures", row->failures), kv("found_by", "another node"));
		hop->fault = FAULT_NONE;
		hop->meaning = 0;
	}
	nexthop_forget_waiting(hop);
	nexthop_is_down(hop, row);
}

/* Those that were down, and are so in no row any more. */
static bool follow_those_up(struct dispatch *d)
{
	struct nexthops *all = &d->nexthops;
	bool any = false;

	HASHTABLE_EACH_OF (struct nexthop, hop, &all->table, in_table) {
		if (hop->row_until == 0 || hop->read_in == all->round || hop->changed > all->round_changes_n)
			continue;
		log_info(NULL, hop->is_mx ? "destination.up" : "upstream.up", kv("gate", hop->name), kv("was", hop->reason),
			 kv("found_by", "another node"));
		nexthop_is_up(hop);
		any = true;
	}
	return any;
}

static void on_follow(uv_timer_t *t)
{
	nexthops_follow(t->data);
}

static void on_gates(void *ctx, struct verdict v, const struct gate_state *rows, size_t n)
{
	struct dispatch *d = ctx;

	d->nexthops.reading = false;
	if (!dispatch_may_store(d))
		return;
	for (size_t i = 0; v.class == OK && i < n; i++)
		follow_row(d, &rows[i]);
	if (v.class == OK && follow_those_up(d))
		d->ops->wake(d);
	if (store_is_shared(d->store))
		uv_timer_start(&d->nexthops.follow, on_follow, FOLLOW_MS + n / 10, 0);
}

void nexthops_follow(struct dispatch *d)
{
	if (!dispatch_may_store(d) || d->nexthops.reading)
		return;
	d->nexthops.reading = true;
	d->nexthops.round++;
	d->nexthops.round_changes_n = d->nexthops.changes_n;
	store_gates(d->store, on_gates, d);
}

void nexthops_follow_init(struct dispatch *d)
{
	timers_add(d->timers, &d->nexthops.follow, d);
}

/* ---- the probe ---- */

/* On its way to the store. */
struct claim {
	struct dispatch *dispatch;
	struct arena arena;
	struct gate_state state;
	uint64_t seen;
};

static void on_claimed(void *ctx, struct verdict v, uint64_t count)
{
	struct claim *c = ctx;
	struct dispatch *d = c->dispatch;
	struct nexthop *hop = HASHTABLE_NAMED(&d->nexthops.table, c->state.name, struct nexthop, in_table, name);

	if (v.class == OK && count > 0 && hop && hop->status == NEXTHOP_DOWN && hop->row_until == c->seen) {
		hop->row_until = c->state.down_until;
		hop->status = NEXTHOP_PROBING;
		if (dispatch_may_store(d))
			d->ops->wake(d);
	}
	arena_fini(&c->arena);
	free(c);
}

void nexthop_claim(struct nexthop *hop, uint64_t now)
{
	struct claim *c = NEW(struct claim);

	c->dispatch = hop->dispatch;
	c->seen = hop->row_until;
	c->state = (struct gate_state){ .name = arena_str(&c->arena, str_of(hop->name)),
					.down_until = now + CLAIM_MS,
					.pause_ms = CLAIM_MS };
	hop->down_until = now + FOLLOW_MS; /* if another node was faster we know more then */
	store_gate_claim(hop->dispatch->store, &c->state, c->seen, on_claimed, c);
}
