/* check_caa.c - is the authority of our certificate allowed to issue the next one (RFC 8659)? */
#include "txt.h"

#include "certificate.h"

/* Words in the name of an issuer, and the domains that stand for it in CAA records. */
static const struct authority {
	const char *words, *domains[4];
} authorities[] = {
	{ "Let's Encrypt", { "letsencrypt.org" } },
	{ "ZeroSSL", { "sectigo.com", "zerossl.com" } },
	{ "Sectigo", { "sectigo.com", "comodoca.com", "usertrust.com" } },
	{ "COMODO", { "sectigo.com", "comodoca.com" } },
	{ "Google Trust Services", { "pki.goog" } },
	{ "DigiCert", { "digicert.com" } },
	{ "GeoTrust", { "digicert.com", "geotrust.com" } },
	{ "RapidSSL", { "digicert.com", "rapidssl.com" } },
	{ "Thawte", { "digicert.com", "thawte.com" } },
	{ "Buypass", { "buypass.com", "buypass.no" } },
	{ "GlobalSign", { "globalsign.com" } },
	{ "GoDaddy", { "godaddy.com", "starfieldtech.com" } },
	{ "Starfield", { "starfieldtech.com", "godaddy.com" } },
	{ "SSL.com", { "ssl.com" } },
	{ "Amazon", { "amazon.com", "amazontrust.com", "awstrust.com" } },
	{ "Actalis", { "actalis.it" } },
	{ "Certum", { "certum.pl" } },
	{ "Entrust", { "entrust.net" } },
	{ "HARICA", { "harica.gr" } },
	{ "SwissSign", { "swisssign.com" } },
	{ "Telekom", { "telesec.de" } },
};

static const struct authority *authority_of(struct str issuer)
{
	for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++)
		if (str_search(issuer, str_of(authorities[i].words)) < issuer.n)
			return &authorities[i];
	return NULL;
}

/* The CAA records that hold for a name: its own, or those of the nearest name above it (RFC 8659 3). NULL: not known now. */
static const struct fact_dns *caa_of(struct doctor *d, struct str name, struct str *at_out)
{
	const struct fact_dns *f = NULL;

	for (; name.n > 0; name = str_from(name, str_find(name, '.') + 1)) {
		f = facts_dns(d, VIEW_WORLD, name, DNS_CAA);
		*at_out = name;
		if (f->state == FACT_PENDING || f->state == FACT_UNKNOWN || f->n > 0)
			return f;
	}
	return f;
}

static bool is_of(const struct authority *who, struct str value)
{
	for (size_t i = 0; i < 4 && who->domains[i]; i++)
		if (str_ieq(value, str_of(who->domains[i])))
			return true;
	return false;
}

/* Is there an issue record at all, and is one of them for this authority? */
static bool allows(const struct fact_dns *f, const struct authority *who, struct str *others_out, struct arena *a)
{
	bool any = false;

	*others_out = S("");
	for (size_t i = 0; i < f->n; i++) {
		struct caa caa;

		if (!caa_read(f->records[i].data, &caa) || !str_ieq(caa.tag, S("issue")))
			continue;
		any = true;
		if (is_of(who, caa.value))
			return true;
		*others_out =
			arena_printf(a, "%.*s%s%.*s", STR_ARG(*others_out), others_out->n > 0 ? ", " : "", STR_ARG(caa.value));
	}
	return !any;
}

static void judge(struct doctor *d, struct str host, const struct certificate *c)
{
	const struct authority *who = authority_of(c->issuer);
	struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = host };
	struct str others, at = host;
	const struct fact_dns *caa;

	if (c->chain == CHAIN_SELF_SIGNED || !who) {
		finding_skip(d, S(""), host, S("no public authority is known to have issued the certificate"));
		return;
	}
	caa = caa_of(d, host, &at);
	if (!caa || answer_missing(d, caa, S(""), host))
		return;
	if (allows(caa, who, &others, doctor_arena(d))) {
		finding_ok(d, S(""), host, S("allows the authority of its certificate to issue the next one"));
		return;
	}
	f.text = SAY("has a CAA record at %.*s that allows %.*s, not %s, who issued the certificate", STR_ARG(at),
		     STR_ARG(others.n > 0 ? others : S("nobody")), who->words);
	f.remedy.text = S("Add:");
	f.remedy.records = entry_of(d, "CAA", host, SAY("0 issue \"%s\"", who->domains[0]), S(""));
	f.remedy.records_n = 1;
	finding_add(d, &f);
}

void check_caa_issuer(struct doctor *d)
{
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->certificates_n; i++) {
		struct str pem = c->certificates[i].chain_pem;
		struct certificate leaf;

		/* its own certificates as authorities: who is trusted does not matter here */
		if (certificate_facts(doctor_arena(d), pem, pem, &leaf) && certificate_bears(&leaf, c->hostname)) {
			judge(d, c->hostname, &leaf);
			return;
		}
	}
}
