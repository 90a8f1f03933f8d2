/* stream_read.c - from the socket to on_input, and back-pressure: reading stops when the user does not take all bytes. */
#include "stream.h"

#include <assert.h>

/* All streams read into this one buffer, since libuv calls back directly after each read; so an idle session holds no buffer, and
 * all streams of a process must belong to one thread. */
static char wire[STREAM_CHUNK];

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buffer_out)
{
	*buffer_out = uv_buf_init(wire, sizeof(wire));
}

/* No more bytes come from the socket: an orderly end, or an error. */
static void input_ended(struct stream *st, int error)
{
	st->peer_ended = true;
	if (st->state == STREAM_FINISHING) {
		if (error != UV_EOF || st->shutdown_done)
			stream_close(st);
		return;
	}
	/* After a failed write the end is its consequence. A missing close_notify does no harm: SMTP itself marks the end of a
	 * message. */
	if (error == UV_EOF)
		error = st->write_error;
	stream_end(st, error ? str_of(uv_strerror(error)) : S(""));
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buffer)
{
	struct stream *st = h->data;

	if (st->state == STREAM_CLOSING || n == 0)
		return;
	if (n < 0) {
		uv_read_stop(h);
		input_ended(st, (int)n);
		return;
	}
	if (st->state == STREAM_FINISHING && (st->thrown_away += (size_t)n) > STREAM_FINISH_BYTES) {
		stream_close(st); /* a peer that keeps sending does not read our last bytes */
		return;
	}
	if (st->state != STREAM_OPEN)
		return;
	if (st->tls)
		stream_tls_input(st, str_make(wire, (size_t)n));
	else
		stream_offer(st, str_make(wire, (size_t)n));
}

/* Read from the socket; a failure is reported like an error of the connection. */
void stream_read_start(struct stream *st)
{
	int r;

	if (st->peer_ended)
		return;
	r = uv_read_start((uv_stream_t *)&st->tcp, on_alloc, on_read);
	if (r < 0 && r != UV_EALREADY && st->write_error == 0) {
		st->write_error = r;
		st->end_in = 1;
		stream_due(st);
	}
}

/* Offer bytes to the user; the rest is kept, and reading stops. True: all were taken, and the stream is open as before. */
bool stream_offer(struct stream *st, struct str bytes)
{
	struct stream_tls *tls = st->tls;
	size_t taken;

	taken = st->ops->on_input(st->ctx, st, bytes);
	assert(taken <= bytes.n);
	if (st->state != STREAM_OPEN)
		return false;
	if (st->tls != tls) {
		/* RFC 3207 section 4.2: TLS was begun, the rest of the clear text is discarded; or it is TLS already */
		if (st->tls->behind && taken < bytes.n)
			stream_tls_input(st, str_from(bytes, taken));
		return false;
	}
	if (taken == bytes.n)
		return true;
	buf_add(&st->unread, str_from(bytes, taken)); /* fits: never more than a chunk is offered at once */
	st->paused = true;
	uv_read_stop((uv_stream_t *)&st->tcp);
	return false;
}

void stream_resume(struct stream *st)
{
	if (st->state != STREAM_OPEN && st->state != STREAM_CONNECTING)
		return;
	st->resumed = true;
	stream_due(st);
}

/* After stream_resume(): offer the rest first, then what TLS holds, then read from the socket. */
void stream_offer_again(struct stream *st)
{
	struct buf left;
	bool all = true;

	st->resumed = false;
	if (!st->paused)
		return;
	st->paused = false;
	left = st->unread;
	buf_init(&st->unread, STREAM_CHUNK);
	if (left.n > 0)
		all = stream_offer(st, buf_view(&left));
	stream_wipe(&left);
	if (all && st->tls)
		stream_tls_continue(st);
	if (st->state == STREAM_OPEN && !st->paused)
		stream_read_start(st);
}
