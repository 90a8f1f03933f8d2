/* transfer.c - prefix and text on their way out. A text in a file is read on the thread pool, a chunk at a time, and no faster than
 * the peer takes it. */
#include "relay.h"

#include "posthouse/crash.h"

#include <stdlib.h>
#include <unistd.h>

static void read_more(struct connection *c);
static void on_read(uv_fs_t *request);

/* The last of it: from here on the outcome is the peer's to say. */
static void end_text(struct connection *c)
{
	crash_point("relay.before_text_end");
	smtp_client_text_end(c->client);
}

void transfer_begin(struct connection *c)
{
	struct delivery *d = c->delivery;
	struct transfer *t = &c->transfer;

	smtp_client_text(c->client, d->prefix);
	if (d->fd < 0) {
		smtp_client_text(c->client, d->text);
		end_text(c);
		return;
	}
	t->fd = d->fd; /* ours from now on: it may be in use on the pool when the delivery ends */
	d->fd = -1;
	t->at = 0;
	t->size = d->size;
	t->chunk = xmalloc(CHUNK);
	t->waiting_for_drain = false;
	read_more(c);
}

/* Our own disk: nothing of the next hop's, and the half text must not look whole. So the connection goes. */
static void unreadable(struct connection *c, const char *why)
{
	struct str text = arena_printf(&c->arena, "the message cannot be read: %s", why);

	log_error(&c->log, "text.unreadable", kv("reason", why), kv("at", c->transfer.at), kv("size_bytes", c->transfer.size));
	session_break(c, temp(451, S("4.3.0"), text), FAULT_CONNECTION);
}

/* Start the next read; the caller writes out what there is. */
static void read_more(struct connection *c)
{
	struct transfer *t = &c->transfer;
	uint64_t left = t->size - t->at;
	uv_buf_t to = uv_buf_init(t->chunk, left < CHUNK ? (unsigned)left : CHUNK);
	int r;

	if (left == 0) {
		end_text(c);
		return;
	}
	if (stream_pending(c->stream) > PENDING_MAX) {
		t->waiting_for_drain = true;
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

static void on_read(uv_fs_t *request)
{
	struct connection *c = request->data;
	struct transfer *t = &c->transfer;
	ssize_t n = request->result;

	uv_fs_req_cleanup(request);
	t->reading = false;
	if (c->state == CONNECTION_CLOSING || !c->delivery) { /* the peer had enough before the end */
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
	smtp_client_text(c->client, str_make(t->chunk, (size_t)n));
	session_flush(c);
	read_more(c);
	session_advance(c);
}

void transfer_drained(struct connection *c)
{
	if (!c->transfer.waiting_for_drain)
		return;
	c->transfer.waiting_for_drain = false;
	read_more(c);
	session_advance(c);
}

void transfer_fini(struct transfer *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->chunk);
	t->fd = -1;
	t->chunk = NULL;
	t->waiting_for_drain = false;
}
