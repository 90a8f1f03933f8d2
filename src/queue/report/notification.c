/* notification.c - a notice's way: written, signed, stored, for the login and then for the postmaster. */
#include "queue.h"
#include "common/event_fields.h"
#include "report/notification_text.h"
#include "common/dsn_form.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define WAITING_MAX 200
#define PER_HOUR    100
#define RETRY_MS    (15 * 1000)

struct notice {
	struct list in_waiting;
	struct queue *queue;
	struct arena arena; /* of the words */
	struct str login, subject, words;
	bool for_postmaster; /* the login has got his */
	/* of the mail that is made of it now */
	struct arena mail_arena;
	struct accepted accepted;
	struct new_recipient recipient;
	struct signing signing;
};

/* In the order they happen. */
static void begin(struct notice *n);
static void on_signed(void *ctx, struct verdict v);
static void on_stored(void *ctx, struct verdict v);

static void on_retry(uv_timer_t *t)
{
	notices_wake(t->data);
}

void notices_init(struct queue *q)
{
	list_init(&q->notices.waiting);
	queue_timer_init(q, &q->notices.retry);
}

static void notice_free(struct notice *n)
{
	list_remove(&n->in_waiting);
	sign_end(&n->signing);
	arena_fini(&n->mail_arena);
	arena_fini(&n->arena);
	free(n);
}

void notices_fini(struct queue *q)
{
	LIST_EACH (i, &q->notices.waiting)
		notice_free(CONTAINER_OF(i, struct notice, in_waiting));
}

/* ---- making ---- */

static void post(struct notice *n);

void notice_account(struct queue *q, const struct account_event *e)
{
	struct notice *n = NEW(struct notice);

	list_init(&n->in_waiting);
	n->queue = q;
	n->login = arena_str(&n->arena, e->login);
	n->subject = notification_subject(e);
	n->words = notification_text(&n->arena, e);
	post(n);
}

void notice_skipped(struct queue *q, uint64_t messages)
{
	struct notice *n = NEW(struct notice);

	list_init(&n->in_waiting);
	n->queue = q;
	n->login = S("");
	n->for_postmaster = true;
	n->subject = S("Mail could not be delivered, and there is nobody else to tell");
	n->words = arena_printf(
		&n->arena,
		"%llu more messages without a return address, or reports to senders, could not be delivered in the last hour. "
		"For so many there is no note for each.\n\n"
		"The log names them: event=report.discarded.\n",
		(unsigned long long)messages);
	post(n);
}

/* Counted from the first one on; a clock that goes back begins anew. */
static bool is_too_many(struct notices *all, uint64_t now)
{
	if (now < all->since || now - all->since >= HOUR_MS) {
		all->since = now;
		all->sent = 0;
	}
	return all->n >= WAITING_MAX || all->sent++ >= PER_HOUR;
}

static void post(struct notice *n)
{
	struct queue *q = n->queue;

	if (is_too_many(&q->notices, clock_now_ms())) {
		log_warning(NULL, "notice.dropped", kv("login", n->login), kv("subject", n->subject));
		notice_free(n);
		return;
	}
	list_remove(&n->in_waiting);
	list_append(&q->notices.waiting, &n->in_waiting);
	q->notices.n++;
	notices_wake(q);
}

/* ---- sending ---- */

bool notices_busy(const struct queue *q)
{
	return q->notices.current && !q->notices.current->signing.call;
}

void notices_cancel(struct queue *q)
{
	struct notice *n = q->notices.current;

	if (!n || !sign_cancel(&n->signing))
		return;
	q->notices.current = NULL;
	notice_free(n);
}

void notices_wake(struct queue *q)
{
	struct notice *n;

	if (q->notices.current || list_empty(&q->notices.waiting) || !queue_may_store(q) || q->stopping)
		return;
	n = CONTAINER_OF(list_first(&q->notices.waiting), struct notice, in_waiting);
	list_remove(&n->in_waiting);
	q->notices.n--;
	q->notices.current = n;
	begin(n);
}

/* To whom it goes now; "": to nobody any more. */
static struct str recipient_of(const struct notice *n)
{
	struct str postmaster = role_config(n->queue->role)->postmaster;

