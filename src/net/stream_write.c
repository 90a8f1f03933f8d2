/* stream_write.c - from stream_write() to the socket: bytes are gathered until the end of the round, then written together. */
#include "stream.h"

#include "posthouse/secret.h"

#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void on_written(uv_write_t *request, int status);
static void on_shut_down(uv_shutdown_t *request, int status);
static void on_finish_limit(uv_timer_t *timer);

void stream_wipe(struct buf *b)
{
	if (b->n > 0)
		wipe(b->p + b->from, b->n);
	buf_release(b);
}

/* Append to the bytes that TLS will encrypt; when the buffer must move, its old memory is wiped. */
static bool add_plain(struct buf *b, struct str bytes)
{
	struct buf larger;

	if (b->from + b->n + bytes.n <= b->capacity)
		return buf_add(b, bytes);
	buf_init(&larger, b->max);
	if (b->n > b->max || bytes.n > b->max - b->n || !buf_reserve(&larger, b->n + bytes.n))
		return false;
	buf_add(&larger, buf_view(b));
	buf_add(&larger, bytes);
	stream_wipe(b);
	*b = larger;
	return true;
}

/* Writing has failed. The end is reported a little later, since the peer's last bytes often tell the reason. */
void stream_write_failed(struct stream *st, int error)
{
	buf_release(&st->out);
	if (st->tls)
		stream_wipe(&st->tls->plain);
	if (st->write_error == 0)
		st->write_error = error;
	st->end_in = st->paused ? 1 : 2;
	stream_due(st);
}

void stream_write(struct stream *st, struct str bytes)
{
	struct buf *to = st->tls ? &st->tls->plain : &st->out;

	if (st->state >= STREAM_FINISHING || st->write_error || bytes.n == 0)
		return;
	if (!(st->tls ? add_plain(to, bytes) : buf_add(to, bytes))) {
		stream_write_failed(st, UV_ENOBUFS);
		return;
	}
	st->owes_drain = true;
	stream_due(st);
	if (to->n >= STREAM_CHUNK)
		stream_flush(st);
}

size_t stream_pending(const struct stream *st)
{
	return st->out.n + st->tcp.write_queue_size + (st->tls ? st->tls->plain.n : 0);
}

/* SIOCOUTQ, where the first is not known (gVisor), also counts what the peer has not acknowledged. */
size_t stream_unsent(const struct stream *st)
{
	int fd = stream_descriptor(st), n = 0;

	if (ioctl(fd, SIOCOUTQNSD, &n) != 0 && ioctl(fd, SIOCOUTQ, &n) != 0)
		return 0; /* there is no connection any more */
	return n > 0 ? (size_t)n : 0;
}

void stream_limit_silence(struct stream *st, uint64_t ms)
{
	unsigned value = ms < INT_MAX ? (unsigned)ms : INT_MAX;

	setsockopt(stream_descriptor(st), IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value); /* fails: it has ended already */
}

/* Try to write `out` at once; the rest is written when the kernel has room. */
static void send_out(struct stream *st)
{
	struct str bytes = buf_view(&st->out);
	uv_buf_t piece = uv_buf_init((char *)bytes.p, (unsigned)bytes.n);
	int r = uv_try_write((uv_stream_t *)&st->tcp, &piece, 1);

	if (r < 0 && r != UV_EAGAIN) {
		stream_write_failed(st, r);
		return;
	}
	if (r > 0)
		buf_consume(&st->out, (size_t)r);
	if (st->out.n == 0) {
		buf_release(&st->out);
		return;
	}
	st->sending = st->out;
	buf_init(&st->out, STREAM_UNSENT_MAX);
	bytes = buf_view(&st->sending);
	piece = uv_buf_init((char *)bytes.p, (unsigned)bytes.n);
	st->writing.data = st;
	r = uv_write(&st->writing, (uv_stream_t *)&st->tcp, &piece, 1, on_written);
	if (r < 0) {
		buf_release(&st->sending);
		stream_write_failed(st, r);
	}
}

/* Write as much as possible now. Bytes are encrypted only as fast as the kernel takes the result. */
void stream_flush(struct stream *st)
{
	if (st->state == STREAM_CONNECTING || st->state == STREAM_CLOSING)
		return;
	while (st->sending.n == 0 && !st->write_error) {
		if (st->tls && st->out.n < STREAM_CHUNK)
			stream_tls_encrypt(st);
		if (st->tls && st->state == STREAM_FINISHING && st->tls->plain.n == 0)
			stream_tls_shutdown(st);
		if (st->out.n == 0)
			return;
		send_out(st);
	}
}

/* The kernel has taken the bytes that waited. */
static void on_written(uv_write_t *request, int status)
{
	struct stream *st = request->data;

	if (st->state == STREAM_CLOSING)
		return;
	buf_release(&st->sending);
	if (status < 0)
		stream_write_failed(st, status);
	stream_due(st);
}

void stream_finish(struct stream *st)
{
	if (st->state >= STREAM_FINISHING)
		return;
	if (st->state == STREAM_CONNECTING || st->write_error) {
		stream_close(st);
		return;
	}
	st->state = STREAM_FINISHING;
	if (st->tls && !st->tls->done)
		stream_wipe(&st->tls->plain); /* there is no key to encrypt it with */
	st->limit.data = st;
	uv_timer_init(st->tcp.loop, &st->limit);
	st->has_limit = true;
	st->parts++;
	uv_timer_start(&st->limit, on_finish_limit, STREAM_FINISH_MS, 0);
	/* Closing a socket with unread bytes resets the connection, and the peer can lose our last bytes. So the input is read
	 * and thrown away. */
	stream_read_start(st);
	stream_due(st);
}

/* The next step of stream_finish(): all written and close_notify, then our end of the connection; the peer's end comes last. */
void stream_finish_step(struct stream *st)
{
	stream_flush(st);
	if (st->write_error) {
		stream_close(st);
		return;
	}
	if (stream_pending(st) > 0 || st->shutdown_begun)
		return;
	st->shutdown_begun = true;
	st->shutting.data = st;
	if (uv_shutdown(&st->shutting, (uv_stream_t *)&st->tcp, on_shut_down) < 0)
		stream_close(st);
}

/* Our end was sent. Now the stream waits for the peer's end, or for the time limit. */
static void on_shut_down(uv_shutdown_t *request, int status)
{
	struct stream *st = request->data;

	if (st->state == STREAM_CLOSING)
		return;
	st->shutdown_done = true;
	if (status < 0 || st->peer_ended)
		stream_close(st);
}

static void on_finish_limit(uv_timer_t *timer)
{
	stream_close(timer->data);
}
