/* confine.c - the rights that a role gives up before it talks to anybody. */
#include "confine.h"

#include "posthouse/log.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

void drop_privileges(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		die(EX_OSERR, "cannot become uid %u, gid %u: %s", (unsigned)uid, (unsigned)gid, strerror(errno));
	if (uid != 0 && setuid(0) == 0)
		die(EX_SOFTWARE, "privileges came back after they were dropped");
}

void confine_early(void)
{
#if !defined(__SANITIZE_ADDRESS__)
	/* The leak checker of a sanitizer build must trace its own process; all others keep secrets out of core files and
	 * debuggers. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_SET_DUMPABLE: %s", strerror(errno));
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
}

void confine(enum role_id role)
{
	/* The place for seccomp filters and Landlock rules: all libraries have been initialised, and no thread has been
	 * started. */
	log_debug(NULL, "role.confined", kv("confined", role_name(role)));
}
