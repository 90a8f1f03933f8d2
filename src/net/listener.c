/* listener.c - listening sockets: opened by master, served by the role that inherited them.
 *
 * Accepting is done here and not by libuv, which closes waiting clients when descriptors run out. We leave them in the
 * kernel's queue. */
#include "stream.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG        1024
#define ACCEPT_AT_ONCE 32 /* then other work gets its turn; the socket stays readable */
#define STARVED_MS     250

struct listener {
	uv_poll_t poll;
	uv_timer_t retry;
	int fd;
	bool starved, closing;
	bool warned; /* a lack of descriptors was logged; reset when a client is accepted */
	unsigned parts;
	void (*on_connection)(void *ctx, int fd);
	void *ctx;
};

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_retry(uv_timer_t *timer);
static void on_listener_part_closed(uv_handle_t *h);

/* One bound and listening socket, or a negative errno. */
static int open_one(const struct sockaddr *address, bool reuseport)
{
	socklen_t length = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    (!reuseport || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
	    (address->sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
	    bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* The port a socket was given, for "*" with port 0. */
static unsigned bound_port(int fd)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t length = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
		return 0;
	return ntohs(name.sin6_port); /* the port is at the same place in both families */
}

static struct verdict open_fault(struct arena *a, const char *address, unsigned port, int error)
{
	return perm((uint16_t)-error, S(""), arena_printf(a, "cannot listen on %s port %u: %s", address, port, strerror(-error)));
}

/* Both families, or the one that this machine has. */
static struct verdict open_any(unsigned port, bool reuseport, struct arena *a, int fds_out[2], size_t *n_out)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	int fd;

	uv_ip6_addr("::", (int)port, &six);
	fd = open_one((const struct sockaddr *)&six, reuseport);
	if (fd >= 0)
		fds_out[(*n_out)++] = fd;
	else if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
		return open_fault(a, "[::]", port, fd);
	if (port == 0 && *n_out == 1)
		port = bound_port(fds_out[0]);
	uv_ip4_addr("0.0.0.0", (int)port, &four);
	fd = open_one((const struct sockaddr *)&four, reuseport);
	if (fd >= 0) {
		fds_out[(*n_out)++] = fd;
		return ok();
	}
	if (*n_out == 1) {
		if (fd == -EAFNOSUPPORT)
			return ok();
		close(fds_out[0]);
		*n_out = 0;
	}
	return open_fault(a, "0.0.0.0", port, fd);
}

struct verdict listener_open(struct str address, unsigned port, bool reuseport, struct arena *a, int fds_out[2], size_t *n_out)
{
	struct sockaddr_storage where;
	const char *z = arena_cstr(a, address);
	int fd;

	*n_out = 0;
	if (port > 65535)
		return open_fault(a, z, port, -EINVAL);
	if (str_eq(address, S("*")))
		return open_any(port, reuseport, a, fds_out, n_out);
	if (uv_ip4_addr(z, (int)port, (struct sockaddr_in *)&where) != 0 &&
	    uv_ip6_addr(z, (int)port, (struct sockaddr_in6 *)&where) != 0)
		return perm(0, S(""), arena_printf(a, "cannot listen on %s: neither \"*\" nor an IPv4 or IPv6 address", z));
	fd = open_one((const struct sockaddr *)&where, reuseport);
	if (fd < 0)
		return open_fault(a, z, port, fd);
	fds_out[0] = fd;
	*n_out = 1;
	return ok();
}

/* Start or stop polling, as the listener's state needs. */
static void listener_set(struct listener *l)
{
	if (l->closing)
		return;
	if (l->starved)
		uv_poll_stop(&l->poll);
	else
		uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

struct listener *listener_serve(uv_loop_t *loop, int fd, void (*on_connection)(void *ctx, int fd), void *ctx)
{
	struct listener *l = NEW(struct listener);
	int r;

	l->fd = fd;
	l->on_connection = on_connection;
	l->ctx = ctx;
	r = uv_poll_init(loop, &l->poll, fd);
	if (r < 0) {
		log_error(NULL, "listener.failed", kv("reason", uv_strerror(r)));
		close(fd);
		free(l);
		return NULL;
	}
	uv_timer_init(loop, &l->retry);
	l->poll.data = l->retry.data = l;
	l->parts = 2;
	listener_set(l);
	return l;
}

/* No descriptor or memory for another client: clients wait, and accepting is tried again soon. */
static void listener_starve(struct listener *l, int error)
{
	if (!l->warned)
		log_warning(NULL, "listener.starved", kv("reason", strerror(error)));
	l->warned = true;
	l->starved = true;
	listener_set(l);
	uv_timer_start(&l->retry, on_retry, STARVED_MS, 0);
}

/* Clients are waiting. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;

	for (int i = 0; i < ACCEPT_AT_ONCE && !l->closing; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				listener_starve(l, errno);
			/* accept(2) also reports pending errors of the new socket, which concern only that client. */
			return;
		}
		l->warned = false;
		l->on_connection(l->ctx, fd);
	}
}

/* Try again: descriptors can be free now. */
static void on_retry(uv_timer_t *timer)
{
	struct listener *l = timer->data;

	l->starved = false;
	listener_set(l);
}

void listener_close(struct listener *l)
{
	if (l->closing)
		return;
	l->closing = true;
	uv_close((uv_handle_t *)&l->poll, on_listener_part_closed);
	uv_close((uv_handle_t *)&l->retry, on_listener_part_closed);
}

static void on_listener_part_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->parts > 0)
		return;
	close(l->fd);
	free(l);
}

uint64_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return soft;
	}
	return limit.rlim_cur;
}
