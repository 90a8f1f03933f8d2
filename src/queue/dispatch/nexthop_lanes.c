/* nexthop_lanes.c - lanes that wait for room at a next hop. */
#include "dispatch/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#define WAITING_MAX 64 /* lanes; more come again by the store's turn */
#define TIME_SHARE  4  /* of so many lanes that are let in one is the one that waits longest */

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

bool gate_wait(struct gate *g, uint64_t lane, unsigned priority)
{
	for (size_t i = 0; i < g->waiting_n; i++)
		if (g->waiting[i].lane == lane)
			return false;
	if (g->waiting_n == WAITING_MAX) {
		size_t least = least_urgent(g);

		if (g->waiting[least].priority >= priority)
			return false;
		take_out(g, least);
	}
	ARRAY_GROW(g->waiting, g->waiting_n, g->waiting_max);
	g->waiting[g->waiting_n++] = (struct waiting_lane){ lane, priority };
	gate_place(g);
	return true;
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
	g->waiting_n = g->waiting_max = 0;
	free(g->waiting);
	g->waiting = NULL;
	gate_place(g);
}

void gate_resume_waiting(struct gate *g)
{
	if (g->waiting_n > 0 && list_empty(&g->in_waiting))
		list_append(&g->dispatch->gates.waiting, &g->in_waiting);
}
