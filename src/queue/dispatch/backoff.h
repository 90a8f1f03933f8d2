/* backoff.h - how long to wait: for the next attempt of a recipient, and before a next hop that failed is probed again. */
#ifndef QUEUE_BACKOFF_H
#define QUEUE_BACKOFF_H

#include "dispatch/nexthop.h"

#include "posthouse/units.h"

#define PAUSE_LONGEST_MS DAY_MS /* each next hop is probed after this time */
#define PROBE_WAIT_MS    5000   /* mail that waits for the result of a probe is looked at again */

/* When a recipient is due again after this number of attempts: the configured interval, give or take a tenth (`random` decides),
 * but not past `expires_at`, so that the last attempt comes in time; and not before the pause that the next hop's reply asks for
 * (ms; 0: none) is over. */
uint64_t retry_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t attempts, uint64_t now, uint64_t expires_at,
		  uint64_t random);

/* When a recipient is due again after the first answer of greylisting: not before the time that the answer named (ms; 0: none);
 * else after the first interval, but soon. */
uint64_t greylist_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t now, uint64_t expires_at, uint64_t random);

/* The pause after `failures` failures in a row, when the first pause was `first` (0: an hour): seconds grow to a minute, minutes
 * to an hour, hours to PAUSE_LONGEST_MS. */
uint64_t pause_grown(uint64_t first, uint64_t failures);

/* The pause of a next hop after `failures` failures in a row, at most PAUSE_LONGEST_MS. pause_ms: the first pause, where the next
 * hop's reply asks for one; 0: none. */
uint64_t pause_after(const struct cfg_queue *c, bool is_mx, enum nexthop_fault fault, uint64_t pause_ms, uint64_t failures);

#endif
