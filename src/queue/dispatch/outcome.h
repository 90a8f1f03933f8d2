/* outcome.h - what an answer means for a recipient: delivered, failed, due again, held. */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "dispatch/lease.h"

#include "posthouse/ipc.h"

struct route_choice;

#define DEATHS_MAX 3 /* a recipient with which relay has died so often is held */

/* Relay's result for a delivery. A result for an unknown delivery is logged, and acknowledged so that relay forgets it. */
void outcome_result(struct dispatch *d, const struct msg_result *m);

/* Relay had the delivery and died, or it ended in order before it could give a result (not died). */
void outcome_orphaned(struct lease *l, bool died);

/* Give the recipients back untried, due at `due_at`. */
void outcome_return(struct lease *l, uint64_t due_at);

/* No next hop is open: the recipients wait. They have failed if their time is over and an attempt that was begun after that has
 * failed. scan_only: they keep their places in the lane; else they are due when a next hop can open. */
void outcome_wait(struct lease *l, const struct route_choice *choice, bool scan_only);

/* The configuration has no next hop for the recipients. / The store cannot produce the text. */
void outcome_no_route(struct lease *l, struct verdict why);
void outcome_no_text(struct lease *l, struct verdict why);

#endif
