/* check_dmarc.c - DMARC (RFC 7489): is there a record, does our mail pass it, and what does it ask for? */
#include "txt.h"

#include "posthouse/address.h"
#include "posthouse/units.h"

static struct str rua_for(struct doctor *d, struct str domain)
{
	return SAY("mailto:postmaster@%.*s", STR_ARG(domain));
}

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str text, struct str remedy)
{
	struct doctor_finding f = { .result = result, .domain = domain, .text = text };

	f.remedy.text = remedy;
	finding_add(d, &f);
}

/* With the record that mends it, at `at`. */
static void say_record(struct doctor *d, enum doctor_result result, struct str domain, struct str text, struct str at,
		       struct str old)
{
	struct doctor_finding f = { .result = result, .domain = domain, .text = text, .found = old };
	struct str mended = dmarc_mended(doctor_arena(d), old, rua_for(d, at));

	f.remedy.text = old.n > 0 ? S("Publish this one record in its place:") : S("Add:");
	f.remedy.records = entry_of(d, "TXT", SAY("_dmarc.%.*s", STR_ARG(at)), mended, old);
	f.remedy.records_n = 1;
	f.expected = mended;
	finding_add(d, &f);
}

/* ---- dmarc.record ---- */

/* Names where forms and people put it by mistake. False: pending. */
static bool find_misplaced(struct doctor *d, struct str domain, struct str *at_out)
{
	struct str names[] = { domain, SAY("_dmarc.%.*s.%.*s", STR_ARG(domain), STR_ARG(domain)),
			       SAY("dmarc.%.*s", STR_ARG(domain)) };

	*at_out = S("");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, names[i], DNS_TXT);

		if (f->state == FACT_PENDING)
			return false;
		for (size_t j = 0; j < f->n && at_out->n == 0; j++)
			if (dmarc_likely(f->records[j].text))
				*at_out = names[i];
	}
	return true;
}

static void no_record(struct doctor *d, struct str domain)
{
	struct str parent = organisational_domain(domain), at;

	if (!find_misplaced(d, domain, &at))
		return;
	if (at.n > 0)
		say_record(d, DOCTOR_WARNING, domain,
			   SAY("has its DMARC record at %.*s, where nobody looks: it belongs to _dmarc.%.*s", STR_ARG(at),
			       STR_ARG(domain)),
			   domain, S(""));
	else
		say_record(d, DOCTOR_WARNING, domain, S("has no DMARC record"), parent, S(""));
}

void check_dmarc_record(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name;
		struct dmarc_found found = dmarc_of(d, domain);

		if (found.n == 0 && answer_missing(d, found.fact, domain, S("")))
			continue;
		if (found.n == 0)
			no_record(d, domain);
		else if (found.n > 1)
			say_record(d, DOCTOR_FAILURE, domain,
				   SAY("has %zu DMARC records at _dmarc.%.*s; receivers then take none", found.n,
				       STR_ARG(found.domain)),
				   found.domain, found.text);
		else if (!found.valid)
			say_record(d, DOCTOR_FAILURE, domain,
				   SAY("has a DMARC record at _dmarc.%.*s that nobody can read: %.*s", STR_ARG(found.domain),
				       STR_ARG(found.why)),
				   found.domain, found.text);
		else
			finding_ok(d, domain, S(""),
				   SAY("has a DMARC record at _dmarc.%.*s: p=%s", STR_ARG(found.domain),
				       dmarc_policy_names[found.record.policy]));
	}
}

/* The record of the domain for the other checks. False: there is none that is good; a finding says so. */
static bool record_of(struct doctor *d, struct str domain, struct dmarc_found *found)
{
	enum doctor_result record = result_of(d, CHECK_DMARC_RECORD, domain, S(""));

	*found = dmarc_of(d, domain);
	if (record != DOCTOR_OK)
		finding_skip(d, domain, S(""), S("dmarc.record"));
	return record == DOCTOR_OK && found->valid;
}

/* ---- dmarc.align ---- */

enum answer { NO, PERHAPS, YES };

/* Does mail by this way pass SPF as the sender's domain? */
static enum answer spf_by(struct doctor *d, const struct doctor_domain *domain, bool mx)
{
	enum doctor_result r;

	for (size_t i = 0; !mx && i < domain->upstreams_n; i++) {
		const struct profile *p = profile_find(domain->upstreams[i]->profile);

		if (p && p->own_envelope)
			return NO;
	}
	if (mx && doctor_situation(d)->addresses_n == 0)
		return PERHAPS;
	r = result_of(d, mx ? CHECK_SPF_PASS : CHECK_SPF_UPSTREAM, domain->name, S(""));
	return r == DOCTOR_OK ? YES : r == DOCTOR_UNKNOWN ? PERHAPS : NO;
}

