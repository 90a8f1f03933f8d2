/* situation.c - what is judged: the ways that mail takes, and every domain that something of ours sends as. */
#include "run.h"

#include "posthouse/address.h"
#include "posthouse/names.h"
#include "posthouse/policy.h"

/* ---- sender domains ---- */

struct found {
	struct doctor *d;
	struct doctor_domain *at;
	size_t n, capacity;
};

static struct doctor_domain *domain_of(struct found *f, struct str name)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->at[i].name, name))
			return &f->at[i];
	ARENA_GROW(&f->d->arena, f->at, f->n, f->capacity);
	f->at[f->n] = (struct doctor_domain){ .name = name };
	return &f->at[f->n++];
}

static void add_sender(struct doctor *d, struct doctor_domain *domain, struct str address)
{
	struct str *at = ARENA_ARRAY(&d->arena, struct str, domain->senders.n + 1);

	for (size_t i = 0; i < domain->senders.n; i++) {
		if (str_ieq(domain->senders.at[i], address))
			return;
		at[i] = domain->senders.at[i];
	}
	at[domain->senders.n++] = address;
	domain->senders.at = at;
}

/* A sender address or a pattern of such. What the rewrite rules make of it is what the world sees. Patterns of all domains, or of
 * all below one, name no domain. */
static void add_pattern(struct found *f, struct str pattern)
{
	struct arena *a = &f->d->arena;
	size_t at = str_rfind(pattern, '@');
	bool is_address = at > 0 && at < pattern.n && str_find(pattern, '*') == pattern.n;
	struct str name = str_from(pattern, at + 1), address;

	if (at == pattern.n || name.n == 0 || name.p[0] == '.' || str_find(name, '*') < name.n || str_find(name, '.') == name.n ||
	    str_find(name, ':') < name.n || str_find(name, '[') < name.n)
		return;
	address = is_address ? pattern : arena_printf(a, "postmaster@%.*s", STR_ARG(name));
	address = rewrite_address(f->d->config, a, true, false, address);
	if (!domain_to_ascii(a, address_domain(address), &name))
		return;
	if (is_address)
		add_sender(f->d, domain_of(f, name), address);
	else
		domain_of(f, name);
}

static void find_domains(struct found *f)
{
	const struct config *c = f->d->config;

	for (size_t i = 0; i < c->sign_n; i++)
		domain_of(f, c->sign[i].domain);
	for (size_t i = 0; i < c->senders_n; i++)
		for (size_t j = 0; j < c->senders[i].addresses.n; j++)
			add_pattern(f, c->senders[i].addresses.at[j]);
	for (size_t i = 0; i < c->devices_n; i++)
		add_pattern(f, c->devices[i].sender);
	for (size_t i = 0; i < c->rewrite_n; i++)
		if (c->rewrite[i].sender.n > 0)
			add_pattern(f, c->rewrite[i].to);
	add_pattern(f, c->report_sender);
	add_pattern(f, c->postmaster);
	/* logins without an entry in `senders` send as themselves; a realm that is only the host's name is nobody's domain */
	if (f->n == 0 || !str_eq(c->auth.realm, c->hostname))
		add_pattern(f, arena_printf(&f->d->arena, "@%.*s", STR_ARG(c->auth.realm)));
}

/* ---- ways ---- */

static void add_upstream(struct doctor *d, struct doctor_domain *domain, const struct cfg_upstream *u)
{
	const struct cfg_upstream **at = ARENA_ARRAY(&d->arena, const struct cfg_upstream *, domain->upstreams_n + 1);

	for (size_t i = 0; i < domain->upstreams_n; i++) {
		if (domain->upstreams[i] == u)
			return;
		at[i] = domain->upstreams[i];
	}
	at[domain->upstreams_n++] = u;
	domain->upstreams = at;
	domain->by_upstream = true;
}

static bool serves(const struct doctor *d, const struct cfg_route *r, const struct doctor_domain *domain)
{
	struct arena a = { 0 };
	bool is = r->senders.n == 0;

	for (size_t i = 0; !is && i < r->senders.n; i++) {
		struct str pattern = r->senders.at[i];

		is = patterns_match(&r->senders, arena_printf(&a, "postmaster@%.*s", STR_ARG(domain->name))) ||
		     str_ieq(address_domain(pattern), domain->name);
	}
	arena_fini(&a);
	return is;
}

static void take_way(struct doctor *d, struct doctor_domain *domain, struct str entry)
{
	struct via via = via_read(entry);
	const struct cfg_upstream *u = config_upstream(d->config, via.name);

	if (u)
		add_upstream(d, domain, u);
	else
		domain->by_mx = true;
}

/* The routes that mail of the domain can take: all up to the first one that every mail of it takes. */
static void find_ways(struct doctor *d, struct doctor_domain *domain)
{
	const struct config *c = d->config;

	for (size_t i = 0; i < c->routes_n; i++) {
		const struct cfg_route *r = &c->routes[i];

		if (!serves(d, r, domain))
			continue;
		for (size_t j = 0; j < r->via.n; j++)
			take_way(d, domain, r->via.at[j]);
		if (r->recipients.n == 0 && r->users.n == 0 &&
		    (r->senders.n == 0 ||
		     patterns_match(&r->senders, arena_printf(&d->arena, "x-y-z@%.*s", STR_ARG(domain->name)))))
			return;
	}
}

/* Is "mx" in every route behind an upstream? */
static bool mx_is_spare(const struct config *c)
{
	for (size_t i = 0; i < c->routes_n; i++)
		for (size_t j = 0; j < c->routes[i].via.n; j++)
			if (str_eq(via_read(c->routes[i].via.at[j]).name, S("mx")) && j == 0)
				return false;
	return true;
}

static void keep_only(struct found *f, struct str name)
{
	struct doctor_domain *wanted = domain_of(f, name);

	f->at[0] = *wanted;
	f->n = 1;
}

void situation_find(struct doctor *d)
{
	struct situation *s = &d->situation;
	struct found f = { .d = d };
	const struct config *c = d->config;

	s->deep = d->options.deep;
	s->offline = d->options.offline;
	s->container = d->options.container;
	find_domains(&f);
	if (d->options.domain.n > 0)
		keep_only(&f, d->options.domain);
	for (size_t i = 0; i < f.n; i++) {
		find_ways(d, &f.at[i]);
		f.at[i].foreign = domain_is_foreign(&f.at[i]);
	}
	s->domains = f.at;
	s->domains_n = f.n;
	for (size_t i = 0; i < c->routes_n; i++)
		for (size_t j = 0; j < c->routes[i].via.n; j++)
			if (str_eq(via_read(c->routes[i].via.at[j]).name, S("mx")))
				s->mx = true;
			else
				s->upstream = true;
	s->mx_is_spare = s->mx && mx_is_spare(c);
}
