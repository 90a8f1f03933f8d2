/* check_block_lists.c - block lists of addresses and domains (RFC 5782). A list is believed only while its test entries are
 * right: lists that were closed have answered "listed" to everything, and many refuse resolvers by an answer that looks like a
 * listing. */
#include "doctor.h"

#include "posthouse/policy.h"

#include <arpa/inet.h>
#include <stdio.h>

enum kind { ADDRESSES4, ADDRESSES, DOMAINS };
/* In the order of what counts when an address has several answers. */
enum meaning_of_code { NOTHING_LISTED, REFUSED, INVENTED, POLICY, LISTED_ADVICE, LISTED_WARNING, LISTED_FAILURE };

static const struct list {
	const char *zone;
	enum kind kind;
	const char *codes, *page, *ends;
} lists[] = {
#define LIST(zone, kind, codes, page, ends) { zone, kind, codes, page, ends },
#include "lists.def"
};

static const struct code {
	const char *zone;
	uint32_t from, to;
	enum meaning_of_code result;
	const char *meaning;
} codes[] = {
#define CODE(zone, from, to, result, meaning) { zone, from, to, result, meaning },
#include "lists.def"
};

/* A list of the configuration. `shown` is its zone without the key of a customer. */
struct asked {
	struct str zone, shown;
	const struct list *known; /* NULL: only its zone is known */
};

/* The zone that a customer of Spamhaus asks: a zone of the list in which the key is the first label. */
static struct str keyed_zone(struct doctor *d, struct str zone)
{
	struct str key = doctor_config(d)->doctor.spamhaus_key, label = str_head(zone, str_find(zone, '.'));
	struct str rest = str_from(zone, label.n);

	if (key.n == 0 || (!str_ieq(rest, S(".spamhaus.org")) && !str_ieq(rest, S(".dq.spamhaus.net"))))
		return zone;
	return arena_printf(doctor_arena(d), "%.*s.%.*s.dq.spamhaus.net", STR_ARG(key), STR_ARG(label));
}

static struct asked list_of(struct doctor *d, struct str zone)
{
	struct asked l = { zone, zone, NULL };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct str name = str_of(lists[i].zone);

		if (str_ieq(zone, name) || (zone.n > name.n && str_iends(zone, name) && zone.p[zone.n - name.n - 1] == '.'))
			return (struct asked){ keyed_zone(d, zone), name, &lists[i] };
	}
	return l;
}

/* ---- what answers mean ---- */

