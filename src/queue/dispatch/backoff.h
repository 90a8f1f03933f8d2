/* backoff.h - how long to wait: for the next attempt of a recipient, and before a next hop that failed is probed again. */
#ifndef QUEUE_BACKOFF_H
#define QUEUE_BACKOFF_H

#include "dispatch/nexthop.h"

#include "posthouse/arena.h"
#include "posthouse/units.h"
#include "posthouse/verdict.h"

#define PAUSE_LONGEST_MS DAY_MS /* no gate is left unprobed for longer */
#define PROBE_WAIT_MS    5000   /* what waits for another one's probe looks again */

/* When a recipient with so many attempts behind it is due again: the configured interval, give or take a tenth (`random` decides), but
 * not past `expires_at`, so that the last attempt comes in time. */
uint64_t retry_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random);

/* When to come again after greylisting's first answer: after the time that it named (ms; 0: none), else after the first interval, but
 * soon; and never earlier than that. */
uint64_t greylist_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t now, uint64_t expires_at, uint64_t random);

/* As retry_at(), but not before the pause that the next hop's words ask for (ms; 0: none) is over. */
uint64_t paused_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t attempts, uint64_t now, uint64_t expires_at,
		   uint64_t random);

/* A pause that comes again and again: seconds grow to a minute, minutes to an hour, hours to PAUSE_LONGEST_MS. 0: an hour at first. */
uint64_t pause_grown(uint64_t first, uint64_t failures);

/* The pause of a gate after `failures` failures in a row, at most PAUSE_LONGEST_MS; pause_ms: the first one, where the next hop's words
 * ask for it. */
uint64_t pause_after(const struct cfg_queue *c, bool is_mx, enum gate_fault fault, uint64_t pause_ms, uint64_t failures);

/* "5 days", "90 minutes". */
struct str duration_words(struct arena *a, uint64_t ms);

#endif
