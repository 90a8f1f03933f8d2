/* result.c - the result of a look-up for its caller, from the addresses of the hosts. */
#include "internal.h"

void address_set_port(struct sockaddr_storage *address, unsigned port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
}

/* A mail host cannot have "any", a multicast or a broadcast address. An IPv4-mapped one is left out too: there is an A record
 * for it. */
static bool is_usable(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	uint32_t n;

	if (address->ss_family == AF_INET) {
		n = ntohl(v4->sin_addr.s_addr);
		return n >> 24 != 0 && n >> 28 < 0xe;
	}
	return !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) && !IN6_IS_ADDR_MULTICAST(&v6->sin6_addr) &&
	       !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
}

/* The length of the data was checked when the record was parsed. */
static struct sockaddr_storage address_of(const struct dns_record *r, unsigned port)
{
	struct sockaddr_storage address = { 0 };

	address.ss_family = r->type == DNS_A ? AF_INET : AF_INET6;
	if (r->type == DNS_A)
		memcpy(&((struct sockaddr_in *)(void *)&address)->sin_addr, r->data.p, r->data.n);
	else
		memcpy(&((struct sockaddr_in6 *)(void *)&address)->sin6_addr, r->data.p, r->data.n);
	address_set_port(&address, port);
	return address;
}

/* The usable addresses of one family in random order, at most `max`. */
static size_t family_addresses(struct dns_lookup *l, struct query *q, struct sockaddr_storage *to, size_t max)
{
	size_t n = 0;

	if (!q->lookup || q->verdict.class != OK)
		return 0;
	shuffle(q->records, q->n, sizeof(*q->records));
	for (size_t i = 0; i < q->n && n < max; i++) {
		to[n] = address_of(q->records[i], l->port);
		n += is_usable(&to[n]);
	}
	return n;
}

/* One address of each family in turn. IPv4 comes first: from an IPv6 address without a reverse name, many servers refuse mail
 * for good. */
static void interleave(struct dns_lookup *l, struct host *h, struct dns_host *out)
{
	struct sockaddr_storage found[2][ADDRESSES_MAX];
	size_t n[2], total = 0;
	struct sockaddr_storage *addresses = ARENA_ARRAY(&l->arena, struct sockaddr_storage, ADDRESSES_MAX);

	for (unsigned family = 0; family < 2; family++)
		n[family] = family_addresses(l, &h->queries[family], found[family], ADDRESSES_MAX);
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		for (unsigned family = 0; family < 2; family++)
			if (i < n[family] && total < ADDRESSES_MAX)
				addresses[total++] = found[family][i];
	out->addresses = addresses;
	out->addresses_n = total;
}

/* Why a host has no address. A family whose query failed can have addresses later, unless the name does not exist at all. */
static struct verdict host_failure(struct dns_lookup *l, const struct host *h)
{
	const char *kind = l->dns->ipv4 && l->dns->ipv6 ? "" : l->dns->ipv4 ? "IPv4 " : "IPv6 ";

	struct verdict v =
		perm(550, S("5.4.4"), arena_printf(&l->arena, "the mail host %.*s has no %saddress", STR_ARG(h->name), kind));

	for (unsigned family = 0; family < 2; family++) {
		const struct query *q = &h->queries[family];

		if (q->lookup && q->verdict.class == OK && !q->exists)
			return perm(550, S("5.4.4"),
				    arena_printf(&l->arena, "the mail host %.*s does not exist", STR_ARG(h->name)));
		if (q->lookup && q->verdict.class != OK)
			v = q->verdict;
	}
	return v;
}

/* Is the host this relay, by the name at the end of its CNAMEs or by an address? */
static bool is_own(const struct dns_lookup *l, const struct host *h, const struct dns_host *found)
{
	for (unsigned family = 0; family < 2; family++)
		if (h->queries[family].lookup && h->queries[family].verdict.class == OK &&
		    is_own_name(&l->own_names, h->queries[family].owner))
			return true;
	for (size_t i = 0; i < found->addresses_n; i++)
		if (is_own_address(&l->own_names, &found->addresses[i]))
			return true;
	return false;
}

/* OK when a host has an address; otherwise the first TEMP failure, since that host can have one later. */
static struct verdict summary(struct dns_lookup *l, const struct dns_host *hosts, size_t n)
{
	const struct verdict *failure = &hosts[0].failure;

	for (size_t i = 0; i < n; i++) {
		if (hosts[i].addresses_n > 0)
			return ok();
		if (hosts[i].failure.class == TEMP && failure->class != TEMP)
			failure = &hosts[i].failure;
	}
	if (failure->class == PERM && l->mx.n == 0) /* RFC 5321 5.1: no MX record, no implicit MX */
		return perm(550, S("5.1.2"),
			    arena_printf(&l->arena, "the domain %.*s has neither mail hosts nor an address", STR_ARG(l->domain)));
	return *failure;
}

struct verdict gather_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out)
{
	struct dns_host *hosts = ARENA_ARRAY(&l->arena, struct dns_host, l->hosts_n);
	size_t n = 0;

	for (; n < l->hosts_n; n++) {
		struct host *h = &l->hosts[n];

		hosts[n] = (struct dns_host){
			.name = h->name, .preference = h->preference, .mx_secure = l->mx.secure, .domain_end = l->mx.owner
		};
		hosts[n].secure = host_secure(h, &hosts[n].end);
		interleave(l, h, &hosts[n]);
		if (hosts[n].addresses_n == 0)
			hosts[n].failure = host_failure(l, h);
		if (is_own(l, h, &hosts[n]))
			break;
	}
	if (n < l->hosts_n) /* host n is this relay: only better hosts are kept (RFC 5321 5.1) */
		while (n > 0 && l->hosts[n - 1].preference == l->hosts[n].preference)
			n--;
	if (n == 0)
		return loop_found(l);
	*hosts_out = hosts;
	*n_out = n;
	return summary(l, hosts, n);
}

struct verdict literal_result(struct dns_lookup *l, struct dns_host **hosts_out, size_t *n_out)
{
	struct sockaddr_storage *address = ARENA_NEW(&l->arena, struct sockaddr_storage);
	struct dns_host *host = ARENA_NEW(&l->arena, struct dns_host);

	if (!parse_address(l->domain, address) || !is_usable(address))
		return perm(550, S("5.1.2"), arena_printf(&l->arena, "%.*s is no address of a mail host", STR_ARG(l->domain)));
	if (is_own_address(&l->own_names, address))
		return loop_found(l);
	if (address->ss_family == AF_INET ? !l->dns->ipv4 : !l->dns->ipv6)
		return perm(550, S("5.4.4"),
			    arena_printf(&l->arena, "%.*s cannot be reached: the address family is switched off",
					 STR_ARG(l->domain)));
	address_set_port(address, l->port);
	*host = (struct dns_host){
		.name = l->domain, .end = l->domain, .domain_end = l->domain, .addresses = address, .addresses_n = 1
	};
	*hosts_out = host;
	*n_out = 1;
	return ok();
}
