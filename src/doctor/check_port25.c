/* check_port25.c - can we connect to port 25 of others, and who answers there? */
#include "listeners.h"
#include "run.h"

/* ---- port25.open ---- */

static bool sends_by(const struct situation *s, bool v6)
{
	for (size_t i = 0; i < s->addresses_n; i++)
		if ((s->addresses[i].at.ss_family == AF_INET6) == v6)
			return true;
	return s->addresses_n == 0 && !v6;
}

/* How the attempts of one family went. */
struct attempts {
	const struct fact_probe *of[2];
	struct str hosts[2], why;
	size_t n, good, pending;
	bool unknown; /* DNS does not say where to connect */
};

static struct attempts attempt(struct doctor *d, bool v6)
{
	struct attempts a = { .why = S("") };

	for (size_t i = 0; i < d->config->doctor.probe.n && i < 2; i++) {
		struct str domain = d->config->doctor.probe.at[i];
		size_t before = d->pending;
		struct str address = greeted_address(d, domain, v6, &a.hosts[a.n]);

		if (address.n == 0) {
			a.pending += d->pending > before;
			a.unknown = a.unknown || facts_dns(d, VIEW_WORLD, domain, DNS_MX)->n == 0;
			continue;
		}
		a.of[a.n] = port25_probe(d, i, v6);
		a.pending += a.of[a.n]->state == FACT_PENDING;
		a.good += a.of[a.n]->state == FACT_THERE && a.of[a.n]->greeting.n > 0;
		a.why = a.of[a.n]->state == FACT_UNKNOWN ? a.of[a.n]->why : S("no greeting came");
		a.n++;
	}
	return a;
}

static void add_blocked(struct doctor *d, struct str family, struct str why)
{
	struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = family };

	f.text = arena_printf(&d->arena, "cannot connect to port 25 of others: blocked (%.*s)", STR_ARG(why));
	f.remedy.text = S("Ask the provider's support to open port 25 outward, or send through one of its servers, or of a "
			  "mail provider:");
	f.remedy.config =
		S("upstreams = ( { name = \"isp\"; host = \"smtp.isp.example\"; port = 587;\n    tls = \"starttls\"; login = "
		  "\"you\"; password_file = \"/etc/posthouse/isp.password\"; } );\n    routes = ( { via = [ \"isp\" ]; } );");
	finding_add(d, &f);
}

/* One server that cannot be reached can itself be away. */
static void judge_attempts(struct doctor *d, struct str family, const struct attempts *a)
{
	if (a->good > 0)
		finding_ok(d, S(""), family, S("connects to port 25 of others"));
	else if (a->n > 1)
		add_blocked(d, family, a->why);
	else if (a->n == 1)
		finding_unknown(d, S(""), family,
				arena_printf(&d->arena, "could be tried with one server only, %.*s (%.*s)", STR_ARG(a->hosts[0]),
					     STR_ARG(a->why)));
	else if (a->unknown)
		finding_unknown(d, S(""), family,
				S("could not be tried: DNS does not say where the servers of doctor.probe are"));
	else
		finding_skip(d, S(""), family, S("no server of doctor.probe has an address of this family"));
}

void check_port25_open(struct doctor *d)
{
	const struct machine_facts *m = machine_of(d);

	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct str family = v6 ? S("IPv6") : S("IPv4"), answered = v6 ? m->reached.v6 : m->reached.v4;
		struct attempts a;

		if (!sends_by(&d->situation, v6))
			continue;
		if (answered.n > 0) {
			finding_ok(
				d, S(""), family,
				arena_printf(&d->arena, "reaches others: %.*s has answered a delivery today", STR_ARG(answered)));
			continue;
		}
		a = attempt(d, v6);
		if (a.pending == 0)
			judge_attempts(d, family, &a);
	}
}

/* ---- port25.intercepted ---- */

/* "mx.google.com" of "220 mx.google.com ESMTP …" */
static struct str greeting_host(struct str greeting)
{
	struct str rest = str_trim(str_from(greeting, 4));

