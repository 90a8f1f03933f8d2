/* nexthop_allowance.c - several nodes share the connections of an upstream: how many this node has work for, how many the store
 * says that it can have, and how many relay is told. What relay uses is never given away: it is told to close connections first,
 * and only when it has said that it has, the store hears of it. Those of an MX domain need none of this, since one node alone has
 * its lanes. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/store_nodes.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define ASK_MS  SECOND_MS
#define SOON_MS 100             /* when another node was just changing something */
#define IDLE_MS (5 * SECOND_MS) /* so long connections are kept without work, as relay does … */
#define GIVE_MS (2 * SECOND_MS) /* … and so long while another node waits */
#define TURN_MS (10 * SECOND_MS)

static bool is_shared(const struct nexthop *hop)
{
	return !hop->is_mx && hop->dispatch->store && store_is_shared(hop->dispatch->store);
}

size_t allowance_of(const struct nexthop *hop)
{
	return is_shared(hop) ? hop->allowance.told : SIZE_MAX;
}

/* Lanes that wait are no work for a node that leases nothing: it could not be drained. */
static size_t work_for(const struct nexthop *hop)
{
	bool waits = hop->waiting_n > 0 && !hop->dispatch->paused;

	return waits ? hop->connections : least(hop->connections, hop->in_flight + hop->parked_n);
}

/* ---- what is told to relay ---- */

static void tell(struct nexthop *hop, size_t n)
{
	struct dispatch *d = hop->dispatch;
	struct allowance *a = &hop->allowance;

	if (!d->relay)
		return;
	a->told = n;
	if (a->used < n)
		a->used = n;
	ipc_send_allow(
		d->relay,
		&(struct msg_allow){ .epoch = d->nexthops.allowances.membership, .route = str_of(hop->name), .connections = n },
		-1);
}

void allowances_begin(struct dispatch *d)
{
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class)
		hop->allowance.told = hop->allowance.used = 0;
	d->nexthops.allowances.ask_at = 0;
}

void dispatch_allowed(struct dispatch *d, struct channel *ch, const struct msg_allowed *m)
{
	struct nexthop *hop = HASHTABLE_NAMED(&d->nexthops.table, m->route, struct nexthop, in_table, name);

	if (ch != d->relay || !hop || hop->is_mx || m->epoch != d->nexthops.allowances.membership ||
	    m->connections != hop->allowance.told)
		return;
	hop->allowance.used = hop->allowance.told;
	if (hop->allowance.held > hop->allowance.used)
		d->nexthops.allowances.ask_at = 0; /* another node waits for them */
}

/* ---- what the store is asked ---- */

/* On its way to the store. */
struct asking {
	struct dispatch *dispatch;
	struct arena arena;
	uint64_t membership;
	struct nexthop **hops; /* upstreams live as long as dispatch */
	struct slots_wish *wishes;
	size_t n;
};

static void on_shares(void *ctx, struct verdict v, const struct slots_share *shares, size_t n)
{
	struct asking *q = ctx;
	struct dispatch *d = q->dispatch;
	struct allowances *all = &d->nexthops.allowances;
	bool more = false;

	all->asking = false;
	for (size_t i = 0; v.class == OK && i < n && q->membership == all->membership; i++) {
		struct nexthop *hop = q->hops[i];

		if (hop->allowance.held == 0)
			hop->allowance.turn_at = clock_mono_ms();
		hop->allowance.held = (size_t)shares[i].held;
		hop->allowance.listed = q->wishes[i].wanted > 0 || shares[i].held > 0 || shares[i].busy;
		hop->allowance.pressed = shares[i].pressed;
		more = more || shares[i].keep > hop->allowance.told;
		tell(hop, (size_t)shares[i].keep);
		if (shares[i].busy && all->ask_at > clock_mono_ms() + SOON_MS)
			all->ask_at = clock_mono_ms() + SOON_MS;
	}
	arena_fini(&q->arena);
	free(q);
	if (more && dispatch_may_store(d))
		d->ops->wake(d);
}

/* The most that there was work for lately. */
static size_t wanted_lately(struct nexthop *hop, uint64_t now)
{
	struct allowance *a = &hop->allowance;
	size_t work = work_for(hop);

	if (work >= a->wanted || now >= a->since + (a->pressed ? GIVE_MS : IDLE_MS)) {
		a->wanted = work;
		a->since = now;
	}
	return least(a->wanted, hop->connections);
}

static struct slots_wish wish_of(struct nexthop *hop, uint64_t now)
{
	struct allowance *a = &hop->allowance;

	a->asked = wanted_lately(hop, now);
	return (struct slots_wish){ .gate = str_of(hop->name),
				    .limit = hop->connections,
				    .wanted = a->asked,
				    .used = a->used,
				    .had_turn = a->held > 0 && now >= a->turn_at + TURN_MS };
}

static size_t count_upstreams(struct dispatch *d)
{
	size_t n = 0;

	LIST_EACH (i, &d->nexthops.upstreams)
		n++;
	return n;
}

/* Nothing is asked while there is no work and the store has no row of this node. */
static void ask(struct dispatch *d)
{
	struct allowances *all = &d->nexthops.allowances;
	struct asking *q;
	uint64_t now = clock_mono_ms();

	if (all->asking)
		return;
	all->ask_at = now + ASK_MS;
	q = NEW(struct asking);
	q->dispatch = d;
	q->membership = all->membership;
	q->n = count_upstreams(d);
	q->hops = ARENA_ARRAY(&q->arena, struct nexthop *, q->n + 1);
	q->wishes = ARENA_ARRAY(&q->arena, struct slots_wish, q->n + 1);
	q->n = 0;
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class) {
		struct slots_wish w = wish_of(hop, now);

		if (w.wanted == 0 && !hop->allowance.listed)
			continue;
		hop->allowance.listed = true;
		q->hops[q->n] = hop;
		q->wishes[q->n++] = w;
	}
	if (q->n == 0) {
		arena_fini(&q->arena);
		free(q);
		return;
	}
	all->asking = true;
	store_slots(d->store, q->wishes, q->n, on_shares, q);
}

void allowance_want(struct nexthop *hop)
{
	size_t work = work_for(hop);

	if (is_shared(hop) && work > hop->allowance.asked && work > hop->allowance.told)
		ask(hop->dispatch);
}

/* What was held in another epoch is held no more, and relay knows that by the horizon. */
static void begin_epoch(struct dispatch *d, uint64_t membership)
{
	d->nexthops.allowances.membership = membership;
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class) {
		hop->allowance.held = 0;
		hop->allowance.listed = false;
	}
	allowances_begin(d);
}

void allowances_look(struct dispatch *d)
{
	struct allowances *all = &d->nexthops.allowances;
	struct store_node now;

	if (!dispatch_may_store(d) || !store_is_shared(d->store))
		return;
	store_node(d->store, &now);
	if (now.membership != all->membership)
		begin_epoch(d, now.membership);
	if (now.state != STORE_NODE_AWAY && clock_mono_ms() >= all->ask_at)
		ask(d);
}
