/* candidates.c - the addresses of a next hop: of the host of an upstream, or of the mail servers of a domain in their order. */
#include "candidates.h"
#include "connection.h"
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

static void forget_addresses(struct pool *pool)
{
	arena_reset(&pool->candidates_arena);
	pool->candidates = NULL;
	pool->tlsa = NULL;
	pool->candidates_n = pool->first = 0;
	pool->not_found = ok();
}

/* Only when there is another one: connections that are being made go by the one that is there. */
static void forget_policy(struct pool *pool)
{
	struct arena arena = pool->sts.arena;

	arena_reset(&arena);
	pool->sts = (struct sts){ .arena = arena };
}

void candidates_forget(struct pool *pool)
{
	host_cancel(pool);
	policy_cancel(pool);
	dns_cancel(pool->lookup);
	pool->lookup = NULL;
	forget_addresses(pool);
}

bool candidates_fresh(const struct pool *pool)
{
	uint64_t age = clock_mono_ms() - pool->candidates_at;

	if (candidates_await_policy(pool))
		return false;
	return pool->candidates_n > 0 ? age < ADDRESSES_MS : pool->not_found.class != OK && age < FAILURE_MS;
}

bool candidates_await_policy(const struct pool *pool)
{
	return pool->asking_policy && !pool->lookup;
}

static void answer(struct pool *pool, struct verdict v)
{
	policy_cancel(pool);
	pool->candidates_at = clock_mono_ms();
	pool->relay->ops->found(pool, v);
}

static void add(struct pool *pool, struct candidate t)
{
	if (pool->candidates_n < CANDIDATES_MAX)
		pool->candidates[pool->candidates_n++] = t;
}

void host_found(struct pool *pool, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct str host;

	forget_addresses(pool);
	if (v.class == OK && n == 0)
		v = temp(451, S("4.4.3"), S("the name has no address"));
	pool->candidates = ARENA_ARRAY(&pool->candidates_arena, struct candidate, CANDIDATES_MAX);
	host = arena_str(&pool->candidates_arena, pool->host);
	for (size_t i = 0; v.class == OK && i < n && i < CANDIDATES_OF_HOST_MAX; i++)
		add(pool, (struct candidate){ .host = host, .address = addresses[i] });
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
	struct arena *a = &pool->candidates_arena;
	struct str name = arena_str(a, host->name), end = arena_str(a, host->end), domain_end = arena_str(a, host->domain_end);
	bool literal = str_starts(pool->name, S("["));

	for (size_t k = 0; k < host->addresses_n && k < CANDIDATES_OF_HOST_MAX; k++) {
		const char *obstacle = reach_obstacle(d, &host->addresses[k], literal);

		if (!obstacle)
			add(pool, (struct candidate){ .host = name,
						      .address = host->addresses[k],
						      .mx_secure = host->mx_secure,
						      .secure = host->secure,
						      .end = end,
						      .domain_end = domain_end });
		else if (refused_out->n == 0)
			*refused_out = arena_printf(
				a, "the mail server %.*s has an address that is %s: no mail goes there (delivery.allow_networks)",
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

/* The hosts are known. Queue need not wait for the policy, but connections do, some longer than for a name. */
static void await_policy(struct pool *pool)
{
	domain_lookups_answer(pool, true);
	LIST_EACH_OF (struct connection, c, &pool->connections, in_pool)
		if (c->state == CONNECTION_RESOLVING)
			connection_limit(c);
}

/* RFC 5321 5.1: in the order of the hosts. */
static void on_mx(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n)
{
	struct pool *pool = ctx;
	struct str refused = S("");

	pool->lookup = NULL;
	forget_addresses(pool);
	if (v.class == OK)
		pool->candidates = ARENA_ARRAY(&pool->candidates_arena, struct candidate, count_candidates(hosts, n) + 1);
	for (size_t i = 0; v.class == OK && i < n; i++)
		add_host(pool, &hosts[i], &refused);
	if (v.class == OK && pool->candidates_n == 0)
		v = without_candidates(hosts, n, refused);
	pool->not_found = verdict_keep(&pool->candidates_arena, v);
	if (v.class == OK && pool->asking_policy)
		await_policy(pool);
	else
		answer(pool, v);
}

/* ---- the policy of the domain ---- */

/* Not where it does not count, nor for an address literal (RFC 8461 3.4). */
static bool wants_policy(const struct pool *pool)
{
	const struct config *c = role_config(pool->relay->role);
	struct cfg_tls_demand d = tls_demand_of(c, pool->name, pool->require, pool->wish);
	struct tls_facts facts = {
		.mx = true, .require = d.require, .require_names = d.names, .own_ca = d.ca.n > 0, .wish = pool->wish
	};

	return c->delivery.uses_mta_sts && !str_starts(pool->name, S("[")) && tls_policy_heeds_sts(&facts);
}

void policy_found(struct pool *pool, const struct msg_sts_found *m)
{
	struct sts *sts = &pool->sts;

	forget_policy(pool);
	sts->mode = m->mode <= STS_ENFORCE ? (enum sts_mode)m->mode : STS_ENFORCE;
	sts->mx.at = ARENA_ARRAY(&sts->arena, struct str, m->mx.n + 1);
	while (sts->mx.n < m->mx.n) {
		sts->mx.at[sts->mx.n] = arena_str(&sts->arena, m->mx.at[sts->mx.n].pattern);
		sts->mx.n++;
	}
	sts->text = arena_str(&sts->arena, m->text);
	sts->id = arena_str(&sts->arena, m->id);
	sts->fault = m->fault <= TLS_RESULT_STS_WEBPKI_INVALID ? (enum tls_result)m->fault : TLS_RESULT_VALIDATION_FAILURE;
	sts->why = arena_str(&sts->arena, m->why);
	if (!pool->lookup)
		answer(pool, pool->not_found);
}

/* Connections that wait for the answer are RESOLVING. */
void candidates_ask(struct pool *pool)
{
	struct relay *relay = pool->relay;
	const struct config *config = role_config(relay->role);
	const struct str_list *here = reach_own(relay);
	struct arena a = { 0 };
	struct str_list own;

	if (pool->resolving || pool->lookup || pool->asking_policy)
		return;
	if (!pool->mx) {
		host_ask(pool);
		return;
	}
	own.n = 0;
	own.at = ARENA_ARRAY(&a, struct str, config->delivery.source.n + here->n + 1);
	own.at[own.n++] = config->hostname;
	for (size_t i = 0; i < config->delivery.source.n; i++)
		own.at[own.n++] = config->delivery.source.at[i];
	/* loopback addresses are refused by reach.c, with a clearer text */
	for (size_t i = 0; i < here->n; i++)
		if (!networks_contain(&config->delivery.allow_networks, here->at[i]) &&
		    !network_contains(S("127.0.0.0/8"), here->at[i]) && !network_contains(S("::1/128"), here->at[i]))
			own.at[own.n++] = here->at[i];
	if (wants_policy(pool))
		policy_ask(pool);
	else
		forget_policy(pool);
	pool->lookup = dns_mx(relay->dns, pool->name, pool->port, &own, on_mx, pool);
	arena_fini(&a);
}
