/* setback.c - a clock that was set back: how the queue notices that, and mends the times that it has stored. */
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define LOOK_MS     1000
#define STEP_MS     2000 /* what is set back by less is no harm */
#define RETRY_MS    5000
#define UNKNOWN_MS  (5 * MINUTE_MS) /* an outcome that nobody knows is tried again after so long, however short `retry` is */
#define RELEASE_MAX (366 * DAY_MS)  /* the most that submission.future_release can be, a key that the queue does not read */

static void on_mended(void *ctx, struct verdict v, const struct mending *next);

/* The longest interval that a retry can have: a tenth more than the longest of the configuration, see retry_at(). */
static uint64_t longest_retry(const struct cfg_queue *c)
{
	uint64_t longest = UNKNOWN_MS;

	for (size_t i = 0; i < c->retry_n; i++)
		if (c->retry_ms[i] + c->retry_ms[i] / 10 > longest)
			longest = c->retry_ms[i] + c->retry_ms[i] / 10;
	return longest;
}

static void mend_store(struct queue *q)
{
	struct setback *s = &q->setback;

	s->again = s->mending;
	if (q->nodes.shared) /* its times are also those of other nodes, whose clocks are right */
		return;
	if (s->mending || !queue_may_store(q))
		return;
	s->mending = true;
	s->page = (struct mending){ .now = clock_now_ms(),
				    .retry_ms = longest_retry(&role_config(q->role)->queue),
				    .release_ms = RELEASE_MAX };
	store_mend(q->store, &s->page, on_mended, q);
}

static void on_retry(uv_timer_t *t)
{
	mend_store(t->data);
}

static void on_mended(void *ctx, struct verdict v, const struct mending *next)
{
	struct queue *q = ctx;
	struct setback *s = &q->setback;

	if (queue_may_store(q) && v.class == OK && next->step != MENDED) {
		s->page = *next;
		store_mend(q->store, &s->page, on_mended, q);
		return;
	}
	s->mending = false;
	if (!queue_may_store(q))
		return;
	if (v.class != OK) {
		uv_timer_start(&s->retry, on_retry, RETRY_MS, 0);
		return;
	}
	if (next->messages + next->recipients > 0)
		log_warning(NULL, "clock.mended", kv("messages", next->messages), kv("recipients", next->recipients));
	scheduler_mend(&q->dispatch);
	if (s->again)
		mend_store(q);
}

static void on_look(uv_timer_t *t)
{
	struct queue *q = t->data;
	struct setback *s = &q->setback;
	uint64_t now = clock_now_ms();

	if (!clock_is_foreign(s->seen, now, STEP_MS)) {
		s->seen = now > s->seen ? now : s->seen;
		return;
	}
	log_warning(NULL, "clock.set_back", kv("by_ms", s->seen - now));
	s->seen = now;
	accounting_mend(&q->accounting, now);
	dispatch_mend(&q->dispatch, now);
	mend_store(q);
}

void setback_init(struct queue *q)
{
	timers_add(&q->timers, &q->setback.look, q);
	timers_add(&q->timers, &q->setback.retry, q);
}

void setback_start(struct queue *q)
{
	struct store_stats stats;

	store_stats(q->store, &stats);
	q->setback.seen = clock_now_ms();
	uv_timer_start(&q->setback.look, on_look, LOOK_MS, LOOK_MS);
	if (stats.set_back)
		mend_store(q);
}
