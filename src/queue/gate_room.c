/* gate_room.c - how many deliveries a gate may have, and the lanes that wait for room in it. */
#include "queue.h"

#include <assert.h>
#include <stdlib.h>

#define PREFETCH_MIN 8
#define WAITING_MAX  64 /* lanes; more come again by the store's turn */
#define TIME_SHARE   4  /* of so many lanes that are let in one is the one that waits longest */

/* Twice the connections, so that relay has the next delivery at hand when one ends. */
static size_t window(const struct gate *g)
{
	return 2 * g->connections;
}

static size_t prefetch(const struct gate *g)
{
	return window(g) < PREFETCH_MIN ? PREFETCH_MIN : window(g);
}

bool gate_is_open(struct gate *g, uint64_t now)
{
	gate_tick(g, now);
	if (g->connections == 0 || g->status == GATE_DOWN || limits_wait_ms(g, now) > 0)
		return false;
	return g->status == GATE_UP || g->in_flight + g->parked_n == 0;
}

size_t gate_slots(const struct gate *g)
{
	size_t most = g->status == GATE_UP ? window(g) : g->status == GATE_PROBING ? 1 : 0;

	return most > g->in_flight ? most - g->in_flight : 0;
}

/* Of MX domains there may be any number: each may take a part of what is still free, so that however many are slow, there is always
 * something left for another one. */
static size_t fair_share(const struct gate *g, size_t most)
{
	size_t share = 1 + leases_free(g->queue) / 4;

	return g->is_mx && share < most ? share : most;
}

size_t gate_room(const struct gate *g, uint64_t now)
{
	size_t used = g->in_flight + g->parked_n + g->expected;
	size_t limit = limits_room(g, now);
	size_t most = 0;

	if (g->connections > 0 && g->status == GATE_UP)
		most = fair_share(g, window(g) + prefetch(g));
	else if (g->connections > 0 && g->status == GATE_PROBING)
		most = 1;
	if (used >= most)
		return 0;
	return limit < most - used ? limit : most - used;
}

bool gate_takes(const struct gate *g)
{
	if (g->status == GATE_UP)
		return g->parked_n < 4 * prefetch(g);
	return g->status == GATE_PROBING && g->in_flight + g->parked_n == 0;
}

size_t gates_upstream_room(struct queue *q, uint64_t now, uint64_t *wake_at_out)
{
	size_t room = 0;

	*wake_at_out = 0;
	LIST_EACH (i, &q->gates.upstreams) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_class);
		uint64_t at = 0;

		if (g->connections == 0)
			continue;
		if (gate_is_open(g, now))
			room += gate_room(g, now);
		else if (g->status == GATE_DOWN)
			at = g->down_until;
		else if (g->status == GATE_UP)
			at = now + limits_wait_ms(g, now);
		if (at > 0 && (*wake_at_out == 0 || at < *wake_at_out))
			*wake_at_out = at;
	}
	return room;
}

bool gates_may_expire(const struct queue *q)
{
	LIST_EACH (i, &q->gates.upstreams) {
		const struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		if (g->status != GATE_UP && g->fault != FAULT_OURS && g->tried_at > 0)
			return true;
	}
	return q->gates.down_n > 0;
}

/* ---- asked for ---- */

void gate_expect(struct gate *g, size_t n)
{
	g->expected += n;
	if (list_empty(&g->in_asked))
		list_append(&g->queue->gates.asked, &g->in_asked);
	gate_place(g);
}

void gates_expect_nothing(struct queue *q)
{
	LIST_EACH (i, &q->gates.asked) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_asked);

		list_remove(&g->in_asked);
		g->expected = 0;
		gate_place(g);
	}
}

/* ---- waiting lanes ---- */

/* The one that may go when there is no room for another: the last to come among the least urgent. */
static size_t least_urgent(const struct gate *g)
{
	size_t least = 0;

	for (size_t i = 1; i < g->waiting_n; i++)
		if (g->waiting[i].priority <= g->waiting[least].priority)
			least = i;
	return least;
}

static void take_out(struct gate *g, size_t i)
{
	memmove(g->waiting + i, g->waiting + i + 1, (--g->waiting_n - i) * sizeof *g->waiting);
}

void gate_wait(struct gate *g, uint64_t lane, unsigned priority)
{
	for (size_t i = 0; i < g->waiting_n; i++)
		if (g->waiting[i].lane == lane)
			return;
	if (g->waiting_n == WAITING_MAX) {
		size_t least = least_urgent(g);

		if (g->waiting[least].priority >= priority)
			return;
		take_out(g, least);
	}
	if (!g->waiting)
		g->waiting = xcalloc(WAITING_MAX, sizeof *g->waiting);
	if (g->waiting_n == 0)
		list_append(&g->queue->gates.waiting, &g->in_waiting);
	g->waiting[g->waiting_n++] = (struct waiting_lane){ lane, priority };
	gate_place(g);
}

uint64_t gate_next_waiting(struct gate *g)
{
	size_t next = 0;
	uint64_t lane;

	assert(g->waiting_n > 0);
	if (++g->waiting_turn % TIME_SHARE != 0)
		for (size_t i = 1; i < g->waiting_n; i++)
			if (g->waiting[i].priority > g->waiting[next].priority)
				next = i;
	lane = g->waiting[next].lane;
	take_out(g, next);
	if (g->waiting_n == 0)
		gate_forget_waiting(g);
	return lane;
}

void gate_forget_waiting(struct gate *g)
{
	list_remove(&g->in_waiting);
	g->waiting_n = 0;
	free(g->waiting);
	g->waiting = NULL;
	gate_place(g);
}
