/* landlock.h - Landlock without a library: three system calls. landlock(7). */
#ifndef ROLE_LANDLOCK_H
#define ROLE_LANDLOCK_H

#include "openings.h"

/* The version of the interface that the kernel has; 0: none, or this container has none. */
unsigned landlock_abi(void);

/* From now on this process reaches only the openings: files from version 1 on, TCP ports from 4, signals and abstract sockets of
 * others from 6. Threads that run already are not covered. 0, or an errno. */
int landlock_close(const struct openings *o, unsigned abi);

#endif
