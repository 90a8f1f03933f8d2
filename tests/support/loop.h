/* loop.h - running a loop until something has come about. uv_run(UV_RUN_ONCE) alone can wait for ever: a timer that fires before it
 * waits, as on a busy machine, does not end the wait. Here another timer always comes. */
#ifndef POSTHOUSE_TEST_LOOP_H
#define POSTHOUSE_TEST_LOOP_H

#include "unit.h"

#include "posthouse/arena.h"

#include <stdlib.h>
#include <uv.h>

/* On the heap, so that nobody has to wait until its handle is closed. */
struct patience {
	uv_timer_t tick;
	uint64_t until;
};

static inline void patience_on_tick(uv_timer_t *tick)
{
}

static inline void patience_on_closed(uv_handle_t *tick)
{
	free(tick->data);
}

static inline struct patience *patience_begin(uv_loop_t *loop, uint64_t ms)
{
	struct patience *p = NEW(struct patience);

	uv_timer_init(loop, &p->tick);
	p->tick.data = p;
	uv_update_time(loop);
	p->until = uv_now(loop) + ms;
	uv_timer_start(&p->tick, patience_on_tick, ms < 10 ? ms : 10, 10);
	return p;
}

/* Run the loop once. False: the time is over. */
static inline bool patience_wait(struct patience *p)
{
	uv_run(p->tick.loop, UV_RUN_ONCE);
	return uv_now(p->tick.loop) < p->until;
}

static inline void patience_end(struct patience *p)
{
	uv_close((uv_handle_t *)&p->tick, patience_on_closed);
}

/* Run the loop until the condition holds; the test fails when that takes longer than anything does here. */
#define RUN_UNTIL(loop, condition)                                                                                               \
	do {                                                                                                                     \
		struct patience *patience_ = patience_begin((loop), 60000);                                                      \
		bool waits_ = true;                                                                                              \
		while (!(condition) && waits_)                                                                                   \
			waits_ = patience_wait(patience_);                                                                       \
		patience_end(patience_);                                                                                         \
		if (!(condition))                                                                                                \
			fail_msg("this does not come about: %s", #condition);                                                    \
	} while (0)

#endif
