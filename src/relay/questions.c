/* questions.c - what relay asks other roles about a next hop: the addresses of an upstream's host (resolver), and the MTA-STS
 * policy of a domain (tlspolicy). The answers are looked into as a stranger's bytes. While a role is away, questions wait for
 * it, as long as the connection waits. */
#include "pool.h"
#include "relay.h"

#include <netinet/in.h>
#include <stdlib.h>

#define ADDRESSES_MAX 64

struct question {
	struct list link; /* relay->unasked: it waits for the role */
	struct pool *pool;
	enum role_id role;
	uint64_t (*send)(struct question *q, struct channel *ch); /* the call */
	uint64_t call;                                            /* 0: it is not asked */
};

static void ask(struct question *q)
{
	struct channel *ch = role_peer(q->pool->relay->role, q->role, 0);

	if (ch)
		q->call = q->send(q, ch);
	else
		list_append(&q->pool->relay->unasked, &q->link);
}

static struct question *question_new(struct pool *pool, enum role_id role,
				     uint64_t (*send)(struct question *q, struct channel *ch))
{
	struct question *q = NEW(struct question);

	list_init(&q->link);
	q->pool = pool;
	q->role = role;
	q->send = send;
	return q;
}

static void question_free(struct question *q)
{
	ipc_cancel(q->call);
	list_remove(&q->link);
	free(q);
}

/* The role has ended without an answer: its next process is asked. */
static void ask_again(struct question *q)
{
	q->call = 0;
	ask(q);
}

void questions_role_up(struct relay *relay, enum role_id role)
{
	LIST_EACH_OF (struct question, q, &relay->unasked, link) {
		if (q->role != role)
			continue;
		list_remove(&q->link);
		ask(q);
	}
}

static void cancel(struct question **q)
{
	if (*q)
		question_free(*q);
	*q = NULL;
}

/* ---- addresses of a host ---- */

/* A socket address with a port, and nothing else. */
static bool read_address(struct str bytes, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof *to);
	if (bytes.n > sizeof *to || bytes.n < sizeof to->ss_family)
		return false;
	memcpy(to, bytes.p, bytes.n);
	return (to->ss_family == AF_INET && bytes.n == sizeof(struct sockaddr_in)) ||
	       (to->ss_family == AF_INET6 && bytes.n == sizeof(struct sockaddr_in6));
}

static void on_host_found(void *ctx, struct verdict v, const struct msg_host_found *m, int fd)
{
	struct question *q = ctx;
	struct pool *pool = q->pool;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	size_t n = 0;

	if (!m) {
		ask_again(q);
		return;
	}
	q->call = 0;
	cancel(&pool->resolving);
	for (size_t i = 0; i < m->addresses.n && n < ADDRESSES_MAX; i++)
		n += read_address(m->addresses.at[i].socket, &addresses[n]);
	host_found(pool, m->verdict, addresses, n);
}

static uint64_t send_host(struct question *q, struct channel *ch)
{
	const struct cfg_delivery *d = &role_config(q->pool->relay->role)->delivery;
	struct msg_find_host m = { .host = q->pool->host, .port = q->pool->port, .ipv4 = d->ipv4, .ipv6 = d->ipv6 };

	return ipc_call_find_host(ch, &m, -1, on_host_found, q);
}

void host_ask(struct pool *pool)
{
	pool->resolving = question_new(pool, ROLE_RESOLVER, send_host);
	ask(pool->resolving);
}

void host_cancel(struct pool *pool)
{
	cancel(&pool->resolving);
}

/* ---- the policy of a domain ---- */

static void on_sts_found(void *ctx, struct verdict v, const struct msg_sts_found *m, int fd)
{
	struct question *q = ctx;
	struct pool *pool = q->pool;

	if (!m) {
		ask_again(q);
		return;
	}
	q->call = 0;
	cancel(&pool->asking_policy);
	policy_found(pool, m);
}

static uint64_t send_sts(struct question *q, struct channel *ch)
{
	return ipc_call_sts_find(ch, &(struct msg_sts_find){ .domain = q->pool->name }, -1, on_sts_found, q);
}

void policy_ask(struct pool *pool)
{
	pool->asking_policy = question_new(pool, ROLE_TLSPOLICY, send_sts);
	ask(pool->asking_policy);
}

void policy_cancel(struct pool *pool)
{
	cancel(&pool->asking_policy);
}
