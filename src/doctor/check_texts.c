/* check_texts.c - small records, most of them for those who run the mailboxes: MTA-STS (RFC 8461), TLS-RPT (RFC 8460), BIMI. */
#include "txt.h"

#include "posthouse/tls_policy.h"

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str text, const char *remedy,
		const struct dns_entry *entry)
{
	struct doctor_finding f = { .result = result, .domain = domain, .text = text };

	f.remedy.text = str_of(remedy);
	f.remedy.records = entry;
	f.remedy.records_n = entry ? 1 : 0;
	finding_add(d, &f);
}

/* ---- mtasts.record ---- */

/* A mail server of the domain that the policy does not list; "": none. */
static struct str unlisted(struct doctor *d, struct str domain, const struct fact_policy *policy)
{
	const struct fact_dns *mx = facts_dns(d, VIEW_WORLD, domain, DNS_MX);
	const struct sts_policy listed = { .mx = policy->mx };

	for (size_t i = 0; i < mx->n; i++) {
		struct str host = arena_lower(doctor_arena(d), mx->records[i].text);

		if (host.n > 0 && !sts_policy_lists(&listed, host))
			return host;
	}
	return S("");
}

/* The record is right, and the host of the policy has an address. */
static void judge_policy(struct doctor *d, struct str domain, struct str host)
{
	const struct fact_policy *policy = facts_policy(d, domain);
	struct str other = policy->state == FACT_THERE ? unlisted(d, domain, policy) : S("");

	if (policy->state == FACT_UNKNOWN)
		finding_unknown(d, domain, S(""),
				SAY("has MTA-STS; its policy (https://%.*s/.well-known/mta-sts.txt) is not fetched: %.*s",
				    STR_ARG(host), STR_ARG(policy->why)));
	else if (policy->state == FACT_EMPTY)
		say(d, DOCTOR_WARNING, domain, SAY("has an MTA-STS policy that senders cannot use: %.*s", STR_ARG(policy->why)),
		    "Mend https://mta-sts.DOMAIN/.well-known/mta-sts.txt, then publish a new id.", NULL);
	else if (policy->state == FACT_THERE && policy->mode != STS_NONE && other.n > 0)
		say(d, policy->mode == STS_ENFORCE ? DOCTOR_FAILURE : DOCTOR_WARNING, domain,
		    SAY("has an MTA-STS policy that does not list its mail server %.*s", STR_ARG(other)),
		    "Add the line to the policy, then publish a new id.", NULL);
	else if (policy->state == FACT_THERE && policy->mode == STS_TESTING)
		say(d, DOCTOR_WARNING, domain, S("has an MTA-STS policy in mode testing, which protects nothing"),
		    "When reports about TLS show no failures: mode: enforce, and a new id.", NULL);
	else if (policy->state == FACT_THERE)
		finding_ok(d, domain, S(""),
			   policy->mode == STS_ENFORCE ? S("has an MTA-STS policy that lists its mail servers")
						       : S("has an MTA-STS policy that demands nothing"));
}

static void judge_mtasts(struct doctor *d, struct str domain, struct str text)
{
	struct str id, fault = sts_record_read(doctor_arena(d), text, &id), host = SAY("mta-sts.%.*s", STR_ARG(domain));
	const struct fact_dns *v4 = facts_dns(d, VIEW_WORLD, host, DNS_A), *v6 = facts_dns(d, VIEW_WORLD, host, DNS_AAAA);

	if (v4->state == FACT_PENDING || v6->state == FACT_PENDING)
		return;
	if (fault.n > 0)
		say(d, DOCTOR_WARNING, domain, SAY("has an MTA-STS record that nobody can read: %.*s", STR_ARG(fault)),
		    "Publish in its place:", entry_of(d, "TXT", SAY("_mta-sts.%.*s", STR_ARG(domain)), S("v=STSv1; id=1"), text));
	else if (v4->n == 0 && v6->n == 0 && v4->state != FACT_UNKNOWN && v6->state != FACT_UNKNOWN)
		say(d, DOCTOR_WARNING, domain,
		    SAY("has an MTA-STS record, but %.*s, where the policy has to be, has no address", STR_ARG(host)),
		    "Publish the policy there, or take the record away.", NULL);
	else
		judge_policy(d, domain, host);
}

static struct str_list texts_at(struct doctor *d, const struct fact_dns *f, const char *version)
{
	return texts_like(d, f, str_of(version));
}

