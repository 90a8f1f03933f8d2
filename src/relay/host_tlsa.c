/* host_tlsa.c - the TLSA records of the hosts of a next hop. They are asked for when a connection is about to try a host, and
 * kept as long as its addresses. */
#include "connection.h"
#include "relay.h"

enum { LIMIT_MS = 10000 };

static const struct host_tlsa *find(const struct pool *pool, struct str host)
{
	for (const struct host_tlsa *h = pool->tlsa; h; h = h->next)
		if (str_eq(h->host, host))
			return h;
	return NULL;
}

/* Records that OpenSSL cannot use are as unusable as those that no mail server uses. */
static void add_set(struct arena *a, struct host_tlsa *h, const struct dns_tlsa *found)
{
	struct str *data = ARENA_ARRAY(a, struct str, found->n);
	const struct tlsa *set;
	struct tlsa *usable;
	size_t n;

	for (size_t i = 0; i < found->n; i++)
		data[i] = arena_str(a, found->records[i]->data);
	h->state = tlsa_read_set(a, data, found->n, &set, &n);
	usable = ARENA_ARRAY(a, struct tlsa, n + 1);
	for (size_t i = 0; i < n; i++)
		if (tls_takes_tlsa(&set[i]))
			usable[h->n++] = set[i];
	h->set = usable;
	if (h->state == TLSA_USABLE && h->n == 0)
		h->state = TLSA_UNUSABLE;
}

static void on_found(void *ctx, const struct dns_tlsa *found)
{
	struct connection *c = ctx;
	struct pool *pool = c->pool;
	struct arena *a = &pool->candidates_arena;
	struct host_tlsa *h = ARENA_NEW(a, struct host_tlsa);

	c->tlsa = NULL;
	h->host = arena_str(a, connection_candidate(c)->host);
	h->base = arena_str(a, found->base);
	h->state = found->state == DNS_TLSA_FAILED ? TLSA_FAILED : TLSA_NONE;
	if (found->state == DNS_TLSA_THERE)
		add_set(a, h, found);
	h->next = pool->tlsa;
	pool->tlsa = h;
	log_debug(&c->log, "connection.tlsa", kv("host", h->host), kv("state", tlsa_state_word(h->state)), kv("records", h->n),
		  kv("base", h->base), kv("reason", found->why));
	c->relay->ops->tlsa_known(c);
}

/* The records are copied for the connection, since the pool forgets its own. */
static void copy(struct arena *a, const struct host_tlsa *h, struct tls_facts *facts)
{
	struct tlsa *set = ARENA_ARRAY(a, struct tlsa, h->n + 1);

	for (size_t i = 0; i < h->n; i++) {
		set[i] = h->set[i];
		set[i].data = arena_str(a, h->set[i].data);
	}
	facts->tlsa_state = h->state;
	facts->tlsa = set;
	facts->tlsa_n = h->n;
	facts->tlsa_base = arena_str(a, h->base);
}

bool host_tlsa_known(struct connection *c, struct tls_facts *facts)
{
	const struct candidate *t = connection_candidate(c);
	const struct host_tlsa *h = find(c->pool, t->host);

	if (c->pool->mx && !t->secure && str_eq(t->end, t->host))
		return true; /* RFC 7672 2.2.2: nothing is asked in a zone that is not signed */
	if (h) {
		copy(&c->arena, h, facts);
		return true;
	}
	connection_enter(c, CONNECTION_ASKING);
	connection_limit(c);
	c->tlsa = dns_tlsa(c->relay->dns,
			   &(struct dns_tlsa_query){ .host = t->host,
						     .port = candidate_port(t),
						     .limit_ms = LIMIT_MS,
						     .known = c->pool->mx,
						     .secure = t->secure,
						     .end = t->end },
			   on_found, c);
	return false;
}
