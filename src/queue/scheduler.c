/* scheduler.c - rounds: ask the store for due lanes, lease a few recipients of each with their siblings, send. One round at a time;
 * what happens meanwhile starts the next. */
#include "queue.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define LANES_MAX       32
#define TIMER_MAX_MS    60000
#define TIMER_MIN_MS    20
#define FRUITLESS_MS    1000 /* lanes said to be due gave nothing: no hurry */
#define STORE_FAILED_MS 5000

/* In the order they happen. */
static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at);
static void on_leased(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
static void on_siblings(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
static void end_step(struct queue *q);

static void on_timer(uv_timer_t *t)
{
	struct queue *q = t->data;

	q->scheduler.failing = false;
	scheduler_wake(q);
}

static void on_credit(void *ctx)
{
	scheduler_wake(ctx);
}

void scheduler_init(struct queue *q)
{
	list_init(&q->scheduler.fetched);
	queue_timer_init(q, &q->scheduler.timer);
}

void scheduler_fini(struct queue *q)
{
	channel_stop_waiting(&q->scheduler.credit);
}

void scheduler_wait_credit(struct queue *q)
{
	struct credit_wait *w = &q->scheduler.credit;

	if (w->ch)
		return;
	w->on_credit = on_credit;
	w->ctx = q;
	channel_wait_credit(q->relay, w);
}

/* Sleep until something may be due. */
static void rest(struct queue *q, uint64_t now, uint64_t gate_at, uint64_t at_least_ms)
{
	uint64_t delay = TIMER_MAX_MS;
	uint64_t lane_at = q->scheduler.next_lane_at;

	if (lane_at > 0 && lane_at < now + delay)
		delay = lane_at > now ? lane_at - now : 0;
	if (gate_at > 0 && gate_at < now + delay)
		delay = gate_at > now ? gate_at - now : 0;
	if (delay < at_least_ms)
		delay = at_least_ms;
	uv_timer_start(&q->scheduler.timer, on_timer, delay, 0);
}

static bool may_lease(const struct queue *q)
{
	return queue_may_store(q) && !q->stopping && q->relay && q->gates.known && !q->settling.failing && !q->scheduler.failing;
}

void scheduler_wake(struct queue *q)
{
	struct scheduler *s = &q->scheduler;
	uint64_t now = clock_now_ms();
	uint64_t gate_at;

	if (!queue_may_store(q))
		return;
	leases_send(q);
	if (s->asking > 0) {
		s->again = true;
		return;
	}
	s->room = gates_room(q, now, &gate_at);
	if (!may_lease(q) || s->room == 0 || !channel_has_credit(q->relay)) {
		/* a result, a channel, credit or the timer wakes us */
		rest(q, now, gate_at, s->failing ? STORE_FAILED_MS : FRUITLESS_MS);
		return;
	}
	s->asking = 1;
	s->again = false;
	s->fruitful = false;
	store_lanes(q->store, now, s->room < LANES_MAX ? s->room : LANES_MAX, on_lanes, q);
}

static void store_refused(struct queue *q, struct verdict v)
{
	if (!q->scheduler.failing)
		log_warning(NULL, "leasing.paused", kv("reply", v.text));
	q->scheduler.failing = true;
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct queue *q = ctx;
	struct scheduler *s = &q->scheduler;

	if (v.class != OK) {
		store_refused(q, v);
		n = 0;
	} else {
		s->next_lane_at = next_at;
	}
	s->share = n > 0 && s->room > n ? s->room / n : 1;
	for (size_t i = 0; i < n && may_lease(q); i++) {
		s->asking++;
		store_lease(q->store, lanes[i].lane, clock_now_ms(), s->share, true, on_leased, q);
	}
	if (n > 0)
		s->next_lane_at = 0; /* known again when all that is due has been taken */
	end_step(q);
}

/* The message, when an earlier lane of this round has given recipients of it. */
static struct message *fetched(struct scheduler *s, uint64_t id)
{
	LIST_EACH (i, &s->fetched) {
		struct message *m = CONTAINER_OF(i, struct message, in_fetched);

		if (m->due.id == id)
			return m;
	}
	return NULL;
}

/* A message that a lane has given: its recipients in other lanes join it. */
static void fetch(struct queue *q, const struct due_message *due)
{
	struct scheduler *s = &q->scheduler;
	struct message *m = fetched(s, due->id);

	s->fruitful = true;
	if (m) {
		message_add(m, due->recipients, due->recipients_n);
		return;
	}
	m = message_new(q, due);
	if (m->due.recipients_n >= DELIVERY_RECIPIENTS_MAX || !may_lease(q)) {
		message_dispatch(m);
		return;
	}
	s->asking++;
	list_append(&s->fetched, &m->in_fetched);
	store_lease_siblings(q->store, m->due.id, clock_now_ms(), DELIVERY_RECIPIENTS_MAX - m->due.recipients_n, on_siblings, m);
}

static void on_leased(void *ctx, struct verdict v, const struct due_message *messages, size_t n)
{
	struct queue *q = ctx;

	if (v.class != OK)
		store_refused(q, v);
	for (size_t i = 0; v.class == OK && i < n; i++)
		fetch(q, &messages[i]);
	leases_send(q);
	end_step(q);
}

static void on_siblings(void *ctx, struct verdict v, const struct due_message *messages, size_t n)
{
	struct message *m = ctx;
	struct queue *q = m->queue;

	/* Without them the message goes to those that it has. */
	if (v.class != OK)
		store_refused(q, v);
	for (size_t i = 0; v.class == OK && i < n; i++)
		if (messages[i].id == m->due.id)
			message_add(m, messages[i].recipients, messages[i].recipients_n);
	list_remove(&m->in_fetched);
	message_dispatch(m);
	leases_send(q);
	end_step(q);
}

/* One operation of the round has called back; the last one ends the round. */
static void end_step(struct queue *q)
{
	struct scheduler *s = &q->scheduler;

	assert(s->asking > 0);
	if (--s->asking > 0)
		return;
	queue_check_idle(q);
	if (!queue_may_store(q))
		return;
	if (s->failing)
		rest(q, clock_now_ms(), 0, STORE_FAILED_MS);
	else if (s->fruitful || s->again)
		scheduler_wake(q);
	else
		rest(q, clock_now_ms(), 0, s->next_lane_at ? TIMER_MIN_MS : FRUITLESS_MS);
}
