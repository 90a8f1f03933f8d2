/* dsn.c - the way of a DSN: the store lists what it is about, the original is read, the DSN is built, signed, stored. After a
 * crash anywhere on this way the recipients are still unreported, and the way begins again. */
#include "report/dsn_private.h"

#include "common/event_fields.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define REPLY_MAX 1000
#define RETRY_MS  (15 * 1000)

/* Between searches that nothing has asked for: delays, and what could be overlooked. */
#define SEARCH_MIN_MS 250
#define SEARCH_MAX_MS MINUTE_MS

static const enum message_kind kinds[] = { KIND_FAILURE, KIND_DELAY, KIND_SUCCESS };
#define KINDS (sizeof kinds / sizeof *kinds)

/* In the order they happen. */
static void search(struct reports *rs);
static void on_unreported(void *ctx, struct verdict v, const struct unreported *messages, size_t n);
static void decide(struct dsn *dsn);
static void on_original(struct dsn *dsn, struct verdict v);
static void sign(struct dsn *dsn, struct report_text text);
static void on_signed(void *ctx, struct verdict v);
static void on_stored(void *ctx, struct verdict v);

/* The hour is over in which the postmaster had too many copies: one message tells of all that got none. */
static void tell_of_skipped(struct reports *rs)
{
	struct postmaster_copies *copies = &rs->dsns.copies;

	if (copies->skipped == 0 || !reports_may_store(rs) || !postmaster_copy_allowed(copies, clock_now_ms()))
		return;
	notify_skipped(rs, copies->skipped);
	copies->skipped = 0;
	copies->n++;
}

static void on_timer(uv_timer_t *t)
{
	struct reports *rs = t->data;

	rs->dsns.waiting = false;
	tell_of_skipped(rs);
	dsns_wake(rs);
}

void dsns_init(struct reports *rs)
{
	timers_add(rs->timers, &rs->dsns.timer, rs);
}

static bool may_search(const struct reports *rs)
{
	return reports_may_store(rs) && !rs->stopping && !rs->dsns.waiting;
}

void dsns_wake(struct reports *rs)
{
	if (!may_search(rs))
		return;
	if (rs->dsns.current) {
		rs->dsns.again = true;
		return;
	}
	rs->dsns.empty = 0;
	search(rs);
}

void dsns_retry(struct reports *rs)
{
	rs->dsns.waiting = false;
	dsns_wake(rs);
}

bool dsns_are_busy(const struct reports *rs)
{
	return rs->dsns.current && !own_message_waits_for_vault(&rs->dsns.current->mail);
}

static void dsn_free(struct dsn *dsn)
{
	dsn->reports->dsns.current = NULL;
	own_message_end(&dsn->mail);
	free(dsn->bytes);
	arena_fini(&dsn->arena);
	free(dsn);
}

void dsns_cancel(struct reports *rs)
{
	if (rs->dsns.current && own_message_cancel(&rs->dsns.current->mail))
		dsn_free(rs->dsns.current);
}

/* ---- the end of a try ---- */

static void start_timer(struct reports *rs, uint64_t ms)
{
	if (!rs->closing)
		uv_timer_start(&rs->dsns.timer, on_timer, ms, 0);
}

/* A warning can be late by a quarter of the time after which it is due. */
static uint64_t search_again_ms(const struct reports *rs)
{
	uint64_t ms = role_config(rs->role)->queue.warn_after_ms / 4;

	if (ms == 0 || ms > SEARCH_MAX_MS)
		return SEARCH_MAX_MS;
	return ms < SEARCH_MIN_MS ? SEARCH_MIN_MS : ms;
}

/* This DSN is stored, or there was nothing to report: search for the next one, until a search for each kind has found nothing. */
static void finish(struct dsn *dsn)
{
	struct reports *rs = dsn->reports;

	dsn_free(dsn);
	if (rs->dsns.again)
		rs->dsns.empty = 0;
	if (rs->dsns.empty < KINDS && may_search(rs))
		search(rs);
	else
		start_timer(rs, search_again_ms(rs));
	reports_tell_idle(rs);
}

/* The DSN is made again later. */
static void put_off(struct dsn *dsn, struct str reason)
{
	struct reports *rs = dsn->reports;

	log_warning(&(struct log){ .message = dsn->parent.id }, "report.delayed", kv("reason", reason));
	dsn_free(dsn);
	rs->dsns.waiting = true;
	start_timer(rs, RETRY_MS);
	reports_tell_idle(rs);
}

/* ---- what there is to report ---- */

static void search(struct reports *rs)
{
	struct dsn *dsn = NEW(struct dsn);

	dsn->reports = rs;
	dsn->about = kinds[rs->dsns.turn];
	rs->dsns.turn = (rs->dsns.turn + 1) % KINDS;
	rs->dsns.current = dsn;
	rs->dsns.again = false;
	store_unreported(rs->store, dsn->about, clock_now_ms(), 1, on_unreported, dsn);
}

static void copy_parent(struct dsn *dsn, const struct unreported *from)
{
	struct arena *a = &dsn->arena;
	struct unreported *to = &dsn->parent;

	*to = *from;
	envelope_keep(a, &to->envelope);
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
	struct dsn *dsn = ctx;

	if (v.class != OK) {
		put_off(dsn, v.text);
		return;
	}
	if (n == 0 || !reports_may_store(dsn->reports)) {
		dsn->reports->dsns.empty++;
		finish(dsn);
		return;
	}
	dsn->reports->dsns.empty = 0;
	copy_parent(dsn, &messages[0]);
	dsn->wanted = report_sort(&dsn->arena, dsn->about, &dsn->parent);
	dsn->numbers = ARENA_ARRAY(&dsn->arena, uint64_t, dsn->parent.failed_n);
	for (size_t i = 0; i < dsn->parent.failed_n; i++)
		dsn->numbers[i] = dsn->parent.failed[i].n;
	decide(dsn);
}

