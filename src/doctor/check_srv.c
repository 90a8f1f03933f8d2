/* check_srv.c - the records by which programs find the settings of the outgoing server (RFC 6186, RFC 8314 5.1). */
#include "txt.h"

static const struct service {
	const char *name;
	unsigned tls, port; /* enum listen_tls; the usual one */
	const char *value;
} services[] = { { "_submissions._tcp", LISTEN_IMPLICIT, 465, "0 1" }, { "_submission._tcp", LISTEN_STARTTLS, 587, "10 1" } };

/* Is there a listener of ours for this service at that port? *any_out: at any port. */
static bool listens(const struct config *c, const struct service *s, unsigned port, unsigned *any_out)
{
	bool found = false;

	*any_out = 0;
	for (size_t i = 0; i < c->listen_n; i++) {
		if (c->listen[i].tls != s->tls)
			continue;
		if (*any_out == 0 || c->listen[i].port == s->port)
			*any_out = (unsigned)c->listen[i].port;
		found = found || c->listen[i].port == port;
	}
	return found;
}

static const struct dns_entry *entry_for(struct doctor *d, const struct service *s, struct str domain, unsigned port)
{
	return entry_of(d, "SRV", SAY("%s.%.*s", s->name, STR_ARG(domain)),
			SAY("%s %u %.*s.", s->value, port, STR_ARG(doctor_config(d)->hostname)), S(""));
}

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str subject, struct str text,
		const struct dns_entry *entry)
{
	struct doctor_finding f = { .result = result, .domain = domain, .subject = subject, .text = text };

	f.remedy.text = result == DOCTOR_ADVICE ? S("Add:") : S("Publish in its place:");
	f.remedy.records = entry;
	f.remedy.records_n = entry ? 1 : 0;
	finding_add(d, &f);
}

/* What is wrong with a record; "": nothing. A target of somebody else is only asked for what nobody can use. */
static struct str fault_of(struct doctor *d, const struct service *s, const struct fact_record *r)
{
	const struct config *c = doctor_config(d);
	const struct fact_dns *target = facts_dns(d, VIEW_WORLD, r->text, DNS_A);
	unsigned any;

	if (target->alias.n > 0)
		return SAY("leads to %.*s, which is a CNAME", STR_ARG(r->text));
	if (!listens(c, s, r->port, &any) && str_eq(r->text, c->hostname))
		return any ? SAY("leads to port %u, but this relay listens at %u for it", r->port, any)
			   : SAY("leads to port %u, where this relay does not listen for it", r->port);
	return r->port == 25 ? S("leads to port 25, which is for mail servers") : S("");
}

static void judge(struct doctor *d, const struct service *s, struct str domain)
{
	struct str name = SAY("%s.%.*s", s->name, STR_ARG(domain)), fault = S("");
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, name, DNS_SRV);
	const struct config *c = doctor_config(d);
	unsigned any;

	listens(c, s, s->port, &any);
	if (answer_missing(d, f, domain, str_of(s->name)))
		return;
	if (f->n == 0) {
		if (any)
			say(d, DOCTOR_ADVICE, domain, str_of(s->name),
			    S("is not there: programs cannot find the outgoing server"), entry_for(d, s, domain, any));
		return;
	}
	for (size_t i = 0; i < f->n && fault.n == 0; i++)
		if (f->records[i].text.n > 0)
			fault = fault_of(d, s, &f->records[i]);
	if (fault.n > 0)
		say(d, DOCTOR_WARNING, domain, str_of(s->name), fault, any ? entry_for(d, s, domain, any) : NULL);
	else
		finding_ok(d, domain, str_of(s->name), S("leads to a server for outgoing mail"));
}

void check_srv_submission(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++)
		for (size_t j = 0; j < 2; j++)
			judge(d, &services[j], s->domains[i].name);
}
