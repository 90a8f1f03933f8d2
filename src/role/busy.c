/* busy.c - how much of a role is still under way. A file of its own, so that tests without the frame count as the frame does. */
#include "posthouse/busy.h"

#include <assert.h>

static void on_check(uv_timer_t *timer)
{
	struct busy *b = timer->data;

	if (b->n == 0)
		b->on_idle(b->ctx);
}

static void check_later(struct busy *b)
{
	if (b->waiting && b->n == 0)
		uv_timer_start(&b->check, on_check, 0, 0);
}

void busy_init(struct busy *b, uv_loop_t *loop, void (*on_idle)(void *ctx), void *ctx)
{
	*b = (struct busy){ .on_idle = on_idle, .ctx = ctx };
	uv_timer_init(loop, &b->check);
	b->check.data = b;
}

void busy_change(struct busy *b, int change)
{
	assert(change == 1 || (change == -1 && b->n > 0));
	b->n += (size_t)change;
	check_later(b);
}

void busy_wait(struct busy *b)
{
	b->waiting = true;
	check_later(b);
}