static bool code_of(struct str address, uint32_t *code_out)
{
	struct in_addr in;
	char text[INET_ADDRSTRLEN];

	if (address.n >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", STR_ARG(address));
	if (inet_pton(AF_INET, text, &in) != 1 || ntohl(in.s_addr) >> 24 != 127)
		return false;
	*code_out = ntohl(in.s_addr) & 0xffffff;
	return true;
}

/* A list that is not known can have any code above 127.0.0.1. */
static struct code read_answer(const struct asked *l, struct str address)
{
	struct code nothing = { "", 0, 0, INVENTED, "" };
	uint32_t code;

	if (!code_of(address, &code))
		return nothing;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (code >= codes[i].from && code <= codes[i].to &&
		    (!codes[i].zone[0] || (l->known && strcmp(codes[i].zone, l->known->codes) == 0)))
			return codes[i];
	if (!l->known && code > 1)
		return (struct code){ "", code, code, LISTED_WARNING, "its owner's page tells why" };
	return nothing;
}

/* The answers that mean most, and their addresses in *found_out. With `policy` only the ranges that are to send no mail directly
 * count, otherwise all but these. */
static struct code read_all(const struct asked *l, const struct fact_dns *f, bool policy, struct str *found_out)
{
	struct code most = { "", 0, 0, NOTHING_LISTED, "" };

	for (size_t i = 0; i < f->n; i++) {
		struct code one = read_answer(l, f->records[i].text);

		if (one.result > most.result && (one.result <= INVENTED || (one.result == POLICY) == policy)) {
			most = one;
			*found_out = f->records[i].text;
		}
	}
	return most;
}

/* ---- is the list to be believed ---- */

enum trust { TRUST_PENDING, TRUST_GOOD, TRUST_SILENT, TRUST_NONE };
struct trial {
	enum trust trust;
	struct str why, more, answer; /* of NONE */
};

static bool is_away(const struct fact_dns *f)
{
	return f->state == FACT_EMPTY || f->state == FACT_NO_NAME;
}

static struct trial refused(struct doctor *d, const struct code *c, struct str answer)
{
	struct arena *a = doctor_arena(d);
	bool generic = c->from == 0xfffffe && result_of(d, CHECK_PTR_GENERIC, S(""), S("")) == DOCTOR_WARNING;

	return (struct trial){
		TRUST_NONE, arena_printf(a, "refused our query (%.*s)", STR_ARG(answer)),
		generic ? S("Not a listing. It does not answer addresses with a generic name: mend ptr.generic first.")
			: arena_printf(a, "Not a listing: %s.", c->meaning),
		answer
	};
}

/* RFC 5782 5: `there` is listed, and `never` is not. A list without IPv6 has no test entry of it: SILENT. */
static struct trial try_list(struct doctor *d, const struct asked *l, const char *there, const char *never, bool optional)
{
	struct arena *a = doctor_arena(d);
	const struct fact_dns *yes = facts_dns(d, VIEW_WORLD, arena_printf(a, "%s.%.*s", there, STR_ARG(l->zone)), DNS_A);
	const struct fact_dns *no = facts_dns(d, VIEW_WORLD, arena_printf(a, "%s.%.*s", never, STR_ARG(l->zone)), DNS_A);
	struct str answer = S("");
	struct code c;

	if (yes->state == FACT_PENDING || no->state == FACT_PENDING)
		return (struct trial){ TRUST_PENDING, S(""), S(""), S("") };
	if (is_away(yes) && optional)
		return (struct trial){ TRUST_SILENT, S(""), S(""), S("") };
	if (yes->state == FACT_UNKNOWN || no->state == FACT_UNKNOWN)
		return (struct trial){ TRUST_NONE,
				       arena_printf(a, "does not answer: %.*s",
						    STR_ARG(yes->state == FACT_UNKNOWN ? yes->why : no->why)),
				       S("Nothing is known of a listing."), S("") };
	if (is_away(yes))
		return (struct trial){ TRUST_NONE, S("does not have its own test entry"),
				       S("The list is dead or does not answer us: take it out of doctor.lists."), S("") };
	c = read_all(l, yes, false, &answer);
	if (c.result == REFUSED)
		return refused(d, &c, answer);
	if (c.result == INVENTED && !code_of(answer, &(uint32_t){ 0 }))
		return (struct trial){ TRUST_NONE, arena_printf(a, "gave the address %.*s, which no list gives", STR_ARG(answer)),
				       S("Your resolver invents answers for names that are not there."), answer };
	if (no->state == FACT_THERE)
		return (struct trial){ TRUST_NONE, S("lists even what no list has (its test entry)"),
				       S("The list is closed, or your resolver invents answers."), S("") };
	return (struct trial){ TRUST_GOOD, S(""), S(""), S("") };
}

static void tell_no_trust(struct doctor *d, struct str domain, const struct asked *l, const struct trial *t)
{
	finding_add(d, &(struct doctor_finding){ .domain = domain,
						 .result = DOCTOR_UNKNOWN,
						 .subject = l->shown,
						 .text = t->why,
						 .why = t->more,
						 .found = t->answer });
}

/* ---- a listing ---- */

static void tell_listing(struct doctor *d, struct str domain, const struct asked *l, struct str subject, struct str answer,
			 const struct code *c)
{
	static const enum doctor_result results[] = {
		[LISTED_ADVICE] = DOCTOR_ADVICE, [LISTED_WARNING] = DOCTOR_WARNING, [LISTED_FAILURE] = DOCTOR_FAILURE
	};
	bool v6 = str_find(subject, ':') < subject.n;
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .domain = domain, .subject = l->shown, .found = answer, .result = results[c->result] };

	f.text = arena_printf(a, "lists %.*s (%.*s, %s)%s", STR_ARG(subject), STR_ARG(answer), c->meaning,
			      v6 ? "; IPv6 is listed by /64, so that a neighbour in it can be the cause" : "");
	f.remedy.text = arena_printf(a, "Find and end the cause first, then: %s\n%s",
				     l->known ? l->known->page : "its owner's page", l->known ? l->known->ends : "");
	f.remedy.text = str_trim(f.remedy.text);
	finding_add(d, &f);
}