/* ---- who is told ---- */

/* There is no DSN about the recipients from `first` on: the store forgets that there was something to report. */
static void tell_nobody(struct dsn *dsn, size_t first, struct str reason)
{
	dsn->numbers += first;
	dsn->numbers_n = dsn->parent.failed_n - first;
	store_report(dsn->reports->store, dsn->about, NULL, dsn->parent.id, dsn->numbers, dsn->numbers_n,
		     FIELDS(&dsn->arena, kv("reason", reason), kv("recipients", dsn->numbers_n)), on_stored, dsn);
}

/* RFC 5321 6.1: mail with the null sender never causes a DSN, or DSNs would go to and fro. Its failures are told to the
 * postmaster, except those of the postmaster's own copies. */
static void tell_postmaster(struct dsn *dsn)
{
	struct str reason = dsn->parent.kind == KIND_MAIL ? S("the message has the null sender") : S("it was a report");
	const char *told = "nobody";
	bool copied = false;

	if (dsn->about != KIND_FAILURE) {
		tell_nobody(dsn, 0, reason);
		return;
	}
	if (dsn->parent.kind == KIND_NOTICE) {
		reason = S("it was a notice of the relay's own");
	} else if (postmaster_copy_allowed(&dsn->reports->dsns.copies, clock_now_ms())) {
		told = "postmaster";
		copied = true;
	} else {
		told = "postmaster, of many at once";
		reason = S("the postmaster had too many notes in this hour");
		dsn->reports->dsns.copies.skipped++;
	}
	log_warning(&(struct log){ .message = dsn->parent.id }, "report.discarded", kv("recipients", dsn->parent.failed_n),
		    kv("told", told), kv("reason", reason));
	if (copied)
		sign(dsn, dsn_build_postmaster_copy(dsn));
	else
		tell_nobody(dsn, 0, reason);
}

/* Is the parent a message of the queue itself, with one recipient, and is there another form of it than the one that was
 * refused? */
static bool can_write_again(struct dsn *dsn)
{
	const struct failed_recipient *f = dsn->parent.failed;

	return dsn->about == KIND_FAILURE && form_next(role_config(dsn->reports->role), form_read(dsn->parent.envelope.options),
						       f->route, f->verdict, f->meaning, &dsn->form);
}

static void decide(struct dsn *dsn)
{
	dsn->again = dsn->parent.kind != KIND_MAIL && can_write_again(dsn);
	if (dsn->again) {
		dsn_read_original(dsn, on_original);
		return;
	}
	/* There is no DSN about a DSN or a notification, whatever its sender is. */
	if (dsn->parent.envelope.sender.n == 0 || dsn->parent.kind != KIND_MAIL) {
		tell_postmaster(dsn);
		return;
	}
	/* First the recipients that the sender does not want to hear of; then the store lists the others. A warning is given
	 * once, for all recipients. */
	if (dsn->wanted == 0 || (dsn->wanted < dsn->parent.failed_n && dsn->about != KIND_DELAY)) {
		if (dsn->about != KIND_DELAY)
			log_info(&(struct log){ .message = dsn->parent.id }, "report.unwanted",
				 kv("recipients", dsn->parent.failed_n - dsn->wanted));
		tell_nobody(dsn, dsn->wanted, S("the sender does not want to be told (NOTIFY)"));
		return;
	}
	dsn_read_original(dsn, on_original);
}

static void on_original(struct dsn *dsn, struct verdict v)
{
	if (v.class == TEMP)
		put_off(dsn, v.text);
	else if (v.class != OK)
		tell_postmaster(dsn);
	else
		sign(dsn, dsn->again ? dsn_build_again(dsn) : dsn_build(dsn));
}

/* ---- signing and storing ---- */

static void sign(struct dsn *dsn, struct report_text text)
{
	dsn->numbers_n = text.covered;
	own_message_sign(&dsn->mail, &text, on_signed, dsn);
}

static void store(struct dsn *dsn)
{
	struct accepted *to = &dsn->mail.m;
	struct str fields = FIELDS(&dsn->arena, kv_id("report", to->id), kv("to", dsn->mail.recipient.address),
				   kv("recipients", dsn->numbers_n));

	to->event = FIELDS(&dsn->arena, kv_id("about", dsn->parent.id), kv("recipients", dsn->numbers_n),
			   kv("size_bytes", to->size), kv("sign_domain", to->envelope.sign_domain));
	crash_point("queue.before_report");
	store_report(dsn->reports->store, dsn->about, to, dsn->parent.id, dsn->numbers, dsn->numbers_n, fields, on_stored, dsn);
}

static void on_signed(void *ctx, struct verdict v)
{
	struct dsn *dsn = ctx;

	if (v.class != OK)
		put_off(dsn, v.text);
	else if (!reports_may_store(dsn->reports))
		put_off(dsn, S("the queue ends"));
	else
		store(dsn);
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
	struct dsn *dsn = ctx;
	struct reports *rs = dsn->reports;
	const struct accepted *m = &dsn->mail.m;

	crash_point("queue.after_report");
	if (v.class != OK) {
		put_off(dsn, v.text);
		return;
	}
	rs->dsns.copies.n += m->kind == KIND_NOTICE;
	if (m->id)
		log_info(&(struct log){ .message = m->id }, "report.queued", kv_id("about", dsn->parent.id),
			 kv("kind", kind_word(m->kind)), kv("to", dsn->mail.recipient.address), kv("recipients", dsn->numbers_n));
	finish(dsn);
	rs->observer->message_stored(rs->observer->ctx);
}
