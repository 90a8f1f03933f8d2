/* nexthop_lanes.c - lanes that wait for room at a next hop. */
#include "dispatch/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#define WAITING_MAX 64 /* lanes; the store names further ones again */
#define TIME_SHARE  4  /* of this number of lanes one is the one that waits longest */

/* The lane that gives its place to a more urgent one: the last that came of the lowest priority. */
static size_t least_urgent(const struct nexthop *hop)
{
	size_t least = 0;

	for (size_t i = 1; i < hop->waiting_n; i++)
		if (hop->waiting[i].priority <= hop->waiting[least].priority)
			least = i;
	return least;
}

static void take_out(struct nexthop *hop, size_t i)
{
	memmove(hop->waiting + i, hop->waiting + i + 1, (--hop->waiting_n - i) * sizeof *hop->waiting);
}

bool nexthop_wait(struct nexthop *hop, uint64_t lane, unsigned priority)
{
	for (size_t i = 0; i < hop->waiting_n; i++)
		if (hop->waiting[i].lane == lane)
			return false;
	if (hop->waiting_n == WAITING_MAX) {
		size_t least = least_urgent(hop);

		if (hop->waiting[least].priority >= priority)
			return false;
		take_out(hop, least);
	}
	ARRAY_GROW(hop->waiting, hop->waiting_n, hop->waiting_max);
	hop->waiting[hop->waiting_n++] = (struct waiting_lane){ lane, priority };
	nexthop_place(hop);
	return true;
}

uint64_t nexthop_next_waiting(struct nexthop *hop)
{
	size_t next = 0;
	uint64_t lane;

	assert(hop->waiting_n > 0);
	if (++hop->waiting_turn % TIME_SHARE != 0)
		for (size_t i = 1; i < hop->waiting_n; i++)
			if (hop->waiting[i].priority > hop->waiting[next].priority)
				next = i;
	lane = hop->waiting[next].lane;
	take_out(hop, next);
	if (hop->waiting_n == 0)
		nexthop_forget_waiting(hop);
	return lane;
}

void nexthop_forget_waiting(struct nexthop *hop)
{
	list_remove(&hop->in_waiting);
	hop->waiting_n = hop->waiting_max = 0;
	free(hop->waiting);
	hop->waiting = NULL;
	nexthop_place(hop);
}

void nexthop_resume_waiting(struct nexthop *hop)
{
	if (hop->waiting_n > 0 && list_empty(&hop->in_waiting))
		list_append(&hop->dispatch->nexthops.waiting, &hop->in_waiting);
}
