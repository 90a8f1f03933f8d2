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

/* RFC 8689 4.2.1: the message must not be sent without a verified certificate. */
static struct verdict check_tls(const struct delivery *d, bool mx, enum tls_level level)
{
	if (!d->require_tls || level == TLS_LEVEL_VERIFY)
		return ok();
	if (mx)
		return perm(550, S("5.7.30"),
			    S("REQUIRETLS is demanded, and the TLS of the domain's mail servers is not verified"));
	return perm(550, S("5.7.30"), S("REQUIRETLS is demanded, and the upstream is used without verified TLS"));
}

struct verdict requirements_check(const struct delivery *d, const struct pool *pool, uint64_t now_ms)
{
	struct verdict v = check_time(d, now_ms);

	return v.class == OK ? check_tls(d, pool->mx, tls_level_of(pool->tls)) : v;
}

struct verdict requirements_check_peer(const struct connection *c, uint64_t now_ms)
{
	const struct smtp_peer *peer = smtp_client_peer(c->client);
	const struct delivery *d = c->delivery;
	struct verdict v = check_time(d, now_ms);

	if (v.class == OK)
		v = check_tls(d, c->pool->mx, c->tls.level);
	if (v.class == OK && d->require_tls && !(peer->features & PEER_REQUIRETLS))
		return perm(550, S("5.7.30"), S("REQUIRETLS is demanded, and the next hop does not offer it"));
	if (v.class != OK || !must_return(d))
		return v;
	if (!(peer->features & PEER_DELIVERBY))
		return perm(554, S("5.4.7"),
			    S("the message must come back when it is late (DELIVERBY), which the next hop cannot promise"));
	if ((uint64_t)requirements_seconds(d, now_ms) < peer->by_min_s)
		return perm(554, S("5.4.7"), S("the next hop wants more time than is left for the message (DELIVERBY)"));
	return v;
}
