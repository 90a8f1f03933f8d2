/* notify.c - one datagram to the service manager. systemd documents this protocol as stable, so no library is needed. */
#include "master.h"

#include "posthouse/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warning(NULL, "master.notify_failed", kv("error", strerror(errno)));
	if (fd >= 0)
		close(fd);
}

void notify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify(state);
}

uint64_t notify_alive_ms(void)
{
	const char *within_us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!within_us || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(within_us, NULL, 10) / 1000 / 2;
}

void notify_stopping(uint64_t within_ms)
{
	char state[64];

	snprintf(state, sizeof state, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu", (unsigned long long)within_ms * 1000);
	notify(state);
}
