/* check_name.c - the name that we greet with. */
#include "run.h"

#include "posthouse/policy.h"

void check_name_form(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str name = doctor_config(d)->hostname, fault = name_form_fault(name);
	struct doctor_finding f = { .subject = name, .text = fault };
	struct str below = S("");

	if (fault.n == 0) {
		finding_ok(d, S(""), name, S("can be looked up"));
		return;
	}
	f.result = s->mx ? DOCTOR_FAILURE : DOCTOR_ADVICE;
	for (size_t i = 0; i < s->domains_n && below.n == 0; i++)
		if (!domain_is_providers(s->domains[i].name) && name_form_fault(s->domains[i].name).n == 0)
			below = s->domains[i].name;
	f.remedy.text = S("Take a name below a domain of your own, in posthouse.conf:");
	f.remedy.config = arena_printf(doctor_arena(d), "hostname = \"relay.%.*s\";", STR_ARG(below));
	if (below.n == 0) {
		f.remedy.text = S("That is good enough for clients in your network; only a domain of your own has public names.");
		f.remedy.config = S("");
	}
	finding_add(d, &f);
}

/* ---- name.address ---- */

/* The addresses of a name of both families, in one view. */
struct addresses {
	const struct fact_dns *of[2];
	size_t n;
	bool pending, unknown;
	struct str alias, why;
};

static struct addresses addresses_of(struct doctor *d, enum doctor_view view, struct str name)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	struct addresses a = { .alias = S("") };

	for (size_t i = 0; i < 2; i++) {
		a.of[i] = facts_dns(d, view, name, types[i]);
		a.n += a.of[i]->n;
		a.pending = a.pending || a.of[i]->state == FACT_PENDING;
		if (a.of[i]->state == FACT_UNKNOWN) {
			a.unknown = true;
			a.why = a.of[i]->why;
		}
		if (a.of[i]->alias.n > 0)
			a.alias = a.of[i]->alias;
	}
	return a;
}

/* The first address for which the function says yes; "": none. */
static struct str first(const struct addresses *a, bool (*is)(struct str))
{
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < a->of[t]->n; i++)
			if (is(a->of[t]->records[i].text))
				return a->of[t]->records[i].text;
	return S("");
}

static bool is_loopback(struct str address)
{
	return str_starts(address, S("127.")) || str_eq(address, S("::1"));
}

static bool has(const struct addresses *a, struct str address)
{
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < a->of[t]->n; i++)
			if (str_eq(a->of[t]->records[i].text, address))
				return true;
	return false;
}

static void add_records(struct doctor *d, struct doctor_finding *f)
{
	const struct situation *s = doctor_situation(d);

	for (size_t i = 0; i < s->addresses_n; i++)
		finding_record(d, f, s->addresses[i].at.ss_family == AF_INET ? "A" : "AAAA", f->subject, s->addresses[i].text);
	if (s->addresses_n == 0)
		f->remedy.text = arena_printf(doctor_arena(d), "Add an A record of %.*s with the address of this machine.",
					      STR_ARG(f->subject));
}

static void add_loopback(struct doctor *d, struct str name, struct str address)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = name, .found = address };

	f.text = arena_printf(doctor_arena(d), "leads to %.*s, which is every machine itself", STR_ARG(address));
	add_records(d, &f);
	finding_add(d, &f);
}

static void add_no_address(struct doctor *d, struct str name, const struct addresses *inner)
{
	const struct situation *s = doctor_situation(d);
	struct doctor_finding f = { .subject = name, .text = S("has no address") };

	if (!s->mx && inner->n > 0) {
		finding_ok(d, S(""), name, S("can be found in this network only"));
		return;
	}
	if (inner->n > 0)
		f.text = S("has an address in this network only");
	f.result = s->mx ? DOCTOR_FAILURE : DOCTOR_WARNING;
	add_records(d, &f);
	finding_add(d, &f);
}

static void add_alias(struct doctor *d, struct str name, struct str alias)
{
	struct doctor_finding f = { .result = DOCTOR_ADVICE, .subject = name, .found = alias };

	f.text = arena_printf(doctor_arena(d), "is only another name (CNAME) of %.*s", STR_ARG(alias));
	f.why = S("Some receivers refuse a greeting that is an alias.");
	add_records(d, &f);
	finding_add(d, &f);
}

