/* needs.c - see needs.h. */
#include "needs.h"

#include <arpa/inet.h>

static bool uses_database(enum role_id role, const struct config *c)
{
	return role_facts[role].reaches & AT_DATABASE && c->store.engine == ENGINE_POSTGRESQL;
}

static bool is_socket(struct str host)
{
	return str_starts(host, S("/"));
}

static bool is_address(struct str host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];

	if (host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

unsigned role_can(enum role_id role, const struct config *c)
{
	unsigned can = role_facts[role].can;

	for (size_t i = 0; uses_database(role, c) && i < c->store.hosts.n; i++)
		can |= is_socket(c->store.hosts.at[i]) ? CAN_JOIN : CAN_CONNECT;
	return can;
}

unsigned role_reaches(enum role_id role, const struct config *c)
{
	unsigned reaches = role_facts[role].reaches;

	if (!uses_database(role, c))
		return reaches & ~(unsigned)AT_DATABASE;
	for (size_t i = 0; i < c->store.hosts.n; i++)
		if (!is_socket(c->store.hosts.at[i]) && !is_address(c->store.hosts.at[i]))
			reaches |= AT_RESOLVER | TO_NAME_SERVERS;
	return reaches;
}
