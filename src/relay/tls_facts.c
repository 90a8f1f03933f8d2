/* tls_facts.c - what is known about the candidate of a connection, for the decision about its TLS. */
#include "connection.h"
#include "relay.h"

#include "posthouse/policy.h"

static bool needs_tlsa(const struct connection *c, const struct tls_facts *f)
{
	bool on = role_config(c->relay->role)->delivery.dane || f->require == TLS_REQUIRE_DANE;

	return tls_policy_heeds_dane(f) && (!f->mx || on);
}

bool tls_facts_gather(struct connection *c, struct tls_facts *facts_out)
{
	const struct candidate *t = connection_candidate(c);
	const struct pool *pool = c->pool;
	struct cfg_tls_demand demand = { 0 };

	if (pool->mx)
		demand = tls_demand_of(role_config(c->relay->role), pool->name, pool->require, pool->wish);
	*facts_out = (struct tls_facts){ .configured = pool->tls,
					 .wrapped = pool->port == 465,
					 .fingerprints = pool->fingerprints,
					 .mx = pool->mx,
					 .name = pool->mx ? t->host : pool->tls_name,
					 .domain = pool->name,
					 .domain_end = t->domain_end,
					 .require = demand.require,
					 .require_names = demand.names,
					 .own_ca = demand.ca.n > 0,
					 .wish = pool->wish,
					 .mx_secure = t->mx_secure,
					 .sts = pool->sts.mode,
					 .sts_listed = sts_policy_lists(&(struct sts_policy){ .mx = pool->sts.mx }, t->host),
					 .no_context = !c->context,
					 .failed = host_status_has(c->relay, HOST_NO_TLS, &t->address),
					 .too_old = host_status_has(c->relay, HOST_OLD_TLS, &t->address) };
	return !needs_tlsa(c, facts_out) || host_tlsa_known(c, facts_out);
}
