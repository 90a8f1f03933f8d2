/* check_spf_upstream.c - does the SPF record of a domain have the upstream that its mail goes by? */
#include "txt.h"

/* Does the record have the address that the upstream is reached at? */
static bool has_its_address(struct doctor *d, const struct doctor_domain *domain, const struct cfg_upstream *u, bool *pending_out)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };

	for (size_t i = 0; i < 2; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, u->host, types[i]);

		*pending_out |= f->state == FACT_PENDING;
		for (size_t j = 0; j < f->n; j++) {
			struct spf_outcome out;

			spf_ask(d, f->records[j].text, SAY("postmaster@%.*s", STR_ARG(domain->name)), domain->name, false, &out);
			*pending_out |= out.pending;
			if (out.result == SPF_PASS && !out.pending)
				return true;
		}
	}
	return false;
}

/* Mail of the domain is good without SPF: a signature of ours, or the envelope is the provider's. */
static bool has_another_proof(struct doctor *d, const struct doctor_domain *domain, const struct cfg_upstream *u)
{
	const struct profile *p = profile_find(u->profile);
	const struct cfg_sign *key = key_of(d, domain->name);

	if (p && p->own_envelope)
		return true;
	return key && result_of(d, CHECK_DKIM_PUBLISHED, key->domain, S("")) == DOCTOR_OK &&
	       result_of(d, CHECK_DKIM_MATCH, key->domain, S("")) <= DOCTOR_ADVICE;
}

static void say_missing(struct doctor *d, const struct doctor_domain *domain, const struct cfg_upstream *u, struct str name)
{
	struct spf_found found = spf_record_of(d, domain->name);
	struct doctor_finding f = { .domain = domain->name, .subject = u->host, .found = found.text };

	f.result = has_another_proof(d, domain, u) ? DOCTOR_ADVICE : DOCTOR_WARNING;
	f.text = SAY("is not in the SPF record of %.*s", STR_ARG(domain->name));
	f.expected = SAY("include:%.*s", STR_ARG(name));
	f.remedy.text = S("Publish this one record in place of the old one:");
	f.remedy.records = spf_proposal(d, domain, found.text);
	f.remedy.records_n = 1;
	finding_add(d, &f);
}

static void judge(struct doctor *d, const struct doctor_domain *domain, const struct cfg_upstream *u,
		  const struct spf_outcome *whole)
{
	const struct profile *p = profile_find(u->profile);
	bool pending = false, address = has_its_address(d, domain, u, &pending);
	struct str name = spf_include_of(d, u, &pending), own = upstream_domain(u);

	if (pending)
		return;
	if (address || (name.n > 0 && spf_includes(whole->tree, name)) ||
	    (str_find(own, '.') < own.n && spf_includes(whole->tree, own)))
		finding_ok(d, domain->name, u->host, SAY("is in the SPF record of %.*s", STR_ARG(domain->name)));
	else if (name.n > 0)
		say_missing(d, domain, u, name);
	else if (p && p->own_envelope)
		finding_ok(d, domain->name, u->host, S("sends with an envelope of its own: your SPF record is not asked"));
	else
		finding_unknown(d, domain->name, u->host,
				S("sends from addresses that are not known here: \"posthouse doctor --headers\" tells them"));
}

void check_spf_upstream(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		const struct doctor_domain *domain = &s->domains[i];
		struct spf_outcome whole;

		if (!domain->by_upstream)
			continue;
		if (result_of(d, CHECK_SPF_RECORD, domain->name, S("")) != DOCTOR_OK)
			finding_skip(d, domain->name, S(""), S("spf.record"));
		else if (spf_tree(d, domain, &whole) && whole.tree)
			for (size_t j = 0; j < domain->upstreams_n; j++)
				judge(d, domain, domain->upstreams[j], &whole);
	}
}
