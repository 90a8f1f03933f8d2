/* control.c - a synchronous call over the control socket. */
#include "posthouse/control.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS   130000 /* more than any of these calls has (messages.def) */
#define GREETING_MS 10000  /* which the relay has nothing to wait for */

static const char other_build[] = "the running relay speaks another version: restart it after the upgrade";

struct control {
	int fd;
	uint64_t until_mono; /* monotonic ms: the deadline of the whole dialogue; 0: each answer has its own deadline */
	uint64_t last_call;
	char datagram[IPC_DATAGRAM_MAX];
};

/* fd: goes along; -1: none. */
static ssize_t send_datagram(int to, struct str bytes, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { .iov_base = (char *)(uintptr_t)bytes.p, .iov_len = bytes.n };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *head;

		m.msg_control = room;
		m.msg_controllen = sizeof room;
		head = CMSG_FIRSTHDR(&m);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(head), &fd, sizeof fd);
	}
	return sendmsg(to, &m, MSG_NOSIGNAL);
}

static const char *send_message(struct control *c, enum msg_type type, uint64_t call, const void *message, int fd)
{
	struct buf b;
	ssize_t n = -1;

	buf_init(&b, IPC_DATAGRAM_MAX);
	if (ipc_encode(&b, type, call, message))
		n = send_datagram(c->fd, str_make(b.p + b.from, b.n), fd);
	buf_fini(&b);
	return n < 0 ? "the relay does not take the request" : NULL;
}

static int left_ms(const struct control *c)
{
	uint64_t now = clock_mono_ms();

	if (c->until_mono == 0)
		return ANSWER_MS;
	return now < c->until_mono ? (int)(c->until_mono - now) : 0;
}

/* Receive one datagram. -1 with errno; ETIMEDOUT: the deadline has passed. */
static ssize_t receive_datagram(struct control *c)
{
	struct pollfd poll_fd = { .fd = c->fd, .events = POLLIN };
	int ready;

	do
		ready = poll(&poll_fd, 1, left_ms(c));
	while (ready < 0 && errno == EINTR);
	if (ready <= 0) {
		errno = ready == 0 ? ETIMEDOUT : errno;
		return -1;
	}
	return recv(c->fd, c->datagram, sizeof c->datagram, 0);
}

/* The next message of the relay; NULL: *why_out, and errno is EACCES when it has closed the connection. */
union ipc_message *control_next(struct control *c, struct arena *a, enum msg_type *type_out, const char **why_out)
{
	ssize_t n = receive_datagram(c);
	union ipc_message *m;

	if (n <= 0) {
		bool closed = n == 0 || errno == ECONNRESET;

		*why_out = closed ? "the relay closed the control connection: only root, its own user and the group "
				    "posthouse-admin are let in"
				  : "no answer from the relay";
		errno = closed ? EACCES : ETIMEDOUT;
		return NULL;
	}
	/* the views must outlive the next datagram */
	if (!ipc_decode(a, arena_str(a, str_make(c->datagram, (size_t)n)), ROLE_CONSOLE, ROLE_CLI, false, type_out, &m)) {
		*why_out = other_build;
		errno = EPROTO;
		return NULL;
	}
	return m;
}

/* NULL, or the reason of the failure, with errno. The relay sends its hello first; a client that is not allowed can find the
 * connection closed already. */
static const char *greet(struct control *c)
{
	struct msg_hello hello = { .role = ROLE_CLI, .incarnation = 1, .table_hash = ipc_table_hash() };
	struct arena a = { 0 };
	enum msg_type type;
	const char *why = NULL;
	union ipc_message *m;

	(void)send_message(c, MSG_hello, 0, &hello, -1);
	m = control_next(c, &a, &type, &why);
	if (m && (type != MSG_hello || m->hello.table_hash != hello.table_hash)) {
		why = other_build;
		errno = EPROTO;
	}
	arena_fini(&a);
	return why;
}

/* A connected socket, or -1 with errno. */
static int connect_to(struct str socket_path, uint64_t limit_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = (time_t)(limit_ms / 1000), .tv_usec = (suseconds_t)(limit_ms % 1000) * 1000 };
	int fd, error;

	if (socket_path.n >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, socket_path.p, socket_path.n);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* also for connect(), which waits while the relay has too many new connections */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	error = errno == EAGAIN ? ETIMEDOUT : errno;
	close(fd);
	errno = error;
	return -1;
}

struct control *control_open(struct str socket_path, uint64_t within_ms, const char **why_out)
{
	uint64_t within = within_ms ? within_ms : GREETING_MS;
	int fd = connect_to(socket_path, within), error;
	struct control *c;

	if (fd < 0) {
		*why_out = strerror(errno);
		return NULL;
	}
	c = NEW(struct control);
	c->fd = fd;
	c->until_mono = clock_mono_ms() + within;
	*why_out = greet(c);
	if (within_ms == 0)
		c->until_mono = 0;
	if (!*why_out)
		return c;
	error = errno;
	control_close(c);
	errno = error;
	return NULL;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c);
}

uint64_t control_send(struct control *c, enum msg_type request, const void *message, const char **why_out)
{
	*why_out = send_message(c, request, ++c->last_call, message, -1);
	return *why_out ? 0 : c->last_call;
}

bool control_call(struct control *c, enum msg_type request, const void *message, enum msg_type reply, struct arena *a,
		  union ipc_message **reply_out, const char **why_out)
{
	return control_call_with(c, request, message, -1, reply, a, reply_out, why_out);
}

bool control_call_with(struct control *c, enum msg_type request, const void *message, int fd, enum msg_type reply,
		       struct arena *a, union ipc_message **reply_out, const char **why_out)
{
	uint64_t call = ++c->last_call;
	enum msg_type type;

	*why_out = send_message(c, request, call, message, fd);
	while (!*why_out && (*reply_out = control_next(c, a, &type, why_out)))
		if (type == reply && (*reply_out)->call == call)
			return true;
	return false;
}
