/* report.c - a failure's way: listed by the store, its header read, the report built, signed, stored. A crash anywhere leaves the
 * recipients FAILED and unreported, and the way begins again. */
#include "queue.h"
#include "fields.h"
#include "report_text.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/mail.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define QUOTE_MAX     (64 * 1024) /* bytes of the original header that may be quoted */
#define REPLY_MAX     1000
#define RETRY_MS      (15 * 1000)
#define LOOK_AGAIN_MS (5 * 60 * 1000)

struct report {
	struct queue *queue;
	struct arena arena;
	struct unreported parent; /* views into the arena */
	struct str quoted;        /* of the parent's header */
	struct accepted accepted; /* the report itself */
	struct new_recipient recipient;
	uint64_t *numbers; /* of the parent's recipients that it covers */
	size_t numbers_n;
	struct str header, body;
	struct dkim *dkim; /* NULL: unsigned */
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
	int fd; /* of a large parent, while it is read */
	uv_fs_t read;
	char *bytes;
	uint64_t call; /* to vault; 0: none is open */
};

/* In the order they happen. */
static void look(struct queue *q);
static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n);
static void on_text(void *ctx, struct verdict v, struct str bytes, int fd);
static void on_header_read(uv_fs_t *read);
static void build(struct report *r);
static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd);
static void store(struct report *r);
static void on_stored(void *ctx, struct verdict v);

static void on_timer(uv_timer_t *t)
{
	struct queue *q = t->data;

	q->reports.waiting = false;
	reports_wake(q);
}

void reports_init(struct queue *q)
{
	queue_timer_init(q, &q->reports.timer);
}

void reports_wake(struct queue *q)
{
	if (!queue_may_store(q) || q->stopping || q->reports.waiting)
		return;
	if (q->reports.current) {
		q->reports.again = true;
		return;
	}
	look(q);
}

void reports_retry(struct queue *q)
{
	q->reports.waiting = false;
	reports_wake(q);
}

bool reports_busy(const struct queue *q)
{
	return q->reports.current && !q->reports.current->call;
}

static void report_free(struct report *r)
{
	dkim_free(r->dkim);
	free(r->bytes);
	arena_fini(&r->arena);
	free(r);
}

void reports_cancel(struct queue *q)
{
	struct report *r = q->reports.current;

	if (!r || !r->call)
		return;
	ipc_cancel(q->vault, r->call);
	report_free(r);
	q->reports.current = NULL;
}

/* The end of this try; the next one begins at once, or after `pause_ms`. */
static void finish(struct report *r, uint64_t pause_ms)
{
	struct queue *q = r->queue;

	report_free(r);
	q->reports.current = NULL;
	q->reports.waiting = pause_ms == RETRY_MS;
	if (pause_ms == 0 || (q->reports.again && !q->reports.waiting))
		reports_wake(q);
	else if (!q->closing)
		uv_timer_start(&q->reports.timer, on_timer, pause_ms, 0);
	queue_check_idle(q);
}

/* ---- what has failed ---- */

static void look(struct queue *q)
{
	struct report *r = NEW(struct report);

	r->queue = q;
	q->reports.current = r;
	q->reports.again = false;
	store_unreported(q->store, 1, on_unreported, r);
}

static void copy_parent(struct report *r, const struct unreported *from)
{
	struct arena *a = &r->arena;
	struct unreported *to = &r->parent;

	*to = *from;
	to->login = arena_str(a, from->login);
	to->sender = arena_str(a, from->sender);
	to->envid = arena_str(a, from->envid);
	to->sign_domain = arena_str(a, from->sign_domain);
	to->failed = ARENA_ARRAY(a, struct failed_recipient, from->failed_n);
	for (size_t i = 0; i < from->failed_n; i++) {
		struct failed_recipient *f = &to->failed[i];

		*f = from->failed[i];
		f->address = arena_str(a, f->address);
		f->orcpt = arena_str(a, f->orcpt);
		f->remote = arena_str(a, f->remote);
		f->verdict.text = str_head(f->verdict.text, REPLY_MAX);
		f->verdict = verdict_keep(a, f->verdict);
	}
}

