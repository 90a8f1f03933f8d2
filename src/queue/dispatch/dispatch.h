/* dispatch.h - the room as a whole: it leases recipients that are due, decides their route, sends deliveries to relay, and turns
 * relay's results into the states of recipients. It knows nothing of reports, or of the role around it: the observer tells the
 * others what they have to know. */
#ifndef QUEUE_DISPATCH_H
#define QUEUE_DISPATCH_H

#include "accounting/accounting.h"
#include "common/route.h"
#include "common/timers.h"
#include "dispatch/backoff.h"
#include "dispatch/choice.h"
#include "dispatch/delivery.h"
#include "dispatch/lease.h"
#include "dispatch/nexthop.h"
#include "dispatch/nexthop_rate.h"
#include "dispatch/outcome.h"
#include "dispatch/scheduler.h"
#include "dispatch/sender_pause.h"
#include "dispatch/shares.h"

#include "posthouse/log.h"
#include "posthouse/role.h"
#include "posthouse/store.h"

/* What dispatch tells the rest of the role. rooms.c fills in the callbacks; dispatch calls each from the loop, with the
 * observer's ctx. */
struct dispatch_observer {
	/* The store has recipients of whose failure, or success, somebody is to be told. */
	void (*to_report)(void *ctx);

	/* An upstream is closed by a fault that only a person can mend. It is told once, until the upstream has worked or the
	 * meaning is another one. `name` is of the configuration, `reason` are the upstream's words. */
	void (*upstream_closed)(void *ctx, struct str name, uint64_t meaning, struct str reason);

	/* An operation has ended: is all done now that a stopping role waits for? See dispatch_is_busy(). */
	void (*idle)(void *ctx);
	void *ctx;
};

/* What the upper files of dispatch do for the lower ones, which do not link them; dispatch.c fills it in. */
struct dispatch_ops {
	void (*wake)(struct dispatch *d); /* scheduler_wake() */
	void (*send)(struct dispatch *d); /* leases_send() */
};

struct dispatch {
	struct role *role;             /* its configuration and its figures */
	struct accounting *accounting; /* token buckets, and the breaker, which counts failures */
	struct timers *timers;         /* the role's */
	const struct dispatch_observer *observer;
	const struct dispatch_ops *ops;
	struct store *store;           /* NULL: not open, or closing: it must not be asked for anything */
	struct channel *relay, *vault; /* NULL: away */
	bool drained;                  /* relay ends, and has tried nothing of what has no result */
	bool stopping;                 /* nothing is leased any more */
	bool paused;                   /* nor now: this node is drained, or is not known to be a member (queue/node.c) */
	struct nexthops nexthops;
	struct hashtable steps; /* of routes, see shares.h */
	struct sender_pauses sender_pauses;
	struct inquiries inquiries;
	struct leases leases;
	struct settling settling;
	struct re_signs re_signs;
	struct scheduler scheduler;
	struct tally results;                         /* of recipients: "sent 2.0.0" */
	struct histogram delivery_time, attempt_time; /* of a recipient since its message came; of a delivery */
};

/* Everything that the observer and the role point to must live until dispatch_fini(). The store has closed then. */
void dispatch_init(struct dispatch *d, struct role *r, struct accounting *acc, struct timers *timers,
		   const struct dispatch_observer *o);
void dispatch_fini(struct dispatch *d);

/* The store is open: the states of next hops are read, then leasing begins. / It is about to be closed. */
void dispatch_open(struct dispatch *d, struct store *s);
void dispatch_close(struct dispatch *d);

/* Nothing is leased any more; what relay has not got is given back. */
void dispatch_stop(struct dispatch *d);

/* Nothing is leased, or leasing goes on: see `paused`. */
void dispatch_pause(struct dispatch *d, bool paused);

/* Are there deliveries, or does the store work for the scheduler? */
bool dispatch_is_busy(const struct dispatch *d);

/* The configuration has changed: routes apply to queued mail at once. / The clock was set back. / For `status`. */
void dispatch_apply(struct dispatch *d);
void dispatch_mend(struct dispatch *d, uint64_t now);
void dispatch_stats(struct dispatch *d);

/* A channel to relay or vault is there; one has closed. */
void dispatch_peer_up(struct dispatch *d, struct channel *ch);
void dispatch_peer_gone(struct dispatch *d, const struct channel *ch);

/* Messages of relay. */
void dispatch_result(struct dispatch *d, struct channel *ch, const struct msg_result *m);
void dispatch_allowed(struct dispatch *d, struct channel *ch, const struct msg_allowed *m);
void dispatch_drained(struct dispatch *d, struct channel *ch, const struct msg_drained *m);
void dispatch_resign(struct dispatch *d, struct channel *ch, const struct msg_resign *m);

/* Is the store open? Not once it is closing: a callback that comes then ends its chain. */
static inline bool dispatch_may_store(const struct dispatch *d)
{
	return d->store != NULL;
}

#endif
