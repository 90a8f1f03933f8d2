/* needs.h - what a role can do and reach with its configuration: its row of roles.def, and what a database adds to it. */
#ifndef ROLE_NEEDS_H
#define ROLE_NEEDS_H

#include "posthouse/config.h"
#include "posthouse/roles.h"

/* AT_DATABASE brings CAN_CONNECT for a database that is reached by TCP, and CAN_JOIN for one with a Unix socket. */
unsigned role_can(enum role_id role, const struct config *c);

/* AT_DATABASE is only in it where the queue is in a database; for a host that has a name it brings AT_RESOLVER and
 * TO_NAME_SERVERS. */
unsigned role_reaches(enum role_id role, const struct config *c);

/* Is the host the directory of a Unix socket? */

#endif