/* Answers that the table does not have, and refusals that only this question got, are no listings. */
static void judge(struct doctor *d, struct str domain, const struct asked *l, struct str subject, const struct fact_dns *f)
{
	struct arena *a = doctor_arena(d);
	struct str answer = S("");
	struct code c = { "", 0, 0, NOTHING_LISTED, "" };

	if (f->state == FACT_UNKNOWN) {
		finding_unknown(d, domain, l->shown,
				arena_printf(a, "no answer about %.*s: %.*s", STR_ARG(subject), STR_ARG(f->why)));
		return;
	}
	if (f->state == FACT_THERE)
		c = read_all(l, f, false, &answer);
	if (c.result >= LISTED_ADVICE)
		tell_listing(d, domain, l, subject, answer, &c);
	else if (c.result == REFUSED)
		tell_no_trust(d, domain, l,
			      &(struct trial){ .why = arena_printf(a, "refused our query (%.*s)", STR_ARG(answer)),
					       .more = arena_printf(a, "Not a listing: %s.", c.meaning),
					       .answer = answer });
	else if (c.result == INVENTED)
		tell_no_trust(d, domain, l,
			      &(struct trial){ .why = arena_printf(a, "answered %.*s about %.*s, which is none of its codes",
								   STR_ARG(answer), STR_ARG(subject)),
					       .more = S("Not a listing: your resolver invents answers."),
					       .answer = answer });
	else
		finding_ok(d, domain, l->shown, arena_printf(a, "does not list %.*s", STR_ARG(subject)));
}

/* ---- addresses ---- */

#define V6_LISTED "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
#define V6_NEVER  "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

static struct trial try_family(struct doctor *d, const struct asked *l, int family)
{
	if (family == AF_INET)
		return try_list(d, l, "2.0.0.127", "1.0.0.127", false);
	if (l->known && l->known->kind == ADDRESSES4)
		return (struct trial){ TRUST_SILENT, S(""), S(""), S("") };
	return try_list(d, l, V6_LISTED, V6_NEVER, true);
}

static const struct fact_dns *ask(struct doctor *d, const struct asked *l, const struct doctor_address *s)
{
	return facts_dns(d, VIEW_WORLD, reverse_name(doctor_arena(d), s->text, l->zone, l->zone), DNS_A);
}

static void check_address_list(struct doctor *d, const struct asked *l)
{
	const struct situation *s = doctor_situation(d);
	bool told = false;

	for (size_t i = 0; i < s->addresses_n; i++) {
		struct trial t = try_family(d, l, s->addresses[i].at.ss_family);
		const struct fact_dns *f = ask(d, l, &s->addresses[i]);

		if (t.trust == TRUST_NONE && !told)
			tell_no_trust(d, S(""), l, &t);
		told = told || t.trust == TRUST_NONE;
		if (t.trust == TRUST_GOOD && f->state != FACT_PENDING)
			judge(d, S(""), l, s->addresses[i].text, f);
	}
}

void check_dnsbl_address(struct doctor *d)
{
	const struct str_list *asked = &doctor_config(d)->doctor.lists;

	if (doctor_situation(d)->addresses_n == 0)
		finding_skip(d, S(""), S(""), S("address.public"));
	for (size_t i = 0; i < asked->n; i++) {
		struct asked l = list_of(d, asked->at[i]);

		if (!l.known || l.known->kind != DOMAINS)
			check_address_list(d, &l);
	}
}

