/* context.c - libunbound's context for mail: which servers to ask, which keys to trust, how much to cache. */
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unbound.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* Of Debian's package dns-root-data, for a recursive resolver. */
#define ROOT_HINTS "/usr/share/dns/root.hints"

#define QUESTIONS_MIN 64   /* the limit of questions at once, each with a descriptor, is never below this … */
#define QUESTIONS_MAX 2048 /* … nor above this */

struct setting {
	const char *option, *value;
};

static const struct setting settings[] = {
	{ "do-not-query-localhost:", "no" }, /* the resolver can run on this machine */
	{ "unblock-lan-zones:", "yes" },     /* home.arpa and private addresses can have a real zone in this network … */
	{ "insecure-lan-zones:", "yes" },    /* … which cannot be signed */
	/* Names that networks use for themselves, though the root proves that there are none (RFC 6762 G, RFC 8375): what a name
	 * server of such a network answers must not look forged. */
	{ "domain-insecure:", "internal." },
	{ "domain-insecure:", "intranet." },
	{ "domain-insecure:", "private." },
	{ "domain-insecure:", "corp." },
	{ "domain-insecure:", "home." },
	{ "domain-insecure:", "lan." },
	{ "domain-insecure:", "local." },
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "8m" },
	{ "infra-keep-probing:", "yes" }, /* a server that was down is used again at once, not after 15 minutes */
	{ "serve-expired:", "yes" }, /* RFC 8767: an expired answer is used for a day more while its name servers are silent … */
	{ "serve-expired-ttl:", "86400" },
	{ "serve-expired-client-timeout:", "1800" }, /* … within 1.8 s (RFC 8767 5) */
};

/* A resolver that is silent about some names can still answer the next one. The library must not learn from silence: it would
 * take a resolver that forwards to a thousand dead name servers for dead, and refuse all questions. It repeats each question
 * every half second, ten times; by then a slow resolver has the answer in its cache. */
static const struct setting forward_settings[] = {
	{ "infra-host-ttl:", "-1" },
	{ "unknown-server-time-limit:", "500" },
};

/* After the first step that fails, `why` is set and the later steps do nothing. */
struct setup {
	struct dns_library *dns;
	struct arena *arena;
	struct verdict why;
};

static void check(struct setup *s, int error, struct str what)
{
	if (error != 0 && s->why.class == OK)
		s->why = perm(0, S(""), arena_printf(s->arena, "%.*s: %s", STR_ARG(what), ub_strerror(error)));
}

static void set_option(struct setup *s, const char *option, const char *value)
{
	if (s->why.class == OK)
		check(s, ub_ctx_set_option(s->dns->ub, option, value),
		      arena_printf(s->arena, "libunbound's %s %s", option, value));
}

/* Remember the server "192.0.2.53" or "2001:db8::53@5353" for plain questions. Malformed ones are skipped: the library has
 * refused them, or skips them too. */
static void note_server(struct dns_library *d, struct str server)
{
	struct sockaddr_storage *to = &d->servers[d->servers_n];
	size_t at = str_find(server, '@');
	uint64_t port = 53;

	if (d->servers_n == SERVERS_MAX || !parse_address(str_head(server, at), to))
		return;
	if (at < server.n && (!str_to_u64(str_from(server, at + 1), &port) || port == 0 || port > 65535))
		return;
	address_set_port(to, (unsigned)port);
	d->servers_n++;
}

/* The lines "nameserver ADDRESS" of resolv.conf(5), at most 3 (MAXNS of resolv.h). Without such a line: 127.0.0.1. */
static void note_resolv_conf(struct dns_library *d)
{
	FILE *f = fopen(RESOLV_CONF, "re");
	char line[256], address[64];

	while (f && d->servers_n < 3 && fgets(line, sizeof line, f))
		if (sscanf(line, "nameserver %63s", address) == 1)
			note_server(d, str_of(address));
	if (f)
		fclose(f);
	if (d->servers_n == 0)
		note_server(d, S("127.0.0.1"));
}

/* "192.0.2.53 2001:db8::53@5353" */
static void set_servers(struct setup *s, struct str servers)
{
	struct str server;

	while (str_split(&servers, ' ', &server)) {
		if (server.n == 0 || s->why.class != OK)
			continue;
		check(s, ub_ctx_set_fwd(s->dns->ub, arena_cstr(s->arena, server)),
		      arena_printf(s->arena, "the resolver \"%.*s\" is no ADDRESS or ADDRESS@PORT", STR_ARG(server)));
		note_server(s->dns, server);
	}
}

static void set_anchor(struct setup *s, const char *path)
{
	if (s->why.class == OK && access(path, R_OK) != 0)
		s->why = perm(0, S(""), arena_printf(s->arena, "the trust anchor %s cannot be read", path));
	s->dns->validates = true;
	if (s->why.class == OK)
		check(s, ub_ctx_add_ta_file(s->dns->ub, path), arena_printf(s->arena, "the trust anchor %s", path));
}

