/* resolvers.c - three views of DNS: the resolver of the configuration, a recursion of our own, a domain's own servers. */
#include "source.h"

#include "posthouse/clock.h"
#include "posthouse/dns_library.h"
#include "posthouse/units.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#define QUESTION_MS   5000
#define FIRST_MS      2000 /* the first question to the root servers: no answer means that port 53 is closed */
#define RESOLVERS_MAX 64   /* name servers that are asked by themselves */
#define LIST_MS       HOUR_MS

struct resolver {
	struct resolver *next;
	struct str servers;
	struct dns *dns;
};

struct waiting {
	struct waiting *next;
	struct source *source;
	struct dns *dns;
	const struct dns_question *question;
	struct fact_dns *answer;
	struct str cache_key; /* "": it is not kept */
	uint64_t asked_at;
};

/* ---- answers ---- */

static struct fact_record record_of(struct arena *a, const struct dns_record *r)
{
	struct fact_record to = { .preference = r->preference, .port = r->port, .serial = r->serial };

	to.data = arena_str(a, r->data);
	to.text = dns_text(a, r);
	return to;
}

static void on_found(void *ctx, const struct dns_found *found)
{
	struct waiting *w = ctx;
	struct source *s = w->source;
	struct arena *a = doctor_arena(s->doctor);
	struct fact_dns *f = w->answer;

	f->secure = found->secure;
	f->bogus = found->bogus;
	f->ms = clock_mono_ms() - w->asked_at;
	f->ttl = found->ttl;
	f->server = w->question->view == VIEW_OWN ? w->question->servers
		    : w->dns == s->world          ? S("own recursion")
						  : S("the resolver");
	if (found->verdict.class != OK) {
		f->why = arena_str(a, found->why);
		f->state = FACT_UNKNOWN;
	} else {
		f->records = ARENA_ARRAY(a, struct fact_record, found->n + 1);
		for (size_t i = 0; i < found->n; i++)
			f->records[f->n++] = record_of(a, found->records[i]);
		if (!str_eq(found->end, w->question->name))
			f->alias = arena_str(a, found->end);
		f->state = found->n > 0 ? FACT_THERE : found->exists ? FACT_EMPTY : FACT_NO_NAME;
	}
	s->answered += f->state != FACT_UNKNOWN || f->bogus;
	if (w->cache_key.n > 0)
		cache_keep(s->cache, w->cache_key, cache_from_dns(f));
	s->news(s);
}

static void ask(struct waiting *w, struct dns *dns)
{
	w->dns = dns;
	w->asked_at = clock_mono_ms();
	if (dns) {
		dns_ask(dns, w->question->name, w->question->type, QUESTION_MS, on_found, w);
		return;
	}
	w->answer->why = w->source->clients_why;
	w->answer->state = FACT_UNKNOWN;
	w->source->news(w->source);
}

/* ---- a recursion of our own ---- */

/* Root servers know `net`. An answer that it is not there comes from something on the way that answers in their place. */
static void on_root(void *ctx, const struct dns_found *found)
{
	struct source *s = ctx;
	struct waiting *w = s->waiting;

	s->world_known = true;
	s->world_possible = found->verdict.class == OK && found->n > 0;
	s->waiting = NULL;
	for (; w; w = w->next)
		ask(w, s->world_possible ? s->world : s->clients);
}

/* Is there a way to this address at all? Nothing is sent. */
static bool has_way(int family, const char *address)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool can;

	if (family == AF_INET) {
		inet_pton(family, address, &v4->sin_addr);
		v4->sin_port = htons(53);
	} else {
		inet_pton(family, address, &v6->sin6_addr);
		v6->sin6_port = htons(53);
	}
	can = fd >= 0 && connect(fd, (struct sockaddr *)&to, family == AF_INET ? sizeof *v4 : sizeof *v6) == 0;
	if (fd >= 0)
		close(fd);
	return can;
}

