/* stream.c - a stream from its beginning (accepted or connected) through its work in each round of the loop to its end. */
#include "stream.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static void on_connected(uv_connect_t *request, int status);
static void on_handle_closed(uv_handle_t *h);

/* A Unix socket's peer has no address: "local". An IPv4-mapped IPv6 address is shown as IPv4. IPv4 and IPv6 addresses have their
 * port in the same place. */
void stream_set_peer(struct stream *st, const struct sockaddr *address)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->sa_family == AF_UNIX) {
		st->port = 0;
		memcpy(st->address, "local", sizeof "local");
		return;
	}
	st->port = ntohs(((const struct sockaddr_in *)address)->sin_port);
	if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six))
		inet_ntop(AF_INET, six->s6_addr + 12, st->address, sizeof(st->address));
	else
		uv_ip_name(address, st->address, sizeof(st->address));
}

/* A stream without a socket. */
static struct stream *stream_new(uv_loop_t *loop, const struct stream_ops *ops, void *ctx)
{
	struct stream *st = NEW(struct stream);

	st->deferred = deferred_join(loop);
	uv_tcp_init(loop, &st->tcp);
	st->tcp.data = st;
	st->parts = 1;
	st->ops = ops;
	st->ctx = ctx;
	list_init(&st->due);
	buf_init(&st->unread, STREAM_CHUNK);
	buf_init(&st->out, STREAM_UNSENT_MAX);
	buf_init(&st->sending, STREAM_UNSENT_MAX);
	buf_init(&st->text, 1024);
	return st;
}

struct stream *stream_accept(uv_loop_t *loop, int fd, const struct stream_ops *ops, void *ctx)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	struct stream *st;
	int r;

	/* A client that has gone already has no address. */
	if (getpeername(fd, (struct sockaddr *)&address, &length) < 0) {
		log_debug(NULL, "connection.vanished", kv("reason", strerror(errno)));
		close(fd);
		return NULL;
	}
	st = stream_new(loop, ops, ctx);
	r = uv_tcp_open(&st->tcp, fd);
	if (r < 0) {
		log_warning(NULL, "connection.dropped", kv("reason", uv_strerror(r)));
		close(fd);
		st->ops = NULL; /* the user does not know this stream */
		stream_close(st);
		return NULL;
	}
	uv_tcp_nodelay(&st->tcp, 1);
	stream_set_peer(st, (const struct sockaddr *)&address);
	st->state = STREAM_OPEN;
	stream_read_start(st);
	return st;
}

/* Give the stream a socket that is bound to `source`. Its port is chosen on connect, so that several connections to different
 * peers can share a port. 0 or a negative uv code. */
static int bind_source(struct stream *st, const struct sockaddr *source)
{
	socklen_t size = source->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(source->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one); /* without this fewer connections are possible */
	error = bind(fd, source, size) < 0 ? -errno : uv_tcp_open(&st->tcp, fd);
	if (error < 0)
		close(fd);
	return error;
}

struct stream *stream_connect_from(uv_loop_t *loop, const struct sockaddr *source, const struct sockaddr *address,
				   const struct stream_ops *ops, void *ctx)
{
	struct stream *st = stream_new(loop, ops, ctx);

	stream_set_peer(st, address);
	st->state = STREAM_CONNECTING;
	st->connecting.data = st;
	st->connect_error = source ? bind_source(st, source) : 0;
	if (st->connect_error == 0)
		st->connect_error = uv_tcp_connect(&st->connecting, &st->tcp, address, on_connected);
	if (st->connect_error < 0)
		stream_due(st);
	return st;
}

/* Tell the user that there will be no connection. */
static void report_connect_error(struct stream *st, int error)
{
	stream_set_text(st, "connection to %s port %u failed: %s", st->address, st->port, uv_strerror(error));
	st->state = STREAM_ENDED;
	st->write_error = error;
	if (st->ops->on_connect)
		st->ops->on_connect(st->ctx, st, temp(421, S("4.4.1"), buf_view(&st->text)));
}

