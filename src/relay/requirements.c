/* requirements.c - what a message demands of its next hops: delivery by a time (RFC 2852), verified TLS (RFC 8689). */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/smtp_server.h"

/* RFC 2852: a message that is late comes back. A next hop without DELIVERBY cannot do this, and so does not get the message. */
static bool must_return(const struct delivery *d)
{
	return d->envelope.deliver_by > 0 && (d->envelope.deliver_by_mode & ~(unsigned)BY_TRACE) == BY_RETURN;
}

static struct verdict check_time(const struct delivery *d, uint64_t now_ms)
{
	if (must_return(d) && now_ms >= d->envelope.deliver_by)
		return perm(554, S("5.4.7"), S("the time by which the message had to be delivered (DELIVERBY) is over"));
	return ok();
}

int64_t requirements_seconds(const struct delivery *d, uint64_t now_ms)
{
	int64_t left_s = (int64_t)(d->envelope.deliver_by - now_ms) / 1000;

	return left_s < 1 && must_return(d) ? 1 : left_s; /* the last second has begun, and R must not say 0 */
}

/* RFC 8689 4.2.1: not by this next hop. Another choice of the route can perhaps do it. */
static struct verdict unfit(struct delivery *d, struct str enhanced, struct str why)
{
	d->unfit = true;
	return perm(550, enhanced, why);
}

/* Of the servers of a domain each is judged when it is tried: attempt.c. */
static struct verdict check_tls(struct delivery *d, const struct pool *pool, bool verified)
{
	if (d->wish != TLS_WISH_REQUIRE || verified || pool->mx)
		return ok();
	return unfit(d, S("5.7.10"), S("REQUIRETLS is demanded, and the upstream is used without verified TLS"));
}

struct verdict requirements_check(struct delivery *d, const struct pool *pool, uint64_t now_ms)
{
	struct verdict v = check_time(d, now_ms);

	return v.class == OK ? check_tls(d, pool, pool->tls != UPSTREAM_OPPORTUNISTIC && pool->tls != UPSTREAM_NONE) : v;
}

bool requirements_shows_unfit(struct verdict v, enum smtp_fault fault)
{
	return fault == FAULT_TLS || (v.class == PERM && (str_eq(v.enhanced, S("5.7.10")) || str_eq(v.enhanced, S("5.7.30"))));
}

struct verdict requirements_check_server(const struct connection *c)
{
	if (c->pool->wish != TLS_WISH_REQUIRE || requirements_offers_tls(c))
		return ok();
	if (c->tls.level < TLS_LEVEL_VERIFY)
		return perm(550, S("5.7.10"),
			    S("REQUIRETLS is demanded, and the TLS of the domain's mail servers is not verified"));
	return perm(550, S("5.7.30"), S("REQUIRETLS is demanded, and the next hop does not offer it"));
}

bool requirements_offers_tls(const struct connection *c)
{
	return c->tls.level >= TLS_LEVEL_VERIFY && (smtp_client_peer(c->client)->features & PEER_REQUIRETLS);
}

struct verdict requirements_check_peer(const struct connection *c, uint64_t now_ms)
{
	const struct smtp_peer *peer = smtp_client_peer(c->client);
	struct delivery *d = c->delivery;
	struct verdict v = check_time(d, now_ms);

	if (v.class == OK)
		v = check_tls(d, c->pool, c->tls.level >= TLS_LEVEL_VERIFY);
	if (v.class == OK && d->wish == TLS_WISH_REQUIRE && !requirements_offers_tls(c))
		return unfit(d, S("5.7.30"), S("REQUIRETLS is demanded, and the next hop does not offer it"));
	if (v.class != OK || !must_return(d))
		return v;
	if (!(peer->features & PEER_DELIVERBY))
		return perm(554, S("5.4.7"),
			    S("the message must come back when it is late (DELIVERBY), which the next hop cannot promise"));
	if ((uint64_t)requirements_seconds(d, now_ms) < peer->by_min_s)
		return perm(554, S("5.4.7"), S("the next hop wants more time than is left for the message (DELIVERBY)"));
	return v;
}
