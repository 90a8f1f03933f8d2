/* report.h - the room as a whole: it tells senders what has become of their mail (dsn.h), and logins and the postmaster what has
 * happened to an account (notification.h). Each of these messages is written, signed by vault, and stored like other mail
 * (own_message.h). The room knows nothing of deliveries, or of the role around it: the observer tells the others what they have
 * to know. */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include "common/timers.h"
#include "report/dsn.h"
#include "report/notification.h"

#include "posthouse/id.h"
#include "posthouse/role.h"
#include "posthouse/store.h"

/* What report tells the rest of the role. rooms.c fills in the callbacks; report calls each from the loop, with the observer's
 * ctx. */
struct report_observer {
	/* A message was stored that is due now. */
	void (*message_stored)(void *ctx);

	/* Work in the thread pool has begun: the role must not end before it has ended. */
	void (*part_begun)(void *ctx);
	void (*part_ended)(void *ctx);

	/* An operation has ended: is all done now that a stopping role waits for? See reports_are_busy(). */
	void (*idle)(void *ctx);
	void *ctx;
};

struct reports {
	struct role *role;     /* its configuration */
	struct timers *timers; /* the role's */
	const struct report_observer *observer;
	struct store *store;   /* NULL: not open, or closing: it must not be asked for anything */
	struct channel *vault; /* NULL: away */
	bool stopping;         /* no new message is begun */
	bool closing;
	struct id_source ids;
	struct dsns dsns;
	struct notifications notifications;
	struct list asked; /* struct asked_mail: those that are written now */
	size_t asked_n;
	uint64_t tls_reports_since, tls_reports; /* taken in this hour */
};

/* Everything that the observer and the role point to must live until reports_fini(). */
void reports_init(struct reports *rs, struct role *r, struct timers *timers, const struct report_observer *o);
void reports_fini(struct reports *rs);

/* The store is open. / It is about to be closed: what waits for vault is given up. */
void reports_open(struct reports *rs, struct store *s);
void reports_close(struct reports *rs);

/* Does the store or the disk work for a message? What waits for vault does not count. */
bool reports_are_busy(const struct reports *rs);

/* Something that was missing (vault, a key, room in the store) is perhaps there again. */
void reports_retry(struct reports *rs);

/* A channel to vault is there; one has closed. */
void reports_peer_up(struct reports *rs, struct channel *ch);
void reports_peer_gone(struct reports *rs, const struct channel *ch);

/* Is the store open? Not once it is closing: a callback that comes then ends its chain. */
static inline bool reports_may_store(const struct reports *rs)
{
	return rs->store != NULL;
}

/* An operation has ended. */
static inline void reports_tell_idle(const struct reports *rs)
{
	rs->observer->idle(rs->observer->ctx);
}

#endif
