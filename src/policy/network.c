/* network.c - IP addresses and networks of the configuration, compared with the addresses of clients. */
#include "posthouse/policy.h"

#include <arpa/inet.h>

/* An address of either family; IPv4 in IPv6 has become IPv4. `bits` of it count. */
struct network {
	int family;
	unsigned bits;
	unsigned char bytes[16];
};

/* Without the scope of a link-local address ("fe80::1%eth0"). False: no address. */
static bool read_address(struct str s, struct network *out)
{
	static const unsigned char v4_in_v6[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291 2.5.5.2 */
	char text[INET6_ADDRSTRLEN + 1] = "";

	s = str_head(s, str_find(s, '%'));
	*out = (struct network){ .family = AF_INET, .bits = 32 };
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	if (inet_pton(AF_INET, text, out->bytes) == 1)
		return true;
	out->family = AF_INET6;
	out->bits = 128;
	if (inet_pton(AF_INET6, text, out->bytes) != 1)
		return false;
	if (memcmp(out->bytes, v4_in_v6, sizeof(v4_in_v6)) == 0) {
		out->family = AF_INET;
		out->bits = 32;
		memmove(out->bytes, out->bytes + 12, 4);
	}
	return true;
}

/* "ADDRESS" or "ADDRESS/BITS"; the bits of IPv4 in IPv6 count from the IPv6 address's first. */
static bool read_network(struct str s, struct network *out)
{
	size_t slash = str_find(s, '/');
	bool written_v6 = str_find(s, ':') < s.n;
	uint64_t bits;

	if (!read_address(str_head(s, slash), out))
		return false;
	if (slash == s.n)
		return true;
	if (!str_to_u64(str_from(s, slash + 1), &bits))
		return false;
	if (out->family == AF_INET && written_v6) {
		if (bits < 96)
			return false;
		bits -= 96;
	}
	if (bits > out->bits)
		return false;
	out->bits = (unsigned)bits;
	return true;
}

/* Are the first `bits` the same? */
static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool network_contains(struct str network, struct str address)
{
	struct network n, a;

	return read_network(network, &n) && read_address(address, &a) && n.family == a.family &&
	       same_bits(n.bytes, a.bytes, n.bits);
}

bool networks_contain(const struct str_list *networks, struct str address)
{
	for (size_t i = 0; i < networks->n; i++)
		if (network_contains(networks->at[i], address))
			return true;
	return false;
}

bool networks_overlap(struct str a, struct str b)
{
	struct network x, y;

	return read_network(a, &x) && read_network(b, &y) && x.family == y.family &&
	       same_bits(x.bytes, y.bytes, x.bits < y.bits ? x.bits : y.bits);
}

bool network_names_host(struct str network)
{
	struct network n, masked;

	if (!read_network(network, &n))
		return false;
	masked = n;
	for (unsigned bit = n.bits; bit < (n.family == AF_INET ? 32 : 128); bit++)
		masked.bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	return memcmp(masked.bytes, n.bytes, sizeof(n.bytes)) != 0;
}

bool network_wider(struct str network, unsigned v4_bits, unsigned v6_bits)
{
	struct network n;

	return read_network(network, &n) && n.bits < (n.family == AF_INET ? v4_bits : v6_bits);
}

void network_without(struct arena *a, struct str network, struct str address, struct str_list *parts)
{
	char text[INET6_ADDRSTRLEN];
	struct network n, without;

	if (!network_contains(network, address) || !read_network(network, &n) || !read_address(address, &without)) {
		parts->at[parts->n++] = network;
		return;
	}
	for (unsigned bit = n.bits; bit < without.bits;
	     bit++) { /* the half without the address, then half of the rest, and so on */
		struct network half = without;

		half.bytes[bit / 8] ^= (unsigned char)(0x80u >> bit % 8);
		for (unsigned below = bit + 1; below < without.bits; below++)
			half.bytes[below / 8] &= (unsigned char)~(0x80u >> below % 8);
		inet_ntop(half.family, half.bytes, text, sizeof(text));
		parts->at[parts->n++] = arena_printf(a, "%s/%u", text, bit + 1);
	}
}

/* The network of whole bytes in which an address is; a single address by itself. */
static struct str network_of_bytes(struct arena *a, struct str address, size_t v4_bytes, size_t v6_bytes)
{
	char text[INET6_ADDRSTRLEN];
	struct network n;
	size_t bytes, all;

	if (!read_address(address, &n))
		return arena_str(a, address);
	bytes = n.family == AF_INET ? v4_bytes : v6_bytes;
	all = n.family == AF_INET ? 4 : 16;
	memset(n.bytes + bytes, 0, all - bytes);
	inet_ntop(n.family, n.bytes, text, sizeof(text));
	return bytes < all ? arena_printf(a, "%s/%zu", text, 8 * bytes) : arena_str(a, str_of(text));
}

struct str network_of(struct arena *a, struct str address)
{
	return network_of_bytes(a, address, 4, 8);
}

struct str site_of(struct arena *a, struct str address)
{
	return network_of_bytes(a, address, 3, 6);
}

/* IANA's registries of special addresses. */
bool address_is_public(struct str address)
{
	static const char *const special[] = {
		"0.0.0.0/8",    "10.0.0.0/8",   "100.64.0.0/10",  "127.0.0.0/8",   "169.254.0.0/16",  "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/3",  "::/8",         "64:ff9b:1::/48", "100::/64",      "2001:db8::/32",   "3fff::/20",
		"fc00::/7",     "fe80::/10",    "ff00::/8",
	};
	struct network network;

	if (!read_address(address, &network))
		return false;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (network_contains(str_of(special[i]), address))
			return false;
	return true;
}
