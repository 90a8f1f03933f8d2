/* observer.h - what accounting tells the rest of the role. rooms.c fills in the callbacks; accounting calls each from the loop,
 * with the observer's ctx. */
#ifndef QUEUE_ACCOUNTING_OBSERVER_H
#define QUEUE_ACCOUNTING_OBSERVER_H

#include "common/format.h"

#include "posthouse/store.h"

enum account_event_kind { LIMIT_NEARLY_USED, MAIL_HELD, BREAKER_TRIPPED };

/* Something that the login and the postmaster should hear of. The texts are views that live as long as the call. */
struct account_event {
	enum account_event_kind kind;
	struct str login;
	struct str name;   /* the login, or its device: "alice@example.org/phone" */
	struct str reason; /* of MAIL_HELD and BREAKER_TRIPPED */
	bool is_local;     /* it sends from this machine, where no password is asked for */

	/* Of LIMIT_NEARLY_USED and MAIL_HELD: the limit. */
	enum meter_kind meter;
	struct rate rate;
	uint64_t used;
	bool hold; /* mail over the limit is held, not refused */
};

struct accounting_observer {
	/* Limits, or bans, have been read, or cannot be read for now: see accounting_is_ready() and
	 * accounting_is_unreadable(). */
	void (*loaded)(void *ctx);

	/* Mail is being held, but recipients of these messages are in flight: they are to be held unless they are delivered
	 * now. */
	void (*hold_in_flight)(void *ctx, const uint64_t *messages, size_t n);

	/* All mail of a login that waited is held: the scheduler can forget what it knew of this mail. */
	void (*mail_was_held)(void *ctx);

	/* Tell the login and the postmaster. */
	void (*notify)(void *ctx, const struct account_event *e);

	/* An administrator's reset has ended: is all done now that a stopping role waits for? */
	void (*idle)(void *ctx);
	void *ctx;
};

#endif
