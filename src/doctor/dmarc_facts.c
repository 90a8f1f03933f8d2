/* dmarc_facts.c - which DMARC record holds for a domain, and what of our mail aligns. */
#include "txt.h"

static struct dmarc_found look(struct doctor *d, struct str domain)
{
	struct dmarc_found found = { .fact = facts_dns(d, VIEW_WORLD, SAY("_dmarc.%.*s", STR_ARG(domain)), DNS_TXT) };

	found.domain = found.text = found.why = S("");
	for (size_t i = 0; i < found.fact->n; i++)
		if (dmarc_likely(found.fact->records[i].text) && found.n++ == 0)
			found.text = found.fact->records[i].text;
	if (found.n > 0)
		found.domain = domain;
	if (found.n == 1)
		found.valid = dmarc_parse(doctor_arena(d), found.text, &found.record, &found.why);
	return found;
}

struct dmarc_found dmarc_of(struct doctor *d, struct str domain)
{
	struct dmarc_found found = look(d, domain);
	struct str parent = organisational_domain(domain);

	if (found.n > 0 || found.fact->state == FACT_UNKNOWN || found.fact->state == FACT_PENDING || str_eq(parent, domain))
		return found;
	return look(d, parent);
}

enum dmarc_policy dmarc_policy_for(const struct dmarc_found *found, struct str domain)
{
	if (!found->valid)
		return DMARC_NONE;
	return str_eq(found->domain, domain) ? found->record.policy : found->record.subdomains;
}

/* Is the record of a key that signs good? *broken_out: surely not. What cannot be asked counts as good. */
static bool is_good(struct doctor *d, const struct cfg_sign *key, bool *broken_out)
{
	enum doctor_result there = result_of(d, CHECK_DKIM_PUBLISHED, key->domain, key->selector);
	enum doctor_result match = result_of(d, CHECK_DKIM_MATCH, key->domain, key->selector);

	if (there == DOCTOR_FAILURE || match == DOCTOR_FAILURE)
		*broken_out = true;
	return there != DOCTOR_FAILURE && match != DOCTOR_FAILURE;
}

bool dkim_aligns(struct doctor *d, struct str domain, bool strict, bool *broken_out)
{
	const struct config *c = doctor_config(d);
	const struct cfg_sign *used = key_of(d, domain);

	*broken_out = false;
	for (size_t i = 0; used && i < c->sign_n; i++) {
		const struct cfg_sign *key = &c->sign[i];

		if (str_eq(key->domain, used->domain) && key->state == SIGN_ACTIVE &&
		    domains_align(key->domain, domain, strict) && is_good(d, key, broken_out))
			return true;
	}
	return false;
}
