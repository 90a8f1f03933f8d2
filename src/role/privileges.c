/* privileges.c - see privileges.h. */
#include "privileges.h"

#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#define SET_MDWE         65 /* PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN of linux/prctl.h */
#define REFUSE_EXEC_GAIN 1UL
#define CAPABILITIES     64
#define MEMORY_MAX       (2048 * MIB) /* of a role without threads and texts */

static int empty_directory = -1;

static int keep_capability(bool change_root)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { 0 }, { 0 } };

	if (change_root)
		sets[0].effective = sets[0].permitted = 1U << CAP_SYS_CHROOT;
	return (int)syscall(SYS_capset, &header, sets);
}

/* Inheritable ones, which a role of the unit has from master, do nothing: it starts no program, and none could use them. */
static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { 0 }, { 0 } };

	if (syscall(SYS_capget, &header, sets) != 0)
		return true;
	return sets[0].permitted || sets[1].permitted;
}

/* It is removed while it is open: nothing can be made in it any more. -1: no place for it. */
static int open_empty_directory(void)
{
	static const char *const places[] = { "/run/posthouse-XXXXXX", "/tmp/posthouse-XXXXXX", "/var/tmp/posthouse-XXXXXX" };
	char path[64];
	int fd = -1;

	for (size_t i = 0; i < sizeof places / sizeof places[0] && fd < 0; i++) {
		strcpy(path, places[i]);
		if (!mkdtemp(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			(void)fchmod(fd, 0555);
		rmdir(path);
	}
	return fd;
}

void drop_privileges(uid_t uid, gid_t gid, const gid_t *groups, size_t groups_n)
{
	empty_directory = open_empty_directory();
	for (unsigned long i = 0; i < CAPABILITIES; i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	(void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (setgroups(groups_n, groups) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		die(EX_OSERR, "cannot become uid %u, gid %u: %s", (unsigned)uid, (unsigned)gid, strerror(errno));
	/* a container can run as root without this capability; one that forbids to give capabilities up is no place for a role */
	if (keep_capability(true) != 0 && keep_capability(false) != 0)
		die(EX_OSERR, "capabilities cannot be given up: %s", strerror(errno));
	(void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (uid != 0 && setuid(0) == 0)
		die(EX_SOFTWARE, "privileges came back after they were dropped");
}

/* Ctrl-C at a terminal and SIGTERM of a service manager reach all processes of the group; only master acts on them. SIGXFSZ is
 * ignored so that a limit on the size of files (ulimit -f) is an error of write(), as a full disk is. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGXFSZ };

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
}

void privileges_begin(void)
{
	ignore_signals();
#ifndef POSTHOUSE_SANITIZED
	/* The leak checker of a sanitizer build must trace its own process; all others keep secrets out of core files and
	 * debuggers. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_SET_DUMPABLE: %s", strerror(errno));
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (empty_directory < 0)
		privileges_end();
}

/* Not in sanitizer builds: the leak checker reads /proc at the end. */
bool privileges_leave_files(void)
{
#ifdef POSTHOUSE_SANITIZED
	bool left = false;
#else
	bool left = empty_directory >= 0 && fchdir(empty_directory) == 0 && chroot(".") == 0 && chdir("/") == 0;
#endif

	if (empty_directory >= 0)
		close(empty_directory);
	empty_directory = -1;
	return left;
}

void privileges_end(void)
{
	if (empty_directory >= 0)
		close(empty_directory);
	empty_directory = -1;
	if (has_capabilities() && keep_capability(false) != 0) /* a unit of systemd can forbid capset() where there are none */
		die(EX_OSERR, "capset: %s", strerror(errno));
}

static void limit(int resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now) != 0)
		return;
	now.rlim_max = now.rlim_max < most ? now.rlim_max : most;
	now.rlim_cur = now.rlim_cur < now.rlim_max ? now.rlim_cur : now.rlim_max;
	(void)setrlimit(resource, &now);
}

/* The number of processes is counted for all roles of the user together, so only 0 is a sensible limit: for those without
 * threads. */
void limits_set(unsigned can)
{
#ifndef POSTHOUSE_SANITIZED
	limit(RLIMIT_CORE, 0);
	if (!(can & CAN_THREAD))
		limit(RLIMIT_NPROC, 0);
	if (!(can & (CAN_THREAD | CAN_KEEP_TEXTS)))
		limit(RLIMIT_AS, MEMORY_MAX);
#endif
	if (!(can & (CAN_WRITE | CAN_KEEP_TEXTS)))
		limit(RLIMIT_FSIZE, 0);
}

bool refuse_new_code(void)
{
	return prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
}
