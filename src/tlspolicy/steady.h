/* steady.h - the time by which policies expire. A clock that is suddenly far ahead is not believed at once: policies would be
 * thrown away, and mail would go unprotected, because somebody has set a clock wrongly. One that was set back is believed at
 * once: policies then live longer. */
#ifndef TLSPOLICY_STEADY_H
#define TLSPOLICY_STEADY_H

#include <stdbool.h>
#include <stdint.h>

/* Starts as { 0 }. */
struct steady {
	bool set;
	uint64_t now, mono;  /* of the last look */
	uint64_t ahead_mono; /* since when the clock has been far ahead; 0: it is not */
	uint64_t calm_mono;  /* since when there was no jump */
};

/* ms since 1970. wall: the clock; mono: one that never jumps. */
uint64_t steady_now(struct steady *s, uint64_t wall, uint64_t mono);

/* Has the clock been calm for long enough that what has expired can be removed? */
bool steady_is_calm(const struct steady *s, uint64_t mono);

#endif
