/* check_listeners.c - our own listeners, as a client sees them: are they open, is a login protected there, and does nobody send
 * without one? And is what runs what is on the disk? */
#include "listeners.h"

#include "posthouse/policy.h"

/* ---- listen.open ---- */

static void tell_listener(struct doctor *d, const struct cfg_listen *l, enum doctor_result result, struct str text,
			  const char *remedy)
{
	finding_add(d, &(struct doctor_finding){ .subject = listener_text(d, l),
						 .result = result,
						 .text = text,
						 .remedy = { .text = str_of(remedy) } });
}

static bool offers(struct str ehlo, const char *keyword)
{
	struct str line, word = str_of(keyword);

	while (str_split(&ehlo, '\n', &line)) {
		struct str rest = str_from(str_trim(line), 4);

		if (str_istarts(rest, word) && (rest.n == word.n || rest.p[word.n] == ' ' || rest.p[word.n] == '='))
			return true;
	}
	return false;
}

/* Does this program answer, or another one that has the port? Ours greets with the host's name. */
static bool is_ours(struct doctor *d, const struct fact_probe *p)
{
	struct str name = str_from(p->greeting, 4), host = doctor_config(d)->hostname;

	return str_starts(p->greeting, S("220")) && str_istarts(name, host) && (name.n == host.n || name.p[host.n] == ' ');
}

/* What a listener that answers says wrongly. True: told. */
static bool check_dialogue(struct doctor *d, const struct cfg_listen *l, const struct fact_probe *p)
{
	struct arena *a = doctor_arena(d);
	bool device = device_at(doctor_config(d), listener_address(l)) != NULL;

	if (l->tls == LISTEN_IMPLICIT && !p->tls) {
		tell_listener(d, l, DOCTOR_FAILURE, arena_printf(a, "makes no TLS connection: %.*s", STR_ARG(p->tls_why)),
			      "Look at the log of the relay, and whether another program has the port (ss -ltnp).");
		return true;
	}
	if (!is_ours(d, p) && !str_starts(p->greeting, S("4"))) {
		tell_listener(d, l, DOCTOR_FAILURE,
			      arena_printf(a, "another program has this port: %.*s",
					   STR_ARG(p->greeting.n ? p->greeting : S("no greeting"))),
			      "See which one (ss -ltnp), and stop it or take another port.");
		return true;
	}
	if (l->tls == LISTEN_STARTTLS && !device && offers(p->ehlo_clear, "AUTH")) {
		tell_listener(d, l, DOCTOR_FAILURE, S("offers a login in clear text"),
			      "Another program answers there, or a proxy in between.");
		return true;
	}
	if (l->tls == LISTEN_STARTTLS && p->greeting.n > 0 && !p->tls && !str_starts(p->greeting, S("4"))) {
		tell_listener(d, l, DOCTOR_FAILURE, arena_printf(a, "makes no TLS connection: %.*s", STR_ARG(p->tls_why)),
			      "Look at the log of the relay.");
		return true;
	}
	return false;
}

/* Old TLS is for listed devices only; a machine that is one itself cannot see what strangers get. True: told. */
static bool check_old_tls(struct doctor *d, const struct cfg_listen *l, bool *pending_out)
{
	struct probe p = { .host = listener_address(l),
			   .port = (unsigned)l->port,
			   .tls = l->tls == LISTEN_IMPLICIT ? PROBE_IMPLICIT : PROBE_STARTTLS,
			   .tls_most = TLS_1_1,
			   .tls_name = doctor_config(d)->hostname };
	const struct fact_probe *old;

	if (device_at(doctor_config(d), p.host))
		return false;
	old = facts_probe(d, &p);
	*pending_out = old->state == FACT_PENDING;
	if (old->state != FACT_THERE || !old->tls)
		return false;
	tell_listener(d, l, DOCTOR_FAILURE, S("offers TLS before 1.2 to everybody"),
		      "Take tls_minimum out of the configuration, and list old devices in devices with tls = \"legacy\".");
	return true;
}

static void check_loopback(struct doctor *d, const struct cfg_listen *l, const struct fact_probe *p)
{
	struct arena *a = doctor_arena(d);
	bool pending = false;

	if (p->state == FACT_UNKNOWN && machine_of(d)->relay.state == RELAY_ABSENT) {
		finding_skip(d, S(""), listener_text(d, l), S("relay.running"));
	} else if (p->state == FACT_UNKNOWN) {
		finding_add(d, &(struct doctor_finding){
				       .subject = listener_text(d, l),
				       .result = DOCTOR_FAILURE,
				       .text = arena_printf(a, "cannot be connected to from this machine: %.*s", STR_ARG(p->why)),
				       .remedy = { .text = S("Look whether the relay runs, and at the firewall of this machine:"),
						   .command = arena_printf(a, "posthouse status; nft list ruleset | grep %u",
									   (unsigned)l->port) } });
	} else if (!check_dialogue(d, l, p) && !check_old_tls(d, l, &pending) && !pending) {
		finding_ok(d, S(""), listener_text(d, l), S("answers, and a login is under TLS only"));
	}
}