/* By every way that its mail can take. */
static enum answer spf_aligns(struct doctor *d, const struct doctor_domain *domain)
{
	enum answer mx = domain->by_mx ? spf_by(d, domain, true) : YES;
	enum answer upstream = domain->by_upstream ? spf_by(d, domain, false) : YES;

	return mx < upstream ? mx : upstream;
}

/* The provider signs for the domain, which can be seen only in a message that was received. */
static bool provider_signs(const struct doctor_domain *domain)
{
	for (size_t i = 0; i < domain->upstreams_n; i++) {
		const struct profile *p = profile_find(domain->upstreams[i]->profile);

		if (!p || !p->signs)
			return false;
	}
	return domain->upstreams_n > 0 && !domain->by_mx;
}

static void not_aligned(struct doctor *d, const struct doctor_domain *domain, const struct dmarc_found *found, bool by_spf)
{
	const struct cfg_sign *key = key_of(d, domain->name);
	bool parent = key && found->record.adkim_strict && !str_eq(key->domain, domain->name);
	struct doctor_finding f = { .result = DOCTOR_WARNING, .domain = domain->name };

	if (parent) {
		f.result = by_spf ? DOCTOR_WARNING : DOCTOR_FAILURE;
		f.text = SAY("is signed as %.*s, which adkim=s does not accept", STR_ARG(key->domain));
	} else {
		if (dmarc_policy_for(found, domain->name) != DMARC_NONE)
			f.result = DOCTOR_FAILURE;
		f.text = SAY("has neither a signature nor an envelope that is its own: DMARC fails, and says p=%s",
			     dmarc_policy_names[dmarc_policy_for(found, domain->name)]);
	}
	f.remedy.text = SAY("Make a key for this domain%s:", parent ? ", or take adkim=s out of the DMARC record" : "");
	f.remedy.command = SAY("posthouse dkim generate %.*s", STR_ARG(domain->name));
	finding_add(d, &f);
}

/* What is to be mended first, and explains it; "": nothing. */
static struct str cause(struct doctor *d, const struct doctor_domain *domain, bool broken_key)
{
	if (broken_key)
		return S("dkim.match");
	if (!key_of(d, domain->name) && result_of(d, CHECK_DKIM_KEY, domain->name, S("")) == DOCTOR_FAILURE)
		return S("dkim.key");
	return S("");
}

static void judge_alignment(struct doctor *d, const struct doctor_domain *domain, const struct dmarc_found *found)
{
	bool broken, dkim = dkim_aligns(d, domain->name, found->record.adkim_strict, &broken);
	enum answer spf = spf_aligns(d, domain);
	const struct cfg_sign *key = key_of(d, domain->name);
	bool parent = key && found->record.adkim_strict && !str_eq(key->domain, domain->name);

	if (dkim || (spf == YES && !parent))
		finding_ok(d, domain->name, S(""), dkim ? S("is aligned by its signature") : S("is aligned by its envelope"));
	else if (cause(d, domain, broken).n > 0)
		finding_skip(d, domain->name, S(""), cause(d, domain, broken));
	else if (!parent && (spf == PERHAPS || (!key && provider_signs(domain))))
		finding_unknown(d, domain->name, S(""),
				S("can be aligned by what the upstream does: \"posthouse doctor --headers\" tells"));
	else
		not_aligned(d, domain, found, spf == YES);
}

void check_dmarc_align(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct dmarc_found found;

		if (record_of(d, s->domains[i].name, &found))
			judge_alignment(d, &s->domains[i], &found);
	}
}

/* ---- dmarc.reports ---- */

/* The domain in From of our reports and notices, as the queue chooses it. */
static struct str report_domain(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	struct str postmaster = address_domain(c->postmaster);

	if (c->report_sender.n > 0)
		return address_domain(c->report_sender);
	for (struct str name = c->hostname; str_find(name, '.') < name.n; name = str_from(name, str_find(name, '.') + 1))
		for (size_t i = 0; i < c->sign_n; i++)
			if (str_ieq(c->sign[i].domain, name))
				return name;
	for (size_t i = 0; i < c->sign_n; i++)
		if (str_ieq(c->sign[i].domain, postmaster))
			return postmaster;
	return c->hostname;
}

