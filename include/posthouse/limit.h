/* limit.h - token buckets by the generic cell rate algorithm: "200/1h" is a burst of 200, then one each 18 seconds. A bucket's
 * whole state is one time: tat_us, the theoretical arrival time in us since 1970; 0 = never used. Pure functions: who keeps the
 * state decides. A bucket is never more than full, so a state that is more than one window ahead of now is another clock's and
 * counts as empty (clock.h). A single unit costs a whole number of us, so rates of more than a thousand a second let a little
 * more through. */
#ifndef POSTHOUSE_LIMIT_H
#define POSTHOUSE_LIMIT_H

#include "posthouse/config.h"

/* How long until `amount` can pass, in us; 0: now. UINT64_MAX: never, it is more than the burst. */
uint64_t gcra_wait_us(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us);

/* How far `amount` moves the state on, at most by the window. */
uint64_t gcra_cost_us(struct rate r, uint64_t amount);

/* The state after `amount` has passed, whether or not it was allowed. */
uint64_t gcra_take(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us);

/* The state after `amount` was given back. */
uint64_t gcra_return(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us);

/* How much of the burst is used now, 0 to r.amount: the rest can pass at once. */
uint64_t gcra_used(uint64_t tat_us, struct rate r, uint64_t now_us);

#endif
