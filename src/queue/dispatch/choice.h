/* choice.h - the next hop that a recipient takes now: the first choice of its route that is open. It is decided when the
 * recipient is leased, so that queued mail follows a changed configuration, a next hop that failed and one that recovered. */
#ifndef QUEUE_CHOICE_H
#define QUEUE_CHOICE_H

#include "dispatch/nexthop.h"

struct message;
struct due_recipient;

struct route_choice {
	struct nexthop *nexthop; /* NULL: no choice is open, or see `why` */
	struct share *share;     /* that this entry of the route has; NULL: it has no weight */
	struct verdict why;  /* not OK: the configuration has no next hop for it. TEMP: an administrator can mend this, and the
				mail stays */
	uint64_t wait_until; /* none is open: when the first one can open */
	uint64_t tried_at;   /* none is open: each of them failed a delivery that was begun then or later; 0: not so */
	struct str reason;   /* none is open: why the first choice is closed; a view of the next hop's text */
	struct str name;     /* of this first choice */
};

/* Mail of which a next hop is wanted. */
struct routed {
	const struct envelope *envelope;
	uint64_t size;        /* of what is sent. A next hop that takes no message of this size is no choice. */
	uint64_t received_at; /* of a message with REQUIRETLS: see nexthop_is_unfit(); 0: it does not count */
	struct str recipient;
	struct str via; /* the only choice, whatever routes say: an administrator has sent it this way; "": by the routes */
};
struct route_choice route_choose(struct dispatch *d, const struct routed *mail, uint64_t now);
struct route_choice message_choose(const struct message *m, const struct due_recipient *r, uint64_t now);

/* Have both the same consequence for a recipient? */
bool route_choices_equal(const struct route_choice *a, const struct route_choice *b);

/* What is known about the mail of a lane before it is leased. Where routes depend on the sender or the local part, several next
 * hops are possible, and the best one counts. */
struct lane_choice {
	enum {
		LANE_GOES,   /* lease up to `room` deliveries */
		LANE_WAITS,  /* `nexthop` is open but full */
		LANE_BLOCKED /* nothing is open before `wait_until` */
	} state;
	struct nexthop *nexthop; /* NULL: not known before the lease */
	size_t room;
	uint64_t wait_until;
};
struct lane_choice lane_choose(struct dispatch *d, const struct due_lane *lane, uint64_t now);

#endif
