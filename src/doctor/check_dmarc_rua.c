/* check_dmarc_rua.c - do the reports that a DMARC record asks for arrive (RFC 7489 7.1)? */
#include "txt.h"

#include "posthouse/address.h"

/* Does the other domain take reports about ours? False: no; *pending_out: not known now. */
static bool is_authorised(struct doctor *d, struct str ours, struct str other, bool *pending_out)
{
	struct str names[] = { SAY("%.*s._report._dmarc.%.*s", STR_ARG(ours), STR_ARG(other)),
			       SAY("*._report._dmarc.%.*s", STR_ARG(other)) };

	for (size_t i = 0; i < 2; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, names[i], DNS_TXT);

		/* what cannot be asked is not told as a fault */
		*pending_out |= f->state == FACT_PENDING || f->state == FACT_UNKNOWN;
		for (size_t j = 0; j < f->n; j++)
			if (str_istarts(f->records[j].text, S("v=DMARC1")))
				return true;
	}
	return false;
}

static void warn(struct doctor *d, struct str domain, struct str uri, struct str text, const struct dns_entry *entry,
		 const char *remedy)
{
	struct doctor_finding f = { .result = DOCTOR_WARNING, .domain = domain, .subject = uri, .text = text };

	f.remedy.text = str_of(remedy);
	f.remedy.records = entry;
	f.remedy.records_n = entry ? 1 : 0;
	finding_add(d, &f);
}

static bool takes_mail(struct doctor *d, struct str domain, bool *pending_out)
{
	static const unsigned types[] = { DNS_MX, DNS_A, DNS_AAAA };

	for (size_t i = 0; i < 3; i++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, domain, types[i]);

		*pending_out |= f->state == FACT_PENDING || f->state == FACT_UNKNOWN;
		if (f->n > 0)
			return i > 0 || f->n > 1 || f->records[0].text.n > 0; /* a null MX takes none */
	}
	return false;
}

/* `at` is the domain that has the record. */
static void judge_uri(struct doctor *d, struct str domain, struct str at, struct str uri)
{
	struct str address = str_head(str_from(uri, 7), str_find(str_from(uri, 7), '?')), other;
	bool pending = false, takes;

	if (!str_istarts(uri, S("mailto:")) || str_find(address, '@') == address.n) {
		warn(d, domain, uri, S("is no mailto: address: no report goes there"), NULL, "Write rua=mailto:you@your.domain.");
		return;
	}
	other = arena_lower(doctor_arena(d), address_domain(address));
	takes = takes_mail(d, other, &pending);
	if (!takes && !pending)
		warn(d, domain, uri, SAY("gets no reports: %.*s takes no mail", STR_ARG(other)), NULL, "Take another address.");
	if (!takes || pending)
		return;
	if (!domains_align(other, at, false) && !is_authorised(d, at, other, &pending)) {
		if (!pending)
			warn(d, domain, uri, SAY("gets no reports: %.*s has not agreed to them", STR_ARG(other)),
			     entry_of(d, "TXT", SAY("%.*s._report._dmarc.%.*s", STR_ARG(at), STR_ARG(other)), S("v=DMARC1"),
				      S("")),
			     "Its owner has to publish:");
		return;
	}
	finding_ok(d, domain, uri, S("gets the reports"));
}

void check_dmarc_rua(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		struct str domain = s->domains[i].name;
		struct dmarc_found found = dmarc_of(d, domain);

		if (result_of(d, CHECK_DMARC_RECORD, domain, S("")) != DOCTOR_OK) {
			finding_skip(d, domain, S(""), S("dmarc.record"));
			continue;
		}
		if (!found.valid)
			continue;
		for (size_t j = 0; j < found.record.rua.n; j++)
			judge_uri(d, domain, found.domain, found.record.rua.at[j]);
		if (found.record.rua.n == 0) {
			struct doctor_finding f = { .result = DOCTOR_ADVICE, .domain = domain, .text = S("asks for no reports") };
			struct str rua = SAY("mailto:postmaster@%.*s", STR_ARG(found.domain));

			f.remedy.text = S("Publish in its place:");
			f.remedy.records = entry_of(d, "TXT", SAY("_dmarc.%.*s", STR_ARG(found.domain)),
						    dmarc_mended(doctor_arena(d), found.text, rua), found.text);
			f.remedy.records_n = 1;
			finding_add(d, &f);
		}
	}
}
