/* machine.c - would the relay work on this machine with this configuration, as the user that it becomes? `check` and `serve` ask
 * the same. */
#include "posthouse/config.h"
#include "posthouse/directory.h"
#include "posthouse/log.h"
#include "posthouse/users.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_MAX 65536

/* A look at the machine: to whom each fault is told. */
struct look {
	struct config *config;
	machine_fault_fn told;
	void *ctx;
};

/* Tell a fault outside of the file. Returns 1, for the count of faults. */
__attribute__((format(printf, 4, 5))) static unsigned complain(struct look *l, const char *key, const char *path,
							       const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	l->told(l->ctx, l->config, key, path, text, false);
	return 1;
}

/* ---- as the user of the relay ---- */

/* A child's faults, a line each: key, path and text between tabs. */
static void tell_parent(void *ctx, const struct config *c, const char *key, const char *path, const char *text, bool warning)
{
	dprintf(*(const int *)ctx, "%s\t%s\t%s\n", key, path, text);
}

static void retell(struct look *l, struct str line)
{
	struct arena *a = &l->config->arena;
	struct str key, path;

	if (str_split(&line, '\t', &key) && str_split(&line, '\t', &path))
		l->told(l->ctx, l->config, arena_cstr(a, key), arena_cstr(a, path), arena_cstr(a, line), false);
}

static void hear_child(struct look *l, int fd)
{
	char bytes[4096];
	struct buf all;
	struct str rest, line;
	ssize_t n;

	buf_init(&all, PIPE_MAX);
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		buf_add(&all, str_make(bytes, (size_t)n));
	rest = buf_view(&all);
	while (str_split(&rest, '\n', &line))
		retell(l, line);
	buf_fini(&all);
}

typedef int (*try_fn)(struct look *l, const char *path, int mode);

static int try_in_child(struct look *l, const struct user *user, try_fn try, const char *path, int mode, int fd)
{
	l->told = tell_parent;
	l->ctx = &fd;
	return user_become(user) ? try(l, path, mode) : EPERM;
}

/* Root is allowed to do everything, so a child becomes the user for good, as the roles do, and tries. Without a user this process
 * tries. -1: no child could be made. */
