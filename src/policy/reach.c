/* reach.c - addresses to which nothing goes because a domain names them: no server of the world can have them, or they belong
 * to this machine or its network. Otherwise the owner of a domain could, by its DNS records, make the relay talk to services
 * on this machine and near it. */
#include "posthouse/policy.h"

#include <arpa/inet.h>

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

static const char *kind_of(struct str address, bool literal)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if ((literal || !kinds[i].literal) && network_contains(str_of(kinds[i].network), address))
			return kinds[i].words;
	return NULL;
}

/* The IPv4 address within, or the address itself. To network_contains() an IPv4-mapped address is an IPv4 address. */
static struct str innermost(struct arena *a, struct str address)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char inner[INET_ADDRSTRLEN] = "";

	if (inet_pton(AF_INET6, arena_cstr(a, address), bytes) != 1 || kind_of(address, true))
		return address;
	for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++)
		if (network_contains(str_of(carriers[i].network), address)) {
			inet_ntop(AF_INET, bytes + carriers[i].at, inner, sizeof inner);
			return arena_str(a, str_of(inner));
		}
	return address;
}

const char *address_obstacle(const struct cfg_delivery *d, struct str address, bool literal)
{
	struct arena a = { 0 };
	struct str inner = innermost(&a, address);
	const char *words = NULL;

	if (networks_contain(&d->deny_networks, address) || networks_contain(&d->deny_networks, inner))
		words = "in delivery.deny_networks";
	else if (!networks_contain(&d->allow_networks, address))
		words = kind_of(inner, literal);
	arena_fini(&a);
	return words;
}