/* Clients come by the name: but from here a router can refuse what it would let in from outside. */
static void check_by_name(struct doctor *d, const struct cfg_listen *l)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	struct arena *a = doctor_arena(d);

	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *f = facts_dns(d, VIEW_CLIENTS, doctor_config(d)->hostname, types[t]);

		for (size_t i = 0; f->state == FACT_THERE && i < f->n && i < 2; i++) {
			struct probe p = { .host = f->records[i].text,
					   .port = (unsigned)l->port,
					   .tls = l->tls == LISTEN_IMPLICIT ? PROBE_IMPLICIT : PROBE_STARTTLS,
					   .tls_name = doctor_config(d)->hostname };
			const struct fact_probe *there = facts_probe(d, &p);
			struct str subject = arena_printf(a, "%.*s:%u", STR_ARG(p.host), p.port);

			if (there->state == FACT_THERE && is_ours(d, there))
				finding_ok(d, S(""), subject, S("answers by the name of the relay"));
			else if (there->state == FACT_THERE || there->state == FACT_UNKNOWN)
				finding_add(
					d,
					&(struct doctor_finding){
						.subject = subject,
						.result = DOCTOR_UNKNOWN,
						.text = there->state == FACT_THERE
								? S("is answered by another program, seen from this machine")
								: arena_printf(a, "does not answer, seen from this machine: %.*s",
									       STR_ARG(there->why)),
						.why = S("Many routers cannot loop back; try it from another network."),
						.remedy = { .text = arena_printf(
								    a,
								    "If it does not work from outside either: let port %u "
								    "in (firewall), or forward it to this machine (router).",
								    p.port) } });
		}
	}
}

void check_listen_open(struct doctor *d)
{
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->listen_n; i++) {
		const struct fact_probe *p = listener_probe(d, &c->listen[i]);

		if (!p && c->listen[i].port > 0)
			finding_unknown(d, S(""), listener_text(d, &c->listen[i]),
					S("takes connections of this machine only behind a PROXY header"));
		if (!p || p->state == FACT_PENDING)
			continue;
		check_loopback(d, &c->listen[i], p);
		if (p->state == FACT_THERE && is_ours(d, p) && !doctor_situation(d)->offline)
			check_by_name(d, &c->listen[i]);
	}
}

/* ---- relay.open ---- */

#define DEVICE_V4_BITS 16
#define DEVICE_V6_BITS 48

/* Why everybody can be in that network; "": nothing is known of that. */
static struct str openness(struct doctor *d, struct str network)
{
	const struct machine_facts *m = machine_of(d);
	const struct config *c = doctor_config(d);
	struct arena *a = doctor_arena(d);

	for (size_t i = 0; i < m->gateways.n; i++)
		if (network_contains(network, m->gateways.at[i]))
			return arena_printf(a, "holds the default gateway %.*s, from which all strangers can seem to come",
					    STR_ARG(m->gateways.at[i]));
	for (size_t i = 0; i < c->listen_n; i++)
		for (size_t k = 0; k < c->listen[i].proxy_protocol.n; k++)
			if (networks_overlap(network, c->listen[i].proxy_protocol.at[k]))
				return arena_printf(a, "holds the proxy %.*s, by which all strangers come",
						    STR_ARG(c->listen[i].proxy_protocol.at[k]));
	return network_wider(network, DEVICE_V4_BITS, DEVICE_V6_BITS) ? S("is larger than a /16 (IPv6: /48)") : S("");
}

static size_t check_entries(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	size_t bad = 0;

	for (size_t i = 0; i < c->devices_n; i++)
		for (size_t k = 0; k < c->devices[i].networks.n; k++) {
			struct str network = c->devices[i].networks.at[k], why = openness(d, network);

			if (why.n == 0)
				continue;
			bad++;
			finding_add(d, &(struct doctor_finding){
					       .subject = network,
					       .result = DOCTOR_FAILURE,
					       .text = arena_printf(doctor_arena(d), "in devices: %.*s", STR_ARG(why)),
					       .remedy = { .text = S("Name the devices' own addresses in devices.networks:"),
							   .config = S("networks = [ \"192.168.1.20\" ];"),
							   .command = S("posthouse reload") } });
		}
	return bad;
}

