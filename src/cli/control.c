/* control.c - a synchronous call over the control socket. */
#include "posthouse/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct control {
	int fd;
	uint64_t last_call;
	char datagram[IPC_DATAGRAM_MAX];
};

static const char *send_message(struct control *c, enum msg_type type, uint64_t call, const void *message)
{
	struct buf b;
	ssize_t n = -1;

	buf_init(&b, IPC_DATAGRAM_MAX);
	if (ipc_encode(&b, type, call, message))
		n = send(c->fd, b.p + b.from, b.n, MSG_NOSIGNAL);
	buf_fini(&b);
	return n < 0 ? "the relay does not take the request" : NULL;
}

/* The next message of the relay; NULL: *why_out. */
static union ipc_message *receive_message(struct control *c, struct arena *a, enum msg_type *type_out, const char **why_out)
{
	union ipc_message *m;
	ssize_t n;

	do
		n = recv(c->fd, c->datagram, sizeof c->datagram, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		*why_out = n == 0 ? "the relay closed the control connection (are you allowed to use it?)"
				  : "no answer from the relay";
		return NULL;
	}
	/* the views must outlive the next datagram */
	if (!ipc_decode(a, arena_str(a, str_make(c->datagram, (size_t)n)), ROLE_CONSOLE, ROLE_CLI, false, type_out, &m)) {
		*why_out = "the running relay speaks another version: restart it after the upgrade";
		return NULL;
	}
	return m;
}

static const char *greet(struct control *c)
{
	struct msg_hello hello = { .role = ROLE_CLI, .incarnation = 1, .table_hash = ipc_table_hash() };
	struct arena a = { 0 };
	enum msg_type type;
	const char *why = send_message(c, MSG_hello, 0, &hello);
	union ipc_message *m = why ? NULL : receive_message(c, &a, &type, &why);

	if (m && (type != MSG_hello || m->hello.table_hash != hello.table_hash))
		why = "the running relay speaks another version: restart it after the upgrade";
	arena_fini(&a);
	return why;
}

struct control *control_open(struct str socket_path, const char **why_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 60 };
	struct control *c;
	int fd, error;

	if (socket_path.n >= sizeof address.sun_path) {
		*why_out = "the path of the control socket is too long";
		errno = ENAMETOOLONG;
		return NULL;
	}
	memcpy(address.sun_path, socket_path.p, socket_path.n);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		error = errno;
		*why_out = strerror(error);
		if (fd >= 0)
			close(fd);
		errno = error;
		return NULL;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	c = NEW(struct control);
	c->fd = fd;
	*why_out = greet(c);
	if (*why_out) {
		control_close(c);
		errno = EPROTO;
		return NULL;
	}
	return c;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	close(c->fd);
	free(c);
}

bool control_call(struct control *c, enum msg_type request, const void *message, enum msg_type reply, struct arena *a,
		  union ipc_message **reply_out, const char **why_out)
{
	uint64_t call = ++c->last_call;
	enum msg_type type;

	*why_out = send_message(c, request, call, message);
	while (!*why_out) {
		*reply_out = receive_message(c, a, &type, why_out);
		if (*reply_out && type == reply && (*reply_out)->call == call)
			return true;
	}
	return false;
}
