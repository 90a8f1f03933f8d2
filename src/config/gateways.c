/* gateways.c - the default gateways of this machine, from the kernel's routing tables. */
#include "loader.h"

#include "posthouse/units.h"

#include <arpa/inet.h>
#include <net/route.h>

#define TABLE_MAX    MIB
#define GATEWAYS_MAX 16
#define IPV6_ZERO    "00000000000000000000000000000000"

static bool hex_number(struct str s, uint32_t *value_out)
{
	uint32_t value = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: 16;

		if (digit == 16 || i == 8)
			return false;
		value = value << 4 | digit;
	}
	*value_out = value;
	return s.n > 0;
}

/* The words of a line; how many there are, at most `max`. */
static size_t words_of(struct str line, struct str *words, size_t max)
{
	struct str word;
	size_t n = 0;

	for (size_t i = 0; i < line.n && n < max;) {
		size_t from;

		while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
			i++;
		from = i;
		while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
			i++;
		word = str_make(line.p + from, i - from);
		if (word.n > 0)
			words[n++] = word;
	}
	return n;
}

/* proc(5), /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …; addresses as the machine's own 32-bit
 * numbers. */
static bool gateway_v4(struct str line, char text[INET6_ADDRSTRLEN])
{
	uint32_t destination, gateway, flags, mask;
	struct str w[8];

	if (words_of(line, w, 8) < 8 || !hex_number(w[1], &destination) || !hex_number(w[2], &gateway) ||
	    !hex_number(w[3], &flags) || !hex_number(w[7], &mask) || destination != 0 || mask != 0 || gateway == 0 ||
	    !(flags & RTF_GATEWAY))
		return false;
	return inet_ntop(AF_INET, &(struct in_addr){ .s_addr = gateway }, text, INET6_ADDRSTRLEN) != NULL;
}

/* /proc/net/ipv6_route: destination, its bits, source, its bits, next hop, metric, reference count, use, flags, interface. */
static bool gateway_v6(struct str line, char text[INET6_ADDRSTRLEN])
{
	struct in6_addr gateway;
	uint32_t word, flags;
	struct str w[10];

	if (words_of(line, w, 10) < 10 || !str_eq(w[0], S(IPV6_ZERO)) || !str_eq(w[1], S("00")) || w[4].n != 32 ||
	    str_eq(w[4], S(IPV6_ZERO)) || !hex_number(w[8], &flags) || !(flags & RTF_GATEWAY))
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (!hex_number(str_make(w[4].p + 8 * i, 8), &word))
			return false;
		word = htonl(word);
		memcpy(&gateway.s6_addr[4 * i], &word, 4);
	}
	return inet_ntop(AF_INET6, &gateway, text, INET6_ADDRSTRLEN) != NULL;
}

struct str_list gateways_of(struct arena *a, struct str v4_table, struct str v6_table)
{
	struct str_list found = { .at = ARENA_ARRAY(a, struct str, GATEWAYS_MAX) };
	char text[INET6_ADDRSTRLEN];
	struct str line;

	while (found.n < GATEWAYS_MAX && str_split(&v4_table, '\n', &line))
		if (gateway_v4(line, text))
			found.at[found.n++] = arena_str(a, str_of(text));
	while (found.n < GATEWAYS_MAX && str_split(&v6_table, '\n', &line))
		if (gateway_v6(line, text))
			found.at[found.n++] = arena_str(a, str_of(text));
	return found;
}

struct str_list gateways_read(struct arena *a)
{
	struct str_list found;
	struct buf v4, v6;
	unsigned mode;

	/* a family that the kernel does not have has no table */
	file_read("/proc/net/route", TABLE_MAX, &v4, &mode);
	file_read("/proc/net/ipv6_route", TABLE_MAX, &v6, &mode);
	found = gateways_of(a, buf_view(&v4), buf_view(&v6));
	buf_fini(&v4);
	buf_fini(&v6);
	return found;
}
