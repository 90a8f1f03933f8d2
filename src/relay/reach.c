/* reach.c - addresses that get no mail directly, because no mail server can have them, or because they belong to this machine or
 * its network. Otherwise the owner of a domain could, by its DNS records, make the relay talk to services on this machine and
 * near it. */
#include "connection.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <arpa/inet.h>

#define OWN_MS 30000 /* the machine's addresses are looked at again after this time */

/* Of RFC 6890 and RFC 8190. `literal`: only refused when a user names the address. A private network can have mail servers, but
 * users need not name them by address. */
static const struct kind {
	const char *network, *words;
	bool literal;
} kinds[] = {
	{ "0.0.0.0/8", "no host's", false },
	{ "127.0.0.0/8", "a loopback address", false },
	{ "169.254.0.0/16", "a link-local address", false },
	{ "224.0.0.0/4", "a multicast address", false },
	{ "240.0.0.0/4", "a reserved or broadcast address", false },
	{ "10.0.0.0/8", "a private address", true },
	{ "172.16.0.0/12", "a private address", true },
	{ "192.168.0.0/16", "a private address", true },
	{ "100.64.0.0/10", "a private address", true },
	{ "::/128", "no host's", false },
	{ "::1/128", "a loopback address", false },
	{ "fe80::/10", "a link-local address", false },
	{ "ff00::/8", "a multicast address", false },
	{ "fc00::/7", "a private address", true },
	{ "fec0::/10", "a private address", true },
};

/* IPv6 networks whose addresses contain an IPv4 address, to which a translator or tunnel leads; and its first byte. */
static const struct carrier {
	const char *network;
	size_t at;
} carriers[] = {
	{ "::/96", 12 },        /* RFC 4291 2.5.5.1 */
	{ "64:ff9b::/96", 12 }, /* RFC 6052 */
	{ "2002::/16", 2 },     /* RFC 3056 */
};

static struct str address_text(struct arena *a, const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	uv_ip_name((const struct sockaddr *)address, text, sizeof text);
	return arena_str(a, str_of(text));
}

static const char *kind_of(struct str address, bool literal)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if ((literal || !kinds[i].literal) && network_contains(str_of(kinds[i].network), address))
			return kinds[i].words;
	return NULL;
}

/* The IPv4 address within, or the address itself. To network_contains() an IPv4-mapped address is an IPv4 address. */
static struct str innermost(struct arena *a, struct str text, const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	char inner[INET_ADDRSTRLEN] = "";

	if (address->ss_family != AF_INET6 || kind_of(text, true))
		return text;
	for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
		if (network_contains(str_of(carriers[i].network), text)) {
			inet_ntop(AF_INET, v6->sin6_addr.s6_addr + carriers[i].at, inner, sizeof inner);
			return arena_str(a, str_of(inner));
		}
	return text;
}

const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal)
{
	struct arena a = { 0 };
	struct str text = address_text(&a, address), inner = innermost(&a, text, address);
	const char *words = NULL;

	if (networks_contain(&d->deny_networks, text) || networks_contain(&d->deny_networks, inner))
		words = "in delivery.deny_networks";
	else if (!networks_contain(&d->allow_networks, text))
		words = kind_of(inner, literal);
	arena_fini(&a);
	return words;
}

/* ---- is the server this relay? ---- */

static void read_own(struct relay *relay)
{
	uv_interface_address_t *list;
	int n = 0;

	arena_reset(&relay->own_arena);
	relay->own = (struct str_list){ .at = NULL };
	relay->own_at = clock_mono_ms();
	if (uv_interface_addresses(&list, &n) != 0)
		return;
	relay->own.at = ARENA_ARRAY(&relay->own_arena, struct str, n > 0 ? (size_t)n : 1);
	for (int i = 0; i < n; i++) {
		struct sockaddr_storage address = { 0 };

		memcpy(&address, &list[i].address, sizeof list[i].address);
		relay->own.at[relay->own.n++] = address_text(&relay->own_arena, &address);
	}
	uv_free_interface_addresses(list, n);
}

const struct str_list *reach_own(struct relay *relay)
{
	if (relay->own_at == 0 || clock_mono_ms() - relay->own_at >= OWN_MS)
		read_own(relay);
	return &relay->own;
}

static bool is_here(struct relay *relay, struct str address)
{
	const struct str_list *own = reach_own(relay);

	for (size_t i = 0; i < own->n; i++)
		if (str_eq(own->at[i], address))
			return true;
	return network_contains(S("127.0.0.0/8"), address) || network_contains(S("::1/128"), address);
}

static bool is_our_port(const struct config *c, unsigned port)
{
	for (size_t i = 0; i < c->listen_n; i++)
		if (c->listen[i].port == port)
			return true;
	return false;
}

/* A server that greets by our name is this relay, except another program of this machine, at a port on which we do not listen. */
bool reach_is_ourselves(const struct connection *c)
{
	const struct config *config = role_config(c->relay->role);
	const struct candidate *t = connection_candidate(c);
	struct str greeting = smtp_client_peer(c->client)->greeting;
	struct arena a = { 0 };
	bool same;

	if (!str_ieq(str_head(greeting, str_find(greeting, ' ')), config->hostname))
		return false;
	same = is_our_port(config, candidate_port(t)) || !is_here(c->relay, address_text(&a, &t->address));
	arena_fini(&a);
	return same;
}
