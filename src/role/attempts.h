/* attempts.h - test builds: what a role that was taken over could try, tried behind its walls. */
#ifndef ROLE_ATTEMPTS_H
#define ROLE_ATTEMPTS_H

#include "posthouse/config.h"
#include "posthouse/roles.h"

typedef void (*put_up_fn)(enum role_id role, const struct config *c);

/* When the environment has POSTHOUSE_TRY (paths with colons between; the first of them is a TCP port): each attempt is made in a
 * child of its own, which puts up the walls of the role before. A line on standard error says how it ended:
 * "TRIED role=relay attempt=socket result=EAFNOSUPPORT"; `killed`: by the wall; `done`: it worked. Before the first thread. */
void attempts_make(put_up_fn put_up, enum role_id role, const struct config *c);

#endif
