/* dsn.c - a report's way: what it is about is listed by the store, the original read, the report built, signed, stored. A crash
 * anywhere leaves the recipients unreported, and the way begins again. */
#include "report/dsn_private.h"

#include "common/event_fields.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define REPLY_MAX 1000
#define RETRY_MS  (15 * 1000)

/* Between looks that nothing has asked for: delays, and what could be overlooked. */
#define LOOK_MIN_MS 250
#define LOOK_MAX_MS MINUTE_MS

static const enum message_kind kinds[] = { KIND_FAILURE, KIND_DELAY, KIND_SUCCESS };
#define KINDS (sizeof kinds / sizeof *kinds)

/* In the order they happen. */
static void look(struct queue *q);
static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n);
static void decide(struct report *r);
static void on_stored(void *ctx, struct verdict v);

/* The hour is over in which the postmaster had too many notes: one tells of all that got none. */
static void tell_of_skipped(struct queue *q)
{
	struct notice_count *count = &q->reports.notices;

	if (count->skipped == 0 || !queue_may_store(q) || !notice_allowed(count, clock_now_ms()))
		return;
	notice_skipped(q, count->skipped);
	count->skipped = 0;
	count->n++;
}

static void on_timer(uv_timer_t *t)
{
	struct queue *q = t->data;

	q->reports.waiting = false;
	tell_of_skipped(q);
	reports_wake(q);
}

void reports_init(struct queue *q)
{
	queue_timer_init(q, &q->reports.timer);
}

static bool may_look(const struct queue *q)
{
	return queue_may_store(q) && !q->stopping && !q->reports.waiting;
}

void reports_wake(struct queue *q)
{
	if (!may_look(q))
		return;
	if (q->reports.current) {
		q->reports.again = true;
		return;
	}
	q->reports.vain = 0;
	look(q);
}

void reports_retry(struct queue *q)
{
	q->reports.waiting = false;
	reports_wake(q);
}

bool reports_busy(const struct queue *q)
{
	return q->reports.current && !q->reports.current->signing.call;
}

static void report_free(struct report *r)
{
	sign_end(&r->signing);
	free(r->bytes);
	arena_fini(&r->arena);
	free(r);
}

void reports_cancel(struct queue *q)
{
	struct report *r = q->reports.current;

	if (!r || !sign_cancel(&r->signing))
		return;
	report_free(r);
	q->reports.current = NULL;
}

/* ---- the end of a try ---- */

/* A warning may be late by a quarter of the time after which it is due. */
static uint64_t look_again_ms(const struct queue *q)
{
	uint64_t ms = role_config(q->role)->queue.warn_after_ms / 4;

	if (ms == 0 || ms > LOOK_MAX_MS)
		return LOOK_MAX_MS;
	return ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms;
}

/* This one is done with, or there was none: look for the next, until each kind was looked for in vain. */
static void finish(struct report *r)
{
	struct queue *q = r->queue;
	struct reports *rs = &q->reports;

	report_free(r);
	rs->current = NULL;
	if (rs->again)
		rs->vain = 0;
	if (rs->vain < KINDS && may_look(q))
		look(q);
	else if (!q->closing)
		uv_timer_start(&rs->timer, on_timer, look_again_ms(q), 0);
	queue_check_idle(q);
}

void report_failed(struct report *r, struct str reason)
{
	struct queue *q = r->queue;

	log_warning(&(struct log){ .message = r->parent.id }, "report.delayed", kv("reason", reason));
	report_free(r);
	q->reports.current = NULL;
	q->reports.waiting = true;
	if (!q->closing)
		uv_timer_start(&q->reports.timer, on_timer, RETRY_MS, 0);
	queue_check_idle(q);
}

/* ---- what there is to tell ---- */

static void look(struct queue *q)
{
	struct report *r = NEW(struct report);

	r->queue = q;
	r->about = kinds[q->reports.turn];
	q->reports.turn = (q->reports.turn + 1) % KINDS;
	q->reports.current = r;
	q->reports.again = false;
	store_unreported(q->store, r->about, clock_now_ms(), 1, on_unreported, r);
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

static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n)
{
	struct report *r = ctx;

	if (v.class != OK) {
		report_failed(r, v.text);
		return;
	}
	if (n == 0 || !queue_may_store(r->queue)) {
		r->queue->reports.vain++;
		finish(r);
		return;
	}
	r->queue->reports.vain = 0;
	copy_parent(r, &messages[0]);
	r->wanted = report_sort(&r->arena, r->about, &r->parent);
	r->numbers = ARENA_ARRAY(&r->arena, uint64_t, r->parent.failed_n);
	for (size_t i = 0; i < r->parent.failed_n; i++)
		r->numbers[i] = r->parent.failed[i].n;
	decide(r);
}

