/* check_mx.c - where replies to our domains go (RFC 5321 5.1, RFC 7505). Posthouse itself takes no mail from outside. */
#include "txt.h"

static void say(struct doctor *d, enum doctor_result result, struct str domain, struct str subject, struct str text,
		struct str remedy, const struct dns_entry *entry)
{
	struct doctor_finding f = { .result = result, .domain = domain, .subject = subject, .text = text };

	f.remedy.text = remedy;
	f.remedy.records = entry;
	f.remedy.records_n = entry ? 1 : 0;
	finding_add(d, &f);
}

static const struct dns_entry *mx_entry(struct doctor *d, struct str domain)
{
	struct dns_entry *e = ARENA_NEW(doctor_arena(d), struct dns_entry);

	*e = (struct dns_entry){
		.type = "MX",
		.name = domain,
		.value = S("10 your.mailbox.host."),
		.ttl = 300,
		.comment = S("the server of your mailbox provider, never this relay"),
		.was = S(""),
		.state = ENTRY_ADVICE,
	};
	return e;
}

static const struct fact_dns *mx_of(struct doctor *d, const struct doctor_domain *domain)
{
	return facts_dns(d, VIEW_WORLD, domain->name, DNS_MX);
}

typedef void (*mx_fn)(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *mx);

/* For each domain whose MX is known. */
static void each_domain(struct doctor *d, mx_fn judge)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->domains_n; i++) {
		const struct fact_dns *mx = mx_of(d, &s->domains[i]);

		if (!answer_missing(d, mx, s->domains[i].name, S("")))
			judge(d, &s->domains[i], mx);
	}
}

/* ---- mx.exists ---- */

static void judge_exists(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *mx)
{
	const struct fact_dns *v4, *v6;

	if (mx->n > 0) {
		finding_ok(d, domain->name, S(""), SAY("has %zu MX record%s", mx->n, mx->n == 1 ? "" : "s"));
		return;
	}
	v4 = facts_dns(d, VIEW_WORLD, domain->name, DNS_A);
	v6 = facts_dns(d, VIEW_WORLD, domain->name, DNS_AAAA);
	if (v4->n > 0 || v6->n > 0)
		say(d, DOCTOR_ADVICE, domain->name, S(""), S("has no MX record: replies go to its web address"),
		    S("Name the server that takes its mail:"), mx_entry(d, domain->name));
	else if (!answer_missing(d, v4, domain->name, S("")) && !answer_missing(d, v6, domain->name, S("")))
		say(d, DOCTOR_FAILURE, domain->name, S(""), S("has no MX record and no address"),
		    S("Name the server that takes its mail:"), mx_entry(d, domain->name));
}

void check_mx_exists(struct doctor *d)
{
	each_domain(d, judge_exists);
}

/* ---- mx.null ---- */

static bool is_null(const struct fact_record *r)
{
	return r->text.n == 0 || str_eq(r->text, S("."));
}

static void judge_null(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *mx)
{
	bool null = false;

	for (size_t i = 0; i < mx->n; i++)
		null = null || is_null(&mx->records[i]);
	if (null)
		say(d, DOCTOR_FAILURE, domain->name, S(""),
		    mx->n > 1 ? S("has \"MX 0 .\" beside other MX records") : S("has \"MX 0 .\", so it takes no mail"),
		    S("Take it out, and name the server that takes its mail:"), mx_entry(d, domain->name));
	else if (mx->n > 0)
		finding_ok(d, domain->name, S(""), S("takes mail"));
}

void check_mx_null(struct doctor *d)
{
	each_domain(d, judge_null);
}

/* ---- mx.hosts ---- */

struct hosts {
	size_t bad, pending;
	struct str *names, *addresses; /* seen so far */
	size_t names_n, addresses_n;
	struct str doubled;
};

static void note(struct str *list, size_t *n, struct str one, struct str *doubled)
{
	for (size_t i = 0; i < *n; i++)
		if (str_eq(list[i], one))
			*doubled = one;
	list[(*n)++] = one;
}

static bool is_literal(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((name.p[i] < '0' || name.p[i] > '9') && name.p[i] != '.' && name.p[i] != ':')
			return false;
	return name.n > 0;
}