/* The library asks the authoritative name servers by itself. */
static void set_recursive(struct setup *s, bool anchored)
{
	set_option(s, "do-ip4:", s->dns->ipv4 ? "yes" : "no");
	set_option(s, "do-ip6:", s->dns->ipv6 ? "yes" : "no");
	if (access(ROOT_HINTS, R_OK) == 0)
		set_option(s, "root-hints:", ROOT_HINTS);
	if (!anchored && access(DNS_ROOT_KEY, R_OK) == 0)
		set_anchor(s, DNS_ROOT_KEY);
}

static void set_options(struct setup *s, const struct setting *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set_option(s, list[i].option, list[i].value);
}
#define SET_OPTIONS(s, list) set_options((s), (list), sizeof(list) / sizeof((list)[0]))

/* A quarter of the descriptors that the process can have. The library would keep more questions in a queue of its own, in which
 * a good name waits behind dead ones. */
static size_t questions_max(void)
{
	struct rlimit limit = { .rlim_cur = 0 };

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur / 4 > QUESTIONS_MAX)
		return QUESTIONS_MAX;
	return limit.rlim_cur / 4 < QUESTIONS_MIN ? QUESTIONS_MIN : (size_t)limit.rlim_cur / 4;
}

/* Zones of this network that the configuration names. */
static void set_unsigned(struct setup *s, const struct str_list *zones)
{
	for (size_t i = 0; i < zones->n; i++)
		set_option(s, "domain-insecure:", arena_cstr(s->arena, arena_printf(s->arena, "%.*s.", STR_ARG(zones->at[i]))));
}

static void configure(struct setup *s, const struct dns_options *o)
{
	SET_OPTIONS(s, settings);
	set_unsigned(s, &o->unsigned_zones);
	if (!str_eq(o->resolver, S("recursive")))
		SET_OPTIONS(s, forward_settings);
	set_option(s, "outgoing-range:", arena_cstr(s->arena, arena_printf(s->arena, "%zu", s->dns->asked_max)));
	if (o->trust_anchor.n > 0)
		set_anchor(s, arena_cstr(s->arena, o->trust_anchor));
	if (o->resolver.n == 0) {
		check(s, ub_ctx_resolvconf(s->dns->ub, NULL), S(RESOLV_CONF));
		note_resolv_conf(s->dns);
	} else if (str_eq(o->resolver, S("recursive"))) {
		set_recursive(s, o->trust_anchor.n > 0);
	} else {
		set_servers(s, o->resolver);
	}
	/* By itself the library answers "no such name" for test. (RFC 6761 6.2 leaves that to the resolver). Removing the zone
	 * also ends the set-up: the library refuses options afterwards, and finds now what is wrong with the anchors. */
	if (s->why.class == OK)
		check(s, ub_ctx_zone_remove(s->dns->ub, "test."), S("the resolver or the trust anchor cannot be used"));
}

struct dns_library *dns_library_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a, struct verdict *why_out)
{
	struct dns_library *d = NEW(struct dns_library);
	struct setup s = { .dns = d, .arena = a, .why = ok() };

	event_base_init(&d->base, loop);
	list_init(&d->questions);
	list_init(&d->first);
	list_init(&d->more);
	uv_timer_init(loop, &d->turn);
	d->turn.data = d;
	d->asked_max = questions_max();
	d->ipv4 = options->ipv4;
	d->ipv6 = options->ipv6;
	d->ub = ub_ctx_create_ub_event(&d->base.super);
	if (!d->ub)
		s.why = perm(0, S(""), S("libunbound could not be started"));
	if (!d->ipv4 && !d->ipv6)
		s.why = perm(0, S(""), S("IPv4 and IPv6 are both switched off"));
	if (s.why.class == OK) {
		ub_ctx_debugout(d->ub, NULL); /* standard error belongs to our log */
		configure(&s, options);
	}
	*why_out = s.why;
	if (s.why.class == OK)
		return d;
	dns_library_close(d);
	return NULL;
}

static void on_turn_closed(uv_handle_t *h)
{
	free(h->data);
}

void dns_library_close(struct dns_library *d)
{
	ub_ctx_delete(d->ub); /* cancels the open questions without callbacks */
	questions_drop(d);
	uv_close((uv_handle_t *)&d->turn, on_turn_closed);
}

/* ---- look-ups in this process ---- */

static void ask(void *ctx, const struct dns_query *q, struct dns_waiter *w)
{
	dns_library_ask(ctx, q, w);
}

static void drop(void *ctx, struct dns_waiter *w)
{
	dns_library_drop(w);
}

static void end(void *ctx)
{
	dns_library_close(ctx);
}

struct dns *dns_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a, struct verdict *why_out)
{
	struct dns_source source = { .ask = ask, .drop = drop, .close = end };

	source.ctx = dns_library_open(loop, options, a, why_out);
	return source.ctx ? dns_new(loop, &source, options->ipv4, options->ipv6) : NULL;
}
