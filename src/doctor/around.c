/* around.c - what a run has to know of this machine before it begins. */
#include "posthouse/doctor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define TEMPORARY  0x01 /* IFA_F_TEMPORARY of linux/if_addr.h */
#define DEPRECATED 0x20

/* The address that the kernel would send from to somewhere far away: a connected UDP socket sends nothing. */
static void add_kernel(struct arena *a, struct str_list *list, int family, const char *far)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;
	socklen_t n = family == AF_INET ? sizeof *v4 : sizeof *v6;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[INET6_ADDRSTRLEN];

	inet_pton(family, far, family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr);
	v4->sin_port = htons(25); /* at the same place in an IPv6 address */
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, n) == 0 && getsockname(fd, (struct sockaddr *)&to, &n) == 0 &&
	    inet_ntop(family, family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr, text, sizeof text))
		list->at[list->n++] = arena_str(a, str_of(text));
	if (fd >= 0)
		close(fd);
}

/* Lines of /proc/net/if_inet6: address, interface, prefix, scope, flags, name. */
static bool is_temporary(struct arena *a, struct str address)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	struct in6_addr wanted, found;
	char hex[33];
	unsigned flags;
	bool is = false;

	if (inet_pton(AF_INET6, arena_cstr(a, address), &wanted) == 1)
		while (f && fscanf(f, "%32s %*x %*x %*x %x %*s", hex, &flags) == 2) {
			for (unsigned i = 0; i < 16; i++)
				if (sscanf(hex + 2 * i, "%2hhx", &found.s6_addr[i]) != 1)
					break;
			is = is || (memcmp(&wanted, &found, sizeof found) == 0 && (flags & (TEMPORARY | DEPRECATED)));
		}
	if (f)
		fclose(f);
	return is;
}

static bool in_container(void)
{
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv", "/run/systemd/container" };

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (access(marks[i], F_OK) == 0)
			return true;
	return false;
}

void doctor_look_around(struct arena *a, struct doctor_options *o)
{
	o->kernel.at = ARENA_ARRAY(a, struct str, 2);
	o->temporary.at = ARENA_ARRAY(a, struct str, 2);
	add_kernel(a, &o->kernel, AF_INET, "198.41.0.4"); /* a.root-servers.net */
	add_kernel(a, &o->kernel, AF_INET6, "2001:503:ba3e::2:30");
	for (size_t i = 0; i < o->kernel.n; i++)
		if (is_temporary(a, o->kernel.at[i]))
			o->temporary.at[o->temporary.n++] = o->kernel.at[i];
	o->container = in_container();
}
