/* outcome.h - what an answer means for a recipient: delivered, failed, due again, held. */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "dispatch/lease.h"

#include "posthouse/ipc.h"

struct way;

#define DEATHS_MAX 3 /* a recipient with which relay has died so often is held */

/* Relay's result for a delivery. One that is not known is logged, and acknowledged so that relay forgets it. */
void outcome_result(struct dispatch *d, const struct msg_result *m);

/* Relay died while it had the delivery (died), or it ended in order before it could tell (not died). */
void outcome_lost(struct lease *l, bool died);

/* Give the recipients back untried, due at `due_at`. */
void outcome_return(struct lease *l, uint64_t due_at);

/* No way is open: the recipients wait, or their time is over, if it was tried in vain after that. In place: where they were in the
 * lane; else due when a way may open. */
void outcome_wait(struct lease *l, const struct way *way, bool in_place);

/* The configuration has no way for it, or the store cannot produce its text. */
void outcome_no_route(struct lease *l, struct verdict why);
void outcome_no_text(struct lease *l, struct verdict why);

#endif
