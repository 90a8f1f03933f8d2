/* check_domain.c - the sender domains themselves: are they there, are they ours, do their name servers agree? */
#include "run.h"

#include "posthouse/units.h"

/* ---- domain.exists ---- */

static void judge_exists(struct doctor *d, const struct doctor_domain *domain)
{
	const struct fact_dns *soa = facts_dns(d, VIEW_WORLD, domain->name, DNS_SOA);
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .domain = domain->name, .text = S("does not exist") };

	if (soa->state == FACT_NO_NAME) {
		f.remedy.text = S("Look at its spelling in posthouse.conf, and at the registrar whether it has expired.");
		finding_add(d, &f);
	} else if (soa->state == FACT_UNKNOWN) {
		finding_unknown(d, domain->name, S(""),
				arena_printf(&d->arena, "could not be looked up: %.*s", STR_ARG(soa->why)));
	} else if (soa->state != FACT_PENDING) {
		finding_ok(d, domain->name, S(""), S("exists"));
	}
}

void check_domain_exists(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.domains_n; i++)
		judge_exists(d, &d->situation.domains[i]);
}

/* ---- domain.ours ---- */

static void judge_ours(struct doctor *d, const struct doctor_domain *domain)
{
	const char *profile = provider_profile(domain->name);
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .domain = domain->name, .text = S("belongs to a mail provider") };

	if (domain->foreign) {
		finding_ok(d, domain->name, S(""), S("goes by its provider's own server"));
		return;
	}
	if (!profile) {
		finding_ok(d, domain->name, S(""), S("is no domain of a mail provider"));
		return;
	}
	f.remedy.text =
		arena_printf(&d->arena, "Send mail of %.*s through its provider, with your login there:", STR_ARG(domain->name));
	if (*profile)
		f.remedy.config =
			arena_printf(&d->arena,
				     "upstreams = ( { name = \"%s\"; profile = \"%s\"; … } );\n    routes = ( { senders = [ "
				     "\"@%.*s\" ]; via = [ \"%s\" ]; }, … );",
				     profile, profile, STR_ARG(domain->name), profile);
	finding_add(d, &f);
}

void check_domain_ours(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.domains_n; i++)
		judge_ours(d, &d->situation.domains[i]);
}

/* ---- domain.servers ---- */

/* The zone that the domain is in. */
static struct str zone_of(struct doctor *d, struct str name, const struct fact_dns **ns_out)
{
	for (; name.n > 0; name = str_from(name, str_find(name, '.') + 1)) {
		*ns_out = facts_dns(d, VIEW_WORLD, name, DNS_NS);
		if ((*ns_out)->n > 0 || (*ns_out)->state == FACT_PENDING || (*ns_out)->state == FACT_UNKNOWN)
			break;
	}
	return name;
}

/* The first address of a name server. */
static struct str server_address(struct doctor *d, struct str host)
{
	const struct fact_dns *a = facts_dns(d, VIEW_WORLD, host, DNS_A), *aaaa;

	if (a->n > 0 || a->state == FACT_PENDING)
		return a->n > 0 ? a->records[0].text : S("");
	aaaa = facts_dns(d, VIEW_WORLD, host, DNS_AAAA);
	return aaaa->n > 0 ? aaaa->records[0].text : S("");
}

#define SERVERS_MAX 8

struct server {
	struct str name, why; /* why it does not answer */
	bool answers;
	uint32_t serial;
};

/* Serial numbers go round (RFC 1982). */
static bool is_older(uint32_t a, uint32_t b)
{
	return a != b && (uint32_t)(b - a) < 0x80000000u;
}

/* The servers of the zone, but for those whose answers are not there yet. *newest_out: one with the newest version, or NULL. */
static size_t ask_servers(struct doctor *d, struct str zone, const struct fact_dns *ns, struct server *to,
			  const struct server **newest_out)
{
	size_t n = 0;

	*newest_out = NULL;
	for (size_t i = 0; ns && i < ns->n && n < SERVERS_MAX; i++) {
		struct str address = server_address(d, ns->records[i].text);
		const struct fact_dns *soa = address.n > 0 ? facts_dns_at(d, address, zone, DNS_SOA) : NULL;

		if (!soa || soa->state == FACT_PENDING)
			continue;
		to[n] = (struct server){ .name = ns->records[i].text, .why = soa->why, .answers = soa->n > 0 };
		if (soa->n > 0) {
			to[n].serial = soa->records[0].serial;
			if (!*newest_out || is_older((*newest_out)->serial, to[n].serial))
				*newest_out = &to[n];
		}
		n++;
	}
	return n;
}

/* A change of the zone takes its time to come to all servers, and a server can be away for some minutes: what is so for an hour
 * is a fault. False: there is none. */
static bool judge_server(struct doctor *d, struct str domain, struct str zone, const struct server *s,
			 const struct server *newest)
{
	struct str key = arena_printf(&d->arena, "%.*s %.*s", STR_ARG(zone), STR_ARG(s->name));
	struct doctor_finding f = { .domain = domain, .subject = s->name, .text = S(""), .result = DOCTOR_ADVICE };
	struct str fault = S("");

	if (!s->answers) {
		fault = S("silent");
		f.text = arena_printf(&d->arena, "does not answer for %.*s%s%.*s", STR_ARG(zone), s->why.n ? ": " : "",
				      STR_ARG(s->why));
		f.remedy.text = S("Mend that name server, or take it out of the NS records.");
	} else if (is_older(s->serial, newest->serial)) {
		fault = arena_printf(&d->arena, "%u", s->serial);
		f.text = arena_printf(&d->arena, "has version %u of %.*s, but %.*s has a newer one", s->serial, STR_ARG(zone),
				      STR_ARG(newest->name));
		f.remedy.text = S("Look at the transfer of the zone between its servers.");
	}
	if (doctor_now(d) - facts_since(d, key, fault) >= HOUR_MS)
		f.result = DOCTOR_WARNING;
	else
		f.remedy.text = S("It is a fault when it is still so in an hour: ask again then.");
	if (fault.n > 0)
		finding_add(d, &f);
	return fault.n > 0;
}

static void judge_servers(struct doctor *d, struct str domain)
{
	struct server servers[SERVERS_MAX];
	const struct fact_dns *ns = NULL;
	const struct server *newest;
	size_t pending = d->pending, bad = 0, n;
	struct str zone = zone_of(d, domain, &ns);

	n = ask_servers(d, zone, ns, servers, &newest);
	if (d->pending > pending)
		return;
	for (size_t i = 0; i < n; i++)
		bad += judge_server(d, domain, zone, &servers[i], newest);
	if (bad == 0 && newest)
		finding_ok(d, domain, S(""), S("has name servers that agree"));
}

void check_domain_servers(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.domains_n; i++) {
		const struct doctor_domain *domain = &d->situation.domains[i];

		if (domain->foreign || result_is_bad(result_of(d, CHECK_DOMAIN_EXISTS, domain->name, S(""))))
			finding_skip(d, domain->name, S(""), domain->foreign ? S("not your domain") : S("domain.exists"));
		else
			judge_servers(d, domain->name);
	}
}
