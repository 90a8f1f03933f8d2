/* fuzz_doctor.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_DOCTOR, .has_outside = false, .patience_ms = 2 };
