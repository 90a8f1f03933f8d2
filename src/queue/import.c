/* import.c - a message that was exported (export_form.h) is stored again, as it was. It is charged to no limit: that was done
 * when it was submitted. What is imported twice is one message: id and token decide. Where it is finished here, it stays so.
 *
 * In the order of the steps: handle_queue_import, read_head and on_head (on a thread, and back), on_looked_up, (on_created,
 * copy_text, on_copied: of a large text), store, on_stored. */
#include "admin.h"

#include "common/event_fields.h"

#include "posthouse/export_form.h"
#include "posthouse/file.h"
#include "posthouse/smtp_server.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX   (EXPORT_HEAD_MAX + 2 * INLINE_MAX) /* the fields, and all of a small message */
#define PREFIX_MAX INLINE_MAX
#define COPY_BYTES (256 * 1024)
#define RECIPIENTS 10000 /* the most that the configuration allows */

struct import {
	struct admin_call *call;
	uv_work_t work;
	int from, to; /* the file that came; the store's file of a large text; -1: none */
	uint64_t file_size;
	char *bytes; /* the beginning of the file */
	size_t bytes_n, head_n;
	struct str fault; /* of the work on a thread; "": none */
	struct exported x;
	struct accepted m;
	struct new_recipient *recipients;
	bool has_file; /* of the store */
};

static void on_head(uv_work_t *work, int status);
static void on_looked_up(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
			 uint64_t next_cursor);
static void on_created(void *ctx, struct verdict v, int fd);
static void on_copied(uv_work_t *work, int status);
static void store(struct import *in);
static void on_stored(void *ctx, struct verdict v);

static void answer(struct admin_call *c, struct verdict v)
{
	struct import *in = c->job;

	if (v.class != OK && in->has_file && queue_may_store(c->queue))
		store_spool_drop(c->queue->store, in->m.id);
	ipc_send_queue_imported(c->channel, &(struct msg_queue_imported){ .call = c->call, .verdict = v }, -1);
	if (in->from >= 0)
		close(in->from);
	if (in->to >= 0)
		close(in->to);
	free(in->bytes);
	free(in);
	admin_end(c);
}

/* The message is refused for what the file has. */
static void refuse(struct admin_call *c, struct str fault)
{
	answer(c, perm(550, S("5.6.0"), fault));
}

/* Do something on a thread; the queue's memory stays until it has ended. */
static void begin_work(struct import *in, uv_work_cb work, uv_after_work_cb done)
{
	in->work.data = in;
	in->call->queue->open_parts++;
	if (uv_queue_work(role_loop(in->call->queue->role), &in->work, work, done) != 0)
		abort(); /* it can fail only without a callback */
}

/* ---- the fields ---- */

static void read_head(uv_work_t *work)
{
	struct import *in = work->data;
	struct stat st;

	if (fstat(in->from, &st) != 0 || !S_ISREG(st.st_mode)) {
		in->fault = S("this is no file");
		return;
	}
	in->file_size = (uint64_t)st.st_size;
	in->bytes_n = in->file_size < READ_MAX ? (size_t)in->file_size : READ_MAX;
	in->bytes = xmalloc(in->bytes_n + 1);
	if (file_read_at(in->from, in->bytes, in->bytes_n, 0) != (ssize_t)in->bytes_n)
		in->fault = S("the file cannot be read");
}

/* Is there a line that does not end with CRLF? SMTP could not pass it on. last: the byte before, which is updated. */
static bool lines_are_broken(const char *bytes, size_t n, char *last)
{
	for (size_t i = 0; i < n; i++) {
		if ((bytes[i] == '\n') != (*last == '\r'))
			return true;
		*last = bytes[i];
	}
	return false;
}

