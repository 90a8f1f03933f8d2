/* check_texts.c - small records, most of them for those who run the mailboxes: MTA-STS (RFC 8461), TLS-RPT (RFC 8460), BIMI. */
#include "txt.h"

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

static void judge_mtasts(struct doctor *d, struct str domain, struct str text)
{
	struct str fault = mtasts_fault(doctor_arena(d), text), host = SAY("mta-sts.%.*s", STR_ARG(domain));
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
		finding_unknown(
			d, domain, S(""),
			SAY("has MTA-STS; its policy (https://%.*s/.well-known/mta-sts.txt) is not fetched by doctor: see that "
			    "each MX is in it",
			    STR_ARG(host)));
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
		struct str domain = s->domains[i].name, name = SAY("_smtp._tls.%.*s", STR_ARG(domain)), fault;
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, DNS_TXT);
		struct str value = SAY("v=TLSRPTv1; rua=mailto:postmaster@%.*s", STR_ARG(domain));
		bool pending = false, promises;

		if (answer_missing(d, f, domain, S("")))
			continue;
		promises = promises_tls(d, domain, &pending);
		if (pending)
			continue;
		fault = f->n > 0 ? tlsrpt_fault(doctor_arena(d), f->records[0].text) : S("");
		if (f->n > 1)
			fault = S("there are several");
		if (fault.n > 0)
			say(d, DOCTOR_WARNING, domain, SAY("has a TLS-RPT record that nobody can read: %.*s", STR_ARG(fault)),
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
