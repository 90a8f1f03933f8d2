/* gateways.c - the default gateways of this machine, from the kernel's routing tables. */
#include "loader.h"

#include "posthouse/units.h"

#include <arpa/inet.h>
#include <net/route.h>
#include <stdio.h>

#define TABLE_MAX    MIB
#define GATEWAYS_MAX 16
#define IPV6_ZERO    "00000000000000000000000000000000"

/* proc(5), /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …; addresses as the machine's own 32-bit
 * numbers. */
static bool gateway_v4(const char *line, char text[INET6_ADDRSTRLEN])
{
	uint32_t destination, flags, mask;
	struct in_addr gateway;

	return sscanf(line, "%*s %8x %8x %8x %*s %*s %*s %8x", &destination, &gateway.s_addr, &flags, &mask) == 4 &&
	       destination == 0 && mask == 0 && gateway.s_addr != 0 && flags & RTF_GATEWAY &&
	       inet_ntop(AF_INET, &gateway, text, INET6_ADDRSTRLEN);
}

/* /proc/net/ipv6_route: destination, its bits, source, its bits, next hop, metric, reference count, use, flags, interface. */
static bool gateway_v6(const char *line, char text[INET6_ADDRSTRLEN])
{
	char destination[33], bits[3], next_hop[33];
	uint32_t word[4], flags;

	if (sscanf(line, "%32s %2s %*s %*s %32s %*s %*s %*s %8x", destination, bits, next_hop, &flags) != 4 ||
	    strcmp(destination, IPV6_ZERO) != 0 || strcmp(bits, "00") != 0 || strcmp(next_hop, IPV6_ZERO) == 0 ||
	    !(flags & RTF_GATEWAY) || sscanf(next_hop, "%8x%8x%8x%8x", &word[0], &word[1], &word[2], &word[3]) != 4)
		return false;
	for (size_t i = 0; i < 4; i++)
		word[i] = htonl(word[i]);
	return inet_ntop(AF_INET6, word, text, INET6_ADDRSTRLEN);
}

struct str_list gateways_of(struct arena *a, struct str v4_table, struct str v6_table)
{
	struct str_list found = { .at = ARENA_ARRAY(a, struct str, GATEWAYS_MAX) };
	char text[INET6_ADDRSTRLEN];
	struct str line;

	while (found.n < GATEWAYS_MAX && str_split(&v4_table, '\n', &line))
		if (gateway_v4(arena_cstr(a, line), text))
			found.at[found.n++] = arena_str(a, str_of(text));
	while (found.n < GATEWAYS_MAX && str_split(&v6_table, '\n', &line))
		if (gateway_v6(arena_cstr(a, line), text))
			found.at[found.n++] = arena_str(a, str_of(text));
	return found;
}

struct str_list gateways_read(struct arena *a)
{
	struct str_list found;
	struct buf v4, v6;
	unsigned mode;

	/* a family that the kernel does not have has no table */
	file_read("/proc/self/net/route", TABLE_MAX, &v4, &mode);
	file_read("/proc/self/net/ipv6_route", TABLE_MAX, &v6, &mode);
	found = gateways_of(a, buf_view(&v4), buf_view(&v6));
	buf_fini(&v4);
	buf_fini(&v6);
	return found;
}
