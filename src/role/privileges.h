/* privileges.h - what a process gives up for good beside system calls and files: its user, capabilities, the tree of files,
 * sizes. */
#ifndef ROLE_PRIVILEGES_H
#define ROLE_PRIVILEGES_H

#include "posthouse/roles.h"

#include <sys/types.h>

/* Become uid and gid for good, with these supplementary groups only; dies when that fails. The right to change the root directory
 * is kept until privileges_end(). */
void drop_privileges(uid_t uid, gid_t gid, const gid_t *groups, size_t groups_n);

/* The first thing after exec: signals for master alone, not dumpable, no new privileges, and none of the
 * capabilities that a supervisor gave to master. */
void privileges_begin(void);

/* The root directory becomes one that is empty and has no name, so nothing can be put there. False: no right to do that. */
bool privileges_leave_files(void);

/* The last capability goes. */
void privileges_end(void);

/* Bounds of what the process can use: by `can` of roles.def. */
void limits_set(unsigned can);

/* Memory that can be written never becomes code: PR_SET_MDWE, Linux 6.3. False: the kernel does not know that. */
bool refuse_new_code(void);

#endif