/* ---- who is told ---- */

/* Nobody is, of the recipients from `first` on: the store forgets that there was something to tell. */
static void tell_nobody(struct report *r, size_t first, struct str reason)
{
	r->numbers += first;
	r->numbers_n = r->parent.failed_n - first;
	store_report(r->queue->store, r->about, NULL, r->parent.id, r->numbers, r->numbers_n,
		     FIELDS(&r->arena, kv("reason", reason), kv("recipients", r->numbers_n)), on_stored, r);
}

/* RFC 5321 6.1: mail with the null sender never causes a report, or reports would go to and fro. What fails of it is the postmaster's, but
 * for the notes that he gets. */
void report_without_sender(struct report *r)
{
	struct str reason = r->parent.kind == KIND_MAIL ? S("the message has the null sender") : S("it was a report");
	const char *told = "nobody";

	if (r->about != KIND_FAILURE) {
		tell_nobody(r, 0, reason);
		return;
	}
	if (r->parent.kind == KIND_NOTICE) {
		reason = S("it was a note to the postmaster");
	} else if (notice_allowed(&r->queue->reports.notices, clock_now_ms())) {
		told = "postmaster";
	} else {
		told = "postmaster, of many at once";
		reason = S("the postmaster had too many notes in this hour");
		r->queue->reports.notices.skipped++;
	}
	log_warning(&(struct log){ .message = r->parent.id }, "report.discarded", kv("recipients", r->parent.failed_n),
		    kv("told", told), kv("reason", reason));
	if (strcmp(told, "postmaster") == 0)
		report_build_notice(r);
	else
		tell_nobody(r, 0, reason);
}

/* A report or notice that the next hop would not take in its form has another one; it has one recipient. */
static bool can_write_again(struct report *r)
{
	const struct failed_recipient *f = r->parent.failed;

	return r->about == KIND_FAILURE &&
	       form_next(role_config(r->queue->role), form_read(r->parent.options), f->route, f->verdict, f->meaning, &r->form);
}

static void decide(struct report *r)
{
	r->again = r->parent.kind != KIND_MAIL && can_write_again(r);
	if (r->again) {
		report_read_original(r);
		return;
	}
	/* What was written by us is not answered, whatever its sender: no report about a report. */
	if (r->parent.sender.n == 0 || r->parent.kind != KIND_MAIL) {
		report_without_sender(r);
		return;
	}
	/* The others first; then the store lists those that remain. A warning is given once: it takes all along. */
	if (r->wanted == 0 || (r->wanted < r->parent.failed_n && r->about != KIND_DELAY)) {
		if (r->about != KIND_DELAY)
			log_info(&(struct log){ .message = r->parent.id }, "report.unwanted",
				 kv("recipients", r->parent.failed_n - r->wanted));
		tell_nobody(r, r->wanted, S("the sender does not want to be told (NOTIFY)"));
		return;
	}
	report_read_original(r);
}

/* ---- storing ---- */

static void store(struct report *r)
{
	struct accepted *to = &r->accepted;
	struct str fields =
		FIELDS(&r->arena, kv_id("report", to->id), kv("to", r->recipient.address), kv("recipients", r->numbers_n));

	to->event = FIELDS(&r->arena, kv_id("about", r->parent.id), kv("recipients", r->numbers_n), kv("size_bytes", to->size),
			   kv("sign_domain", to->sign_domain));
	crash_point("queue.before_report");
	store_report(r->queue->store, r->about, to, r->parent.id, r->numbers, r->numbers_n, fields, on_stored, r);
}

void report_signed(void *ctx, struct verdict v)
{
	struct report *r = ctx;

	if (v.class != OK)
		report_failed(r, v.text);
	else if (!queue_may_store(r->queue))
		report_failed(r, S("the queue ends"));
	else
		store(r);
}

/* For the log. */
static const char *kind_word(enum message_kind kind)
{
	static const char *const words[] = {
		[KIND_FAILURE] = "failure", [KIND_DELAY] = "delay", [KIND_SUCCESS] = "success", [KIND_NOTICE] = "notice"
	};

	return words[kind];
}

static void on_stored(void *ctx, struct verdict v)
{
	struct report *r = ctx;
	struct queue *q = r->queue;

	crash_point("queue.after_report");
	if (v.class != OK) {
		report_failed(r, v.text);
		return;
	}
	q->reports.notices.n += r->accepted.kind == KIND_NOTICE;
	if (r->accepted.id)
		log_info(&(struct log){ .message = r->accepted.id }, "report.queued", kv_id("about", r->parent.id),
			 kv("kind", kind_word(r->accepted.kind)), kv("to", r->recipient.address), kv("recipients", r->numbers_n));
	finish(r);
	scheduler_wake(&q->dispatch);
}
