/* plan.h - what peers say one after the other when all is well. */
#ifndef POSTHOUSE_FUZZ_PLAN_H
#define POSTHOUSE_FUZZ_PLAN_H

#include "acts.h"
#include "values.h"

/* Add the messages of a plan, with good values. `plan` has their names; "ROLE:" is in front of one that several roles can send.
 * Names that the table does not have (any more) are passed by. */
void plan_add(struct acts *acts, const char *plan, struct dice *d, struct arena *a);

#endif