/* What is wrong with a host; "": nothing, or not known now. */
static struct str host_fault(struct doctor *d, struct str host, struct hosts *seen)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	size_t found = 0, unknown = 0;
	struct str private = S("");

	if (is_literal(host))
		return S("is an address; an MX record has to have a name");
	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, host, types[t]);

		if (f->alias.n > 0)
			return SAY("is a CNAME (to %.*s), which an MX record must not lead to", STR_ARG(f->alias));
		unknown += f->state == FACT_PENDING || f->state == FACT_UNKNOWN;
		for (size_t i = 0; i < f->n && seen->addresses_n < 64; i++, found++) {
			note(seen->addresses, &seen->addresses_n, f->records[i].text, &seen->doubled);
			if (address_is_private(f->records[i].text))
			private = f->records[i].text;
		}
	}
	if (private.n > 0)
		return SAY("has the address %.*s, which nobody outside can reach", STR_ARG(private));
	seen->pending += unknown;
	return found == 0 && unknown == 0 ? S("has no address") : S("");
}

static void judge_hosts(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *mx)
{
	struct hosts seen = { .doubled = S("") };
	struct str *faults = ARENA_ARRAY(doctor_arena(d), struct str, mx->n);
	size_t hosts = 0;

	seen.names = ARENA_ARRAY(doctor_arena(d), struct str, mx->n);
	seen.addresses = ARENA_ARRAY(doctor_arena(d), struct str, 64);
	for (size_t i = 0; i < mx->n; i++) {
		if (is_null(&mx->records[i]))
			continue;
		hosts++;
		note(seen.names, &seen.names_n, mx->records[i].text, &seen.doubled);
		faults[i] = host_fault(d, mx->records[i].text, &seen);
		seen.bad += faults[i].n > 0;
	}
	for (size_t i = 0; i < mx->n; i++)
		if (faults[i].n > 0)
			say(d, seen.bad == hosts ? DOCTOR_FAILURE : DOCTOR_WARNING, domain->name, mx->records[i].text, faults[i],
			    SAY("Mend the record of %.*s, or take it out of the MX records of %.*s.",
				STR_ARG(mx->records[i].text), STR_ARG(domain->name)),
			    NULL);
	if (seen.bad > 0 || seen.pending > 0 || hosts == 0)
		return;
	if (seen.doubled.n > 0)
		say(d, DOCTOR_ADVICE, domain->name, S(""), SAY("has %.*s twice among its mail servers", STR_ARG(seen.doubled)),
		    S("One of the two records is enough."), NULL);
	else
		finding_ok(d, domain->name, S(""), S("has mail servers with addresses"));
}

void check_mx_hosts(struct doctor *d)
{
	each_domain(d, judge_hosts);
}

/* ---- mx.self ---- */

/* An address of the host that is ours; "": none. */
static struct str own_address(struct doctor *d, struct str host)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	const struct situation *s = doctor_situation(d);
	bool named = str_eq(host, doctor_config(d)->hostname);

	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *f = facts_dns(d, VIEW_WORLD, host, types[t]);

		for (size_t i = 0; i < f->n; i++) {
			for (size_t j = 0; j < s->addresses_n; j++)
				if (str_eq(f->records[i].text, s->addresses[j].text))
					return f->records[i].text;
			if (named)
				return f->records[i].text;
		}
	}
	return S("");
}

static void judge_self(struct doctor *d, const struct doctor_domain *domain, const struct fact_dns *mx)
{
	size_t own = 0;

	for (size_t i = 0; i < mx->n; i++) {
		struct str address = is_null(&mx->records[i]) ? S("") : own_address(d, mx->records[i].text);
		struct probe p = { .host = address, .port = (unsigned)doctor_config(d)->delivery.port };
		const struct fact_probe *answer;

		if (address.n == 0)
			continue;
		own++;
		answer = facts_probe(d, &p);
		if (answer->state == FACT_THERE && answer->greeting.n > 0)
			finding_ok(d, domain->name, mx->records[i].text, S("is this machine, where another program takes mail"));
		else if (answer->state != FACT_PENDING)
			say(d, DOCTOR_FAILURE, domain->name, mx->records[i].text,
			    SAY("is this machine, and nothing takes mail at %.*s, port %u", STR_ARG(address), p.port),
			    S("Name the server of your mailbox provider instead:"), mx_entry(d, domain->name));
	}
	if (own == 0 && mx->n > 0)
		finding_ok(d, domain->name, S(""), S("has its mailboxes elsewhere"));
}

void check_mx_self(struct doctor *d)
{
	each_domain(d, judge_self);
}