static void take(struct import *in)
{
	const struct exported *x = &in->x;
	struct str rest = str_from(str_make(in->bytes, in->bytes_n), in->head_n);

	in->recipients = ARENA_ARRAY(&in->call->arena, struct new_recipient, x->recipients_n);
	for (size_t i = 0; i < x->recipients_n; i++)
		in->recipients[i] = (struct new_recipient){ .address = x->recipients[i].address,
							    .orcpt = x->recipients[i].orcpt,
							    .via = x->recipients[i].via,
							    .notify = (unsigned)x->recipients[i].notify,
							    .held = x->recipients[i].held };
	in->m = (struct accepted){
		.id = x->id,
		.token = x->token,
		.kind = (enum message_kind)x->kind,
		.parent = x->parent,
		.received_at = x->received_at,
		.expires_at = x->expires_at,
		.warn_at = x->warn_at,
		.envelope = x->envelope,
		.device = x->device,
		.origin = x->origin,
		.prefix = str_head(rest, (size_t)x->prefix_size),
		.size = x->size,
		.header_size = x->header_size,
		.place = x->size > INLINE_MAX ? PLACE_FILE : PLACE_ROW,
		.recipients = in->recipients,
		.recipients_n = x->recipients_n,
		.held = x->held,
	};
	if (in->m.place == PLACE_ROW)
		in->m.text = str_from(rest, (size_t)x->prefix_size);
	in->m.event =
		FIELDS(&in->call->arena, kv("login", x->envelope.login), kv("device", x->device), kv("origin", x->origin),
		       kv("sender", x->envelope.sender), kv("recipients", x->recipients_n), kv("size_bytes", x->size),
		       kv("sign_domain", x->envelope.sign_domain), kv("held", x->held), kv("imported", "by an administrator"));
}

/* "": the file has what its fields say. */
static struct str check(struct import *in)
{
	const struct exported *x = &in->x;
	char last = 0;

	if (x->recipients_n > RECIPIENTS || x->prefix_size > PREFIX_MAX || !intake_envelope_is_allowed(&x->envelope))
		return S("more recipients, or larger numbers, than a message can have");
	if (in->file_size != in->head_n + x->prefix_size + x->size)
		return S("the message behind Posthouse-text is not as long as that line says");
	take(in);
	if (lines_are_broken(in->m.prefix.p, in->m.prefix.n, &last) || last == '\r' || (last && last != '\n'))
		return S("a line before the message does not end with CRLF");
	if (in->m.place == PLACE_ROW && x->envelope.body != BODY_BINARYMIME &&
	    (lines_are_broken(in->m.text.p, in->m.text.n, &last) || last != '\n'))
		return S("a line of the message does not end with CRLF");
	return S("");
}

static void on_head(uv_work_t *work, int status)
{
	struct import *in = work->data;
	struct admin_call *c = in->call;
	struct queue *q = c->queue;
	struct verdict v = ok();

	if (in->fault.n == 0)
		v = export_read(&c->arena, str_make(in->bytes, in->bytes_n), &in->x, &in->head_n);
	if (in->fault.n == 0 && v.class == OK)
		in->fault = check(in);
	if (v.class != OK)
		answer(c, v);
	else if (in->fault.n > 0)
		refuse(c, in->fault);
	else if (!queue_may_store(q))
		answer(c, temp(451, S("4.3.0"), S("queue unavailable, try again")));
	else
		store_show(q->store, in->m.id, 0, RECIPIENTS, on_looked_up, c);
	queue_part_ended(q);
}

/* ---- the text ---- */

/* What became of a message that is finished. OK: all recipients have it. Otherwise who imports it wants it to be sent, and it
 * is not: the sender of what was returned has a report, and what was removed was not to be sent. */
static struct verdict fate(struct arena *a, const struct recipient_row *rows, size_t n)
{
	size_t delivered = 0, failed = 0, removed = 0;

