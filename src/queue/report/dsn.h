/* dsn.h - delivery status notifications (RFC 3464): tell senders what has become of their mail: failures, delays, and successes
 * where a sender asked for them. A DSN is built, signed, and stored together with the marks of its recipients, one DSN at a time.
 * Failures of mail without a sender are told to the postmaster. */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "report/dsn_rules.h"

#include <stdbool.h>
#include <uv.h>

struct dsn;
struct reports;

struct dsns {
	struct dsn *current; /* NULL: none is being made */
	unsigned turn;       /* what is looked for next: failures, delays, successes take turns */
	unsigned empty;      /* searches in a row that have found nothing */
	bool again;          /* something happened meanwhile */
	bool waiting;        /* the last try failed: the timer starts the next */
	struct postmaster_copies copies;
	uv_timer_t timer;
};

void dsns_init(struct reports *rs);

/* Recipients have failed. Delays are looked for by a timer. */
void dsns_wake(struct reports *rs);

/* The same, without the pause after a failure: what was missing has come back. */
void dsns_retry(struct reports *rs);

/* Does the store or the disk work for a DSN? If not, dsns_cancel() ends the one that waits for vault. */
bool dsns_are_busy(const struct reports *rs);
void dsns_cancel(struct reports *rs);

#endif