	return str_head(rest, str_find(rest, ' '));
}

static struct str last_labels(struct str name)
{
	size_t dot = str_rfind(name, '.'), before = dot < name.n ? str_rfind(str_head(name, dot), '.') : name.n;

	return dot < name.n && before < dot ? str_from(name, before + 1) : name;
}

static bool offers_tls(const struct fact_probe *p)
{
	return str_search(p->ehlo, S("STARTTLS")) < p->ehlo.n;
}

/* What speaks against the answers being those of the servers that were asked; "": nothing. */
static struct str suspicion(struct doctor *d, const struct attempts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct str host;

		if (a->of[i]->state != FACT_THERE || !str_starts(a->of[i]->greeting, S("220")))
			continue;
		host = greeting_host(a->of[i]->greeting);
		if (host.n > 0 && !str_ieq(last_labels(host), last_labels(a->hosts[i])))
			return arena_printf(&d->arena, "is answered by %.*s where %.*s was asked", STR_ARG(host),
					    STR_ARG(a->hosts[i]));
	}
	if (a->n == 2 && a->good == 2 && str_eq(a->of[0]->greeting, a->of[1]->greeting))
		return S("is answered by the same server for two that were asked");
	if (a->n == 2 && a->of[0]->ehlo.n > 0 && a->of[1]->ehlo.n > 0 && !offers_tls(a->of[0]) && !offers_tls(a->of[1]))
		return S("has lost STARTTLS on the way to two servers");
	return S("");
}

void check_port25_intercepted(struct doctor *d)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct str family = v6 ? S("IPv6") : S("IPv4"), fault;
		struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = family };
		struct attempts a;

		if (!sends_by(&d->situation, v6))
			continue;
		a = attempt(d, v6);
		if (a.pending > 0 || a.good == 0)
			continue;
		fault = suspicion(d, &a);
		f.text = arena_printf(&d->arena, "port 25 %.*s", STR_ARG(fault));
		f.remedy.text = S("Ask the provider what stands on the way of port 25, or send through an upstream.");
		if (fault.n == 0)
			finding_ok(d, S(""), family, S("reaches the servers that are asked"));
		else
			finding_add(d, &f);
	}
}

/* ---- ehlo.accepted ---- */

/* Do the words of a refusal name the name that we gave? */
static bool names_hello(struct str reply, struct str hostname)
{
	static const char *const words[] = { "helo", "ehlo", "hostname", "host name", "fqdn" };
	struct arena a = { 0 };
	struct str lower = arena_lower(&a, reply);
	bool names = str_search(lower, hostname) < lower.n;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		names = names || str_search(lower, str_of(words[i])) < lower.n;
	arena_fini(&a);
	return names;
}

void check_ehlo_accepted(struct doctor *d)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct attempts a = sends_by(&d->situation, v6) ? attempt(d, v6) : (struct attempts){ 0 };

		for (size_t i = 0; i < a.n; i++) {
			struct doctor_finding f = { .result = DOCTOR_FAILURE, .subject = d->config->hostname };
			struct str reply = a.of[i]->ehlo;

			if (a.of[i]->state != FACT_THERE || reply.n == 0)
				continue;
			if (!str_starts(reply, S("5"))) {
				finding_ok(d, S(""), a.hosts[i], S("takes our EHLO"));
				continue;
			}
			f.text = arena_printf(&d->arena, "is refused by %.*s: %.*s", STR_ARG(a.hosts[i]), STR_ARG(reply));
			f.found = reply;
			f.remedy.text = S("Set the name that the reverse name of your address has:");
			f.remedy.config = S("hostname = \"…\";");
			if (names_hello(reply, d->config->hostname))
				finding_add(d, &f);
			else
				finding_unknown(d, S(""), a.hosts[i],
						arena_printf(&d->arena, "refuses us: %.*s", STR_ARG(reply)));
		}
	}
}
