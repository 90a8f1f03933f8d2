/* look.c - `posthouse explain`: which TLS the mail servers of a domain would get, and which of them would get no mail. A
 * connection of a pool of its own goes through the candidates as for a delivery, and connects to none. */
#include "connection.h"
#include "relay.h"

#include <stdlib.h>

#define LOOKS_MAX 32 /* at once: as many as console has clients */

struct look {
	struct channel *console; /* NULL: answered */
	uint64_t call;
	struct arena arena;
	struct rec_tls_host *hosts;
	size_t n, capacity;
};

static void refuse(struct channel *console, uint64_t call, struct verdict v)
{
	ipc_send_tls_looked(console, &(struct msg_tls_looked){ .call = call, .verdict = v }, -1);
}

void look_begin(struct relay *relay, struct channel *console, const struct msg_tls_look *m)
{
	struct mx_route mx = { m->domain, TLS_REQUIRE_DEFAULT, TLS_WISH_NONE };
	struct pool *pool;

	if (relay->stopping || relay->looks_n >= LOOKS_MAX) {
		refuse(console, m->call,
		       relay->stopping ? temp(421, S("4.3.2"), S("the relay is being stopped"))
				       : temp(451, S("4.3.2"), S("too many questions at once, try again")));
		return;
	}
	if (m->require <= TLS_REQUIRE_DANE)
		mx.require = (enum tls_require)m->require;
	if (m->wish <= TLS_WISH_OPTIONAL)
		mx.wish = (enum tls_wish)m->wish;
	pool = nexthop_domain_outside(relay, &mx);
	relay->looks_n++;
	pool->look = NEW(struct look);
	pool->look->console = console;
	pool->look->call = m->call;
	connection_open(pool);
}

/* The addresses of a host have one policy; what is known of an address alone does not count here. */
void look_note(struct connection *c)
{
	struct look *l = c->pool->look;
	const struct candidate *t = connection_candidate(c);
	bool unsigned_mx = c->tls.source == TLS_SOURCE_DANE && !t->mx_secure;
	struct str host = t->host, names = S(""), policy = tls_policy_words(&l->arena, &c->tls);

	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->hosts[i].host, host))
			return;
	for (size_t i = 0; i < c->tls.names.n && c->tls.level >= TLS_LEVEL_VERIFY; i++)
		names = arena_printf(&l->arena, "%.*s%s%.*s", STR_ARG(names), i ? " or " : "", STR_ARG(c->tls.names.at[i]));
	ARENA_GROW(&l->arena, l->hosts, l->n, l->capacity);
	l->hosts[l->n++] = (struct rec_tls_host){ .host = arena_str(&l->arena, host),
						  .policy = arena_printf(&l->arena, "%.*s%s", STR_ARG(policy),
									 unsigned_mx ? " (its MX record is not signed)" : ""),
						  .names = names,
						  .verdict = verdict_keep(&l->arena, c->tls.refused) };
}

/* All candidates were looked at, or there are none, which the pool or the failure says. */
void look_free(struct connection *c)
{
	struct look *l = c->pool->look;
	struct msg_tls_looked m = { .call = l->call, .verdict = c->pool->not_found, .hosts = { l->hosts, l->n } };

	if (l->n == 0 && m.verdict.class == OK)
		m.verdict = c->failure.verdict;
	if (l->n == 0 && m.verdict.class == OK)
		m.verdict = temp(421, S("4.3.2"), S("the question was broken off"));
	if (l->console == role_peer(c->relay->role, ROLE_CONSOLE, 0))
		ipc_send_tls_looked(l->console, &m, -1);
	arena_fini(&l->arena);
	free(l);
	c->relay->looks_n--;
	c->pool->look = NULL;
}
