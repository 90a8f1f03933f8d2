/* transfer.c - reads the text of a message piece by piece, to send it, or to count and hash it (downgrade.c). A text in a file is
 * read on the thread pool, a chunk at a time, and no faster than the peer takes it. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PENDING_MAX = 256 * 1024, /* with more text that the kernel has not taken, reading the file waits */
};

static void read_more(struct connection *c);
static void on_read(uv_fs_t *request);

/* The fault is that of this machine. The connection is closed, because half a text must not look complete. */
static void unreadable(struct connection *c, const char *why)
{
	struct str text = arena_printf(&c->arena, "the message cannot be read: %s", why);

	log_error(&c->log, "text.unreadable", kv("reason", why), kv("at", c->transfer.at), kv("size_bytes", c->transfer.size));
	connection_break(c, temp(451, S("4.3.0"), text), FAULT_CONNECTION);
}

void transfer_begin(struct connection *c, const struct transfer_ops *ops)
{
	struct delivery *d = c->delivery;
	struct transfer *t = &c->transfer;

	assert(!t->reading);
	t->ops = ops;
	if (d->fd < 0) {
		if (ops->take(c, d->text))
			ops->end(c);
		return;
	}
	t->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0); /* a copy: the thread pool can still use it when the delivery ends */
	t->at = 0;
	t->size = d->size;
	t->waiting = false;
	if (t->fd < 0) {
		unreadable(c, strerror(errno));
		return;
	}
	t->chunk = xmalloc(CHUNK);
	read_more(c);
}

/* Has the peer not taken the text that was sent so far? */
static bool must_wait(const struct connection *c)
{
	return stream_pending(c->stream) > PENDING_MAX || !smtp_client_takes_text(c->client);
}

/* Start the next read; the caller flushes the output. */
static void read_more(struct connection *c)
{
	struct transfer *t = &c->transfer;
	uint64_t left = t->size - t->at;
	uv_buf_t to = uv_buf_init(t->chunk, left < CHUNK ? (unsigned)left : CHUNK);
	int r;

	if (left == 0) {
		t->ops->end(c);
		return;
	}
	if (must_wait(c)) {
		t->waiting = true;
		return;
	}
	t->request.data = c;
	r = uv_fs_read(c->relay->loop, &t->request, t->fd, &to, 1, (int64_t)t->at, on_read);
	if (r < 0) {
		unreadable(c, uv_strerror(r));
		return;
	}
	t->reading = true;
	c->parts++;
}

/* At the end of the first pass the session resumes. */
static void go_on(struct connection *c, bool was_downgrading)
{
	if (was_downgrading && !c->downgrading && c->state == CONNECTION_BUSY) {
		c->relay->ops->resume(c);
		return;
	}
	c->relay->ops->advance(c);
	if (c->state == CONNECTION_BUSY)
		connection_limit(c); /* the wait was for our disk, or the peer has made progress */
}

static void on_read(uv_fs_t *request)
{
	struct connection *c = request->data;
	struct transfer *t = &c->transfer;
	ssize_t n = request->result;
	bool was_downgrading = c->downgrading;

	uv_fs_req_cleanup(request);
	t->reading = false;
	if (c->state == CONNECTION_CLOSING || !c->delivery) { /* the peer refused the text before its end */
		transfer_fini(t);
		connection_part_closed(c);
		return;
	}
	c->parts--;
	if (n <= 0) {
		unreadable(c, n == 0 ? "it is shorter than it was" : uv_strerror((int)n));
		return;
	}
	t->at += (uint64_t)n;
	if (t->ops->take(c, str_make(t->chunk, (size_t)n))) {
		connection_flush(c);
		read_more(c);
	}
	go_on(c, was_downgrading);
}

void transfer_go_on(struct connection *c)
{
	if (c->transfer.ending) {
		text_end_go_on(c);
		return;
	}
	if (!c->transfer.waiting || must_wait(c))
		return;
	c->transfer.waiting = false;
	read_more(c);
	go_on(c, c->downgrading);
}

struct downgrade *transfer_conversion(const struct delivery *d, unsigned what)
{
	struct downgrade *convert = downgrade_new(what, DOWNGRADE_SAMPLE);

	downgrade_own_from(convert, d->from);
	return convert;
}

void transfer_fini(struct transfer *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->chunk);
	downgrade_free(t->convert);
	dkim_free(t->dkim);
	buf_fini(&t->downgraded);
	*t = (struct transfer){ .fd = -1 };
}

/* ---- to the wire ---- */

static void write_downgraded(struct connection *c)
{
	struct buf *b = &c->transfer.downgraded;

	smtp_client_text(c->client, buf_view(b));
	buf_clear(b);
}

static bool take_for_wire(struct connection *c, struct str bytes)
{
	struct transfer *t = &c->transfer;
	struct verdict v;

	if (!t->convert) {
		smtp_client_text(c->client, bytes);
		return true;
	}
	v = downgrade_feed(t->convert, bytes, &t->downgraded);
	if (v.class != OK) { /* the first pass found nothing wrong with this text */
		unreadable(c, arena_cstr(&c->arena, v.text));
		return false;
	}
	write_downgraded(c);
	return true;
}

static void end_for_wire(struct connection *c)
{
	struct transfer *t = &c->transfer;
	struct verdict v = t->convert ? downgrade_end(t->convert, &t->downgraded) : ok();

	if (v.class != OK) {
		unreadable(c, arena_cstr(&c->arena, v.text));
		return;
	}
	if (t->convert)
		write_downgraded(c);
	text_end_begin(c);
}

static const struct transfer_ops wire_ops = { take_for_wire, end_for_wire };

void transfer_to_wire(struct connection *c, unsigned what)
{
	struct delivery *d = c->delivery;

	smtp_client_text(c->client, what ? d->downgraded_prefix : d->prefix);
	if (what) {
		c->transfer.convert = transfer_conversion(d, what);
		buf_init(&c->transfer.downgraded, DOWNGRADED_MAX);
	}
	transfer_begin(c, &wire_ops);
}
