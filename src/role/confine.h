/* confine.h - the rights that a role gives up before it talks to anybody. */
#ifndef POSTHOUSE_CONFINE_H
#define POSTHOUSE_CONFINE_H

#include "posthouse/ipc.h"

#include <sys/types.h>

/* Become uid and gid for good, without supplementary groups; dies when that fails. */
void drop_privileges(uid_t uid, gid_t gid);

/* The first thing after exec: not dumpable, no new privileges. */
void confine_early(void);

/* After configuration and library start-up, before the first thread. */
void confine(enum role_id role);

#endif
