/* dsn.h - tells senders what has become of their mail: failures, delays, and deliveries where they asked for it. A report is built,
 * signed, and stored together with its marks, one at a time. Failures of mail without a sender are told to the postmaster. */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "report/dsn_rules.h"

#include <stdbool.h>
#include <uv.h>

struct queue;
struct report;

struct reports {
	struct report *current; /* NULL: none is being made */
	unsigned turn;          /* what is looked for next: failures, delays, successes take turns */
	unsigned vain;          /* so many looks in a row have found nothing */
	bool again;             /* something happened meanwhile */
	bool waiting;           /* the last try did not come through: the timer starts the next */
	struct notice_count notices;
	uv_timer_t timer;
};

void reports_init(struct queue *q);

/* Recipients have failed, or what a report needs (vault, the store) is there again. Delays are looked for by a timer. */
void reports_wake(struct queue *q);

/* The same, without the pause after a failure: what was missing has come back. */
void reports_retry(struct queue *q);

/* Does the store or the disk work for a report? If not, reports_cancel() ends what waits for vault. */
bool reports_busy(const struct queue *q);
void reports_cancel(struct queue *q);

#endif
