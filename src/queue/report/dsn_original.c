/* dsn_original.c - what of the original a DSN returns: its header section, or all of it where the sender wants that. */
#include "report/dsn_private.h"
#include "report/dsn_text.h"

#include "posthouse/smtp_server.h"

#include <stdlib.h>
#include <unistd.h>

#define QUOTE_MAX (64 * 1024) /* bytes of the original header that are quoted at most */

/* The text to be written again. It is small; if it is lost, or in a file, it is not one that the queue has written. */
static struct verdict take_own_text(struct dsn *dsn, struct verdict v, struct str bytes, int fd)
{
	if (fd >= 0)
		close(fd);
	if (v.class != OK || fd >= 0)
		return perm(554, S("5.3.0"), S("there is no text to write again"));
	dsn->whole = arena_str(&dsn->arena, bytes);
	return ok();
}

/* RFC 3461 4.3: RET is about failures; other DSNs return headers. A text that is lost cannot be quoted, but there is a DSN all
 * the same. */
static void take_text(struct dsn *dsn, struct str bytes)
{
	bytes = arena_str(&dsn->arena, bytes);
	dsn->quoted = report_quote(bytes, dsn->parent.header_size, QUOTE_MAX);
	if (dsn->about == KIND_FAILURE && dsn->parent.envelope.ret == RET_FULL)
		dsn->whole = bytes;
}

static void on_header_read(uv_fs_t *read)
{
	struct dsn *dsn = read->data;
	struct reports *rs = dsn->reports;
	ssize_t n = read->result;

	uv_fs_req_cleanup(read);
	close(dsn->fd);
	if (reports_may_store(rs)) {
		dsn->quoted = report_quote(str_make(dsn->bytes, n > 0 ? (size_t)n : 0), dsn->parent.header_size, QUOTE_MAX);
		dsn->read_done(dsn, ok());
	} else {
		dsn->read_done(dsn, temp(451, S("4.3.0"), S("the queue ends")));
	}
	rs->observer->part_ended(rs->observer->ctx);
}

/* Of a large message only the header: all of it never fits. Takes fd. */
static bool read_header(struct dsn *dsn, int fd)
{
	size_t n = dsn->parent.header_size < QUOTE_MAX ? dsn->parent.header_size : QUOTE_MAX;
	const struct report_observer *o = dsn->reports->observer;
	uv_buf_t into;

	dsn->fd = fd;
	dsn->bytes = xmalloc(n + 1);
	dsn->read.data = dsn;
	into = uv_buf_init(dsn->bytes, (unsigned)n);
	if (uv_fs_read(role_loop(dsn->reports->role), &dsn->read, fd, &into, 1, 0, on_header_read) != 0) {
		close(fd);
		return false;
	}
	o->part_begun(o->ctx);
	return true;
}

static void on_text(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct dsn *dsn = ctx;

	if (v.class == TEMP || !reports_may_store(dsn->reports)) {
		if (fd >= 0)
			close(fd);
		dsn->read_done(dsn, temp(451, S("4.3.0"), v.text));
	} else if (dsn->again) {
		dsn->read_done(dsn, take_own_text(dsn, v, bytes, fd));
	} else if (fd < 0) {
		take_text(dsn, v.class == OK ? bytes : S(""));
		dsn->read_done(dsn, ok());
	} else if (!read_header(dsn, fd)) {
		dsn->read_done(dsn, temp(451, S("4.3.0"), S("the text cannot be read")));
	}
}

void dsn_read_original(struct dsn *dsn, void (*done)(struct dsn *dsn, struct verdict v))
{
	dsn->read_done = done;
	store_text(dsn->reports->store, dsn->parent.id, on_text, dsn);
}
