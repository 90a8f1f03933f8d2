/* syscalls.h - the list of system calls that a role can make, as a filter in the kernel: libseccomp. */
#ifndef ROLE_SYSCALLS_H
#define ROLE_SYSCALLS_H

#include "posthouse/roles.h"

/* Does the kernel know such filters, and does a container leave them to us? */
bool syscalls_can_be_filtered(void);

/* From now on all threads of this process make only the calls of calls.def for `can`; another one ends the process by SIGSYS, in
 * test builds with its name on standard error. `foreign`: libraries of others run here, so an unknown call is refused, and ends
 * nothing. 0, or an errno. */
int syscalls_filter(unsigned can, bool foreign);

#endif
