/* report.h - tells senders of failures: builds the report, has it signed, stores it together with its marks. One at a time. */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include <stdbool.h>
#include <uv.h>

struct queue;
struct report;

struct reports {
	struct report *current; /* NULL: none is being made */
	bool again;             /* something failed meanwhile */
	bool waiting;           /* the last try did not come through: the timer starts the next */
	uv_timer_t timer;
};

void reports_init(struct queue *q);

/* Recipients have failed, or what a report needs (vault, the store) is there again. */
void reports_wake(struct queue *q);

#endif
