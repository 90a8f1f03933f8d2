/* check_domain.c - the sender domains themselves: are they there, are they ours, do their name servers agree? */
#include "run.h"

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

struct serial {
	bool known;
	uint32_t at;
	struct str server;
};

static void judge_server(struct doctor *d, const struct doctor_domain *domain, struct str zone, struct str host,
			 struct serial *first)
{
	struct str address = server_address(d, host);
	const struct fact_dns *soa = address.n > 0 ? facts_dns_at(d, address, zone, DNS_SOA) : NULL;
	struct doctor_finding f = { .result = DOCTOR_WARNING, .domain = domain->name, .subject = host };

	if (!soa || soa->state == FACT_PENDING)
		return;
	if (soa->n == 0) {
		f.text = arena_printf(&d->arena, "does not answer for %.*s%s%.*s", STR_ARG(zone), soa->why.n ? ": " : "",
				      STR_ARG(soa->why));
		f.remedy.text = S("Mend that name server, or take it out of the NS records.");
	} else if (!first->known) {
		*first = (struct serial){ true, soa->records[0].serial, host };
		return;
	} else if (first->at != soa->records[0].serial) {
		f.text = arena_printf(&d->arena, "has version %u of %.*s, but %.*s has %u", soa->records[0].serial, STR_ARG(zone),
				      STR_ARG(first->server), first->at);
		f.remedy.text = S("If that is still so in an hour: look at the transfer of the zone between its servers.");
	} else {
		return;
	}
	finding_add(d, &f);
}

void check_domain_servers(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.domains_n; i++) {
		const struct doctor_domain *domain = &d->situation.domains[i];
		const struct fact_dns *ns = NULL;
		struct serial first = { 0 };
		size_t before = d->findings_n;
		struct str zone;

		if (domain->foreign || result_is_bad(result_of(d, CHECK_DOMAIN_EXISTS, domain->name, S("")))) {
			finding_skip(d, domain->name, S(""), domain->foreign ? S("not your domain") : S("domain.exists"));
			continue;
		}
		before = d->findings_n;
		zone = zone_of(d, domain->name, &ns);
		for (size_t j = 0; ns && j < ns->n && j < 8; j++)
			judge_server(d, domain, zone, ns->records[j].text, &first);
		if (d->findings_n == before && first.known)
			finding_ok(d, domain->name, S(""), S("has name servers that agree"));
	}
}
