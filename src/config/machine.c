/* machine.c - would the relay work on this machine with this configuration, as the user that it becomes? `check` and `serve` ask
 * the same. */
#include "posthouse/config.h"

#include <errno.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Print one line about a fault outside of the file. Returns 1, for the count of faults. */
static unsigned complain(const struct config *c, const char *key, const char *path, const char *what)
{
	fprintf(stderr, "%.*s: %s: %s %s\n", STR_ARG(c->file), key, path, what);
	return 1;
}

/* The same list as in store/open.c, which the command line does not link. NULL: fine. */
static const char *unfit_file_system(const char *path)
{
	static const struct {
		uint32_t type; /* statfs gives a long that may be negative on 32 bits */
		const char *why;
	} unfit[] = {
		{ TMPFS_MAGIC, "is on a tmpfs, which forgets the queue at every restart; expected a disk" },
		{ RAMFS_MAGIC, "is on a ramfs, which forgets the queue at every restart; expected a disk" },
		{ NFS_SUPER_MAGIC, "is on NFS; expected a local disk" },
		{ SMB_SUPER_MAGIC, "is on SMB; expected a local disk" },
		{ SMB2_SUPER_MAGIC, "is on SMB; expected a local disk" },
		{ CIFS_SUPER_MAGIC, "is on CIFS; expected a local disk" },
		{ AFS_SUPER_MAGIC, "is on AFS; expected a local disk" },
		{ AFS_FS_MAGIC, "is on AFS; expected a local disk" },
		{ CODA_SUPER_MAGIC, "is on Coda; expected a local disk" },
		{ CEPH_SUPER_MAGIC, "is on Ceph; expected a local disk" },
	};
	struct statfs st;

	if (statfs(path, &st) != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
		if ((uint32_t)st.f_type == unfit[i].type)
			return unfit[i].why;
	return NULL;
}

/* The relay's files in the state directory must belong to the user too: a command that root ran can have left files of root.
 * Other files, such as lost+found of a volume, do not matter. */
static unsigned check_state_entries(struct config *c, const char *path)
{
	static const char *const own_files[] = { "lock",         "accounts",     "accounts.lock", "login.key", "queue.db",
						 "queue.db-wal", "queue.db-shm", "large",         "reserve" };
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(own_files) / sizeof(own_files[0]); i++) {
		const char *file = arena_cstr(&c->arena, arena_printf(&c->arena, "%s/%s", path, own_files[i]));

		if (access(file, R_OK | W_OK) != 0 && errno != ENOENT)
			n += complain(c, "state_dir", file,
				      "cannot be read and written; expected it to belong to the relay's user");
	}
	return n;
}

/* The number of faults for the user of this process. */
static unsigned check_state_access(struct config *c, const char *path)
{
	if (access(path, R_OK | W_OK | X_OK) != 0)
		return complain(c, "state_dir", path,
				arena_cstr(&c->arena, arena_printf(&c->arena, "cannot be used: %s", strerror(errno))));
	return check_state_entries(c, path);
}

/* Become that user for good, as the roles do: without its further groups. */
static bool become(const struct passwd *user)
{
	return setgroups(0, NULL) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
}

/* Root is allowed to do everything, so a child becomes the user and checks. */
static unsigned check_state_as(struct config *c, const char *path, const struct passwd *user)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(!become(user) || check_state_access(c, path) > 0);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return complain(c, "run_as", user->pw_name, "could not be tried");
	return WEXITSTATUS(status) != 0;
}

/* serve makes a missing directory, but only the last part of the path. */
static unsigned check_parent(struct config *c, const char *key, const char *path)
{
	struct str whole = str_of(path), parent = str_head(whole, str_rfind(whole, '/'));
	const char *directory = parent.n == 0 || parent.n == whole.n ? "/" : arena_cstr(&c->arena, parent);

	if (access(directory, W_OK | X_OK) == 0)
		return 0;
	return complain(c, key, path,
			arena_cstr(&c->arena, arena_printf(&c->arena, "is not there and cannot be made: %s: %s", directory,
							   strerror(errno))));
}

static unsigned check_state_dir(struct config *c, const struct passwd *user)
{
	const char *path = arena_cstr(&c->arena, c->state_dir), *why;
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT ? check_parent(c, "state_dir", path) : complain(c, "state_dir", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return complain(c, "state_dir", path, "is not a directory");
	why = unfit_file_system(path);
	if (why)
		return complain(c, "state_dir", path, why);
	if (st.st_mode & 0022) /* a volume of a container is often so, and nobody else is in there */
		fprintf(stderr,
			"%.*s: warning: state_dir: %s: mode %04o: others than the relay's user can remove what is in it; 0700 "
			"is better\n",
			STR_ARG(c->file), path, (unsigned)st.st_mode & 07777);
	return user ? check_state_as(c, path, user) : check_state_access(c, path);
}

/* serve binds the socket before it drops root. */
static unsigned check_control(struct config *c)
{
	size_t slash = str_rfind(c->control, '/');
	const char *path = arena_cstr(&c->arena, c->control), *directory;
	struct stat st;

	directory = slash == 0 ? "/" : arena_cstr(&c->arena, str_head(c->control, slash));
	if (stat(directory, &st) != 0)
		return errno == ENOENT ? check_parent(c, "control", directory)
				       : complain(c, "control", directory, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return complain(c, "control", directory, "is not a directory");
	if (access(directory, W_OK | X_OK) != 0)
		return complain(c, "control", directory, "is not writable: the control socket cannot be made there");
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return complain(c, "control", path, "is there and is not a socket");
	return 0;
}

/* ---- other programs that logins need: they can start later than this check, so these are warnings ---- */

/* The file or socket that a back-end uses when no option names another one: the default of Cyrus in Debian. */
static const struct {
	const char *backend, *option, *otherwise;
	int mode;
	const char *remedy;
} places[] = {
	{ "saslauthd", "saslauthd_path", "/run/saslauthd/mux", W_OK,
	  "saslauthd has to run, and the directory of its socket to let the relay's user in; see posthouse.conf(5), LOGINS" },
	{ "sasldb", "sasldb_path", "/etc/sasldb2", R_OK, "expected a file that the relay's user may read, made by saslpasswd2" },
};

/* The reason, as an errno, why the user (NULL: that of this process) cannot use the path; 0: none is known. */
static int why_not(const char *path, int mode, const struct passwd *user)
{
	int status = 0;
	pid_t child;

	if (!user)
		return access(path, mode) == 0 ? 0 : errno;
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(!become(user) ? EPERM : access(path, mode) == 0 ? 0 : errno);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void look_at_backend(struct config *c, const struct passwd *user)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct str given = auth_option(&c->auth, str_of(places[i].option));
		const char *path = given.n > 0 ? arena_cstr(&c->arena, given) : places[i].otherwise;
		int why = str_eq(c->auth.backend, str_of(places[i].backend)) ? why_not(path, places[i].mode, user) : 0;

		if (why != 0)
			fprintf(stderr, "%.*s: warning: auth.backend: %s: %s: %s\n", STR_ARG(c->file), path, strerror(why),
				places[i].remedy);
	}
}

unsigned machine_check(struct config *c)
{
	const struct passwd *user = NULL;
	const char *run_as = arena_cstr(&c->arena, c->run_as);

	if (geteuid() == 0) {
		user = getpwnam(run_as);
		if (!user)
			return complain(c, "run_as", run_as,
					"is no user of this machine; expected one, for example made by: adduser --system --group "
					"posthouse");
	}
	look_at_backend(c, user);
	return check_state_dir(c, user) + check_control(c);
}
