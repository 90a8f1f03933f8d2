/* notification.c - the way of a notification: written, signed, stored, for the login and then for the postmaster. */
#include "common/event_fields.h"
#include "report/own_message.h"
#include "report/report.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define WAITING_MAX 200
#define PER_HOUR    100
#define RETRY_MS    (15 * 1000)

struct notification {
	struct list in_waiting;
	struct reports *reports;
	struct arena arena; /* of the words */
	struct str login, subject, words;
	bool for_postmaster; /* the login has got its own */
	/* of the mail that is made of it now */
	struct arena mail_arena;
	struct own_message mail;
};

/* In the order they happen. */
static void begin(struct notification *n);
static void on_signed(void *ctx, struct verdict v);
static void on_stored(void *ctx, struct verdict v);

static void on_retry(uv_timer_t *t)
{
	notifications_wake(t->data);
}

void notifications_init(struct reports *rs)
{
	list_init(&rs->notifications.waiting);
	timers_add(rs->timers, &rs->notifications.retry, rs);
}

static void notification_free(struct notification *n)
{
	list_remove(&n->in_waiting);
	own_message_end(&n->mail);
	arena_fini(&n->mail_arena);
	arena_fini(&n->arena);
	free(n);
}

void notifications_fini(struct reports *rs)
{
	LIST_EACH (i, &rs->notifications.waiting)
		notification_free(CONTAINER_OF(i, struct notification, in_waiting));
}

/* ---- making ---- */

/* Counted from the first one on; a clock that goes back starts a new hour. */
static bool is_too_many(struct notifications *all, uint64_t now)
{
	if (now < all->since || now - all->since >= HOUR_MS) {
		all->since = now;
		all->sent = 0;
	}
	return all->n >= WAITING_MAX || all->sent++ >= PER_HOUR;
}

static struct notification *notification_new(struct reports *rs, struct str login, struct str subject)
{
	struct notification *n = NEW(struct notification);

	list_init(&n->in_waiting);
	n->reports = rs;
	n->login = arena_str(&n->arena, login);
	n->subject = subject;
	return n;
}

static void post(struct notification *n)
{
	struct reports *rs = n->reports;

	if (is_too_many(&rs->notifications, clock_now_ms())) {
		log_warning(NULL, "notice.dropped", kv("login", n->login), kv("subject", n->subject));
		notification_free(n);
		return;
	}
	list_append(&rs->notifications.waiting, &n->in_waiting);
	rs->notifications.n++;
	notifications_wake(rs);
}

void notify_account(struct reports *rs, const struct account_event *e)
{
	struct notification *n = notification_new(rs, e->login, notification_subject(e));

	n->words = notification_text(&n->arena, e);
	post(n);
}

void notify_skipped(struct reports *rs, uint64_t messages)
{
	struct notification *n = notification_new(rs, S(""), S("Mail could not be delivered, and there is nobody else to tell"));

	n->for_postmaster = true;
	n->words = arena_printf(
		&n->arena,
		"%llu more messages without a return address, or reports to senders, could not be delivered in the last hour. "
		"For so many there is no note for each.\n\n"
		"The log names them: event=report.discarded.\n",
		(unsigned long long)messages);
	post(n);
}

void notify_upstream(struct reports *rs, struct str name, uint64_t meaning, struct str reason)
{
	const struct cfg_upstream *u = config_upstream(role_config(rs->role), name);
	struct notification *n;
	struct store_stats stats;

	if (!u || !reports_may_store(rs))
		return;
	store_stats(rs->store, &stats);
	n = notification_new(rs, S(""), S(""));
	n->for_postmaster = true;
	n->subject = arena_printf(&n->arena, "Mail through the upstream %.*s waits until somebody acts", STR_ARG(name));
	n->words = notification_upstream_text(&n->arena, u, meaning, reason, stats.open_messages);
	post(n);
}

bool notify_postmaster(struct reports *rs, struct str subject, struct str words)
{
	struct notification *n;

	if (!reports_may_store(rs))
		return false;
	n = notification_new(rs, S(""), S(""));
	n->for_postmaster = true;
	n->subject = arena_str(&n->arena, subject);
	n->words = arena_str(&n->arena, words);
	post(n);
	return true;
}