	for (size_t i = 0; i < n; i++) {
		delivered += rows[i].state == RCPT_DELIVERED || rows[i].state == RCPT_RELAYED;
		failed += rows[i].state == RCPT_FAILED || rows[i].state == RCPT_BOUNCED || rows[i].state == RCPT_DISCARDED;
		removed += rows[i].state == RCPT_REMOVED;
	}
	if (failed + removed == 0)
		return ok_text(250, S("2.0.0"), S("was delivered here already"));
	return perm(550, S("5.6.0"),
		    arena_printf(a,
				 "it is finished here, and was not imported again: %zu delivered, %zu failed, %zu removed; "
				 "`posthouse trace` with its id says more",
				 delivered, failed, removed));
}

static void on_looked_up(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
			 uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct import *in = c->job;

	if (v.class == TEMP || !queue_may_store(c->queue))
		answer(c, temp(451, S("4.3.0"), S("queue unavailable, try again")));
	else if (v.class == OK && m->token == in->m.token && m->finished_at)
		answer(c, fate(&c->arena, rows, n));
	else if (v.class == OK && m->token == in->m.token)
		answer(c, ok_text(250, S("2.0.0"), S("is here already")));
	else if (v.class == OK)
		refuse(c, S("another message has this id"));
	else if (in->m.place == PLACE_FILE)
		store_spool_create(c->queue->store, in->m.id, in->m.size, on_created, c);
	else
		store(in);
}

static void copy_text(uv_work_t *work)
{
	struct import *in = work->data;
	uint64_t at = in->head_n + in->m.prefix.n;
	char *piece = xmalloc(COPY_BYTES), last = 0;

	while (at < in->file_size && in->fault.n == 0) {
		ssize_t n = file_read_at(in->from, piece, COPY_BYTES, at);

		if (n <= 0)
			in->fault = S("the file cannot be read");
		else if (in->x.envelope.body != BODY_BINARYMIME && lines_are_broken(piece, (size_t)n, &last))
			in->fault = S("a line of the message does not end with CRLF");
		else if (!file_write(in->to, str_make(piece, (size_t)n)))
			in->fault = S("the text cannot be written");
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (in->fault.n == 0 && in->x.envelope.body != BODY_BINARYMIME && last != '\n')
		in->fault = S("the last line of the message does not end with CRLF");
	free(piece);
}

static void on_created(void *ctx, struct verdict v, int fd)
{
	struct admin_call *c = ctx;
	struct import *in = c->job;

	in->to = fd;
	in->has_file = v.class == OK && fd >= 0;
	if (in->has_file)
		begin_work(in, copy_text, on_copied);
	else
		answer(c, v.class == OK ? temp(451, S("4.3.0"), S("queue unavailable, try again")) : v);
}

static void on_copied(uv_work_t *work, int status)
{
	struct import *in = work->data;
	struct queue *q = in->call->queue;

	if (in->fault.n > 0)
		refuse(in->call, in->fault);
	else
		store(in);
	queue_part_ended(q);
}

static void store(struct import *in)
{
	struct queue *q = in->call->queue;

	if (in->to >= 0)
		close(in->to); /* the store makes a copy of a file that somebody can still write */
	in->to = -1;
	if (queue_may_store(q))
		store_accept(q->store, &in->m, on_stored, in->call);
	else
		answer(in->call, temp(451, S("4.3.0"), S("queue unavailable, try again")));
}

static void on_stored(void *ctx, struct verdict v)
{
	struct admin_call *c = ctx;
	struct import *in = c->job;
	struct queue *q = c->queue;

	if (v.class == OK)
		log_info(&(struct log){ .message = in->m.id }, "queue.imported", kv("login", in->m.envelope.login),
			 kv("sender", in->m.envelope.sender), kv("recipients", in->m.recipients_n));
	answer(c, v);
	scheduler_wake(&q->dispatch);
}

void handle_queue_import(void *ctx, struct channel *ch, const struct msg_queue_import *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct import *in = NEW(struct import);

	c->job = in;
	in->call = c;
	in->from = fd;
	in->to = -1;
	if (c->refusal.class == OK)
		c->refusal = intake_takes_mail(&c->queue->intake);
	if (c->refusal.class == OK)
		begin_work(in, read_head, on_head);
	else
		answer(c, c->refusal);
}
