/* resolver.c - the resolver for direct delivery: opened at its first use, and again when resolv.conf has changed. */
#include "pool.h"
#include "relay.h"

#include "posthouse/clock.h"

#define RESOLV_CONF "/etc/resolv.conf"

enum { RESOLV_CONF_MS = 10000 };

struct str resolver_options(struct arena *a, const struct cfg_delivery *d)
{
	return arena_printf(a, "%.*s\n%.*s\n%d%d", STR_ARG(d->resolver), STR_ARG(d->trust_anchor), d->ipv4, d->ipv6);
}

static struct dns *open_dns(struct relay *relay, const struct cfg_delivery *d, struct arena *a, struct verdict *why_out)
{
	struct dns_options options = {
		.resolver = d->resolver, .trust_anchor = d->trust_anchor, .ipv4 = d->ipv4, .ipv6 = d->ipv6
	};

	return dns_open(relay->loop, &options, a, why_out);
}

/* Look-ups of the old resolver are dropped, and repeated by the new one. */
void resolver_apply(struct relay *relay)
{
	if (relay->dns)
		dns_close(relay->dns);
	relay->dns = relay->next_dns;
	relay->next_dns = NULL;
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay)
		relay->ops->resolver_changed(pool);
}

/* resolv.conf can change while the relay runs: a laptop moves, the network of a container is set up late. */
static void follow_resolv_conf(struct relay *relay)
{
	const struct cfg_delivery *d = &role_config(relay->role)->delivery;
	uint64_t now = clock_mono_ms();
	struct arena a = { 0 };
	struct verdict why = ok();
	struct stat st;

	if (d->resolver.n > 0 || now - relay->resolv_conf_at < RESOLV_CONF_MS)
		return;
	relay->resolv_conf_at = now;
	if (stat(RESOLV_CONF, &st) != 0)
		return;
	if (relay->dns &&
	    (st.st_mtim.tv_sec != relay->resolv_conf.st_mtim.tv_sec || st.st_mtim.tv_nsec != relay->resolv_conf.st_mtim.tv_nsec ||
	     st.st_ino != relay->resolv_conf.st_ino || st.st_size != relay->resolv_conf.st_size)) {
		relay->next_dns = open_dns(relay, d, &a, &why);
		if (relay->next_dns) {
			log_info(&relay->log, "resolver.changed");
			resolver_apply(relay);
		} else {
			log_error(&relay->log, "resolver.failed", kv("reason", why.text));
		}
	}
	relay->resolv_conf = st;
	arena_fini(&a);
}

struct dns *resolver_get(struct relay *relay, struct arena *a, struct verdict *why_out)
{
	follow_resolv_conf(relay);
	if (relay->dns)
		return relay->dns;
	relay->dns = open_dns(relay, &role_config(relay->role)->delivery, a, why_out);
	if (!relay->dns)
		log_error(&relay->log, "resolver.failed", kv("reason", why_out->text));
	return relay->dns;
}

/* A configured resolver is opened at once, to find faults. The default one is opened at its first use, because it takes memory
 * that is wasted without direct delivery. */
struct verdict resolver_check(struct relay *relay, const struct cfg_delivery *d)
{
	struct verdict why = ok();

	if ((d->resolver.n == 0 && d->trust_anchor.n == 0) || str_eq(resolver_options(&relay->scratch, d), relay->dns_options))
		return ok();
	relay->next_dns = open_dns(relay, d, &relay->scratch, &why);
	if (relay->next_dns)
		return ok();
	why.text = arena_printf(&relay->scratch, "delivery.resolver: %.*s", STR_ARG(why.text));
	return why;
}

void resolver_abandon(struct relay *relay)
{
	if (relay->next_dns)
		dns_close(relay->next_dns);
	relay->next_dns = NULL;
}
