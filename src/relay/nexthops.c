/* nexthops.c - the list of next hops: the configured upstreams, and each domain as long as there is mail for it. */
#include "ca_store.h"
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/policy.h"
#include "posthouse/sasl.h"

enum { SMTP_PORT = 25 };

static struct pool *find(struct relay *relay, struct str route)
{
	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay)
		if (!pool->gone && str_eq(pool->route, route))
			return pool;
	return NULL;
}

static struct pool *pool_new(struct relay *relay)
{
	struct pool *pool = NEW(struct pool);

	pool->relay = relay;
	list_init(&pool->connections);
	list_init(&pool->waiting);
	list_init(&pool->asking);
	list_append(&relay->pools, &pool->in_relay);
	return pool;
}

static size_t limit_of(uint64_t connections)
{
	return connections ? (size_t)connections : 1;
}

static void use_ca_store(struct pool *pool, struct str ca_pem, struct str own_pem)
{
	struct verdict why = ok();

	pool->ca_store = ca_store_get(pool->relay, ca_pem, own_pem, &pool->arena, &why);
	if (pool->ca_store)
		pool->ca_store->users++;
	else
		log_error(&pool->relay->log, "upstream.failed", kv("upstream", pool->route), kv("reason", why.text));
}

/* ---- upstreams ---- */

static unsigned port_of(const struct cfg_upstream *u)
{
	if (u->port > 0)
		return (unsigned)u->port;
	return u->tls == UPSTREAM_IMPLICIT ? 465 : 587;
}

static int digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Of "sha256:" and 64 digits in lower case, as the loader leaves them. */
static struct str_list fingerprints_of(struct arena *a, const struct str_list *texts)
{
	struct str_list all = { .at = ARENA_ARRAY(a, struct str, texts->n + 1) };

	for (size_t i = 0; i < texts->n; i++) {
		struct str digits = str_from(texts->at[i], 7);
		char bytes[TLS_FINGERPRINT] = "";

		for (size_t k = 0; k < sizeof bytes && 2 * k + 1 < digits.n; k++)
			bytes[k] = (char)(digit(digits.p[2 * k]) * 16 + digit(digits.p[2 * k + 1]));
		all.at[all.n++] = arena_str(a, str_make(bytes, sizeof bytes));
	}
	return all;
}

/* The settings as one text, for a comparison; without the certificates. */
static struct str definition(struct arena *a, const struct cfg_upstream *u)
{
	struct str mechanisms = sasl_wanted(a, &u->mechanisms, config_credentials(u));

	struct str text = arena_printf(a, "%.*s\n%.*s\n%u %u %d %u\n%.*s", STR_ARG(u->host), STR_ARG(u->tls_name), port_of(u),
				       u->tls, u->login.n > 0, extensions_named(&u->avoid), STR_ARG(mechanisms));

	for (size_t i = 0; i < u->tls_fingerprints.n; i++)
		text = arena_printf(a, "%.*s\n%.*s", STR_ARG(text), STR_ARG(u->tls_fingerprints.at[i]));
	return text;
}

static bool same_definition(const struct pool *pool, const struct cfg_upstream *u, struct arena *a)
{
	return str_eq(pool->definition, definition(a, u)) &&
	       (!pool->ca_store || ca_store_is(pool->ca_store, u->ca_pem, u->certificate_pem));
}

/* Take over a definition, which nexthops_check() has accepted. */
static void define(struct pool *pool, const struct cfg_upstream *u)
{
	arena_reset(&pool->arena);
	if (pool->ca_store)
		pool->ca_store->users--;
	pool->ca_store = NULL;
	pool->route = arena_printf(&pool->arena, "upstream:%.*s", STR_ARG(u->name));
	pool->name = arena_str(&pool->arena, u->name);
	pool->host = arena_str(&pool->arena, u->host);
	pool->tls_name = arena_str(&pool->arena, u->tls_name.n ? u->tls_name : u->host);
	pool->fingerprints = fingerprints_of(&pool->arena, &u->tls_fingerprints);
	pool->definition = definition(&pool->arena, u);
	pool->port = port_of(u);
	pool->tls = u->tls;
	pool->proven = pool->token_refused = false;
	pool->login_optional = u->login.n == 0;
	pool->mechanisms = sasl_wanted(&pool->arena, &u->mechanisms, config_credentials(u));
	pool->avoid = extensions_named(&u->avoid);
	pool->generation++;
	pool->fewer = 0;
	pool->rcptmax = 0;
	if (u->tls != UPSTREAM_NONE)
		use_ca_store(pool, u->ca_pem, u->certificate_pem);
}

