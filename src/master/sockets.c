/* sockets.c - the lock of the state directory, the listening sockets and the control socket. */
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define LOCK_WAIT_MS 10000

/* Make a directory for the run_as user if it is not there. */
static void make_directory(struct master *m, const char *path, mode_t mode)
{
	if (mkdir(path, mode) != 0) {
		if (errno != EEXIST)
			die(EX_CANTCREAT, "cannot make the directory %s: %s", path, strerror(errno));
		return;
	}
	if (m->drop && chown(path, m->uid, m->gid) != 0)
		die(EX_CANTCREAT, "cannot give %s to its user: %s", path, strerror(errno));
}

void lock_state_dir(struct master *m)
{
	struct arena *a = &m->config->arena;
	const char *directory = arena_cstr(a, m->config->state_dir);
	const char *path = arena_cstr(a, arena_printf(a, "%s/lock", directory));
	uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;

	make_directory(m, directory, 0700);
	m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock_fd < 0)
		die(errno == EACCES || errno == EROFS ? EX_CONFIG : EX_CANTCREAT, "%s: state_dir is not writable: %s", directory,
		    strerror(errno));
	if (m->drop && fchown(m->lock_fd, m->uid, m->gid) != 0)
		die(EX_CANTCREAT, "cannot give %s to its user: %s", path, strerror(errno));
	/* The roles of an earlier instance hold it until the last of them has ended. */
	while (flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			die(EX_OSERR, "cannot lock %s: %s", path, strerror(errno));
		if (clock_mono_ms() > until)
			die(EX_TEMPFAIL, "%s is in use by another instance (its lock was not free within 10 s)", directory);
		usleep(50 * 1000);
	}
}

/* One try without SO_REUSEPORT finds out whether anybody else has the port: with it, we would silently share. */
static void probe_port(const struct cfg_listen *l, struct arena *a)
{
	struct verdict why;
	int fds[2];
	size_t n = 0;

	why = listener_open(l->address, (unsigned)l->port, false, a, fds, &n);
	if (why.class != OK)
		die(EX_UNAVAILABLE, "cannot listen on port %u: %.*s", (unsigned)l->port, STR_ARG(why.text));
	while (n > 0)
		close(fds[--n]);
}

static void open_listeners(struct master *m)
{
	struct config *c = m->config;

	m->listeners = xcalloc(m->workers * c->listen_n * 2, sizeof *m->listeners); /* outlives this configuration */
	m->listener_of = xcalloc(c->listen_n * 2, sizeof *m->listener_of);
	for (size_t i = 0; i < c->listen_n; i++)
		probe_port(&c->listen[i], &c->arena);
	for (unsigned worker = 0; worker < m->workers; worker++) {
		size_t at = 0;

		for (size_t i = 0; i < c->listen_n; i++) {
			int fds[2];
			size_t n = 0;
			struct verdict why =
				listener_open(c->listen[i].address, (unsigned)c->listen[i].port, true, &c->arena, fds, &n);

			if (why.class != OK)
				die(EX_UNAVAILABLE, "cannot listen on port %u: %.*s", (unsigned)c->listen[i].port,
				    STR_ARG(why.text));
			for (size_t k = 0; k < n; k++) {
				m->listener_of[at] = (unsigned)i;
				m->listeners[worker * c->listen_n * 2 + at++] = fds[k];
			}
		}
		m->sockets_n = at;
	}
}

void close_listeners(struct master *m)
{
	for (unsigned worker = 0; m->listeners && worker < m->workers; worker++)
		for (size_t i = 0; i < m->sockets_n; i++)
			close(m->listeners[worker * m->config->listen_n * 2 + i]);
	free(m->listeners);
	free(m->listener_of);
	m->listeners = NULL;
	m->listener_of = NULL;
}

static struct sockaddr_un control_address(struct master *m)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (m->config->control.n >= sizeof address.sun_path)
		die(EX_CONFIG, "the path of the control socket is longer than %zu bytes", sizeof address.sun_path - 1);
	memcpy(address.sun_path, m->config->control.p, m->config->control.n);
	return address;
}

/* We hold the lock, so a socket that is there is a dead instance's. */
static void open_control(struct master *m)
{
	struct sockaddr_un address = control_address(m);
	size_t slash = str_rfind(m->config->control, '/');

	if (slash > 0 && slash < m->config->control.n)
		make_directory(m, arena_cstr(&m->config->arena, str_head(m->config->control, slash)), 0755);
	unlink(address.sun_path);
	m->control_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->control_fd < 0)
		die(EX_OSERR, "control socket: %s", strerror(errno));
	umask(0177);
	if (bind(m->control_fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(m->control_fd, 16) != 0)
		die(EX_CANTCREAT, "cannot make the control socket %s: %s", address.sun_path, strerror(errno));
	umask(0077);
	if (m->drop && chown(address.sun_path, m->uid, m->gid) != 0)
		die(EX_CANTCREAT, "cannot give %s to its user: %s", address.sun_path, strerror(errno));
}

void open_sockets(struct master *m)
{
	open_listeners(m);
	open_control(m);
}

void remove_control_socket(struct master *m)
{
	struct sockaddr_un address = control_address(m);

	unlink(address.sun_path);
}
