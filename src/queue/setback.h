/* setback.h - the clock is set back, while we run or while we did not: what another clock wrote is mended (clock.h), in memory and in the
 * store, so that nothing stays closed for as long as the clock went back. */
#ifndef QUEUE_SETBACK_H
#define QUEUE_SETBACK_H

#include "posthouse/store.h"

#include <uv.h>

struct queue;

struct setback {
	uv_timer_t look, retry;
	uint64_t seen; /* the latest time that a look has seen */
	bool mending;  /* the store is at it */
	bool again;    /* the clock was set back once more meanwhile */
	struct mending page;
};

void setback_init(struct queue *q);

/* The store is open: look at the clock from now on, each second. */
void setback_start(struct queue *q);

#endif