/* ---- dnsbl.policy ---- */

static bool has_policy(const struct list *l)
{
	for (size_t i = 0; l && i < sizeof codes / sizeof *codes; i++)
		if (codes[i].result == POLICY && strcmp(codes[i].zone, l->codes) == 0)
			return true;
	return false;
}

static void judge_policy(struct doctor *d, const struct asked *l, const struct doctor_address *s, const struct fact_dns *f)
{
	struct str answer = S("");
	struct code c = { "", 0, 0, NOTHING_LISTED, "" };

	if (f->state == FACT_THERE)
		c = read_all(l, f, true, &answer);
	if (c.result != POLICY) {
		finding_ok(d, S(""), l->shown, arena_printf(doctor_arena(d), "%.*s can send mail directly", STR_ARG(s->text)));
		return;
	}
	finding_add(d, &(struct doctor_finding){
			       .result = DOCTOR_FAILURE,
			       .subject = l->shown,
			       .found = answer,
			       .text = arena_printf(doctor_arena(d),
						    "%.*s is in a range that is not to send mail directly (%.*s, %s)",
						    STR_ARG(s->text), STR_ARG(answer), c.meaning),
			       .remedy = { .text = arena_printf(
						   doctor_arena(d),
						   "Send through your provider or another upstream. Only with a static address "
						   "of your own: once its reverse name is right, ask at %s for its removal.",
						   l->known->page),
					   .config = S("upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; "
						       "login = \"…\"; password_file = \"…\"; } );\n"
						       "routes = ( { via = [ \"isp\" ]; } );"),
					   .command = S("posthouse reload") } });
}

void check_dnsbl_policy(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	const struct str_list *asked = &doctor_config(d)->doctor.lists;

	for (size_t i = 0; i < asked->n; i++) {
		struct asked l = list_of(d, asked->at[i]);

		for (size_t k = 0; has_policy(l.known) && k < s->addresses_n; k++) {
			struct trial t = try_family(d, &l, s->addresses[k].at.ss_family);
			const struct fact_dns *f = ask(d, &l, &s->addresses[k]);

			if (t.trust == TRUST_NONE || (t.trust == TRUST_GOOD && f->state == FACT_UNKNOWN))
				finding_skip(d, S(""), l.shown, S("dnsbl.address"));
			else if (t.trust == TRUST_GOOD && f->state != FACT_PENDING)
				judge_policy(d, &l, &s->addresses[k], f);
		}
	}
}

/* ---- dnsbl.domain ---- */

static void check_domain_on(struct doctor *d, const struct asked *l, struct str domain, struct str name)
{
	const struct fact_dns *f =
		facts_dns(d, VIEW_WORLD, arena_printf(doctor_arena(d), "%.*s.%.*s", STR_ARG(name), STR_ARG(l->zone)), DNS_A);

	if (f->state != FACT_PENDING)
		judge(d, domain, l, name, f);
}

static bool is_sender_domain(const struct situation *s, struct str name)
{
	for (size_t i = 0; i < s->domains_n; i++)
		if (str_ieq(s->domains[i].name, name))
			return true;
	return false;
}

/* A list of domains must not be asked for an address: it calls that a listing, or counts it as abuse. */
void check_dnsbl_domain(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->doctor.lists.n; i++) {
		struct asked l = list_of(d, c->doctor.lists.at[i]);
		struct trial t;

		if (!l.known || l.known->kind != DOMAINS)
			continue;
		t = try_list(d, &l, "test", "invalid", false);
		if (t.trust == TRUST_NONE)
			tell_no_trust(d, S(""), &l, &t);
		if (t.trust != TRUST_GOOD)
			continue;
		for (size_t k = 0; k < s->domains_n; k++)
			check_domain_on(d, &l, s->domains[k].name, s->domains[k].name);
		if (!is_sender_domain(s, c->hostname) && host_name_valid(c->hostname))
			check_domain_on(d, &l, S(""), c->hostname);
	}
}
