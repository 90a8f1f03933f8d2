/* sockets.c - the lock of the state directory, the listening sockets, those of metrics, the control socket and the local one. */
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/directory.h"
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
#define UNIX_BACKLOG 128

/* Create the state directory for the run_as user if it is missing. */
static void make_state_dir(struct master *m, const char *path)
{
	const struct user *run_as = &m->users.of[AS_RUN_AS];
	int error = directory_make_for(path, run_as->uid, run_as->gid);

	if (error)
		die(EX_CANTCREAT, "cannot make the directory %s: %s", path, strerror(error));
}

/* The run_as user can write to the state directory. root opens the lock as that user: then a link to another file gives no more
 * rights. */
static int open_lock(struct master *m, const char *path)
{
	int fd = directory_open_file_as(path, m->users.of[AS_RUN_AS].uid, m->users.of[AS_RUN_AS].gid);
	struct stat st;

	if (fd < 0)
		die(errno == EACCES || errno == EROFS ? EX_CONFIG : EX_CANTCREAT,
		    "%s: the lock of state_dir cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		die(EX_CANTCREAT, "%s: expected a regular file with one link: remove it", path);
	return fd;
}

static void settle_state_dir(struct master *m, const char *directory)
{
	struct str left_over;
	const char *at_fault;
	int error = state_dir_settle(directory, &m->users, &m->users_arena, &at_fault);

	if (error)
		die(EX_CANTCREAT, "%s cannot be made ready for its user: %s", at_fault, strerror(error));
	left_over = state_dir_left_over(directory, &m->users_arena);
	if (left_over.n > 0)
		log_warning(NULL, "master.left_over", kv("files", left_over), kv("reason", STATE_DIR_LEFT_OVER));
}

void lock_state_dir(struct master *m)
{
	struct arena *a = &m->config->arena;
	const char *directory = arena_cstr(a, m->config->state_dir);
	const char *path = arena_cstr(a, arena_printf(a, "%s/lock", directory));
	uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;

	make_state_dir(m, directory);
	m->lock_fd = open_lock(m, path);
	/* The roles of an earlier instance keep the lock until the last of them has ended. */
	while (flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			die(EX_OSERR, "cannot lock %s: %s", path, strerror(errno));
		if (clock_mono_ms() > until)
			die(EX_TEMPFAIL, "%s is in use by another instance (its lock was not free within 10 s)", directory);
		usleep(50 * 1000);
	}
	settle_state_dir(m, directory);
}

/* A first bind without SO_REUSEPORT fails when another program has the port. With SO_REUSEPORT both would share it unnoticed. */
static void probe_port(const struct cfg_listen *l, struct arena *a)
{
	struct verdict why;
	int fds[2];
	size_t n = 0;

	why = listener_open(l->address, (unsigned)l->port, false, a, fds, &n);
	if (why.class != OK)
		die(why.code == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "cannot listen on port %u: %.*s", (unsigned)l->port,
		    STR_ARG(why.text));
	while (n > 0)
		close(fds[--n]);
}

static void open_listeners(struct master *m)
{
	struct config *c = m->config;

	m->listeners = xcalloc(m->workers * c->listen_n * 2,
			       sizeof *m->listeners); /* not in the arena of the configuration, which a reload frees */
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

/* ---- Unix sockets: the control socket, and the one for programs of this machine ---- */

/* Create the socket's directory if it is missing (it belongs to root: nobody else writes there), and keep it open: all later work
 * in it uses this descriptor, so nobody can exchange the directory. */
static void open_socket_dir(struct master *m, const char *key, struct str path, struct unix_socket *s)
{
	struct arena *a = &m->config->arena;
	size_t slash = str_rfind(path, '/');
	const char *directory = slash == 0 ? "/" : arena_cstr(a, str_head(path, slash));

	if (path.n >= sizeof((struct sockaddr_un *)0)->sun_path)
		die(EX_CONFIG, "%s: the path of the socket is longer than %zu bytes", key,
		    sizeof((struct sockaddr_un *)0)->sun_path - 1);
	umask(0022);
	if (mkdir(directory, 0755) != 0 && errno != EEXIST)
		die(EX_CANTCREAT, "%s: cannot make the directory %s: %s", key, directory, strerror(errno));
	umask(0077);
	s->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		die(EX_CANTCREAT, "%s: %s: %s", key, directory, strerror(errno));
	path = str_from(path, slash + 1);
	s->name = str_dup(path);
}

typedef int (*with_address_fn)(int fd, const struct sockaddr *address, socklen_t n);

/* Bind or connect relative to the open directory. Everybody can connect, because the role behind the socket asks the kernel who
 * the client is: so owner and mode of the socket need no change, which would be unsafe where others can exchange the file. */
static int at_socket(const struct unix_socket *s, int fd, with_address_fn call)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), result = -1, error;

	memcpy(address.sun_path, s->name, strlen(s->name));
	if (here >= 0 && fchdir(s->dir_fd) == 0) {
		umask(0111);
		result = call(fd, (struct sockaddr *)&address, sizeof address);
		error = errno;
		umask(0077);
		if (fchdir(here) != 0)
			die(EX_OSERR, "cannot return to the working directory: %s", strerror(errno));
		errno = error;
	}
	if (here >= 0)
		close(here);
	return result;
}

