/* fuzz_tlspolicy.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_TLSPOLICY, .has_outside = false, .patience_ms = 2 };
