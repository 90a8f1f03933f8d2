/* fuzz_submission.c */
#include "world.h"

const struct role_case role_case = { .role = ROLE_SUBMISSION, .has_outside = true, .patience_ms = 2 };