/* Failure of a message with null sender: there is nobody to tell (RFC 5321 6.1). */
static void discard(struct report *r)
{
	log_warning(&(struct log){ .message = r->parent.id }, "report.discarded", kv("recipients", r->parent.failed_n));
	store_report(r->queue->store, NULL, r->parent.id, r->numbers, r->numbers_n,
		     FIELDS(&r->arena, kv("reason", "the message has the null sender")), on_stored, r);
}

static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n)
{
	struct report *r = ctx;

	if (v.class != OK)
		log_warning(NULL, "report.delayed", kv("reason", v.text));
	if (v.class != OK || n == 0 || !queue_may_store(r->queue)) {
		finish(r, v.class != OK ? RETRY_MS : LOOK_AGAIN_MS);
		return;
	}
	copy_parent(r, &messages[0]);
	r->numbers = ARENA_ARRAY(&r->arena, uint64_t, r->parent.failed_n);
	for (size_t i = 0; i < r->parent.failed_n; i++)
		r->numbers[i] = r->parent.failed[i].n;
	r->numbers_n = r->parent.failed_n;
	if (r->parent.sender.n == 0)
		discard(r);
	else
		store_text(r->queue->store, r->parent.id, on_text, r);
}

/* ---- the original's header ---- */

static void on_text(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct report *r = ctx;
	size_t n = r->parent.header_size < QUOTE_MAX ? r->parent.header_size : QUOTE_MAX;
	uv_buf_t into;

	if (v.class == TEMP || !queue_may_store(r->queue)) {
		if (fd >= 0)
			close(fd);
		log_warning(&(struct log){ .message = r->parent.id }, "report.delayed", kv("reason", v.text));
		finish(r, RETRY_MS);
		return;
	}
	/* A text that is lost cannot be quoted; its sender is told all the same. */
	if (fd < 0) {
		r->quoted = arena_str(&r->arena, report_quote(v.class == OK ? bytes : S(""), r->parent.header_size, QUOTE_MAX));
		build(r);
		return;
	}
	r->fd = fd;
	r->bytes = xmalloc(n + 1);
	r->read.data = r;
	into = uv_buf_init(r->bytes, (unsigned)n);
	if (uv_fs_read(role_loop(r->queue->role), &r->read, fd, &into, 1, 0, on_header_read) != 0) {
		close(fd);
		finish(r, RETRY_MS);
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
		build(r);
	} else {
		finish(r, RETRY_MS);
	}
	queue_part_ended(q);
}

/* ---- the report's text ---- */

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* The keys of the domain of mailer-daemon@hostname. */
static void choose_keys(struct report *r)
{
	const struct config *c = role_config(r->queue->role);

	for (size_t i = 0; i < c->sign_n && r->keys_n < DKIM_KEYS_MAX; i++)
		if (str_ieq(c->sign[i].domain, c->hostname))
			r->keys[r->keys_n++] = (struct dkim_key){
				.domain = arena_str(&r->arena, c->sign[i].domain),
				.selector = arena_str(&r->arena, c->sign[i].selector),
				.algorithm = (enum dkim_algorithm)c->sign[i].algorithm,
			};
}

/* Ask vault for the signatures. */
static void ask_signatures(struct report *r)
{
	struct str digests[DKIM_KEYS_MAX];
	struct rec_digest list[DKIM_KEYS_MAX];
	struct msg_sign m = { .message = r->accepted.id, .domain = r->keys[0].domain };
	struct header header;
	struct verdict v = header_parse(&r->arena, r->header, &header);

	assert(v.class == OK); /* we wrote it */
	r->dkim = dkim_new();
	dkim_body(r->dkim, r->body);
	dkim_finish(r->dkim, &header, r->keys, r->keys_n, r->accepted.received_at, digests);
	for (size_t i = 0; i < r->keys_n; i++)
		list[i] = (struct rec_digest){
			.selector = r->keys[i].selector,
			.algorithm = r->keys[i].algorithm,
			.digest = digests[i],
		};
	m.digests.at = list;
	m.digests.n = r->keys_n;
	r->call = ipc_call_sign(r->queue->vault, &m, -1, on_signatures, r);
}

