/* export.c - the text of a queued message for an administrator, alone or with its envelope (export_form.h), in pages. Nothing is
 * kept between two pages: the cursor says what comes next, recipients or bytes of the text. */
#include "admin.h"

#include "common/format.h"

#include "posthouse/export_form.h"

#include <stdlib.h>
#include <unistd.h>

#define FORM_EXPORT 1
#define PAGE_BYTES  (60 * 1024)
#define RECIPIENTS  100                 /* of a page */
#define OF_TEXT     (UINT64_C(1) << 62) /* in a cursor: the rest is a number of bytes */

struct export
{
	uint64_t at; /* the byte of prefix and text from which the page goes */
	struct str prefix;
	uint64_t size;
	int fd;
	uv_fs_t read;
	char *bytes;
};

static void on_shown(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
		     uint64_t next_cursor);

static void answer(struct admin_call *c, struct verdict v, struct str text, uint64_t cursor)
{
	struct msg_queue_text_is m = { .call = c->call, .verdict = v, .text = text, .cursor = cursor };
	struct export *x = c->job;

	ipc_send_queue_text_is(c->channel, &m, -1);
	free(x->bytes);
	free(x);
	admin_end(c);
}

/* ---- the text ---- */

/* A page of the text, which is there from byte x->at on. */
static void answer_text(struct admin_call *c, struct str page)
{
	const struct export *x = c->job;
	uint64_t next = x->at + page.n;

	if (page.n == 0 && next < x->prefix.n + x->size)
		answer(c, temp(451, S("4.3.0"), S("the text cannot be read")), S(""), 0);
	else
		answer(c, ok(), page, next < x->prefix.n + x->size ? OF_TEXT | next : 0);
}

static void on_read(uv_fs_t *read)
{
	struct admin_call *c = read->data;
	struct export *x = c->job;
	struct queue *q = c->queue;
	ssize_t n = read->result;

	uv_fs_req_cleanup(read);
	close(x->fd);
	answer_text(c, str_make(x->bytes, n > 0 ? (size_t)n : 0));
	queue_part_ended(q);
}

/* Takes fd. */
static void read_file(struct admin_call *c, int fd)
{
	struct export *x = c->job;
	uv_buf_t into;

	x->fd = fd;
	x->bytes = xmalloc(PAGE_BYTES);
	into = uv_buf_init(x->bytes, PAGE_BYTES);
	x->read.data = c;
	if (uv_fs_read(role_loop(c->queue->role), &x->read, fd, &into, 1, (int64_t)(x->at - x->prefix.n), on_read) == 0) {
		c->queue->open_parts++;
		return;
	}
	close(fd);
	answer_text(c, S(""));
}

static void on_text(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct admin_call *c = ctx;
	const struct export *x = c->job;

	if (v.class != OK)
		answer(c, v, S(""), 0);
	else if (fd >= 0)
		read_file(c, fd);
	else
		answer_text(c, str_head(str_from(bytes, (size_t)(x->at - x->prefix.n)), PAGE_BYTES));
}

/* ---- the envelope ---- */

static struct exported head_of(const struct message_row *m)
{
	return (struct exported){
		.id = m->id,
		.token = m->token,
		.kind = m->kind,
		.parent = m->parent,
		.received_at = m->received_at,
		.expires_at = m->expires_at,
		.warn_at = m->warn_at,
		.device = m->device,
		.origin = m->origin,
		.held = m->is_held ? m->held : S(""),
		.envelope = m->envelope,
		.prefix_size = m->prefix.n,
		.header_size = m->header_size,
		.size = m->size,
	};
}

/* A page of recipients that are still to be delivered to. The other fields come before the first of them, the end after the
 * last. */
static void answer_envelope(struct admin_call *c, const struct message_row *m, const struct recipient_row *rows, size_t n,
			    uint64_t next)
{
	struct arena *a = &c->arena;
	struct exported head = head_of(m);
	struct str page = c->cursor == 0 ? export_write_head(a, &head) : S("");

	for (size_t i = 0; i < n; i++)
		if (rows[i].state == RCPT_WAITING || rows[i].state == RCPT_HELD)
			page = arena_printf(
				a, "%.*s%.*s", STR_ARG(page),
				STR_ARG(export_write_recipient(
					a, &(struct export_recipient){ .address = rows[i].address,
								       .orcpt = rows[i].orcpt,
								       .via = rows[i].via,
								       .notify = rows[i].notify,
								       .held = rows[i].state == RCPT_HELD && !m->is_held })));
	if (page.n > IPC_PAGE_MAX && n > 1 && queue_may_store(c->queue)) { /* few recipients with long names */
		c->max = n / 2;
		store_show(c->queue->store, c->id, c->cursor, c->max, on_shown, c);
		return;
	}
	if (next == 0)
		page = arena_printf(a, "%.*s%.*s", STR_ARG(page), STR_ARG(export_write_end(a, &head)));
	answer(c, ok(), page, next > 0 ? next : OF_TEXT);
}

static struct verdict gone(struct admin_call *c, const struct message_row *m)
{
	return perm(550, S("5.1.1"),
		    arena_printf(&c->arena, "the message was finished at %.*s, and its text is gone; see `posthouse trace`",
				 STR_ARG(format_time(&c->arena, m->finished_at))));
}

static void on_shown(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
		     uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct export *x = c->job;

	if (v.class == OK && m->finished_at)
		v = gone(c, m);
	if (v.class != OK) {
		answer(c, v, S(""), 0);
		return;
	}
	if (!(c->cursor & OF_TEXT)) {
		answer_envelope(c, m, rows, n, next_cursor);
		return;
	}
	x->at = c->cursor & ~OF_TEXT;
	x->prefix = arena_str(&c->arena, m->prefix);
	x->size = m->size;
	if (x->at < x->prefix.n)
		answer_text(c, str_head(str_from(x->prefix, (size_t)x->at), PAGE_BYTES));
	else if (x->at >= x->prefix.n + x->size)
		answer(c, ok(), S(""), 0);
	else
		store_text(c->queue->store, c->id, on_text, c);
}

void handle_queue_text(void *ctx, struct channel *ch, const struct msg_queue_text *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct export *x = NEW(struct export);

	c->job = x;
	c->id = m->id;
	c->max = RECIPIENTS;
	c->cursor = m->cursor == 0 && m->form != FORM_EXPORT ? OF_TEXT : m->cursor;
	if (c->refusal.class == OK)
		store_show(c->queue->store, c->id, c->cursor & OF_TEXT ? 0 : c->cursor, c->max, on_shown, c);
	else
		answer(c, c->refusal, S(""), 0);
}
