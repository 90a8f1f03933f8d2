/* fuzz_damaged.c - queue, whose database is damaged: it must not fail by what it reads. */
#include "world.h"

const struct role_case role_case = { .role = ROLE_QUEUE,
				     .patience_ms = 20,
				     .also = 1u << ROLE_RELAY,
				     .prelude = "admit login:authenticated envelope recipients submit",
				     .goal = "submitted",
				     .damage = damage_act,
				     .mend = damage_end };
