/* dsn_original.c - what of the original a report returns: its header section, or all of it where the sender wants that. */
#include "report/dsn_private.h"
#include "report/dsn_text.h"

#include "posthouse/smtp_server.h"

#include <stdlib.h>
#include <unistd.h>

#define QUOTE_MAX (64 * 1024) /* bytes of the original header that may be quoted */

static void on_text(void *ctx, struct verdict v, struct str bytes, int fd);
static void on_header_read(uv_fs_t *read);

void report_read_original(struct report *r)
{
	store_text(r->queue->store, r->parent.id, on_text, r);
}

static void on_text(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct report *r = ctx;
	size_t n = r->parent.header_size < QUOTE_MAX ? r->parent.header_size : QUOTE_MAX;
	uv_buf_t into;

	if (v.class == TEMP || !queue_may_store(r->queue)) {
		if (fd >= 0)
			close(fd);
		report_failed(r, v.text);
		return;
	}
	if (r->again && v.class == OK && fd < 0) {
		r->whole = arena_str(&r->arena, bytes);
		report_build_again(r);
		return;
	}
	if (r->again) { /* it is lost, or not of our making */
		if (fd >= 0)
			close(fd);
		report_without_sender(r);
		return;
	}
	/* A text that is lost cannot be quoted; its sender is told all the same. */
	if (fd < 0) {
		bytes = arena_str(&r->arena, v.class == OK ? bytes : S(""));
		r->quoted = report_quote(bytes, r->parent.header_size, QUOTE_MAX);
		/* RFC 3461 4.3: RET is about failures; other reports return headers. A large message never fits. */
		if (r->about == KIND_FAILURE && r->parent.ret == RET_FULL)
			r->whole = bytes;
		report_build(r);
		return;
	}
	r->fd = fd;
	r->bytes = xmalloc(n + 1);
	r->read.data = r;
	into = uv_buf_init(r->bytes, (unsigned)n);
	if (uv_fs_read(role_loop(r->queue->role), &r->read, fd, &into, 1, 0, on_header_read) != 0) {
		close(fd);
		report_failed(r, S("the text cannot be read"));
		return;
	}
	r->queue->open_parts++;
}

static void on_header_read(uv_fs_t *read)
{
	struct report *r = read->data;
	struct queue *q = r->queue;
	ssize_t n = read->result;

	uv_fs_req_cleanup(read);
	close(r->fd);
	if (queue_may_store(q)) {
		r->quoted = report_quote(str_make(r->bytes, n > 0 ? (size_t)n : 0), r->parent.header_size, QUOTE_MAX);
		report_build(r);
	} else {
		report_failed(r, S("the queue ends"));
	}
	queue_part_ended(q);
}