static void reports_not_aligned(struct doctor *d, struct str domain, struct str from, enum dmarc_policy policy)
{
	struct doctor_finding f = { .domain = domain,
				    .subject = from,
				    .text = S("is in From of our reports, which nothing proves") };

	f.result = policy == DMARC_NONE ? DOCTOR_WARNING : DOCTOR_FAILURE;
	if (policy != DMARC_NONE)
		f.text = SAY("%.*s; its DMARC policy is p=%s", STR_ARG(f.text), dmarc_policy_names[policy]);
	f.remedy.text = S("Make a key for this domain, or name a sender of a domain that has one (report_sender):");
	f.remedy.command = SAY("posthouse dkim generate %.*s", STR_ARG(from));
	finding_add(d, &f);
}

/* Why nothing is said about it; "": something is. */
static struct str reports_not_judged(struct doctor *d, struct str from, bool broken)
{
	const struct situation *s = doctor_situation(d);
	struct str host = doctor_config(d)->hostname;
	bool provider = s->domains_n > 0 && !s->mx;

	if (str_eq(from, host) && result_of(d, CHECK_NAME_FORM, S(""), S("")) != DOCTOR_OK)
		return S("name.form");
	if (broken)
		return S("dkim.match");
	if (s->mx && result_is_bad(result_of(d, CHECK_SPF_HELO, S(""), S(""))))
		return S("spf.helo");
	for (size_t i = 0; i < s->domains_n; i++)
		provider = provider && provider_signs(&s->domains[i]);
	return provider ? S("the provider signs for its customers") : S("");
}

void check_dmarc_reports(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str from = arena_lower(doctor_arena(d), report_domain(d)), host = doctor_config(d)->hostname, domain = S("");
	struct dmarc_found found = dmarc_of(d, from);
	bool broken, signed_, spf;

	for (size_t i = 0; i < s->domains_n; i++)
		if (str_eq(s->domains[i].name, from))
			domain = from;
	if (found.n == 0 && answer_missing(d, found.fact, domain, from))
		return;
	signed_ = dkim_aligns(d, from, found.record.adkim_strict, &broken);
	spf = s->mx && domains_align(host, from, found.record.aspf_strict) && s->addresses_n > 0 &&
	      result_of(d, CHECK_SPF_HELO, S(""), host) == DOCTOR_OK;
	if (signed_ || spf)
		finding_ok(d, domain, from, signed_ ? S("signs our reports") : S("covers our reports by SPF of the greeting"));
	else if (reports_not_judged(d, from, broken).n > 0)
		finding_skip(d, domain, from, reports_not_judged(d, from, broken));
	else
		reports_not_aligned(d, domain, from, dmarc_policy_for(&found, from));
}

/* ---- dmarc.policy ---- */

#define NONE_DAYS 30 /* of reports, before a policy is advised */

static void judge_policy(struct doctor *d, struct str domain, const struct dmarc_found *found)
{
	const struct dmarc_record *r = &found->record;
	enum dmarc_policy policy = dmarc_policy_for(found, domain);
	bool broken, signs = dkim_aligns(d, domain, r->adkim_strict, &broken);
	uint64_t since = facts_since(d, domain, str_of(dmarc_policy_names[policy]));
	uint64_t days = doctor_now(d) > since ? (doctor_now(d) - since) / DAY_MS : 0;

	if (policy == DMARC_REJECT && broken && !signs)
		say(d, DOCTOR_FAILURE, domain, S("has p=reject while its signatures are broken: receivers refuse your mail"),
		    S("Mend dkim.* first; until then publish p=none."));
	else if (r->subdomains < r->policy)
		say(d, DOCTOR_ADVICE, domain,
		    SAY("has sp=%s, weaker than p=%s: subdomains can be forged", dmarc_policy_names[r->subdomains],
			dmarc_policy_names[r->policy]),
		    S("Take sp= out when every subdomain that sends is signed."));
	else if (r->pct < 100)
		say(d, DOCTOR_ADVICE, domain, SAY("has pct=%u: the policy holds for a part of the mail", r->pct),
		    S("Take pct= out when the reports have no mail of your own that fails."));
	else if (policy == DMARC_NONE && signs && days >= NONE_DAYS)
		say(d, DOCTOR_ADVICE, domain,
		    SAY("has p=none for %llu days: forged mail is not refused", (unsigned long long)days),
		    S("When the reports have no mail of your own that fails: p=quarantine, and p=reject after 30 days more."));
	else
		finding_ok(d, domain, S(""), SAY("has p=%s", dmarc_policy_names[policy]));
}

void check_dmarc_policy(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct dmarc_found found;

		if (record_of(d, s->domains[i].name, &found))
			judge_policy(d, s->domains[i].name, &found);
	}
}
