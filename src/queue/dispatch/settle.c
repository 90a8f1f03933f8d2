/* settle.c - outcomes on their way to the store. */
#include "dispatch/dispatch.h"

#include "posthouse/crash.h"

#define RETRY_MS 2000

static void on_retry(uv_timer_t *t);

void settle_init(struct dispatch *d)
{
	timers_add(d->timers, &d->settling.retry, d);
}

/* Is there something to report to the sender? What was withdrawn was perhaps returned by an administrator. */
static bool is_to_report(const struct lease *l)
{
	if (l->withdrawn)
		return true;
	for (size_t i = 0; i < l->recipients_n; i++)
		if (l->outcomes[i].state == RCPT_FAILED || l->outcomes[i].report_success)
			return true;
	return false;
}

/* Keep the outcomes: relay has done its part, and without them the message would be sent again. */
static void hold(struct lease *l, struct verdict v)
{
	struct dispatch *d = l->message->dispatch;

	if (!d->settling.failing)
		log_error(&(struct log){ .message = l->message->due.id }, "results.kept", kv("reply", v.text));
	d->settling.failing = true;
	d->settling.held++;
	l->held = true;
	if (!uv_is_active((uv_handle_t *)&d->settling.retry))
		uv_timer_start(&d->settling.retry, on_retry, RETRY_MS, 0);
}

static void on_settled(void *ctx, struct verdict v)
{
	struct lease *l = ctx;
	struct dispatch *d = l->message->dispatch;

	crash_point("queue.after_settle");
	if (v.class == TEMP && dispatch_may_store(d)) {
		hold(l, v);
		return;
	}
	if (v.class != OK)
		log_error(&(struct log){ .message = l->message->due.id }, "results.lost", kv("lease", l->number),
			  kv("reply", v.text));
	if (v.class == OK && d->settling.failing && d->settling.held == 0) {
		d->settling.failing = false;
		log_info(NULL, "results.stored");
	}
	if (l->tell_relay && v.class != TEMP)
		ipc_send_settled(d->relay, &(struct msg_settled){ .lease = l->number }, -1);
	if (v.class == OK && is_to_report(l))
		d->observer->to_report(d->observer->ctx);
	lease_free(l);
	d->ops->wake(d);
	d->observer->idle(d->observer->ctx);
}

static void give_to_store(struct lease *l)
{
	crash_point("queue.before_settle");
	store_settle(l->message->dispatch->store, l->outcomes, l->recipients_n, on_settled, l);
}

static void on_retry(uv_timer_t *t)
{
	struct dispatch *d = t->data;

	if (!dispatch_may_store(d))
		return;
	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list) {
		if (!l->held)
			continue;
		l->held = false;
		d->settling.held--;
		give_to_store(l);
	}
}

void settle(struct lease *l)
{
	struct dispatch *d = l->message->dispatch;

	lease_enter(l, LEASE_SETTLING);
	if (dispatch_may_store(d)) {
		give_to_store(l);
		return;
	}
	/* The store is closing: recipients without an outcome are due again after the next start. */
	lease_free(l);
	d->observer->idle(d->observer->ctx);
}