static int try_as(struct look *l, const struct user *user, try_fn try, const char *path, int mode)
{
	int status = 0, ends[2];
	pid_t child;

	if (!user)
		return try(l, path, mode);
	if (pipe(ends) != 0)
		return -1;
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(try_in_child(l, user, try, path, mode, ends[1]));
	close(ends[1]);
	hear_child(l, ends[0]);
	close(ends[0]);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* 0, or an errno. */
static int try_access(struct look *l, const char *path, int mode)
{
	return access(path, mode) == 0 ? 0 : errno;
}

/* The relay's files must belong to their users too: a command that root ran can have left files of root. Other files, such as
 * lost+found of a volume, do not matter. */
static unsigned check_files(struct look *l, const char *path, const char *const *names)
{
	struct arena *a = &l->config->arena;
	unsigned n = 0;

	for (; *names; names++) {
		const char *file = arena_cstr(a, arena_printf(a, "%s/%s", path, *names));

		if (access(file, R_OK | W_OK) != 0 && errno != ENOENT)
			n += complain(l, "state_dir", file,
				      "cannot be read and written; expected it to belong to the relay's user");
	}
	return n;
}

static unsigned check_directory(struct look *l, const char *path, int mode, const char *const *names)
{
	if (access(path, mode) != 0)
		return complain(l, "state_dir", path, "cannot be used: %s", strerror(errno));
	return check_files(l, path, names);
}

/* The number of faults for the user of this process. */
static int try_state_dir(struct look *l, const char *path, int mode)
{
	static const char *const files[] = { "lock",     "accounts",     "accounts.lock", "accounts.used", "login.key",
					     "queue.db", "queue.db-wal", "queue.db-shm",  "large",         "reserve",
					     NULL };

	return (int)check_directory(l, path, mode, files);
}

static int try_login_dir(struct look *l, const char *path, int mode)
{
	static const char *const files[] = { "accounts", "accounts.lock", "accounts.used", "login.key", NULL };

	return (int)check_directory(l, path, mode, files);
}

static int try_own_dir(struct look *l, const char *path, int mode)
{
	static const char *const none[] = { NULL };

	return (int)check_directory(l, path, mode, none);
}

/* serve makes a missing directory, but only the last part of the path. */
static unsigned check_parent(struct look *l, const char *key, const char *path)
{
	struct str whole = str_of(path), parent = str_head(whole, str_rfind(whole, '/'));
	const char *directory = parent.n == 0 || parent.n == whole.n ? "/" : arena_cstr(&l->config->arena, parent);

	if (access(directory, W_OK | X_OK) == 0)
		return 0;
	return complain(l, key, path, "is not there and cannot be made: %s: %s", directory, strerror(errno));
}

/* Is it a directory that others can change? A volume of a container is often so, and nobody else is in there; one that belongs to
 * another user, and to the relay by one of its groups, was given so by the orchestrator. */
static bool is_open_to_others(const struct stat *st, const struct user *user)
{
	bool settled = st->st_uid == 0 && (st->st_mode & S_ISVTX); /* state_dir_settle() makes it so */
	bool given = !user && st->st_uid != geteuid() && (st->st_gid == getegid() || group_member(st->st_gid));

	return st->st_mode & (settled || given ? 0002 : 0022);
}

/* The number of faults. */
static unsigned try_directory(struct look *l, const struct user *user, try_fn try, const char *path)
{
	int n = try_as(l, user, try, path, R_OK | W_OK | X_OK);

	return n < 0 ? complain(l, "run_as", user->name, "could not be tried") : (unsigned)n;
}

/* Those of state_dir_settle(), which gives them to their users; so they are tried as the user who has them now. */
static unsigned check_role_directories(struct look *l, const struct users *users, const char *state_dir)
{
	static const struct {
		const char *name;
		try_fn try;
	} all[] = {
		{ "login", try_login_dir }, { "tokens", try_own_dir }, { "doctor", try_own_dir }, { "tlspolicy", try_own_dir }
	};
	struct arena *a = &l->config->arena;
	unsigned n = 0;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		const char *path = arena_cstr(a, arena_printf(a, "%s/%s", state_dir, all[i].name));
		struct user user = users->of[AS_RUN_AS];
		struct stat st;

		if (lstat(path, &st) != 0)
			continue;
		if (st.st_uid != 0)
			user = (struct user){ .name = all[i].name, .uid = st.st_uid, .gid = st.st_gid };
		n += try_directory(l, users->drop ? &user : NULL, all[i].try, path);
	}
	return n;
}

static void warn_left_over(struct look *l, const char *state_dir)
{
	struct config *c = l->config;
	struct str files = state_dir_left_over(state_dir, &c->arena);

	if (files.n > 0)
		l->told(l->ctx, c, "state_dir", arena_cstr(&c->arena, files), STATE_DIR_LEFT_OVER, true);
}

