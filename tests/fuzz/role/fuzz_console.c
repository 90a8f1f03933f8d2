/* fuzz_console.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_CONSOLE, .has_outside = false, .patience_ms = 2 };
