/* clock.h - the two clocks. */
#ifndef POSTHOUSE_CLOCK_H
#define POSTHOUSE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970 UTC: what is stored and shown. */
uint64_t clock_now_ms(void);

/* Milliseconds of a clock that never jumps: what timers and time limits use. */
uint64_t clock_mono_ms(void);

#endif
