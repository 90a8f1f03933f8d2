/* notification.h - messages to a login and to the postmaster about an account: a limit is nearly used up, mail is held, a breaker
 * has tripped; and to the postmaster alone about an upstream that waits for a person. They are kept in memory until they are
 * signed and stored, one at a time, and count against no limit. */
#ifndef QUEUE_NOTIFICATION_H
#define QUEUE_NOTIFICATION_H

#include "accounting/observer.h"

#include "posthouse/config.h"
#include "posthouse/list.h"

struct notification;
struct reports;

struct notifications {
	struct list waiting;
	size_t n;
	struct notification *current;
	uint64_t sent, since; /* this hour */
	uv_timer_t retry;
};

void notifications_init(struct reports *rs);
void notifications_fini(struct reports *rs);

/* Something that was missing (vault, room in the store) is perhaps there again. */
void notifications_wake(struct reports *rs);

/* Does the store work for one? If not, notifications_cancel() ends the one that waits for vault. */
bool notifications_are_busy(const struct reports *rs);
void notifications_cancel(struct reports *rs);

/* To the login, then to the postmaster. */
void notify_account(struct reports *rs, const struct account_event *e);

/* To the postmaster: this number of messages without a sender has failed, and there was no copy for each of them. */
void notify_skipped(struct reports *rs, uint64_t messages);

/* To the postmaster: this upstream is closed until a person acts. `reason`: its own words. */
void notify_upstream(struct reports *rs, struct str name, uint64_t meaning, struct str reason);

/* To the postmaster: the words of another role. False: the store is not open. */
bool notify_postmaster(struct reports *rs, struct str subject, struct str words);

/* ---- notification_text.c: what a notification says: what happened, when it ends, what to do ---- */

struct str notification_subject(const struct account_event *e); /* a static text */
struct str notification_text(struct arena *a, const struct account_event *e);

/* u: the upstream's configuration. open_messages: in the whole queue. */
struct str notification_upstream_text(struct arena *a, const struct cfg_upstream *u, uint64_t meaning, struct str reason,
				      uint64_t open_messages);

#endif
