/* fuzz_web.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_WEB, .has_outside = true, .patience_ms = 2 };
