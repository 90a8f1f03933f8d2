/* upstreams.c - what the checks of upstreams share: which ones count, and what their addresses say to a client without a
 * login. */
#include "upstreams.h"

#define ADDRESSES_TRIED 2 /* of each family */

static bool is_routed(const struct config *c, const struct cfg_upstream *u)
{
	for (size_t i = 0; i < c->routes_n; i++)
		for (size_t k = 0; k < c->routes[i].via.n; k++)
			if (str_eq(via_read(c->routes[i].via.at[k]).name, u->name))
				return true;
	return false;
}

void upstreams_each(struct doctor *d, void (*check)(struct doctor *d, const struct cfg_upstream *u))
{
	const struct config *c = doctor_config(d);

	for (size_t i = 0; i < c->upstreams_n; i++)
		if (is_routed(c, &c->upstreams[i]))
			check(d, &c->upstreams[i]);
}

/* ---- its addresses, each tried without a login ---- */

struct str_list upstream_addresses(struct doctor *d, const struct cfg_upstream *u, bool *pending_out)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA };
	struct str_list all = { .at = ARENA_ARRAY(doctor_arena(d), struct str, 2 * ADDRESSES_TRIED) };

	if (reverse_name(doctor_arena(d), u->host, S(""), S("")).n > 0) { /* it is an address */
		all.at[all.n++] = u->host;
		return all;
	}
	for (size_t t = 0; t < 2; t++) {
		const struct fact_dns *f;

		if (!(t == 0 ? doctor_config(d)->delivery.ipv4 : doctor_config(d)->delivery.ipv6))
			continue;
		f = facts_dns(d, VIEW_CLIENTS, u->host, types[t]);
		*pending_out = *pending_out || f->state == FACT_PENDING;
		for (size_t i = 0; f->state == FACT_THERE && i < f->n && i < ADDRESSES_TRIED; i++)
			all.at[all.n++] = f->records[i].text;
	}
	return all;
}

const struct fact_probe *upstream_try(struct doctor *d, const struct cfg_upstream *u, struct str address)
{
	struct probe p = { .host = address, .port = (unsigned)u->port, .tls_name = u->tls_name.n ? u->tls_name : u->host };

	if (u->tls == UPSTREAM_IMPLICIT || (u->tls == UPSTREAM_DANE && u->port == 465))
		p.tls = PROBE_IMPLICIT;
	else
		p.tls = u->tls == UPSTREAM_NONE ? PROBE_PLAIN : PROBE_STARTTLS;
	return facts_probe(d, &p);
}

bool upstream_needs_tls(const struct cfg_upstream *u)
{
	return u->tls != UPSTREAM_OPPORTUNISTIC && u->tls != UPSTREAM_NONE;
}

/* "": the server can be used from here, as far as it is seen without a login. */
static struct str fault_of(struct doctor *d, const struct cfg_upstream *u, const struct fact_probe *p)
{
	struct arena *a = doctor_arena(d);

	if (p->state != FACT_THERE)
		return arena_printf(a, "no connection: %.*s", STR_ARG(p->why));
	if (upstream_needs_tls(u) && !p->tls && p->tls_why.n > 0)
		return arena_printf(a, "no TLS: %.*s", STR_ARG(p->tls_why));
	if (upstream_needs_tls(u) && !p->tls && p->greeting.n > 0)
		return S("offers no STARTTLS");
	if (!str_starts(p->greeting, S("2")))
		return p->greeting.n > 0 ? arena_printf(a, "is greeted with: %.*s", STR_ARG(p->greeting))
					 : S("no greeting comes");
	if (upstream_needs_tls(u) && p->verify.n > 0 && u->ca.n == 0)
		return arena_printf(a, "the certificate is not good: %.*s", STR_ARG(p->verify));
	return S("");
}

/* A machine without IPv6 has no way to half of the addresses, and needs none. */
struct upstream_tries upstream_try_all(struct doctor *d, const struct cfg_upstream *u)
{
	struct upstream_tries t = { 0 };
	struct str_list all = upstream_addresses(d, u, &t.pending);

	for (size_t i = 0; i < all.n; i++) {
		const struct fact_probe *p = upstream_try(d, u, all.at[i]);
		struct str fault;

		t.pending = t.pending || p->state == FACT_PENDING;
		if (p->state == FACT_PENDING || (p->unreachable && all.n > 1))
			continue;
		fault = fault_of(d, u, p);
		t.n++;
		if (fault.n > 0 && t.bad++ == 0) {
			t.address = all.at[i];
			t.fault = fault;
		}
	}
	return t;
}

struct str upstream_entry(struct doctor *d, const struct cfg_upstream *u, const char *keys)
{
	return arena_printf(doctor_arena(d), "upstreams = ( { name = \"%.*s\"; … %s } );", STR_ARG(u->name), keys);
}