/* Does somebody serve the local socket? Two relays can have their control sockets in one directory. */
static bool is_served(const struct unix_socket *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served = fd >= 0 && (at_socket(s, fd, connect) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return served;
}

static void close_socket(struct unix_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->name);
	*s = (struct unix_socket){ .fd = -1, .dir_fd = -1 };
}

/* What is there already is no socket in use: see the callers. */
static void open_socket(struct master *m, const char *key, int type, struct unix_socket *s)
{
	struct stat st;

	if (fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		unlinkat(s->dir_fd, s->name, 0);
	s->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		die(EX_OSERR, "%s: %s", key, strerror(errno));
	if (at_socket(s, s->fd, bind) != 0 || listen(s->fd, UNIX_BACKLOG) != 0)
		die(EX_CANTCREAT, "%s: cannot make the socket %s: %s", key, s->name, strerror(errno));
}

static void open_local(struct master *m)
{
	struct str path = m->config->local.socket;

	if (path.n == 0)
		return;
	open_socket_dir(m, "local", path, &m->local);
	if (is_served(&m->local)) {
		log_warning(NULL, "socket.taken", kv("path", path));
		close_socket(&m->local);
	} else {
		open_socket(m, "local", SOCK_STREAM, &m->local);
	}
}

/* A second instance is kept away by the lock, so no other program shares the port. */
static void open_metrics(struct master *m)
{
	struct config *c = m->config;
	struct verdict why;
	struct str address;
	unsigned port;

	if (!endpoint_read(c->metrics, &address, &port))
		return;
	why = listener_open(address, port, false, &c->arena, m->metrics_fds, &m->metrics_n);
	if (why.class != OK)
		die(why.code == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "metrics: %.*s", STR_ARG(why.text));
}

void open_sockets(struct master *m)
{
	open_listeners(m);
	open_metrics(m);
	/* This instance has the lock, so a control socket that is there was left by an instance that has ended. */
	open_socket_dir(m, "control", m->config->control, &m->control);
	open_socket(m, "control", SOCK_SEQPACKET, &m->control);
	open_local(m);
}

static void remove_socket(struct unix_socket *s)
{
	if (s->name)
		unlinkat(s->dir_fd, s->name, 0);
	close_socket(s);
}

void close_listeners(struct master *m)
{
	for (unsigned worker = 0; m->listeners && worker < m->workers; worker++)
		for (size_t i = 0; i < m->sockets_n; i++)
			close(m->listeners[worker * m->config->listen_n * 2 + i]);
	while (m->metrics_n > 0)
		close(m->metrics_fds[--m->metrics_n]);
	free(m->listeners);
	free(m->listener_of);
	m->listeners = NULL;
	m->listener_of = NULL;
	remove_socket(&m->local);
}

void remove_control_socket(struct master *m)
{
	remove_socket(&m->control);
}
