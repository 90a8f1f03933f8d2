/* sandbox.h - what the kernel or the container lets Posthouse build its walls of. */
#ifndef POSTHOUSE_SANDBOX_H
#define POSTHOUSE_SANDBOX_H

#include "posthouse/arena.h"

#include <stdbool.h>

/* The walls that no role can have on this machine, as a list for people: "seccomp, landlock"; "" when there is everything.
 * *whole_out: at least one kind of wall is missing as a whole, not only its latest parts. */
struct str sandbox_missing(struct arena *a, bool *whole_out);

#endif
