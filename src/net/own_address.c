/* own_address.c - the addresses from which this machine sends to the world, as its kernel chooses them. */
#include "posthouse/net.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

/* A connected UDP socket sends nothing, but has its source address. Any global address does. */
static bool source_for(const char *destination, char text_out[INET6_ADDRSTRLEN])
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *to = NULL;
	struct sockaddr_storage own = { 0 };
	socklen_t n = sizeof(own);
	bool found = false;
	int fd;

	if (getaddrinfo(destination, "53", &hints, &to) != 0)
		return false;
	fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0 && getsockname(fd, (struct sockaddr *)&own, &n) == 0)
		found = getnameinfo((struct sockaddr *)&own, n, text_out, INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST) == 0;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(to);
	return found;
}

/* The kernel lets a socket have only an address of this machine. */
bool address_is_own(struct str address)
{
	struct sockaddr_storage own = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&own;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&own;
	char text[INET6_ADDRSTRLEN];
	bool is_own;
	int fd;

	snprintf(text, sizeof text, "%.*s", STR_ARG(address));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		own.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		own.ss_family = AF_INET6;
	else
		return false;
	fd = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	is_own = fd >= 0 && bind(fd, (struct sockaddr *)&own, own.ss_family == AF_INET ? sizeof *v4 : sizeof *v6) == 0;
	if (fd >= 0)
		close(fd);
	return is_own;
}

struct str_list kernel_addresses(struct arena *a)
{
	static const char *const destinations[] = { "198.41.0.4", "2001:503:ba3e::2:30" }; /* a.root-servers.net */
	struct str_list list = { ARENA_ARRAY(a, struct str, 2), 0 };
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < 2; i++)
		if (source_for(destinations[i], text))
			list.at[list.n++] = arena_str(a, str_of(text));
	return list;
}
