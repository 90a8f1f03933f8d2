/* fuzz_relay.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_RELAY, .has_outside = true, .patience_ms = 2 };
