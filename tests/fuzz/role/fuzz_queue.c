/* fuzz_queue.c - in half of the inputs a session is logged in, and a message of it is accepted and waits for relay. */
#include "world.h"

const struct role_case role_case = { .role = ROLE_QUEUE,
				     .has_outside = false,
				     .patience_ms = 20,
				     .also = 1u << ROLE_RELAY,
				     .prelude = "admit login:authenticated envelope recipients submit",
				     .goal = "submitted" };