void check_mtasts_record(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name;
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, SAY("_mta-sts.%.*s", STR_ARG(domain)), DNS_TXT);
		struct str_list texts = texts_at(d, f, "v=STS");

		if (answer_missing(d, f, domain, S("")))
			continue;
		if (texts.n > 1)
			say(d, DOCTOR_WARNING, domain, S("has several MTA-STS records; senders then take none"),
			    "Leave one of them.", NULL);
		else if (texts.n == 1)
			judge_mtasts(d, domain, texts.at[0]);
		else
			say(d, DOCTOR_ADVICE, domain, S("has no MTA-STS"),
			    "For who runs your mailboxes: TXT at _mta-sts, and a policy by HTTPS.", NULL);
	}
}

/* ---- tlsrpt.record ---- */

/* Would there be anything to report: does the domain tell senders to verify TLS? *pending_out: not known now. */
static bool promises_tls(struct doctor *d, struct str domain, bool *pending_out)
{
	const struct fact_dns *sts = facts_dns(d, VIEW_WORLD, SAY("_mta-sts.%.*s", STR_ARG(domain)), DNS_TXT);
	const struct fact_dns *mx = facts_dns(d, VIEW_WORLD, domain, DNS_MX);
	bool promises = texts_at(d, sts, "v=STS").n > 0;

	*pending_out = sts->state == FACT_PENDING || mx->state == FACT_PENDING;
	for (size_t i = 0; i < mx->n && i < 5; i++) {
		const struct fact_dns *tlsa;

		if (mx->records[i].text.n == 0)
			continue;
		tlsa = facts_dns(d, VIEW_WORLD, SAY("_25._tcp.%.*s", STR_ARG(mx->records[i].text)), DNS_TLSA);
		*pending_out |= tlsa->state == FACT_PENDING;
		promises = promises || tlsa->n > 0;
	}
	return promises;
}

void check_tlsrpt_record(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name, name = SAY("_smtp._tls.%.*s", STR_ARG(domain));
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, DNS_TXT);
		struct str value = SAY("v=TLSRPTv1; rua=mailto:postmaster@%.*s", STR_ARG(domain));
		struct rpt_record record;
		bool pending = false, promises;

		if (answer_missing(d, f, domain, S("")))
			continue;
		promises = promises_tls(d, domain, &pending);
		if (pending)
			continue;
		rpt_record_read(doctor_arena(d), texts_like(d, f, S("")), &record);
		if (record.fault.n > 0)
			say(d, DOCTOR_WARNING, domain,
			    record.n > 0 ? SAY("has a fault in its TLS-RPT record: %.*s", STR_ARG(record.fault))
					 : SAY("has a TLS-RPT record that nobody can read: %.*s", STR_ARG(record.fault)),
			    "Publish in its place:", entry_of(d, "TXT", name, value, f->records[0].text));
		else if (f->n == 0 && promises)
			say(d, DOCTOR_ADVICE, domain, S("asks senders to verify TLS, but not for reports about it"),
			    "Add:", entry_of(d, "TXT", name, value, S("")));
		else
			finding_ok(d, domain, S(""), f->n > 0 ? S("gets reports about TLS") : S("needs no reports about TLS"));
	}
}

/* ---- bimi.record ---- */

static void judge_bimi(struct doctor *d, struct str domain, struct str text)
{
	struct dmarc_found dmarc = dmarc_of(d, domain);
	struct str fault, logo = bimi_logo(doctor_arena(d), text, &fault);

	if (dmarc.fact->state == FACT_PENDING)
		return;
	if (fault.n > 0)
		say(d, DOCTOR_ADVICE, domain, SAY("has a BIMI record with an error: %.*s", STR_ARG(fault)),
		    "Publish v=BIMI1; l=https://…/logo.svg;", NULL);
	else if (logo.n > 0 && (!dmarc.valid || dmarc_policy_for(&dmarc, domain) == DMARC_NONE))
		say(d, DOCTOR_ADVICE, domain, S("has a BIMI record, but its DMARC policy is none: no logo is shown"),
		    "First p=quarantine or p=reject.", NULL);
	else
		finding_ok(d, domain, S(""), S("has a BIMI record"));
}

void check_bimi_record(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name;
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, SAY("default._bimi.%.*s", STR_ARG(domain)), DNS_TXT);

		if (f->state == FACT_THERE)
			judge_bimi(d, domain, f->records[0].text);
	}
}
