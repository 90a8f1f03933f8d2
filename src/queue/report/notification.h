/* notification.h - mails of ours to a login and to the postmaster: a limit is nearly used up, mail is held, a breaker has tripped. They wait
 * here, one at a time is signed and stored; they count against no limit. */
#ifndef QUEUE_NOTIFICATION_H
#define QUEUE_NOTIFICATION_H

#include "accounting/observer.h"

#include "posthouse/list.h"

struct queue;
struct notice;

struct notices {
	struct list waiting;
	size_t n;
	struct notice *current;
	uint64_t sent, since; /* this hour */
	uv_timer_t retry;
};

void notices_init(struct queue *q);
void notices_fini(struct queue *q);

/* What was missing (vault, the store) may be there again. */
void notices_wake(struct queue *q);

/* Does the store work for one? If not, notices_cancel() ends what waits for vault. */
bool notices_busy(const struct queue *q);
void notices_cancel(struct queue *q);

/* To the login, then to the postmaster. */
void notice_account(struct queue *q, const struct account_event *e);

/* To the postmaster: so many failed messages of which nobody else can be told, and he was not told singly. */
void notice_skipped(struct queue *q, uint64_t messages);

#endif
