/* patience.h - how long to wait: for the next attempt of a recipient, and before a next hop that failed is probed again. */
#ifndef QUEUE_PATIENCE_H
#define QUEUE_PATIENCE_H

#include "gate.h"

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

#define PAUSE_LONGEST_MS (4 * 3600 * 1000ull) /* no gate is left unprobed for longer */
#define PROBE_WAIT_MS    5000                 /* what waits for another one's probe looks again */

/* When a recipient with so many attempts behind it is due again: the configured interval, give or take a tenth (`random` decides), but
 * not past `expires_at`, so that the last attempt comes in time. */
uint64_t retry_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random);

/* Is it an answer of greylisting, which refuses whom it does not know and wants to see a second attempt? */
bool is_greylisting(struct verdict v);

/* When to come again after greylisting's first answer: after the first interval, but soon; and never earlier than that. */
uint64_t greylist_at(const struct cfg_queue *c, uint64_t now, uint64_t expires_at, uint64_t random);

/* The pause of a gate after `failures` failures in a row, at most PAUSE_LONGEST_MS. */
uint64_t pause_after(const struct cfg_queue *c, bool is_mx, enum gate_fault fault, struct str reason, uint64_t failures);

/* "5 days", "90 minutes". */
struct str duration_words(struct arena *a, uint64_t ms);

#endif
