/* context.c - libunbound set up for mail: where to ask, what to believe, how much to remember. */
#include "internal.h"

#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

/* Where Debian's dns-root-data puts what a recursive resolver begins with. */
#define ROOT_HINTS "/usr/share/dns/root.hints"
#define ROOT_KEY   "/usr/share/dns/root.key"

static const struct {
	const char *option, *value;
} settings[] = {
	{ "do-not-query-localhost:", "no" }, /* the resolver may run on this machine */
	{ "unblock-lan-zones:", "yes" },     /* home.arpa and private addresses may have a real zone here */
	{ "insecure-lan-zones:", "yes" },    /* …which nobody can have signed */
	{ "msg-cache-size:", "4m" },         { "rrset-cache-size:", "8m" },
	{ "outgoing-range:", "64" },      /* descriptors for questions under way */
	{ "infra-keep-probing:", "yes" }, /* a server that was down is used again when it is back, not 15 minutes later */
};

/* One step of the setting up; nothing is done after the first that fails. */
struct setup {
	struct dns *dns;
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

/* Servers to ask: "192.0.2.53 2001:db8::53@5353". */
static void set_servers(struct setup *s, struct str servers)
{
	struct str server;

	while (str_split(&servers, ' ', &server)) {
		if (server.n == 0 || s->why.class != OK)
			continue;
		check(s, ub_ctx_set_fwd(s->dns->ub, arena_cstr(s->arena, server)),
		      arena_printf(s->arena, "the resolver \"%.*s\" is no ADDRESS or ADDRESS@PORT", STR_ARG(server)));
	}
}

static void set_anchor(struct setup *s, const char *path)
{
	if (s->why.class == OK && access(path, R_OK) != 0)
		s->why = perm(0, S(""), arena_printf(s->arena, "the trust anchor %s cannot be read", path));
	if (s->why.class == OK)
		check(s, ub_ctx_add_ta_file(s->dns->ub, path), arena_printf(s->arena, "the trust anchor %s", path));
}

/* Ask the name servers of the world ourselves. */
static void set_recursive(struct setup *s, bool anchored)
{
	set_option(s, "do-ip4:", s->dns->ipv4 ? "yes" : "no");
	set_option(s, "do-ip6:", s->dns->ipv6 ? "yes" : "no");
	if (access(ROOT_HINTS, R_OK) == 0)
		set_option(s, "root-hints:", ROOT_HINTS);
	if (!anchored && access(ROOT_KEY, R_OK) == 0)
		set_anchor(s, ROOT_KEY);
}

static void configure(struct setup *s, const struct dns_options *o)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		set_option(s, settings[i].option, settings[i].value);
	if (o->trust_anchor.n > 0)
		set_anchor(s, arena_cstr(s->arena, o->trust_anchor));
	if (o->resolver.n == 0)
		check(s, ub_ctx_resolvconf(s->dns->ub, NULL), S("/etc/resolv.conf"));
	else if (str_eq(o->resolver, S("recursive")))
		set_recursive(s, o->trust_anchor.n > 0);
	else
		set_servers(s, o->resolver);
	/* The library answers "no such name" for test. by itself (RFC 6761 6.2 leaves that to us). This ends the setting up: from here on
	 * options are refused, and what was wrong with the anchors is found now. */
	if (s->why.class == OK)
		check(s, ub_ctx_zone_remove(s->dns->ub, "test."), S("the resolver or the trust anchor cannot be used"));
}

struct dns *dns_open(uv_loop_t *loop, const struct dns_options *options, struct arena *a, struct verdict *why_out)
{
	struct dns *d = NEW(struct dns);
	struct setup s = { .dns = d, .arena = a, .why = ok() };

	event_base_init(&d->base, loop);
	list_init(&d->lookups);
	d->ipv4 = options->ipv4;
	d->ipv6 = options->ipv6;
	d->limit_ms = LIMIT_MS;
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
	dns_close(d);
	return NULL;
}

void dns_close(struct dns *d)
{
	if (!d)
		return;
	LIST_EACH (i, &d->lookups)
		dns_cancel(CONTAINER_OF(i, struct dns_lookup, item));
	ub_ctx_delete(d->ub); /* questions that are open are cancelled: nobody is called */
	free(d);
}
