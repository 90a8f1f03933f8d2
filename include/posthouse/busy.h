/* busy.h - how much of a role is still under way when it is to end: counted in one place, asked from the loop. */
#ifndef POSTHOUSE_BUSY_H
#define POSTHOUSE_BUSY_H

#include "posthouse/str.h"

#include <uv.h>

struct busy {
	size_t n;
	bool waiting;     /* busy_wait() was called */
	uv_timer_t check; /* asks from the loop: the code that ends something is still at work when it says so */
	void (*on_idle)(void *ctx);
	void *ctx;
};

/* on_idle comes from the loop when nothing is under way after busy_wait(), and again when more has begun and ended since. */
void busy_init(struct busy *b, uv_loop_t *loop, void (*on_idle)(void *ctx), void *ctx);
void busy_change(struct busy *b, int change); /* +1: something has begun; -1: it has ended */
void busy_wait(struct busy *b);

#endif