void check_name_address(struct doctor *d)
{
	struct str name = doctor_config(d)->hostname, loopback;
	struct addresses inner, outer;

	if (result_is_bad(result_of(d, CHECK_NAME_FORM, S(""), S("")))) {
		finding_skip(d, S(""), name, S("name.form"));
		return;
	}
	inner = addresses_of(d, VIEW_CLIENTS, name);
	outer = addresses_of(d, VIEW_WORLD, name);
	loopback = first(&inner, is_loopback).n > 0 ? first(&inner, is_loopback) : first(&outer, is_loopback);
	if (inner.pending || outer.pending)
		return;
	if (loopback.n > 0)
		add_loopback(d, name, loopback);
	else if (outer.n == 0 && outer.unknown)
		finding_unknown(d, S(""), name,
				arena_printf(doctor_arena(d), "could not be looked up: %.*s", STR_ARG(outer.why)));
	else if (outer.n == 0)
		add_no_address(d, name, &inner);
	else if (outer.alias.n > 0)
		add_alias(d, name, outer.alias);
	else
		finding_ok(d, S(""), name,
			   first(&inner, address_is_private).n > 0 ? S("can be found; in this network at a private address")
								   : S("can be found"));
}

/* ---- name.source ---- */

/* Is it an address of Cloudflare's web proxies (https://www.cloudflare.com/ips/, 2026-11)? */
static bool is_proxy(struct str address)
{
	static const char *const networks[] = {
		"173.245.48.0/20",  "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22",    "141.101.64.0/18",
		"108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17",
		"162.158.0.0/15",   "104.16.0.0/13",   "104.24.0.0/14",   "172.64.0.0/13",    "131.0.72.0/22",
		"2400:cb00::/32",   "2606:4700::/32",  "2803:f800::/32",  "2405:b500::/32",   "2405:8100::/32",
		"2a06:98c0::/29",   "2c0f:f248::/32",
	};

	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
		if (network_contains(str_of(networks[i]), address))
			return true;
	return false;
}

static void add_other_machine(struct doctor *d, struct str name, const struct doctor_address *at, const struct addresses *a)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = name, .expected = at->text };
	const struct fact_dns *family = a->of[at->at.ss_family == AF_INET6];
	const char *type = at->at.ss_family == AF_INET6 ? "AAAA" : "A";

	f.text = arena_printf(doctor_arena(d), "does not lead to %.*s, which we send from", STR_ARG(at->text));
	if (family->n > 0)
		f.found = family->records[0].text;
	if (first(a, is_proxy).n > 0) {
		f.text = arena_printf(doctor_arena(d), "leads to a web proxy (%.*s), not to %.*s", STR_ARG(first(a, is_proxy)),
				      STR_ARG(at->text));
		f.remedy.text = S("Set the record to \"DNS only\" (grey cloud) in the panel of the proxy:");
	} else if (family->n > 0) {
		f.remedy.text = S("Add the record, or send from the address that the name has (delivery.source):");
	}
	finding_record(d, &f, type, name, at->text);
	finding_add(d, &f);
}

void check_name_source(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str name = doctor_config(d)->hostname;
	struct addresses a;

	if (result_is_bad(result_of(d, CHECK_NAME_ADDRESS, S(""), S("")))) {
		finding_skip(d, S(""), name, S("name.address"));
		return;
	}
	a = addresses_of(d, VIEW_WORLD, name);
	for (size_t i = 0; i < s->addresses_n; i++) {
		const struct doctor_address *at = &s->addresses[i];
		const struct fact_dns *family = a.of[at->at.ss_family == AF_INET6];

		if (family->state == FACT_PENDING)
			continue;
		if (address_is_private(at->text))
			finding_skip(d, S(""), at->text, S("address.public"));
		else if (has(&a, at->text))
			finding_ok(d, S(""), at->text, arena_printf(doctor_arena(d), "has the name %.*s", STR_ARG(name)));
		else if (family->state == FACT_UNKNOWN)
			finding_unknown(d, S(""), name,
					arena_printf(doctor_arena(d), "could not be looked up: %.*s", STR_ARG(family->why)));
		else
			add_other_machine(d, name, at, &a);
	}
}

/* ---- name.apex ---- */

void check_name_apex(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str name = doctor_config(d)->hostname;
	struct doctor_finding f = { .result = DOCTOR_ADVICE, .subject = name, .text = S("is the sender domain itself") };

	for (size_t i = 0; i < s->domains_n; i++)
		if (str_eq(s->domains[i].name, name)) {
			f.remedy.text = S("Take a name below it, with its own address records and reverse name:");
			f.remedy.config = arena_printf(doctor_arena(d), "hostname = \"relay.%.*s\";", STR_ARG(name));
			finding_add(d, &f);
			return;
		}
	finding_ok(d, S(""), name, S("is a name of its own"));
}