struct pool *nexthop_outside(struct relay *relay, const struct cfg_upstream *u)
{
	struct pool *pool = pool_new(relay);

	define(pool, u);
	pool->limit = 1;
	pool->gone = true;
	return pool;
}

static void retire(struct pool *pool)
{
	struct delivery *d;

	pool->gone = true;
	pool_close_opening(pool);
	pool_close_idle(pool, "no longer configured");
	while ((d = pool_take(pool)) != NULL)
		delivery_end_unroutable(d, S("the upstream is no longer configured"));
	pool_free_if_unused(pool);
}

static void apply_upstream(struct relay *relay, const struct config *config, const struct cfg_upstream *u, struct arena *a)
{
	struct pool *pool = find(relay, arena_printf(a, "upstream:%.*s", STR_ARG(u->name)));
	bool fresh = !pool;

	if (fresh)
		pool = pool_new(relay);
	if (fresh || !same_definition(pool, u, a)) {
		define(pool, u);
		candidates_forget(pool);
		pool_close_opening(pool);
		pool_close_idle(pool, "the configuration has changed");
	}
	pool->limit = limit_of(u->connections ? u->connections : config->delivery.connections_per_destination);
	pool->messages_per_connection = u->messages_per_connection;
	pool_advance(pool);
}

/* ---- domains ---- */

static void set_domain(struct pool *pool, const struct cfg_delivery *delivery)
{
	pool->port = delivery->port ? (unsigned)delivery->port : SMTP_PORT;
	pool->avoid = extensions_named(&delivery->avoid);
	pool->limit = limit_of(delivery->connections_per_destination);
}

/* What the configuration demands of the TLS there. True: that has changed. */
static bool set_demand(struct pool *pool)
{
	struct cfg_tls_demand d = tls_demand_of(role_config(pool->relay->role), pool->name, pool->require, pool->wish);
	struct arena a = { 0 };
	struct str text = arena_printf(&a, "%u", d.require);
	bool changed;

	for (size_t i = 0; i < d.names.n; i++)
		text = arena_printf(&a, "%.*s %.*s", STR_ARG(text), STR_ARG(d.names.at[i]));
	changed = !str_eq(text, pool->definition);
	if (changed)
		pool->definition = arena_str(&pool->arena, text);
	arena_fini(&a);
	if (pool->ca_store && ca_store_is(pool->ca_store, d.ca_pem, S("")))
		return changed;
	if (pool->ca_store)
		pool->ca_store->users--;
	use_ca_store(pool, d.ca_pem, S(""));
	return true;
}

static struct pool *domain_new(struct relay *relay, const struct mx_route *mx)
{
	struct pool *pool = pool_new(relay);

	pool->route = mx_route_name(&pool->arena, mx);
	pool->name = pool->host = pool->tls_name = arena_str(&pool->arena, mx->domain);
	pool->require = mx->require;
	pool->wish = mx->wish;
	pool->mx = true;
	pool->tls = UPSTREAM_OPPORTUNISTIC;
	set_domain(pool, &role_config(relay->role)->delivery);
	set_demand(pool);
	pools_sweep(relay);
	return pool;
}

struct pool *nexthop_domain_outside(struct relay *relay, const struct mx_route *mx)
{
	struct pool *pool = domain_new(relay, mx);

	pool->limit = 1;
	pool->gone = true;
	return pool;
}

/* changed: settings of all connections, so that none of the present ones is used further. */
static void apply_domain(struct pool *pool, const struct cfg_delivery *delivery, bool changed)
{
	set_domain(pool, delivery);
	changed = set_demand(pool) || changed;
	if (changed) {
		pool->generation++;
		candidates_forget(pool);
		domain_lookups_answer(pool, false); /* a delivery asks again */
		pool_close_opening(pool);
		pool_close_idle(pool, "the configuration has changed");
	}
	pool_advance(pool);
	pool_free_if_unused(pool);
}

