/* candidates.c - the addresses of a next hop: of the host of an upstream, or of the mail servers of a domain in their order. */
#include "candidates.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

enum {
	ADDRESSES_MS = 30000,        /* how long a result is used … */
	FAILURE_MS = 10000,          /* … and a failure to find a domain */
	CANDIDATES_MAX = 32,         /* addresses of a next hop … */
	CANDIDATES_OF_HOST_MAX = 16, /* … and of one host of several */
};

void candidates_forget(struct pool *pool)
{
	resolve_cancel(pool->resolving);
	dns_cancel(pool->lookup);
	pool->resolving = NULL;
	pool->lookup = NULL;
	arena_reset(&pool->candidates_arena);
	pool->candidates = NULL;
	pool->candidates_n = pool->first = 0;
	pool->not_found = ok();
}

bool candidates_fresh(const struct pool *pool)
{
	uint64_t age = clock_mono_ms() - pool->candidates_at;

	return pool->candidates_n > 0 ? age < ADDRESSES_MS : pool->not_found.class != OK && age < FAILURE_MS;
}

static void answer(struct pool *pool, struct verdict v)
{
	pool->candidates_at = clock_mono_ms();
	pool->relay->ops->found(pool, v);
}

static void add(struct pool *pool, struct str host, const struct sockaddr_storage *address)
{
	if (pool->candidates_n < CANDIDATES_MAX)
		pool->candidates[pool->candidates_n++] = (struct candidate){ .host = host, .address = *address };
}

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct pool *pool = ctx;
	struct str host;

	pool->resolving = NULL;
	candidates_forget(pool);
	if (v.class == OK && n == 0)
		v = temp(451, S("4.4.3"), S("the name has no address"));
	pool->candidates = ARENA_ARRAY(&pool->candidates_arena, struct candidate, CANDIDATES_MAX);
	host = arena_str(&pool->candidates_arena, pool->host);
	for (size_t i = 0; v.class == OK && i < n && i < CANDIDATES_OF_HOST_MAX; i++)
		add(pool, host, &addresses[i]);
	answer(pool, v);
}

static size_t count_candidates(const struct dns_host *hosts, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n && count < CANDIDATES_MAX; i++)
		count += hosts[i].addresses_n < CANDIDATES_OF_HOST_MAX ? hosts[i].addresses_n : CANDIDATES_OF_HOST_MAX;
	return count < CANDIDATES_MAX ? count : CANDIDATES_MAX;
}

/* *refused_out: text about an address that gets no mail, "" when there is none. */
static void add_host(struct pool *pool, const struct dns_host *host, struct str *refused_out)
{
	const struct cfg_delivery *d = &role_config(pool->relay->role)->delivery;
	struct str name = arena_str(&pool->candidates_arena, host->name);
	bool literal = str_starts(pool->name, S("["));

	for (size_t k = 0; k < host->addresses_n && k < CANDIDATES_OF_HOST_MAX; k++) {
		const char *obstacle = reach_obstacle(d, &host->addresses[k], literal);

		if (!obstacle)
			add(pool, name, &host->addresses[k]);
		else if (refused_out->n == 0)
			*refused_out = arena_printf(
				&pool->candidates_arena,
				"the mail server %.*s has an address that is %s: no mail goes there (delivery.allow_networks)",
				STR_ARG(name), obstacle);
	}
}

/* There is no address to connect to; one of several hosts can have an address later. */
static struct verdict without_candidates(const struct dns_host *hosts, size_t n, struct str refused)
{
	for (size_t i = 0; i < n; i++)
		if (hosts[i].addresses_n == 0 && hosts[i].failure.class == TEMP)
			return temp(451, S("4.4.3"), refused.n ? refused : S("none of the mail servers has an address now"));
	return refused.n ? perm(550, S("5.4.4"), refused)
			 : temp(451, S("4.4.3"), S("none of the mail servers has an address now"));
}

/* RFC 5321 5.1: in the order of the hosts. */
static void on_mx(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n)
{
	struct pool *pool = ctx;
	struct str refused = S("");

	pool->lookup = NULL;
	candidates_forget(pool);
	if (v.class == OK)
		pool->candidates = ARENA_ARRAY(&pool->candidates_arena, struct candidate, count_candidates(hosts, n) + 1);
	for (size_t i = 0; v.class == OK && i < n; i++)
		add_host(pool, &hosts[i], &refused);
	if (v.class == OK && pool->candidates_n == 0)
		v = without_candidates(hosts, n, refused);
	pool->not_found = verdict_keep(&pool->candidates_arena, v);
	answer(pool, v);
}

/* Connections that wait for the answer are RESOLVING. */
bool candidates_ask(struct pool *pool, struct arena *a, struct verdict *why_out)
{
	struct relay *relay = pool->relay;
	const struct config *config = role_config(relay->role);
	const struct str_list *here = reach_own(relay);
	struct str_list own = { .at = ARENA_ARRAY(a, struct str, config->delivery.source.n + here->n + 1) };
	struct dns *dns;

	if (pool->resolving || pool->lookup)
		return true;
	if (!pool->mx) {
		pool->resolving = resolve_host(relay->loop, pool->host, pool->port, config->delivery.ipv4, config->delivery.ipv6,
					       on_resolved, pool);
		return true;
	}
	own.at[own.n++] = config->hostname;
	for (size_t i = 0; i < config->delivery.source.n; i++)
		own.at[own.n++] = config->delivery.source.at[i];
	/* loopback addresses are refused by reach.c, with a clearer text */
	for (size_t i = 0; i < here->n; i++)
		if (!networks_contain(&config->delivery.allow_networks, here->at[i]) &&
		    !network_contains(S("127.0.0.0/8"), here->at[i]) && !network_contains(S("::1/128"), here->at[i]))
			own.at[own.n++] = here->at[i];
	dns = resolver_get(relay, a, why_out);
	if (!dns)
		return false;
	pool->lookup = dns_mx(dns, pool->name, pool->port, &own, on_mx, pool);
	return true;
}