/* A command for a stranger: in clear text where that is the listener's way, so that "TLS first" is an answer too. */
static const struct fact_probe *try_relay(struct doctor *d, const struct cfg_listen *l, struct str from, struct str to)
{
	struct str lines[] = { S("MAIL FROM:<>"),
			       S("RCPT TO:<probe@example.invalid>"),
			       S("RSET"),
			       S("MAIL FROM:<probe@example.invalid>"),
			       S("RCPT TO:<probe@example.invalid>"),
			       S("RSET") };
	struct probe p = { .host = to,
			   .port = (unsigned)l->port,
			   .source = from,
			   .tls = l->tls == LISTEN_IMPLICIT ? PROBE_IMPLICIT : PROBE_STARTTLS,
			   .tls_name = doctor_config(d)->hostname,
			   .lines = { lines, sizeof lines / sizeof *lines } };

	return facts_probe(d, &p);
}

static bool takes_recipient(const struct fact_probe *p)
{
	for (size_t i = 1; i < p->replies_n; i += 3)
		if (str_starts(p->replies[i], S("2")))
			return true;
	return false;
}

/* Of a listener, from one address of this machine. A listed device is to be let in: its entry is judged by check_entries(). */
static void check_from(struct doctor *d, const struct cfg_listen *l, struct str from, struct str to)
{
	const struct cfg_device *device = device_at(doctor_config(d), from);
	struct str subject = listener_text(d, l);
	const struct fact_probe *p;

	if (l->port == 0 || listener_wants_proxy(l, from) || device)
		return;
	p = try_relay(d, l, from, to);
	if (p->state != FACT_THERE || !is_ours(d, p))
		return;
	if (takes_recipient(p))
		finding_add(d, &(struct doctor_finding){
				       .subject = subject,
				       .result = DOCTOR_FAILURE,
				       .text = arena_printf(doctor_arena(d), "takes mail for strangers from %.*s without a login",
							    STR_ARG(from)),
				       .remedy = { .text = S("Stop it until this is understood:"),
						   .command = S("systemctl stop posthouse") } });
	else
		finding_ok(d, S(""), subject,
			   arena_printf(doctor_arena(d), "takes nothing without a login from %.*s", STR_ARG(from)));
}

/* A listener on one address is reached by that; one on all of them by each. */
static void check_listener(struct doctor *d, const struct cfg_listen *l)
{
	const struct machine_facts *m = machine_of(d);
	bool any = str_eq(l->address, S("*"));

	check_from(d, l, listener_address(l), listener_address(l));
	for (size_t i = 0; i < m->addresses.n; i++) {
		bool v6 = str_find(m->addresses.at[i], ':') < m->addresses.at[i].n;

		if (any || (v6 ? str_eq(l->address, S("::")) : str_eq(l->address, S("0.0.0.0"))))
			check_from(d, l, m->addresses.at[i], m->addresses.at[i]);
	}
}

void check_relay_open(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	size_t bad = check_entries(d);

	for (size_t i = 0; i < c->listen_n; i++)
		check_listener(d, &c->listen[i]);
	if (bad == 0 && c->devices_n > 0)
		finding_ok(d, S(""), S("devices"), S("hold no network from which strangers can come"));
}

/* ---- relay.running ---- */

void check_relay_running(struct doctor *d)
{
	const struct relay_facts *r = &machine_of(d)->relay;
	struct arena *a = doctor_arena(d);
	struct doctor_finding f = { .result = DOCTOR_WARNING };

	switch (r->state) {
	case RELAY_NOT_ASKED:
		if (r->why.n > 0)
			finding_unknown(d, S(""), S(""), arena_printf(a, "the relay cannot be asked: %.*s", STR_ARG(r->why)));
		return;
	case RELAY_ABSENT:
		f.result = DOCTOR_FAILURE;
		f.text = S("no relay is running with this configuration");
		f.why = S("Nobody can send.");
		f.remedy.text = S("Start it; if it does not start, `posthouse check` says why:");
		f.remedy.command = S("systemctl enable --now posthouse");
		break;
	case RELAY_OTHER:
		f.text = S("the running relay is of another build than this command");
		f.remedy.text = S("Restart it after the upgrade:");
		f.remedy.command = S("systemctl restart posthouse");
		break;
	case RELAY_RUNS:
		if (r->waiting.n == 0 && !r->changed) {
			finding_ok(d, S(""), S(""), S("the relay runs with the configuration that is on the disk"));
			return;
		}
		f.text = r->changed ? S("the configuration on the disk is not the one that is in force")
				    : arena_printf(a, "the role %.*s is not ready", STR_ARG(r->waiting.at[0]));
		f.why = r->changed ? S("") : S("What it does waits for it.");
		f.remedy.text = r->changed ? S("Have it taken up:") : S("See what it does:");
		f.remedy.command = r->changed ? S("posthouse reload") : S("posthouse status");
		break;
	}
	finding_add(d, &f);
}
