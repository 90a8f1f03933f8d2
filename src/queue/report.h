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

/* The same, without the pause after a failure: what was missing has come back. */
void reports_retry(struct queue *q);

/* Does the store or the disk work for a report? If not, reports_cancel() ends what waits for vault. */
bool reports_busy(const struct queue *q);
void reports_cancel(struct queue *q);

#endif
