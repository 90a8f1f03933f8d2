/* calls.c - calls that wait for their answer. Their numbers are unique in the process: a late answer, or a number that a peer
 * invents, matches no call. Each callback comes once, from the loop. */
#include "channel.h"

#include "posthouse/clock.h"

#include <stdlib.h>
#include <unistd.h>

#define BUCKETS  1024
#define SWEEP_MS 1000

struct call {
	struct call *next;    /* in its bucket */
	struct list link;     /* in its channel's calls, or in `failed` */
	struct channel *ch;   /* NULL: failed, to be answered from the loop */
	uint64_t number, due; /* monotonic ms */
	const struct call_type *type;
	void (*on_reply)(void);
	void *ctx;
	size_t credit;
	const char *why;
};

static struct call *buckets[BUCKETS];
static uint64_t last_number;
static struct list failed = { &failed, &failed };
static struct list closing = { &closing, &closing };
static struct list granting = { &granting, &granting };
static bool deferred;

static void on_deferred(uv_timer_t *timer);

/* Callbacks are made from the loop, never while the caller is still inside ipc_call() or channel_close(). */
static void defer(uv_loop_t *loop)
{
	uv_timer_t *timer;

	if (deferred)
		return;
	deferred = true;
	timer = NEW(uv_timer_t);
	uv_timer_init(loop, timer);
	uv_timer_start(timer, on_deferred, 0, 0);
}

static struct call **find(uint64_t number)
{
	struct call **at = &buckets[number % BUCKETS];

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

/* Take a call out of every list; the caller frees it. */
static struct call *take(struct call **at)
{
	struct call *c = *at;

	*at = c->next;
	list_remove(&c->link);
	if (c->ch && c->credit)
		channel_return_credit(c->ch, c->credit);
	if (c->ch && list_empty(&c->ch->calls) && !c->ch->closing)
		uv_timer_stop(&c->ch->sweep);
	return c;
}

/* on_deferred() answers the call with TEMP. */
static void fail(struct call *c, const char *why)
{
	if (c->ch && c->credit)
		channel_return_credit(c->ch, c->credit);
	c->credit = 0;
	c->ch = NULL;
	c->why = why;
	list_remove(&c->link);
	list_append(&failed, &c->link);
}

static void on_sweep(uv_timer_t *timer)
{
	struct channel *ch = timer->data;
	uint64_t now = clock_mono_ms();

	LIST_EACH (i, &ch->calls) {
		struct call *c = CONTAINER_OF(i, struct call, link);

		if (c->due <= now) {
			fail(c, "no answer in time");
			defer(ch->loop);
		}
	}
	if (list_empty(&ch->calls))
		uv_timer_stop(&ch->sweep);
}

/* For tests: POSTHOUSE_DEADLINE is the longest time in ms that a call can take. */
static uint64_t deadline_ms(const struct call *c)
{
#ifdef POSTHOUSE_CRASH_POINTS
	const char *most = getenv("POSTHOUSE_DEADLINE");
	uint64_t ms = most ? strtoull(most, NULL, 10) : UINT64_MAX;

	if (ms < c->type->deadline_ms)
		return ms;
#endif
	return c->type->deadline_ms;
}

void ipc_extend(uint64_t number)
{
	struct call *c = *find(number);

	if (c)
		c->due = clock_mono_ms() + deadline_ms(c);
}

uint64_t ipc_call(struct channel *ch, enum msg_type type, const void *message, int fd, void (*on_reply)(void), void *ctx)
{
	struct call *c = NEW(struct call);
	struct call **bucket;

	c->number = ++last_number;
	c->type = ipc_call_type(type);
	c->on_reply = on_reply;
	c->ctx = ctx;
	c->ch = ch;
	c->due = clock_mono_ms() + deadline_ms(c);
	bucket = &buckets[c->number % BUCKETS];
	c->next = *bucket;
	*bucket = c;
	if (!ch || ch->closing) {
		c->ch = NULL;
		list_init(&c->link);
		fail(c, "the role is away");
		defer(ch ? ch->loop : uv_default_loop());
		return c->number;
	}
	if (list_empty(&ch->calls))
		uv_timer_start(&ch->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	list_append(&ch->calls, &c->link);
	if (!ipc_send(ch, type, c->number, message, fd) && c->ch) {
		fail(c, "the message could not be sent");
		defer(ch->loop);
	}
	return c->number;
}

void ipc_cancel(uint64_t number)
{
	struct call **at = find(number);

	if (*at)
		free(take(at));
}

void calls_hold_credit(uint64_t number, size_t bytes)
{
	struct call **at = find(number);

	if (!*at || !(*at)->ch)
		return;
	(*at)->credit = bytes;
	(*at)->ch->credit_used += bytes;
}

void calls_answer(struct channel *ch, enum msg_type type, const union ipc_message *m, int fd)
{
	struct call **at = find(m->call);
	struct call *c;

	if (!*at || (*at)->ch != ch || (*at)->type->reply != type) {
		if (fd >= 0)
			close(fd);
		return;
	}
	c = take(at);
	c->type->answer(c->on_reply, c->ctx, ok(), m, fd);
	free(c);
}

void calls_fail(struct channel *ch)
{
	LIST_EACH (i, &ch->calls)
		fail(CONTAINER_OF(i, struct call, link), "the role has ended");
	list_append(&closing, &ch->closing_link);
	defer(ch->loop);
}

/* ---- the deferred round ---- */
static void on_timer_closed(uv_handle_t *h)
{
	free(h);
}

/* Only the calls that have failed until now: a callback can make another call that fails; that one is answered in the
 * next round. */
static void answer_failed(void)
{
	struct list *first, now;

	list_init(&now);
	LIST_EACH (i, &failed) {
		list_remove(i);
		list_append(&now, i);
	}
	while ((first = list_first(&now)) != NULL) {
		struct call *c = CONTAINER_OF(first, struct call, link);

		take(find(c->number));
		c->type->answer(c->on_reply, c->ctx, temp(451, S("4.3.0"), str_of(c->why)), NULL, -1);
		free(c);
	}
}

static void on_deferred(uv_timer_t *timer)
{
	struct list *first;

	deferred = false;
	uv_close((uv_handle_t *)timer, on_timer_closed);
	answer_failed();
	while ((first = list_first(&granting)) != NULL) {
		struct channel *ch = CONTAINER_OF(first, struct channel, granting_link);

		list_remove(first);
		channel_grant(ch);
	}
	while ((first = list_first(&closing)) != NULL) {
		struct channel *ch = CONTAINER_OF(first, struct channel, closing_link);

		list_remove(first);
		channel_grant(ch);
		if (ch->config.on_closed)
			ch->config.on_closed(ch->config.ctx, ch, ch->reason);
	}
}

void calls_defer_grant(struct channel *ch)
{
	list_remove(&ch->granting_link);
	list_append(&granting, &ch->granting_link);
	defer(ch->loop);
}
