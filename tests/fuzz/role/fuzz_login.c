/* fuzz_login.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_LOGIN, .has_outside = false, .patience_ms = 20, .still = true };