	if (!n->for_postmaster)
		return n->login;
	return str_ieq(postmaster, n->login) ? S("") : postmaster;
}

static void end(struct notice *n)
{
	struct queue *q = n->queue;

	q->notices.current = NULL;
	notice_free(n);
	notices_wake(q);
	queue_check_idle(q);
}

static void begin(struct notice *n)
{
	struct queue *q = n->queue;
	const struct config *c = role_config(q->role);
	struct accepted *to = &n->accepted;
	struct arena *a = &n->mail_arena;
	struct notice_input in = { .hostname = c->hostname, .subject = n->subject, .words = n->words };
	struct report_author author;
	bool is_8bit;

	if (!n->for_postmaster && str_find(n->login, '@') == n->login.n)
		n->for_postmaster = true; /* a login that is no address has no mailbox */
	arena_reset(a);
	in.to = arena_str(a, recipient_of(n));
	if (in.to.n == 0) {
		end(n);
		return;
	}
	author = report_author(a, c, REPORTER_USUAL, S(""), in.to);
	in.from = author.from;
	*to = (struct accepted){ .received_at = clock_now_ms(), .token = random_u64(), .kind = KIND_NOTICE };
	to->id = in.id = id_next(&q->ids, to->received_at);
	in.now_ms = to->received_at;
	mail_notice(a, &in, &n->signing.header, &n->signing.body, &is_8bit);
	to->expires_at = to->received_at + c->queue.lifetime_ms;
	to->login = S("");
	to->sender = author.sender;
	to->origin = S("notice");
	to->body = is_8bit ? 1 : 0;
	to->utf8 = (words_are_ascii(in.to) ? 0 : 2) | (words_are_ascii(n->signing.header) ? 0 : 4);
	to->priority = PRIORITY_NORMAL;
	to->text = arena_printf(a, "%.*s\r\n%.*s", STR_ARG(n->signing.header), STR_ARG(n->signing.body));
	to->size = to->text.n;
	to->header_size = n->signing.header.n;
	to->place = PLACE_ROW;
	n->recipient = (struct new_recipient){ .address = in.to };
	to->recipients = &n->recipient;
	to->recipients_n = 1;
	sign_end(&n->signing);
	n->signing = (struct signing){ .queue = q,
				       .arena = a,
				       .m = to,
				       .header = n->signing.header,
				       .body = n->signing.body,
				       .from = in.from,
				       .done = on_signed,
				       .ctx = n };
	sign(&n->signing);
}

/* It is tried again later, from the beginning. */
static void put_off(struct notice *n, struct str reason)
{
	struct queue *q = n->queue;

	log_warning(NULL, "notice.delayed", kv("login", n->login), kv("reason", reason));
	q->notices.current = NULL;
	list_append(&q->notices.waiting, &n->in_waiting);
	q->notices.n++;
	if (!q->closing)
		uv_timer_start(&q->notices.retry, on_retry, RETRY_MS, 0);
	queue_check_idle(q);
}

static void on_signed(void *ctx, struct verdict v)
{
	struct notice *n = ctx;
	struct accepted *to = &n->accepted;

	if (v.class != OK || !queue_may_store(n->queue)) {
		put_off(n, v.class != OK ? v.text : S("the queue ends"));
		return;
	}
	to->event = FIELDS(&n->mail_arena, kv("about", n->login), kv("subject", n->subject), kv("size_bytes", to->size),
			   kv("sign_domain", to->sign_domain));
	store_accept(n->queue->store, to, on_stored, n);
}

static void on_stored(void *ctx, struct verdict v)
{
	struct notice *n = ctx;
	struct queue *q = n->queue;

	if (v.class != OK) {
		put_off(n, v.text);
		return;
	}
	log_info(&(struct log){ .message = n->accepted.id }, "notice.queued", kv("login", n->login),
		 kv("to", n->recipient.address), kv("subject", n->subject));
	scheduler_wake(&q->dispatch);
	if (n->for_postmaster || !queue_may_store(q) || q->stopping) {
		end(n);
		return;
	}
	n->for_postmaster = true;
	begin(n);
}
