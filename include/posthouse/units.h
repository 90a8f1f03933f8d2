/* units.h - times in ms and sizes in bytes, for constants and tables. */
#ifndef POSTHOUSE_UNITS_H
#define POSTHOUSE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define SECOND_MS ((uint64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#endif
