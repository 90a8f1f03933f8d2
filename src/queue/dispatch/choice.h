/* choice.h - which way a recipient goes now: the first of its route's ways whose gate is open. Decided when it is leased, so that a
 * changed configuration, a next hop that failed and one that recovered apply to queued mail. */
#ifndef QUEUE_CHOICE_H
#define QUEUE_CHOICE_H

#include "dispatch/nexthop.h"

struct due_message;

struct way {
	struct gate *gate;   /* NULL: none is open, or `why` */
	struct verdict why;  /* not OK: the configuration has no way for it. TEMP: that is ours to mend, the mail stays */
	uint64_t wait_until; /* none is open: when the first may be */
	uint64_t tried_at;   /* none is open: each of them was tried in vain by a delivery begun then or later; 0: not so */
	struct str reason;   /* none is open: why the first one is not; a view of the gate's */
	struct str name;     /* of that one */
};

struct way way_find(struct dispatch *d, struct str login, struct str sender, struct str recipient, uint64_t now);

/* Do both lead to the same end? */
bool way_equal(const struct way *a, const struct way *b);

/* What is known about a lane's mail before it is leased. Where routes depend on the sender or the local part, there may be several
 * ways, and the best one counts. */
struct lane_way {
	enum {
		LANE_GOES,   /* lease up to `room` deliveries */
		LANE_WAITS,  /* `gate` is open but full */
		LANE_BLOCKED /* nothing is open before `wait_until` */
	} state;
	struct gate *gate; /* NULL: not known before the lease */
	size_t room;
	uint64_t wait_until;
};
struct lane_way way_of_lane(struct dispatch *d, struct str login, struct str domain, uint64_t now);

#endif
