/* bounces.h - how many recipients of a login were delivered to, and how many were refused for good, in the last hour: in memory,
 * in slots of ten minutes. */
#ifndef QUEUE_BOUNCES_H
#define QUEUE_BOUNCES_H

#include "posthouse/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOUNCE_SLOTS   6
#define BOUNCE_SLOT_MS (10 * MINUTE_MS)
struct bounces {
	uint64_t slot[BOUNCE_SLOTS]; /* time / BOUNCE_SLOT_MS: which ten minutes it counts */
	uint64_t finished[BOUNCE_SLOTS], refused[BOUNCE_SLOTS];
};

/* One more recipient has ended. `finished_out`, `refused_out`: how many did in the last hour, this one included. */
void bounces_count(struct bounces *b, bool refused, uint64_t now, uint64_t *finished_out, uint64_t *refused_out);

/* Was nothing counted in the last hour? */
bool bounces_forgotten(const struct bounces *b, uint64_t now);

/* The clock was set back: if the counts are of a later time, they begin again. */
void bounces_mend(struct bounces *b, uint64_t now);

#endif
