/* fuzz_vault.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_VAULT, .has_outside = false, .patience_ms = 20 };
