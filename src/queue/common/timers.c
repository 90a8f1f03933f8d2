/* timers.c - see timers.h. */
#include "common/timers.h"

#include <assert.h>

void timers_add(struct timers *t, uv_timer_t *timer, void *data)
{
	assert(t->n < TIMERS_MAX);
	uv_timer_init(t->loop, timer);
	timer->data = data;
	t->at[t->n++] = timer;
}

void timers_stop(struct timers *t)
{
	for (size_t i = 0; i < t->n; i++)
		uv_timer_stop(t->at[i]);
}

void timers_close(struct timers *t, uv_close_cb closed, void *data)
{
	for (size_t i = 0; i < t->n; i++) {
		t->at[i]->data = data;
		uv_close((uv_handle_t *)t->at[i], closed);
	}
}
