/* around.c - what a run has to know of this machine before it begins. */
#include "posthouse/doctor.h"
#include "posthouse/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#define TEMPORARY  0x01 /* IFA_F_TEMPORARY of linux/if_addr.h */
#define DEPRECATED 0x20

/* Lines of /proc/net/if_inet6: address, interface, prefix, scope, flags, name. */
static bool is_temporary(struct arena *a, struct str address)
{
	FILE *f = fopen("/proc/self/net/if_inet6", "re");
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
	o->kernel = kernel_addresses(a);
	o->temporary.at = ARENA_ARRAY(a, struct str, 2);
	for (size_t i = 0; i < o->kernel.n; i++)
		if (is_temporary(a, o->kernel.at[i]))
			o->temporary.at[o->temporary.n++] = o->kernel.at[i];
	o->container = in_container();
}
