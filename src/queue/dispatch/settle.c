/* settle.c - outcomes on their way to the store. */
#include "queue.h"

#include "posthouse/crash.h"

#define RETRY_MS 2000

static void on_retry(uv_timer_t *t);

void settle_init(struct queue *q)
{
	queue_timer_init(q, &q->settling.retry);
}

/* Is there something to tell the sender? */
static bool has_news(const struct lease *l)
{
	for (size_t i = 0; i < l->recipients_n; i++)
		if (l->outcomes[i].state == RCPT_FAILED || l->outcomes[i].report_success)
			return true;
	return false;
}

/* Keep the result: relay has done its part, and forgetting it would send the message again. */
static void hold(struct lease *l, struct verdict v)
{
	struct queue *q = l->message->queue;

	if (!q->settling.failing)
		log_error(&(struct log){ .message = l->message->due.id }, "results.kept", kv("reply", v.text));
	q->settling.failing = true;
	q->settling.held++;
	l->held = true;
	if (!uv_is_active((uv_handle_t *)&q->settling.retry))
		uv_timer_start(&q->settling.retry, on_retry, RETRY_MS, 0);
}

static void on_settled(void *ctx, struct verdict v)
{
	struct lease *l = ctx;
	struct queue *q = l->message->queue;

	crash_point("queue.after_settle");
	if (v.class == TEMP && queue_may_store(q)) {
		hold(l, v);
		return;
	}
	if (v.class != OK)
		log_error(&(struct log){ .message = l->message->due.id }, "results.lost", kv("lease", l->number),
			  kv("reply", v.text));
	if (v.class == OK && q->settling.failing && q->settling.held == 0) {
		q->settling.failing = false;
		log_info(NULL, "results.stored");
	}
	if (l->tell_relay && v.class != TEMP)
		ipc_send_settled(q->relay, &(struct msg_settled){ .lease = l->number }, -1);
	if (v.class == OK && has_news(l))
		reports_wake(q);
	lease_free(l);
	scheduler_wake(q);
	queue_check_idle(q);
}

static void give_to_store(struct lease *l)
{
	crash_point("queue.before_settle");
	store_settle(l->message->queue->store, l->outcomes, l->recipients_n, on_settled, l);
}

static void on_retry(uv_timer_t *t)
{
	struct queue *q = t->data;

	if (!queue_may_store(q))
		return;
	LIST_EACH (i, &q->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (!l->held)
			continue;
		l->held = false;
		q->settling.held--;
		give_to_store(l);
	}
}

void settle(struct lease *l)
{
	struct queue *q = l->message->queue;

	lease_enter(l, LEASE_SETTLING);
	if (queue_may_store(q)) {
		give_to_store(l);
		return;
	}
	/* The door is closed: what is not settled is due again after the start. */
	lease_free(l);
	queue_check_idle(q);
}