static unsigned check_state_dir(struct look *l, const struct users *users)
{
	const struct user *user = users->drop ? &users->of[AS_RUN_AS] : NULL;
	struct config *c = l->config;
	const char *path = arena_cstr(&c->arena, c->state_dir), *unsafe;
	struct statfs fs;
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT ? check_parent(l, "state_dir", path)
				       : complain(l, "state_dir", path, "%s", strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return complain(l, "state_dir", path, "is not a directory");
	unsafe = statfs(path, &fs) == 0 ? directory_unsafe(&fs) : NULL;
	if (unsafe)
		return complain(l, "state_dir", path, "is on %s, where mail would not be safe; expected a local disk", unsafe);
	if (is_open_to_others(&st, user))
		l->told(l->ctx, c, "state_dir", path,
			arena_cstr(
				&c->arena,
				arena_printf(&c->arena,
					     "mode %04o: others than the relay's user can remove what is in it; 0700 is better",
					     (unsigned)st.st_mode & 07777)),
			true);
	warn_left_over(l, path);
	return try_directory(l, user, try_state_dir, path) + check_role_directories(l, users, path);
}

/* serve binds the socket before it drops root. */
static unsigned check_control(struct look *l)
{
	struct config *c = l->config;
	size_t slash = str_rfind(c->control, '/');
	const char *path = arena_cstr(&c->arena, c->control), *directory;
	struct stat st;

	directory = slash == 0 ? "/" : arena_cstr(&c->arena, str_head(c->control, slash));
	if (stat(directory, &st) != 0)
		return errno == ENOENT ? check_parent(l, "control", directory)
				       : complain(l, "control", directory, "%s", strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return complain(l, "control", directory, "is not a directory");
	if (access(directory, W_OK | X_OK) != 0)
		return complain(l, "control", directory, "is not writable: the control socket cannot be made there");
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return complain(l, "control", path, "is there and is not a socket");
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

static void look_at_backend(struct look *l, const struct users *users)
{
	const struct user *user = users->drop ? &users->of[AS_LOGIN] : NULL;
	struct config *c = l->config;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct str given = auth_option(&c->auth, str_of(places[i].option));
		const char *path = given.n > 0 ? arena_cstr(&c->arena, given) : places[i].otherwise;
		int why = str_eq(c->auth.backend, str_of(places[i].backend)) ? try_as(l, user, try_access, path, places[i].mode)
									     : 0;

		if (why > 0)
			l->told(l->ctx, c, "auth.backend", path,
				arena_cstr(&c->arena, arena_printf(&c->arena, "%s: %s", strerror(why), places[i].remedy)), true);
	}
}

/* Mail is dropped while the relay does not run, so a directory that cannot be used is told before it is needed. */
static void look_at_drop(struct look *l, const struct users *users)
{
	struct config *c = l->config;
	const char *path = arena_cstr(&c->arena, c->local.drop), *why = NULL;
	struct stat st;

	if (c->local.drop.n == 0 || lstat(path, &st) != 0)
		return;
	if (!S_ISDIR(st.st_mode))
		why = "is not a directory, so nobody can drop mail there";
	else if (st.st_uid != users->of[AS_RUN_AS].uid)
		why = "belongs to another user than run_as, so what is dropped there is not sent";
	else if ((st.st_mode & 07777) != 01733)
		why = "expected the mode 1733: every user can drop mail, and nobody see or remove that of others";
	if (why)
		l->told(l->ctx, c, "local.drop", path, why, true);
}

unsigned machine_look(struct config *c, machine_fault_fn told, void *ctx)
{
	struct look l = { c, told, ctx };
	struct users users;

	if (!users_find(&users, &c->arena, c->run_as))
		return complain(&l, "run_as", arena_cstr(&c->arena, c->run_as),
				"is no user of this machine; expected one, for example made by: adduser --system --group "
				"posthouse");
	look_at_backend(&l, &users);
	look_at_drop(&l, &users);
	return check_state_dir(&l, &users) + check_control(&l);
}

static void print(void *ctx, const struct config *c, const char *key, const char *path, const char *text, bool warning)
{
	struct arena a = { 0 };

	if (warning)
		log_words(LOG_WARNING, arena_printf(&a, "%.*s: warning: %s: %s: %s", STR_ARG(c->file), key, path, text));
	else
		log_words(LOG_ERROR, arena_printf(&a, "%.*s: %s: %s %s", STR_ARG(c->file), key, path, text));
	arena_fini(&a);
}

unsigned machine_check(struct config *c)
{
	return machine_look(c, print, NULL);
}