struct pool *nexthop_find(struct relay *relay, struct str route, struct arena *a, struct str *why_out)
{
	struct pool *pool = find(relay, route);
	struct mx_route mx;

	if (pool)
		return pool;
	if (mx_route_read(route, &mx))
		return domain_new(relay, &mx);
	*why_out = arena_printf(a, "%.*s is not configured", STR_ARG(route));
	return NULL;
}

/* ---- settings of all next hops ---- */

static struct str path_text(struct arena *a, const struct cfg_delivery *d)
{
	struct str text = arena_printf(a, "%llu %d%d", (unsigned long long)d->port, d->ipv4, d->ipv6);

	for (size_t i = 0; i < d->source.n; i++)
		text = arena_printf(a, "%.*s %.*s", STR_ARG(text), STR_ARG(d->source.at[i]));
	return arena_printf(a, "%.*s %u %d%d", STR_ARG(text), extensions_named(&d->avoid), d->dane, d->uses_mta_sts);
}

struct verdict nexthops_check(struct relay *relay, const struct config *config)
{
	struct verdict why = ok();

	arena_reset(&relay->scratch);
	for (size_t i = 0; i < config->upstreams_n; i++) {
		const struct cfg_upstream *u = &config->upstreams[i];

		if (u->tls == UPSTREAM_NONE || ca_store_get(relay, u->ca_pem, u->certificate_pem, &relay->scratch, &why))
			continue;
		ca_stores_sweep(relay);
		why.text = arena_printf(&relay->scratch, "upstream %.*s: ca: %.*s", STR_ARG(u->name), STR_ARG(why.text));
		return why;
	}
	for (size_t i = 0; i < config->tls_n; i++) {
		const struct cfg_tls_demand *d = &config->tls[i].demand;

		if (d->ca_pem.n == 0 || ca_store_get(relay, d->ca_pem, S(""), &relay->scratch, &why))
			continue;
		ca_stores_sweep(relay);
		why.text = arena_printf(&relay->scratch, "tls: element %zu: ca: %.*s", i + 1, STR_ARG(why.text));
		return why;
	}
	return ok();
}

void nexthops_abandon(struct role *r)
{
	struct relay *relay = role_data(r);

	ca_stores_sweep(relay);
}

static void apply_sources(struct relay *relay, const struct str_list *list)
{
	struct arena a = { 0 };

	memset(relay->source, 0, sizeof relay->source);
	for (size_t i = 0; i < list->n; i++) {
		const char *z = arena_cstr(&a, list->at[i]);
		struct sockaddr_storage address;

		memset(&address, 0, sizeof address);
		if (uv_ip4_addr(z, 0, (struct sockaddr_in *)&address) == 0 && relay->source[0].ss_family == 0)
			relay->source[0] = address;
		else if (uv_ip6_addr(z, 0, (struct sockaddr_in6 *)&address) == 0 && relay->source[1].ss_family == 0)
			relay->source[1] = address;
	}
	arena_fini(&a);
}

/* The settings of all connections; true when they have changed. */
static bool apply_delivery(struct relay *relay, const struct cfg_delivery *d)
{
	struct arena a = { 0 };
	struct str path = path_text(&a, d);
	bool changed = !str_eq(path, relay->path);

	arena_reset(&relay->arena);
	relay->path = arena_str(&relay->arena, path);
	arena_fini(&a);
	apply_sources(relay, &d->source);
	dns_use(relay->dns, d->ipv4, d->ipv6);
	return changed;
}

void nexthops_apply(struct role *r)
{
	struct relay *relay = role_data(r);
	const struct config *config = role_config(r);
	bool changed = apply_delivery(relay, &config->delivery);
	struct arena a = { 0 };

	LIST_EACH_OF (struct pool, pool, &relay->pools, in_relay) {
		if (pool->mx)
			apply_domain(pool, &config->delivery, changed);
		else if (!pool->gone && !config_upstream(config, pool->name))
			retire(pool);
	}
	for (size_t i = 0; i < config->upstreams_n; i++)
		apply_upstream(relay, config, &config->upstreams[i], &a);
	arena_fini(&a);
	ca_stores_sweep(relay);
	ca_stores_forget_sessions(relay);
}
