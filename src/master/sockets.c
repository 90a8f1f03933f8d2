/* sockets.c - the lock of the state directory, the listening sockets and the control socket. */
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

#define LOCK_WAIT_MS    10000
#define CONTROL_BACKLOG 64

/* Create the state directory for the run_as user if it is missing. */
static void make_state_dir(struct master *m, const char *path)
{
	int error = directory_make_for(path, m->uid, m->gid);

	if (error)
		die(EX_CANTCREAT, "cannot make the directory %s: %s", path, strerror(error));
}

/* The run_as user can write to the state directory. root opens the lock as that user: then a link to another file gives no more
 * rights. */
static int open_lock(struct master *m, const char *path)
{
	int fd = m->drop ? directory_open_file_as(path, m->uid, m->gid)
			 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		die(errno == EACCES || errno == EROFS ? EX_CONFIG : EX_CANTCREAT,
		    "%s: the lock of state_dir cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		die(EX_CANTCREAT, "%s: expected a regular file with one link: remove it", path);
	return fd;
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

/* Create the directory of the control socket if it is missing (it belongs to root: nobody else writes there), and keep it open:
 * all later work in it uses this descriptor, so nobody can exchange the directory. */
static void open_control_dir(struct master *m)
{
	struct arena *a = &m->config->arena;
	struct str path = m->config->control;
	size_t slash = str_rfind(path, '/');
	const char *directory = slash == 0 ? "/" : arena_cstr(a, str_head(path, slash));

	if (path.n >= sizeof((struct sockaddr_un *)0)->sun_path)
		die(EX_CONFIG, "the path of the control socket is longer than %zu bytes",
		    sizeof((struct sockaddr_un *)0)->sun_path - 1);
	umask(0022);
	if (mkdir(directory, 0755) != 0 && errno != EEXIST)
		die(EX_CANTCREAT, "cannot make the directory %s: %s", directory, strerror(errno));
	umask(0077);
	m->control_dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->control_dir_fd < 0)
		die(EX_CANTCREAT, "%s: %s", directory, strerror(errno));
	path = str_from(path, slash + 1);
	m->control_name = xcalloc(path.n + 1, 1);
	memcpy(m->control_name, path.p, path.n);
}

/* Bind relative to the open directory. Everybody can connect, because console asks the kernel who the client is: so owner and
 * mode of the socket need no change, which would be unsafe where others can exchange the file. */
static int bind_control(struct master *m)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), result = -1, error;

	memcpy(address.sun_path, m->control_name, strlen(m->control_name));
	if (here >= 0 && fchdir(m->control_dir_fd) == 0) {
		umask(0111);
		result = bind(m->control_fd, (struct sockaddr *)&address, sizeof address);
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

/* This instance has the lock, so an existing socket was left by an instance that has ended. */
static void open_control(struct master *m)
{
	struct stat st;

	open_control_dir(m);
	if (fstatat(m->control_dir_fd, m->control_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		unlinkat(m->control_dir_fd, m->control_name, 0);
	m->control_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (m->control_fd < 0)
		die(EX_OSERR, "control socket: %s", strerror(errno));
	if (bind_control(m) != 0 || listen(m->control_fd, CONTROL_BACKLOG) != 0)
		die(EX_CANTCREAT, "cannot make the control socket %.*s: %s", STR_ARG(m->config->control), strerror(errno));
}

void open_sockets(struct master *m)
{
	open_listeners(m);
	open_control(m);
}

void remove_control_socket(struct master *m)
{
	unlinkat(m->control_dir_fd, m->control_name, 0);
	close(m->control_dir_fd);
	free(m->control_name);
}
