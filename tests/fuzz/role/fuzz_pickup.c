/* fuzz_pickup.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_PICKUP, .has_outside = false, .patience_ms = 20 };