static void open_world(struct source *s)
{
	struct arena *a = doctor_arena(s->doctor);
	struct dns_options o = { .resolver = S("recursive") };
	struct verdict why;

	o.ipv4 = has_way(AF_INET, "198.41.0.4"); /* a.root-servers.net */
	o.ipv6 = has_way(AF_INET6, "2001:503:ba3e::2:30");
	s->world_known = s->one_resolver || (!o.ipv4 && !o.ipv6);
	if (s->world_known)
		return;
	s->world = dns_open(s->loop, &o, a, &why);
	if (s->world)
		dns_ask(s->world, S("net"), DNS_NS, FIRST_MS, on_root, s);
	else
		s->world_known = true;
}

void resolvers_open(struct source *s, struct str resolver)
{
	struct arena *a = doctor_arena(s->doctor);
	struct verdict why;
	struct dns_options o = { .resolver = resolver.n > 0 ? resolver : s->config->delivery.resolver,
				 .trust_anchor = s->config->delivery.trust_anchor,
				 .unsigned_zones = s->config->delivery.unsigned_zones,
				 .ipv4 = true,
				 .ipv6 = true };

	s->one_resolver = resolver.n > 0;
	s->clients = dns_open(s->loop, &o, a, &why);
	if (!s->clients)
		s->clients_why = why.text;
	if (s->config->delivery.uses_dane && dns_tries_root_key(&o)) {
		o.trust_anchor = S(DNS_ROOT_KEY);
		s->mail = dns_open(s->loop, &o, a, &why);
	}
	open_world(s);
}

void resolvers_close(struct source *s)
{
	dns_close(s->clients);
	dns_close(s->world);
	dns_close(s->mail);
	for (struct resolver *r = s->resolvers; r; r = r->next)
		dns_close(r->dns);
	s->clients = s->world = s->mail = NULL;
	s->resolvers = NULL;
}

/* ---- questions ---- */

static struct dns *resolver_of(struct source *s, struct str servers)
{
	struct arena *a = doctor_arena(s->doctor);
	struct dns_options o = { .resolver = servers, .ipv4 = true, .ipv6 = true };
	struct verdict why;
	unsigned n = 0;
	struct resolver *r;

	for (r = s->resolvers; r; r = r->next, n++)
		if (str_eq(r->servers, servers))
			return r->dns;
	if (n >= RESOLVERS_MAX)
		return NULL;
	r = ARENA_NEW(a, struct resolver);
	*r = (struct resolver){ .next = s->resolvers, .servers = servers, .dns = dns_open(s->loop, &o, a, &why) };
	s->resolvers = r;
	return r->dns;
}

/* Questions to block lists are kept: each list is asked once in an hour. */
static struct str cache_key(struct source *s, const struct dns_question *q)
{
	struct arena *a = doctor_arena(s->doctor);
	bool is_of_list = s->config->doctor.spamhaus_key.n > 0 && str_ends(q->name, S(".dq.spamhaus.net"));

	for (size_t i = 0; i < s->config->doctor.lists.n && !is_of_list; i++)
		is_of_list = str_ends(q->name, s->config->doctor.lists.at[i]);
	if (!is_of_list)
		return S("");
	return arena_printf(a, "dns %d %u %.*s", (int)q->view, q->type, STR_ARG(text_without_key(a, q->name)));
}

void resolvers_ask(void *ctx, const struct dns_question *q, struct fact_dns *answer)
{
	struct source *s = ctx;
	struct arena *a = doctor_arena(s->doctor);
	struct str key = cache_key(s, q);
	struct waiting *w;

	if (key.n > 0 && cache_to_dns(a, cache_find(s->cache, key, LIST_MS), answer))
		return;
	s->asked++;
	w = ARENA_NEW(a, struct waiting);
	*w = (struct waiting){ .source = s, .question = q, .answer = answer, .cache_key = key };
	if (q->view == VIEW_OWN) {
		ask(w, resolver_of(s, q->servers));
	} else if (q->view == VIEW_MAIL && s->mail) {
		ask(w, s->mail);
	} else if (q->view == VIEW_WORLD && !s->world_known) {
		w->next = s->waiting;
		s->waiting = w;
	} else {
		ask(w, q->view == VIEW_WORLD && s->world_possible ? s->world : s->clients);
	}
}