/* The kernel's answer to stream_connect_from(). */
static void on_connected(uv_connect_t *request, int status)
{
	struct stream *st = request->data;

	if (st->state == STREAM_CLOSING)
		return;
	if (status < 0) {
		report_connect_error(st, status);
		return;
	}
	uv_tcp_nodelay(&st->tcp, 1);
	st->state = STREAM_OPEN;
	stream_read_start(st);
	stream_due(st);
	if (st->ops->on_connect)
		st->ops->on_connect(st->ctx, st, ok());
}

/* Have stream_attend() called in this round of the loop; not for a stream that is being closed, which is on no list. */
void stream_due(struct stream *st)
{
	if (st->state != STREAM_CLOSING)
		deferred_add(st->deferred, &st->due);
}

/* Called by deferred.c: do the stream's work before the loop waits again. Each step can close the stream. */
void stream_attend(struct stream *st)
{
	if (st->state == STREAM_CONNECTING && st->connect_error < 0) {
		report_connect_error(st, st->connect_error);
		return;
	}
	if (st->state == STREAM_FINISHING) {
		stream_finish_step(st);
		return;
	}
	if (st->tls && st->tls->fault.class != OK && st->state == STREAM_OPEN) {
		stream_tls_fail(st, st->tls->fault);
		return;
	}
	stream_flush(st);
	if (st->owes_drain && !st->write_error && stream_pending(st) == 0 && st->state != STREAM_CONNECTING) {
		st->owes_drain = false;
		if (st->ops->on_drain)
			st->ops->on_drain(st->ctx, st);
	}
	if (st->state == STREAM_OPEN && st->resumed)
		stream_offer_again(st);
	if (st->state != STREAM_OPEN || st->end_in == 0)
		return;
	if (--st->end_in == 0)
		stream_end(st, str_of(uv_strerror(st->write_error)));
	else
		stream_due(st);
}

/* The text of the next verdict or reason; it lives until the next one. */
void stream_set_text(struct stream *st, const char *format, ...)
{
	va_list arguments;

	buf_clear(&st->text);
	va_start(arguments, format);
	buf_vprintf(&st->text, format, arguments);
	va_end(arguments);
}

/* The input has ended: report it once, by the callback for this state. */
void stream_end(struct stream *st, struct str why)
{
	if (st->state != STREAM_OPEN)
		return;
	uv_read_stop((uv_stream_t *)&st->tcp);
	if (st->tls && !st->tls->done) {
		stream_set_text(st, "TLS handshake: %.*s", STR_ARG(why.n ? why : S("the peer ended the connection")));
		stream_tls_fail(st, temp(421, S("4.7.5"), buf_view(&st->text)));
		return;
	}
	st->state = STREAM_ENDED;
	if (st->ops->on_end)
		st->ops->on_end(st->ctx, st, why);
}

void stream_close(struct stream *st)
{
	if (st->state == STREAM_CLOSING)
		return;
	st->state = STREAM_CLOSING;
	list_remove(&st->due);
	uv_close((uv_handle_t *)&st->tcp, on_handle_closed);
	if (st->has_limit)
		uv_close((uv_handle_t *)&st->limit, on_handle_closed);
}

/* The stream is freed when its last handle is closed, since callbacks can look at it until then. */
static void on_handle_closed(uv_handle_t *h)
{
	struct stream *st = h->data;

	if (--st->parts > 0)
		return;
	if (st->ops && st->ops->on_closed)
		st->ops->on_closed(st->ctx, st);
	stream_tls_free(st);
	stream_wipe(&st->unread);
	buf_fini(&st->out);
	buf_fini(&st->sending);
	buf_fini(&st->text);
	deferred_leave(st->deferred);
	free(st);
}

struct str stream_peer_address(const struct stream *st)
{
	return str_of(st->address);
}

int stream_descriptor(const struct stream *st)
{
	uv_os_fd_t fd = -1;

	uv_fileno((const uv_handle_t *)&st->tcp, &fd);
	return fd;
}
