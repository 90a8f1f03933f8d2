/* outcome.h - what an answer means for a recipient: delivered, failed, due again, held. */
#ifndef QUEUE_OUTCOME_H
#define QUEUE_OUTCOME_H

#include "lease.h"

#include "posthouse/ipc.h"

struct cfg_queue;

#define DEATHS_MAX 3 /* a recipient with which relay has died so often is held */

/* Relay's result for a delivery. One that is not known is logged, and acknowledged so that relay forgets it. */
void outcome_result(struct queue *q, const struct msg_result *m);

/* Relay died while it had the delivery (died), or it ended in order before it could tell (not died). */
void outcome_lost(struct lease *l, bool died);

/* Give the recipients back untried, due at `due_at`. */
void outcome_return(struct lease *l, uint64_t due_at);

/* The configuration has no way for it, or the store cannot produce its text. */
void outcome_no_route(struct lease *l, struct verdict why);
void outcome_no_text(struct lease *l, struct verdict why);

/* When a recipient with so many attempts behind it is due again: the configured interval, give or take a tenth (`random` decides), but
 * not past `expires_at`, so that the last attempt comes in time. */
uint64_t retry_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random);

/* "5 days", "90 minutes". */
struct str duration_words(struct arena *a, uint64_t ms);

#endif
