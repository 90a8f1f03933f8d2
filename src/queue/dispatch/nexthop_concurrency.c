/* nexthop_concurrency.c - how many deliveries a gate may have. */
#include "dispatch/dispatch.h"

#define AHEAD_US      100000 /* what waits for a connection may be the work of this time … */
#define AHEAD_MAX     8      /* … at most so many, or one per connection … */
#define AHEAD_UNKNOWN 2      /* … or so many, as long as the pace is not known */
#define PACE_MAX_US   10000000
#define FEW           4 /* deliveries at once of a domain that is not known to work */
/* Leases that are kept for upstreams, and with them for domains that worked lately: however many others look up, connect or hang. At most
 * 256 are free, when large texts count. */
#define KEPT_FOR_UPSTREAMS 32
#define KEPT_FOR_PROVEN    128

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool is_unproven(const struct gate *g)
{
	return g->is_mx && !g->proven;
}

/* As many as it has connections. */
static size_t width(const struct gate *g)
{
	return g->granted > 0 ? least(g->granted, g->connections) : g->connections;
}

/* What is sent or leased beyond that hides the time between a result and the next delivery. It is little where the next hop is slow: a
 * mail that comes then waits for its turn among the lanes, not behind all that was fetched before. */
static size_t ahead(const struct gate *g)
{
	size_t work = g->pace_us > 0 ? (size_t)(AHEAD_US / g->pace_us) : AHEAD_UNKNOWN;

	return least(work, AHEAD_MAX > g->connections ? AHEAD_MAX : g->connections);
}

/* Deliveries that relay has: it has the next one of a connection at hand. */
static size_t window(const struct gate *g)
{
	if (is_unproven(g))
		return g->hosts == HOSTS_MISSING ? 1 : least(FEW, width(g) + 1);
	return width(g) + least(ahead(g), width(g));
}

/* And those that wait for it here. */
static size_t prefetch(const struct gate *g)
{
	return is_unproven(g) ? 0 : ahead(g);
}

void gate_pace(struct gate *g, size_t connections)
{
	uint64_t now = uv_hrtime() / 1000, passed = now - g->paced_at_us;

	if (connections > 0)
		g->granted = connections;
	if (g->paced_at_us > 0 && g->was_busy) {
		passed = passed > PACE_MAX_US ? PACE_MAX_US : passed < 1 ? 1 : passed;
		g->pace_us = g->pace_us > 0 ? (7 * g->pace_us + passed) / 8 : passed;
	}
	g->paced_at_us = now;
	/* the one whose result this is counts until it is settled */
	g->was_busy = g->in_flight > 1 || g->parked_n > 0 || g->waiting_n > 0;
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
 * something left for another one; and those that are not known to work leave the rest to those that do. */
static size_t fair_share(const struct gate *g, size_t most)
{
	size_t left = leases_left(g->dispatch), kept = g->proven ? KEPT_FOR_UPSTREAMS : KEPT_FOR_PROVEN;

	if (!g->is_mx)
		return most;
	return left > kept ? least(most, 1 + (left - kept) / 4) : 0;
}

size_t gate_room(const struct gate *g, uint64_t now)
{
	size_t used = g->in_flight + g->parked_n + g->expected;
	size_t limit = limits_room(g, now);
	size_t most = 0;

	if (g->connections == 0 || !gate_knows_hosts(g))
		return 0;
	if (g->status == GATE_UP)
		most = fair_share(g, window(g) + prefetch(g));
	else if (g->status == GATE_PROBING)
		most = fair_share(g, 1);
	if (used >= most)
		return 0;
	return limit < most - used ? limit : most - used;
}

bool gate_takes(const struct gate *g)
{
	/* What a lane has given is counted before the first of it is sent. */
	if (g->status == GATE_UP)
		return g->parked_n < gate_slots(g) + 4 * (1 + prefetch(g));
	return g->status == GATE_PROBING && g->in_flight + g->parked_n == 0;
}

size_t gates_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out)
{
	size_t room = 0;

	*wake_at_out = 0;
	LIST_EACH (i, &d->gates.upstreams) {
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

bool gates_may_expire(const struct dispatch *d)
{
	LIST_EACH (i, &d->gates.upstreams) {
		const struct gate *g = CONTAINER_OF(i, struct gate, in_class);

		if (g->status != GATE_UP && g->fault != FAULT_OURS && g->tried_at > 0)
			return true;
	}
	return d->gates.down_n > 0;
}

/* ---- asked for ---- */

void gate_expect(struct gate *g, size_t n)
{
	g->expected += n;
	if (list_empty(&g->in_asked))
		list_append(&g->dispatch->gates.asked, &g->in_asked);
	gate_place(g);
}

void gates_expect_nothing(struct dispatch *d)
{
	LIST_EACH (i, &d->gates.asked) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_asked);

		list_remove(&g->in_asked);
		g->expected = 0;
		gate_place(g);
	}
}
