/* source_address.c - the addresses that we send from, as the world sees them: from the configuration, the kernel's choice, what a
 * mail server has called us in its answer to EHLO, or (a guess) the addresses of our own name. No web service is asked. */
#include "run.h"

#include "posthouse/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool address_is_private(struct str address)
{
	static const char *const networks[] = { "0.0.0.0/8",    "10.0.0.0/8",     "100.64.0.0/10",
						"127.0.0.0/8",  "169.254.0.0/16", "172.16.0.0/12",
						"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
						"224.0.0.0/3",  "fc00::/7",       "fe80::/10",
						"::/8" };

	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
		if (network_contains(str_of(networks[i]), address))
			return true;
	return false;
}

static bool read_address(struct arena *a, struct str text, struct doctor_address *to)
{
	struct sockaddr_in *v4 = (void *)&to->at;
	struct sockaddr_in6 *v6 = (void *)&to->at;
	const char *z = arena_cstr(a, text);
	char canonical[INET6_ADDRSTRLEN];

	*to = (struct doctor_address){ .text = text };
	to->at.ss_family = str_find(text, ':') < text.n ? AF_INET6 : AF_INET;
	if (inet_pton(to->at.ss_family, z, to->at.ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) != 1)
		return false;
	inet_ntop(to->at.ss_family, to->at.ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr, canonical,
		  sizeof canonical);
	to->text = arena_str(a, str_of(canonical));
	return true;
}

static bool is_family(struct str text, bool v6)
{
	return (str_find(text, ':') < text.n) == v6;
}

static void add(struct doctor *d, struct str text, struct str from)
{
	struct situation *s = &d->situation;
	struct doctor_address address;

	if (!read_address(&d->arena, text, &address))
		return;
	for (size_t i = 0; i < s->addresses_n; i++)
		if (str_eq(s->addresses[i].text, address.text))
			return;
	ARENA_GROW(&d->arena, s->addresses, s->addresses_n, d->addresses_capacity);
	s->addresses[s->addresses_n++] = address;
	if (s->addresses_from.n == 0)
		s->addresses_from = from;
	else if (!str_eq(s->addresses_from, from) && str_search(s->addresses_from, from) == s->addresses_from.n)
		s->addresses_from = arena_printf(&d->arena, "%.*s, %.*s", STR_ARG(s->addresses_from), STR_ARG(from));
}

static bool add_public(struct doctor *d, const struct str_list *list, bool v6, struct str from)
{
	bool found = false;

	for (size_t i = 0; i < list->n; i++)
		if (is_family(list->at[i], v6) && address_is_public(list->at[i])) {
			add(d, list->at[i], from);
			found = true;
		}
	return found;
}

/* "250-mx.example Hello relay [203.0.113.25]" */
static struct str address_in_ehlo(struct str ehlo)
{
	struct str line = str_head(ehlo, str_find(ehlo, '\n'));
	size_t open = str_rfind(line, '['), end = str_rfind(line, ']');
	struct str inside = open < end && end < line.n ? str_head(str_from(line, open + 1), end - open - 1) : S("");

	return str_istarts(inside, S("IPv6:")) ? str_from(inside, 5) : inside;
}

/* What a server of the port 25 probe has called us. */
static bool add_named(struct doctor *d, bool v6)
{
	bool found = false;

	for (size_t i = 0; i < d->config->doctor.probe.n && i < 2; i++) {
		const struct fact_probe *p = port25_probe(d, i, v6);
		struct str named = p && p->state == FACT_THERE ? address_in_ehlo(p->ehlo) : S("");

		d->situation.addresses_pending |= p && p->state == FACT_PENDING;
		if (named.n > 0 && is_family(named, v6) && !address_is_private(named)) {
			add(d, named, S("as a mail server sees it"));
			found = true;
		}
	}
	return found;
}

static void add_guess(struct doctor *d, bool v6)
{
	const struct fact_dns *f = facts_dns(d, VIEW_WORLD, d->config->hostname, v6 ? DNS_AAAA : DNS_A);

	d->situation.addresses_pending |= f->state == FACT_PENDING;
	for (size_t i = 0; i < f->n; i++)
		if (!address_is_private(f->records[i].text))
			add(d, f->records[i].text, S("a guess: the address of its name"));
}

static void find_family(struct doctor *d, bool v6)
{
	if (!(v6 ? d->config->delivery.ipv6 : d->config->delivery.ipv4))
		return;
	if (add_public(d, &d->config->delivery.source, v6, S("delivery.source")) ||
	    add_public(d, &d->options.kernel, v6, S("this machine")) || d->options.offline || !d->situation.mx)
		return;
	if (!add_named(d, v6) && !d->situation.addresses_pending)
		add_guess(d, v6);
}

void addresses_find(struct doctor *d)
{
	struct situation *s = &d->situation;
	const struct str_list *given = &d->config->doctor.addresses;

	s->addresses_n = 0;
	s->addresses_from = S("");
	s->addresses_pending = false;
	for (size_t i = 0; i < given->n; i++)
		add(d, given->at[i], S("doctor.addresses"));
	for (unsigned v6 = 0; given->n == 0 && v6 < 2; v6++)
		find_family(d, v6);
}
