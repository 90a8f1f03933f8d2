/* clock.h - the clocks. */
#ifndef POSTHOUSE_CLOCK_H
#define POSTHOUSE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970 UTC: what is stored and shown. */
uint64_t clock_now_ms(void);

/* The rule for a clock that was set back (by an hour, by a year: a virtual machine, a board without a battery). A time that was
 * stored lies ahead of now by its own period at most: a ban by its length, a bucket by its window, what has happened not at all.
 * One that is further ahead comes from another clock, and counts as now. All three in one unit. */
static inline bool clock_is_foreign(uint64_t at, uint64_t now, uint64_t period)
{
	return at > now && at - now > period;
}

static inline uint64_t clock_mended(uint64_t at, uint64_t now, uint64_t period)
{
	return clock_is_foreign(at, now, period) ? now : at;
}

/* Milliseconds of a clock that never jumps: what timers and time limits use. */
uint64_t clock_mono_ms(void);

/* The same, but it also counts the time in which the machine was suspended; all processes of the machine have the same. */
uint64_t clock_boot_ms(void);

/* How long `ms` takes. Tests have shorter days and minutes: in a test build the variable of the environment says how many ms
 * `unit_ms` takes. Otherwise it is `ms`. */
uint64_t clock_scaled(uint64_t ms, const char *variable, uint64_t unit_ms);

#endif
