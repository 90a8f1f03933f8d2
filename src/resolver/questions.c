/* questions.c - the questions of relay and tlspolicy: for records of a name, asked by libunbound, and for the addresses
 * of a host as this machine knows it, asked by getaddrinfo(). */
#include "resolver.h"

#include "posthouse/clock.h"
#include "posthouse/net.h"
#include "posthouse/role.h"

#include <netinet/in.h>
#include <stdlib.h>

#define WAITING_MAX 100000 /* far more than relay has next hops, each with 41 questions at most */
#define PACKET_MAX  65535
#define LIMIT_MAX   60000

struct name_question {
	struct list link;
	struct resolver *resolver;
	struct channel *ch;
	uint64_t call, due;
	struct arena arena;
	struct dns_query question;
	struct dns_waiter waiter;
};

struct host_question {
	struct list link;
	struct resolver *resolver;
	struct channel *ch;
	uint64_t call;
	struct resolve *resolve;
};

static bool has_room(struct resolver *r, struct channel *ch)
{
	if (r->waiting < WAITING_MAX)
		return true;
	channel_close(ch, "more questions than a role can have");
	return false;
}

/* ---- names ---- */

static void name_free(struct name_question *n)
{
	n->resolver->waiting--;
	list_remove(&n->link);
	arena_fini(&n->arena);
	free(n);
}

static void answer_name(struct name_question *n, const struct dns_reply *reply)
{
	struct msg_resolved m = { .call = n->call,
				  .rcode = reply->rcode,
				  .security = reply->security,
				  .packet = str_head(reply->packet, PACKET_MAX),
				  .why = str_head(reply->why, 1024) };

	n->resolver->failures += reply->rcode != 0 || reply->packet.n == 0;
	ipc_send_resolved(n->ch, &m, -1);
	name_free(n);
}

static void on_answered(struct dns_waiter *w, const struct dns_reply *reply)
{
	answer_name(CONTAINER_OF(w, struct name_question, waiter), reply);
}

/* The library is got first: with a new one all questions in the list are dropped. */
static void ask(struct name_question *n)
{
	struct arena a = { 0 };
	struct verdict why = ok();
	struct dns_library *library = resolver_library(&a, &why);
	uint64_t now = clock_mono_ms();

	list_remove(&n->link);
	list_append(&n->resolver->names, &n->link);
	n->question.limit_ms = n->due > now ? n->due - now : 0;
	if (library)
		dns_library_ask(library, &n->question, &n->waiter);
	else if (why.class != OK)
		answer_name(n, &(struct dns_reply){ .why = why.text });
	arena_fini(&a);
}

void names_ask_waiting(struct resolver *r)
{
	LIST_EACH_OF (struct name_question, n, &r->names, link)
		if (!n->waiter.question)
			ask(n);
}

void name_ask(struct resolver *r, struct channel *ch, const struct msg_resolve *m)
{
	struct name_question *n;

	if (!has_room(r, ch))
		return;
	if (!dns_is_askable(m->name) || m->type > UINT16_MAX || m->limit_ms > LIMIT_MAX) {
		channel_close(ch, "a question that nobody can ask the DNS");
		return;
	}
	n = NEW(struct name_question);
	r->waiting++;
	r->questions++;
	n->resolver = r;
	n->ch = ch;
	n->call = m->call;
	n->due = clock_mono_ms() + m->limit_ms;
	n->question =
		(struct dns_query){ .name = arena_str(&n->arena, m->name), .type = (unsigned)m->type, .first = m->first != 0 };
	n->waiter.answered = on_answered;
	list_init(&n->link);
	ask(n);
}

void names_drop(struct resolver *r, const struct channel *ch)
{
	LIST_EACH_OF (struct name_question, n, &r->names, link) {
		if (ch && n->ch != ch)
			continue;
		if (n->waiter.question)
			dns_library_drop(&n->waiter);
		name_free(n);
	}
}

/* ---- hosts ---- */

static void host_free(struct host_question *h)
{
	h->resolver->waiting--;
	list_remove(&h->link);
	free(h);
}

static struct str address_bytes(const struct sockaddr_storage *address)
{
	return str_make((const char *)address,
			address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct host_question *h = ctx;
	struct arena a = { 0 };
	struct msg_host_found m = { .call = h->call, .verdict = v };

	m.addresses.at = ARENA_ARRAY(&a, struct rec_address, n + 1);
	for (size_t i = 0; v.class == OK && i < n; i++)
		m.addresses.at[m.addresses.n++].socket = address_bytes(&addresses[i]);
	h->resolver->failures += v.class != OK;
	ipc_send_host_found(h->ch, &m, -1);
	arena_fini(&a);
	host_free(h);
}

void host_ask(struct resolver *r, struct channel *ch, const struct msg_find_host *m)
{
	struct host_question *h;

	if (!has_room(r, ch))
		return;
	if (m->port > UINT16_MAX) {
		channel_close(ch, "a port that no host has");
		return;
	}
	h = NEW(struct host_question);
	r->waiting++;
	r->questions++;
	h->resolver = r;
	h->ch = ch;
	h->call = m->call;
	list_append(&r->hosts, &h->link);
	h->resolve = resolve_host(role_loop(r->role), m->host, (unsigned)m->port, m->ipv4 != 0, m->ipv6 != 0, on_resolved, h);
}

void hosts_drop(struct resolver *r, const struct channel *ch)
{
	LIST_EACH_OF (struct host_question, h, &r->hosts, link) {
		if (ch && h->ch != ch)
			continue;
		resolve_cancel(h->resolve);
		host_free(h);
	}
}
