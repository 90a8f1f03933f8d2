/* tls.c - what the configuration demands of the TLS of a domain's mail servers. */
#include "posthouse/policy.h"

const struct cfg_tls *tls_entry_of(const struct config *c, struct str domain)
{
	struct arena a = { 0 };
	struct str address = c->tls_n > 0 ? arena_printf(&a, "x@%.*s", STR_ARG(domain)) : S("");
	const struct cfg_tls *found = NULL;

	for (size_t i = 0; i < c->tls_n && !found; i++)
		if (patterns_match(&c->tls[i].destinations, address))
			found = &c->tls[i];
	arena_fini(&a);
	return found;
}

struct cfg_tls_demand tls_demand_of(const struct config *c, struct str domain, enum tls_require route, enum tls_wish wish)
{
	const struct cfg_tls *entry = tls_entry_of(c, domain);
	struct cfg_tls_demand d = { .require = wish == TLS_WISH_OPTIONAL ? TLS_REQUIRE_DEFAULT : c->delivery.tls };

	if (entry && (route == TLS_REQUIRE_DEFAULT || route == TLS_REQUIRE_VERIFIED))
		d = entry->demand;
	if (route != TLS_REQUIRE_DEFAULT)
		d.require = route;
	return d;
}