static void build(struct report *r)
{
	const struct config *c = role_config(r->queue->role);
	struct accepted *to = &r->accepted;
	struct report_text text;

	to->received_at = clock_now_ms();
	to->id = id_next(&r->queue->ids, to->received_at);
	to->token = random_u64();
	to->kind = KIND_FAILURE;
	to->parent = r->parent.id;
	to->expires_at = to->received_at + c->queue.lifetime_ms;
	to->login = S("");
	to->origin = S("report");
	to->sender = S("");
	text = report_write(&r->arena, c->hostname, to->id, to->received_at, &r->parent, r->quoted);
	r->numbers_n = text.covered;
	r->header = text.header;
	r->body = text.body;
	to->body = text.is_8bit ? 1 : 0;
	to->utf8 = (is_ascii(r->parent.sender) ? 0 : 2) | (is_ascii(r->header) ? 0 : 4);
	to->text = arena_printf(&r->arena, "%.*s\r\n%.*s", STR_ARG(r->header), STR_ARG(r->body));
	to->size = to->text.n;
	to->header_size = r->header.n;
	to->place = PLACE_ROW;
	r->recipient = (struct new_recipient){ .address = r->parent.sender };
	to->recipients = &r->recipient;
	to->recipients_n = 1;
	choose_keys(r);
	if (r->keys_n > 0)
		ask_signatures(r);
	else
		store(r);
}

/* ---- signing and storing ---- */

static const struct rec_signature *signature_of(const struct msg_signatures *m, const struct dkim_key *key)
{
	for (size_t i = 0; i < m->signatures.n; i++)
		if (str_eq(m->signatures.at[i].selector, key->selector) && m->signatures.at[i].algorithm == key->algorithm)
			return &m->signatures.at[i];
	return NULL;
}

static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct report *r = ctx;
	struct str prefix = S("");

	r->call = 0;
	if (v.class == OK)
		v = m->verdict;
	for (size_t i = 0; v.class == OK && i < r->keys_n; i++) {
		const struct rec_signature *s = signature_of(m, &r->keys[i]);

		if (!s) {
			v = temp(451, S("4.3.0"), S("vault left a signature out"));
			break;
		}
		prefix = arena_printf(&r->arena, "%.*s%.*s", STR_ARG(prefix),
				      STR_ARG(dkim_field(&r->arena, r->dkim, i, s->signature)));
	}
	if (v.class != OK || !queue_may_store(r->queue)) {
		log_warning(&(struct log){ .message = r->parent.id }, "report.delayed", kv("reason", v.text));
		finish(r, RETRY_MS);
		return;
	}
	r->accepted.prefix = prefix;
	r->accepted.sign_domain = r->keys[0].domain;
	store(r);
}

static void store(struct report *r)
{
	struct accepted *to = &r->accepted;
	struct str fields =
		FIELDS(&r->arena, kv_id("report", to->id), kv("to", r->parent.sender), kv("recipients", r->numbers_n));

	to->event = FIELDS(&r->arena, kv_id("about", r->parent.id), kv("recipients", r->numbers_n), kv("size_bytes", to->size),
			   kv("sign_domain", to->sign_domain));
	crash_point("queue.before_report");
	store_report(r->queue->store, to, r->parent.id, r->numbers, r->numbers_n, fields, on_stored, r);
}

static void on_stored(void *ctx, struct verdict v)
{
	struct report *r = ctx;
	struct queue *q = r->queue;

	crash_point("queue.after_report");
	if (v.class != OK) {
		log_error(&(struct log){ .message = r->parent.id }, "report.delayed", kv("reason", v.text));
		finish(r, RETRY_MS);
		return;
	}
	if (r->accepted.id)
		log_info(&(struct log){ .message = r->accepted.id }, "report.queued", kv_id("about", r->parent.id),
			 kv("to", r->parent.sender), kv("recipients", r->numbers_n));
	finish(r, 0);
	scheduler_wake(q);
}
