/* check_dnssec.c - signed zones (RFC 4033): does validation of our names work, and has our resolver signatures to validate? */
#include "txt.h"

#define TYPE_RRSIG  46
#define SOON_MS     (UINT64_C(2) * 24 * 3600 * 1000)
#define SIGNED_ZONE S("org") /* a zone that has been signed since 2009 */

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str subject, struct str text,
		const char *remedy, const char *config)
{
	struct doctor_finding f = { .result = result, .domain = domain, .subject = subject, .text = text };

	f.remedy.text = str_of(remedy);
	f.remedy.config = str_of(config);
	f.remedy.command = str_of(config ? "posthouse reload" : NULL);
	finding_add(d, &f);
}

/* When the first of the signatures ends (RFC 4034 3.1.5); 0: none is known. */
static uint64_t first_end(const struct fact_dns *f)
{
	uint64_t first = 0;

	for (size_t i = 0; i < f->n; i++) {
		const unsigned char *p = (const unsigned char *)f->records[i].data.p;
		uint64_t end;

		if (f->records[i].data.n < 18)
			continue;
		end = ((uint64_t)p[8] << 24 | (uint64_t)p[9] << 16 | (uint64_t)p[10] << 8 | p[11]) * 1000;
		if (first == 0 || end < first)
			first = end;
	}
	return first;
}

/* `type` is one that every zone of this kind has: SOA of a domain, the address of a host. */
static void judge_name(struct doctor *d, struct str domain, struct str name, unsigned type)
{
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, type), *signatures;
	struct str subject = domain.n > 0 ? S("") : name;
	uint64_t end;

	if (f->state == FACT_UNKNOWN && f->bogus)
		say(d, DOCTOR_FAILURE, domain, subject,
		    S("has DNSSEC signatures that do not hold: validating resolvers see nothing"),
		    "Sign the zone again, or take the DS record away at the registrar.", NULL);
	if ((f->state == FACT_UNKNOWN && f->bogus) || answer_missing(d, f, domain, subject))
		return;
	if (!f->secure) {
		say(d, DOCTOR_ADVICE, domain, subject, S("is not signed (DNSSEC)"),
		    "Switch DNSSEC on at the registrar or DNS provider.", NULL);
		return;
	}
	signatures = facts_dns(d, VIEW_WORLD, name, TYPE_RRSIG);
	if (signatures->state == FACT_PENDING)
		return;
	end = first_end(signatures);
	if (end != 0 && end < doctor_now(d) + SOON_MS)
		say(d, DOCTOR_WARNING, domain, subject,
		    end < doctor_now(d) ? S("has a DNSSEC signature that has ended")
					: S("has a DNSSEC signature that ends within 2 days"),
		    "The program that signs the zone does not renew: look at it.", NULL);
	else
		finding_ok(d, domain, subject, S("is signed (DNSSEC)"));
}

void check_dnssec_domain(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str host = doctor_config(d)->hostname;

	for (size_t i = 0; i < s->domains_n; i++)
		judge_name(d, s->domains[i].name, s->domains[i].name, DNS_SOA);
	if (result_of(d, CHECK_NAME_FORM, S(""), S("")) != DOCTOR_OK)
		finding_skip(d, S(""), host, S("name.form"));
	else if (!str_eq(organisational_domain(host), host))
		judge_name(d, S(""), host, DNS_A);
}

/* The resolver's own zone of one of our domains, not signed, in place of the world's zone that is. */
static void judge_inner_zone(struct doctor *d, struct str domain)
{
	const struct fact_dns *world = facts_dns(d, VIEW_WORLD, domain, DNS_SOA);
	const struct fact_dns *mail = facts_dns(d, VIEW_MAIL, domain, DNS_SOA);

	if (world->state != FACT_PENDING && mail->bogus && !world->bogus)
		say(d, DOCTOR_WARNING, domain, S(""),
		    S("comes from the resolver without the signatures that it has in the world: this counts as forged, and mail "
		      "for it waits"),
		    "If the zone is one of your own network, name it:",
		    arena_cstr(doctor_arena(d), SAY("delivery = { unsigned_zones = [ \"%.*s\" ]; };", STR_ARG(domain))));
}

void check_dnssec_resolver(struct doctor *d)
{
	const struct fact_dns *world = facts_dns(d, VIEW_WORLD, SIGNED_ZONE, DNS_SOA);
	const struct fact_dns *mail = facts_dns(d, VIEW_MAIL, SIGNED_ZONE, DNS_SOA);
	const struct situation *s = doctor_situation(d);

	if (world->state == FACT_PENDING || mail->state == FACT_PENDING)
		return;
	for (size_t i = 0; mail->secure && i < s->domains_n; i++)
		judge_inner_zone(d, s->domains[i].name);
	if (mail->secure)
		finding_ok(d, S(""), S(""), S("The resolver gives validated answers"));
	else if (world->secure && (mail->state == FACT_THERE || mail->bogus))
		say(d, DOCTOR_ADVICE, S(""), S(""),
		    S("The resolver does not give validated answers: TLS by DANE is off for all destinations"),
		    "Resolve by yourself, or by a local unbound:", "delivery = { resolver = \"recursive\"; };");
	else
		finding_skip(d, S(""), S(""), S("no signed zone can be asked from here"));
}
