/* fuzz_fetch.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_FETCH, .has_outside = false, .patience_ms = 20 };
