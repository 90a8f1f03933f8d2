/* timers.h - the timers that live as long as the role: each is registered once, and all are stopped and closed together. */
#ifndef QUEUE_TIMERS_H
#define QUEUE_TIMERS_H

#include <stddef.h>
#include <uv.h>

#define TIMERS_MAX 24

struct timers {
	uv_loop_t *loop;
	uv_timer_t *at[TIMERS_MAX];
	size_t n;
};

/* Initialize the timer; `data` becomes timer->data. The timer must live until timers_close() has called back. */
void timers_add(struct timers *t, uv_timer_t *timer, void *data);

void timers_stop(struct timers *t);

/* Close all. `closed` is called once for each timer; handle->data is then `data`. */
void timers_close(struct timers *t, uv_close_cb closed, void *data);

#endif
