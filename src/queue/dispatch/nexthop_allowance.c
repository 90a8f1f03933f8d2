/* nexthop_allowance.c - several nodes share the connections of an upstream: how many this node has work for, how many the store
 * says that it can have, and how many relay is told. What relay uses is never given away: it is told to close connections first,
 * and only when it has said that it has, the store hears of it. Those of an MX domain need none of this, since one node alone has
 * its lanes. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/store_nodes.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define ASK_MS  200             /* while some are held: another node can wait for them */
#define SOON_MS 100             /* while none are, or when another node was just changing something */
#define IDLE_MS (5 * SECOND_MS) /* so long connections are kept without work, as relay does … */
#define GIVE_MS 500             /* … and so long while another node waits */
#define TURN_MS (10 * SECOND_MS)

static void on_time(uv_timer_t *t);

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
	a->number += n != a->told;
	a->told = n;
	if (a->used < n)
		a->used = n;
	ipc_send_allow(d->relay,
		       &(struct msg_allow){ .epoch = d->nexthops.allowances.membership,
					    .route = str_of(hop->name),
					    .connections = n,
					    .number = a->number },
		       -1);
}

void allowances_begin(struct dispatch *d)
{
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class)
		hop->allowance.told = hop->allowance.used = 0;
	d->nexthops.allowances.ask_at = 0;
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

/* True: it is more than before. */
static bool take_share(struct nexthop *hop, const struct slots_wish *wish, const struct slots_share *share)
{
	struct allowances *all = &hop->dispatch->nexthops.allowances;
	struct allowance *a = &hop->allowance;
	bool more = share->keep > a->told;

	if (a->held == 0)
		a->turn_at = clock_mono_ms();
	if (share->pressed && !a->pressed)
		all->ask_at = 0; /* perhaps this node keeps some without work: GIVE_MS */
	if (share->busy || (wish->wanted > 0 && share->held == 0))
		all->soon = true;
	a->held = (size_t)share->held;
	a->listed = wish->wanted > 0 || share->held > 0 || share->busy;
	a->pressed = share->pressed;
	tell(hop, (size_t)share->keep);
	return more;
}

static void on_shares(void *ctx, struct verdict v, const struct slots_share *shares, size_t n)
{
	struct asking *q = ctx;
	struct dispatch *d = q->dispatch;
	struct allowances *all = &d->nexthops.allowances;
	bool more = false;

	all->asking = all->soon = false;
	for (size_t i = 0; v.class == OK && i < n && q->membership == all->membership; i++)
		more = take_share(q->hops[i], &q->wishes[i], &shares[i]) || more;
	arena_fini(&q->arena);
	free(q);
	if (!dispatch_may_store(d))
		return;
	if (more)
		d->ops->wake(d);
	if (all->soon)
		uv_timer_start(&all->timer, on_time, SOON_MS, 0);
	allowances_look(d); /* perhaps there is more to ask by now */
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

/* At once, or behind a question that was asked before. */
static void ask_now(struct dispatch *d)
{
	d->nexthops.allowances.ask_at = 0;
	allowances_look(d);
}

static void on_time(uv_timer_t *t)
{
	ask_now(t->data);
}

void allowances_init(struct dispatch *d)
{
	timers_add(d->timers, &d->nexthops.allowances.timer, d);
}

void allowance_want(struct nexthop *hop)
{
	size_t work = work_for(hop);

	if (is_shared(hop) && work > hop->allowance.asked && work > hop->allowance.told)
		ask_now(hop->dispatch);
}

void dispatch_allowed(struct dispatch *d, struct channel *ch, const struct msg_allowed *m)
{
	struct nexthop *hop = HASHTABLE_NAMED(&d->nexthops.table, m->route, struct nexthop, in_table, name);

	if (ch != d->relay || !hop || hop->is_mx || m->epoch != d->nexthops.allowances.membership ||
	    m->number != hop->allowance.number)
		return;
	hop->allowance.used = hop->allowance.told;
	if (hop->allowance.held > hop->allowance.used)
		ask_now(d); /* another node waits for them */
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

void allowance_stats(const struct nexthop *hop)
{
	struct arena a = { 0 };

	if (is_shared(hop)) {
		role_stat_of(hop->dispatch->role, METRIC_QUEUE_CONNECTIONS_HELD, str_of(hop->name), hop->allowance.held,
			     arena_printf(&a, "of %zu of all nodes", hop->connections));
		role_stat_of(hop->dispatch->role, METRIC_QUEUE_CONNECTIONS_LIMIT, str_of(hop->name), hop->connections, S(""));
	}
	arena_fini(&a);
}
