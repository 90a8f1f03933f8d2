/* variants.h - the rules, each of which can be left out; the table with words is in variants.c. */
#ifndef SIMULATION_VARIANTS_H
#define SIMULATION_VARIANTS_H

#include <stdint.h>

enum broken {
	NO_HORIZON,
	NO_EPOCH_IN_HORIZON,
	NO_NUMBER_IN_HORIZON,
	ASYNCHRONOUS_TAKES,
	NO_FENCE,
	NO_TAKE_NUMBER,
	SLEEP_IN_ONE_STATEMENT,
	REPEAT_WITHOUT_FENCE,
	NO_UNKNOWN_WAIT,
	CLAIM_WITHOUT_GIVING_BACK,
	CLAIM_OF_ANY_EPOCH,
	TAKE_WITHOUT_ROW_LOCKS,
	NO_REREAD,
	REREAD_ONCE,
	GIVE_BACK_AFTERWARDS,
	SETTLE_IN_ONE_STATEMENT,
	HELD_IS_STALE,
	RELEASE_AT_ONCE,
	NO_TERMINATE,
	COUNT_THROUGH_OUTAGE,
	IDS_ABOVE_FLOOR,
	OFFSET_BY_WALL_CLOCK,
	VARIANTS
};

#define BREAKS(w, rule) (((w)->broken >> (rule)) & 1)

struct variant {
	const char *name, *what;
};
extern const struct variant variants[VARIANTS];

#endif
