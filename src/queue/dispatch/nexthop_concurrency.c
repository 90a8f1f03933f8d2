/* nexthop_concurrency.c - how many deliveries a next hop can have at once. */
#include "dispatch/dispatch.h"

#define AHEAD_US      100000 /* deliveries are sent ahead of connections for this time of work … */
#define AHEAD_MAX     64     /* … but at most this number, or one for each connection … */
#define AHEAD_UNKNOWN 2      /* … or this number, as long as the pace is not known */
#define PACE_MAX_US   10000000
#define FEW           4 /* deliveries at once of a domain that is not known to work */
/* Leases that are reserved for upstreams, and for upstreams together with domains that worked lately: other domains cannot take
 * them, however many of these look up, connect or hang. At most 256 leases are free when texts are large. */
#define KEPT_FOR_UPSTREAMS 32
#define KEPT_FOR_PROVEN    128

static bool is_unproven(const struct nexthop *hop)
{
	return hop->is_mx && !hop->proven;
}

/* The connections that it can have. */
static size_t width(const struct nexthop *hop)
{
	size_t allowed = least(hop->connections, allowance_of(hop));

	return hop->granted > 0 ? least(hop->granted, allowed) : allowed;
}

/* However fast the next hop is. */
static size_t ahead_most(const struct nexthop *hop)
{
	return AHEAD_MAX > hop->connections ? AHEAD_MAX : hop->connections;
}

/* Deliveries that are sent or leased beyond the connections hide the time between a result and the next delivery. They are few
 * where the next hop is slow: then new mail waits for its turn among the lanes, not behind everything that was fetched before. */
static size_t ahead(const struct nexthop *hop)
{
	size_t work = hop->pace_us > 0 ? (size_t)(AHEAD_US / hop->pace_us) : AHEAD_UNKNOWN;

	return least(work, ahead_most(hop));
}

/* Deliveries that relay has, so that it has the next one for a connection at hand. */
static size_t window(const struct nexthop *hop)
{
	if (is_unproven(hop))
		return hop->hosts == HOSTS_MISSING ? 1 : least(FEW, width(hop) + 1);
	return width(hop) + least(ahead(hop), width(hop));
}

/* Deliveries that wait here, parked. */
static size_t prefetch(const struct nexthop *hop)
{
	return is_unproven(hop) ? 0 : ahead(hop);
}

void nexthop_pace(struct nexthop *hop, size_t connections)
{
	uint64_t now = uv_hrtime() / 1000, passed = now - hop->paced_at_us;

	if (connections > 0)
		hop->granted = connections;
	if (hop->paced_at_us > 0 && hop->was_busy) {
		passed = passed > PACE_MAX_US ? PACE_MAX_US : passed < 1 ? 1 : passed;
		hop->pace_us = hop->pace_us > 0 ? (7 * hop->pace_us + passed) / 8 : passed;
	}
	hop->paced_at_us = now;
	/* the delivery whose result this is counts until it is settled */
	hop->was_busy = hop->in_flight > 1 || hop->parked_n > 0 || hop->waiting_n > 0;
}

bool nexthop_is_open(struct nexthop *hop, uint64_t now)
{
	nexthop_tick(hop, now);
	if (hop->connections == 0 || hop->status == NEXTHOP_DOWN || nexthop_rate_wait_ms(hop, now) > 0)
		return false;
	return hop->status == NEXTHOP_UP || hop->in_flight + hop->parked_n == 0;
}

size_t nexthop_slots(const struct nexthop *hop)
{
	size_t most = hop->status == NEXTHOP_UP ? window(hop) : hop->status == NEXTHOP_PROBING ? least(1, width(hop)) : 0;

	return most > hop->in_flight ? most - hop->in_flight : 0;
}

/* There can be any number of MX domains. Each of them can take a part of the free leases, so that there is always something left
 * for another domain, however many are slow. Domains that are not known to work leave a rest to those that do. */
static size_t fair_share(const struct nexthop *hop, size_t most)
{
	size_t left = leases_left(hop->dispatch), kept = hop->proven ? KEPT_FOR_UPSTREAMS : KEPT_FOR_PROVEN;

	if (!hop->is_mx)
		return most;
	return left > kept ? least(most, 1 + (left - kept) / 4) : 0;
}

size_t nexthop_room(const struct nexthop *hop, uint64_t now)
{
	size_t used = hop->in_flight + hop->parked_n + hop->expected;
	size_t limit = nexthop_rate_room(hop, now);
	size_t most = 0;

	if (hop->connections == 0 || !nexthop_knows_hosts(hop))
		return 0;
	/* Without a connection that is allowed one delivery waits, so that there is something to ask for one. */
	if (hop->status == NEXTHOP_UP)
		most = fair_share(hop, allowance_of(hop) > 0 ? window(hop) + prefetch(hop) : 1);
	else if (hop->status == NEXTHOP_PROBING)
		most = fair_share(hop, 1);
	if (used >= most)
		return 0;
	return limit < most - used ? limit : most - used;
}

size_t nexthop_recipients(const struct nexthop *hop, uint64_t now)
{
	size_t most = least(DELIVERY_RECIPIENTS_MAX, nexthop_rate_recipients(hop, now));

	if (hop->recipients_per_message > 0)
		most = least(most, hop->recipients_per_message);
	return most > 0 ? most : 1;
}

bool nexthop_takes(const struct nexthop *hop)
{
	/* What a lane has given is counted before the first of it is sent. What there was room for when the store was asked finds
	 * a place, however slow the next hop has become meanwhile. */
	if (hop->status == NEXTHOP_UP)
		return hop->parked_n < nexthop_slots(hop) + 4 * (1 + ahead_most(hop));
	return hop->status == NEXTHOP_PROBING && hop->in_flight + hop->parked_n == 0;
}

size_t nexthops_upstream_room(struct dispatch *d, uint64_t now, uint64_t *wake_at_out)
{
	size_t room = 0;

	*wake_at_out = 0;
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class) {
		uint64_t at = 0;

		if (hop->connections == 0)
			continue;
		if (nexthop_is_open(hop, now))
			room += nexthop_room(hop, now);
		else if (hop->status == NEXTHOP_DOWN)
			at = hop->down_until;
		else if (hop->status == NEXTHOP_UP)
			at = now + nexthop_rate_wait_ms(hop, now);
		if (at > 0 && (*wake_at_out == 0 || at < *wake_at_out))
			*wake_at_out = at;
	}
	return room;
}

bool nexthops_may_expire(const struct dispatch *d)
{
	LIST_EACH_OF (const struct nexthop, hop, &d->nexthops.upstreams, in_class)
		if (hop->status != NEXTHOP_UP && hop->fault != FAULT_OURS && hop->tried_at > 0)
			return true;
	return d->nexthops.down_n > 0;
}

/* ---- asked for ---- */

void nexthop_expect(struct nexthop *hop, size_t n)
{
	hop->expected += n;
	if (list_empty(&hop->in_asked))
		list_append(&hop->dispatch->nexthops.asked, &hop->in_asked);
	nexthop_place(hop);
}

void nexthops_expect_nothing(struct dispatch *d)
{
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.asked, in_asked) {
		list_remove(&hop->in_asked);
		hop->expected = 0;
		nexthop_place(hop);
	}
}