/* ---- sending ---- */

bool notifications_are_busy(const struct reports *rs)
{
	return rs->notifications.current && !own_message_waits_for_vault(&rs->notifications.current->mail);
}

void notifications_cancel(struct reports *rs)
{
	struct notification *n = rs->notifications.current;

	if (!n || !own_message_cancel(&n->mail))
		return;
	rs->notifications.current = NULL;
	notification_free(n);
}

void notifications_wake(struct reports *rs)
{
	struct notification *n;

	if (rs->notifications.current || list_empty(&rs->notifications.waiting) || !reports_may_store(rs) || rs->stopping)
		return;
	n = CONTAINER_OF(list_first(&rs->notifications.waiting), struct notification, in_waiting);
	list_remove(&n->in_waiting);
	rs->notifications.n--;
	rs->notifications.current = n;
	begin(n);
}

/* The address to which it goes now; "": it has gone to all. */
static struct str recipient_of(const struct notification *n)
{
	struct str postmaster = role_config(n->reports->role)->postmaster;

	if (!n->for_postmaster)
		return n->login;
	return str_ieq(postmaster, n->login) ? S("") : postmaster;
}

static void end(struct notification *n)
{
	struct reports *rs = n->reports;

	rs->notifications.current = NULL;
	notification_free(n);
	notifications_wake(rs);
	reports_tell_idle(rs);
}

static void begin(struct notification *n)
{
	struct reports *rs = n->reports;
	const struct config *c = role_config(rs->role);
	struct notification_input in = { .hostname = c->hostname, .subject = n->subject, .words = n->words };
	struct report_text text = { .covered = 0 };

	if (!n->for_postmaster && str_find(n->login, '@') == n->login.n)
		n->for_postmaster = true; /* a login that is no address has no mailbox */
	arena_reset(&n->mail_arena);
	in.to = recipient_of(n);
	if (in.to.n == 0) {
		end(n);
		return;
	}
	own_message_begin(&n->mail, rs, &n->mail_arena, &(struct own_envelope){ .kind = KIND_NOTICE, .recipient = in.to });
	in.from = n->mail.author.from;
	in.id = n->mail.m.id;
	in.now_ms = n->mail.m.received_at;
	mail_notification(&n->mail_arena, &in, &text.header, &text.body, &text.is_8bit);
	own_message_sign(&n->mail, &text, on_signed, n);
}

/* It is written again later. */
static void put_off(struct notification *n, struct str reason)
{
	struct reports *rs = n->reports;

	log_warning(NULL, "notice.delayed", kv("login", n->login), kv("reason", reason));
	rs->notifications.current = NULL;
	list_append(&rs->notifications.waiting, &n->in_waiting);
	rs->notifications.n++;
	if (!rs->closing)
		uv_timer_start(&rs->notifications.retry, on_retry, RETRY_MS, 0);
	reports_tell_idle(rs);
}

static void on_signed(void *ctx, struct verdict v)
{
	struct notification *n = ctx;
	struct accepted *to = &n->mail.m;

	if (v.class != OK || !reports_may_store(n->reports)) {
		put_off(n, v.class != OK ? v.text : S("the queue ends"));
		return;
	}
	to->event = FIELDS(&n->mail_arena, kv("about", n->login), kv("subject", n->subject), kv("size_bytes", to->size),
			   kv("sign_domain", to->envelope.sign_domain));
	store_accept(n->reports->store, to, on_stored, n);
}

static void on_stored(void *ctx, struct verdict v)
{
	struct notification *n = ctx;
	struct reports *rs = n->reports;

	if (v.class != OK) {
		put_off(n, v.text);
		return;
	}
	log_info(&(struct log){ .message = n->mail.m.id }, "notice.queued", kv("login", n->login),
		 kv("to", n->mail.recipient.address), kv("subject", n->subject));
	rs->observer->message_stored(rs->observer->ctx);
	if (n->for_postmaster || !reports_may_store(rs) || rs->stopping) {
		end(n);
		return;
	}
	n->for_postmaster = true;
	begin(n);
}
