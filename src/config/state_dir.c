/* state_dir.c - see users.h. Root works by descriptors here, and in no directory that another user can change: it takes a
 * directory, does what is to be done in it, and gives it away. */
#include "posthouse/directory.h"
#include "posthouse/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED_MODE 01771 /* run_as makes its files by its group; others only pass through to a directory of their own */
#define OWN_MODE    0700
#define FILES_MAX   6
#define DEPTH_MAX   3

/* The directories, and what earlier versions had in state_dir itself. */
static const struct place {
	const char *name;
	enum role_user user;
	const char *files[FILES_MAX];
} places[] = {
	{ "login", AS_LOGIN, { "login.key", "accounts.used", "accounts.lock", "env", "accounts" } },
	{ "tokens", AS_KEY, { NULL } },
	{ "doctor", AS_NET, { "doctor.cache", "doctor.faults" } },
	{ "tlspolicy", AS_NET, { NULL } },
};

struct settling {
	const struct users *users;
	const char *state_dir;
	int state_fd;
	bool gives;      /* as root: what is there gets its user */
	bool was_shared; /* state_dir was settled for users that differ; this machine can have lost some of them */
	uid_t lost_user; /* where it was: the user of the directory */
	const struct place *at_fault;
};

static int open_directory(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

const struct user *state_dir_login_user(const char *state_dir, const struct users *users)
{
	struct arena a = { 0 };
	struct stat st;
	bool is_there = lstat(arena_cstr(&a, arena_printf(&a, "%s/login", state_dir)), &st) == 0;

	arena_fini(&a);
	return &users->of[is_there && st.st_uid == users->of[AS_LOGIN].uid ? AS_LOGIN : AS_RUN_AS];
}

struct str state_dir_left_over(const char *state_dir, struct arena *a)
{
	struct str all = S("");

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		const struct place *p = &places[i];
		struct stat st;

		if (lstat(arena_cstr(a, arena_printf(a, "%s/%s", state_dir, p->name)), &st) != 0)
			continue;
		for (size_t k = 0; k < FILES_MAX && p->files[k]; k++) {
			struct str path = arena_printf(a, "%s/%s", state_dir, p->files[k]);

			if (lstat(arena_cstr(a, path), &st) == 0)
				all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), all.n > 0 ? ", " : "", STR_ARG(path));
		}
	}
	return all;
}

/* ---- whose it is ---- */
/* Files of somebody else, to which a user could have made a link, are not given away. */
static bool is_of_us(const struct settling *s, uid_t uid)
{
	for (unsigned i = AS_RUN_AS; i < ROLE_USERS; i++)
		if (s->users->of[i].uid == uid)
			return true;
	return s->was_shared && uid != 0 && uid == s->lost_user;
}

/* A file of one of our users, with one name, becomes that of `user`. */
static int give_file(const struct settling *s, int parent, const char *name, const struct user *user)
{
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid != user->uid && is_of_us(s, st.st_uid) &&
				    fchownat(fd, "", user->uid, user->gid, AT_EMPTY_PATH) != 0))
		error = errno;
	close(fd);
	return error;
}

/* So is a directory. One of root's is of a start that was broken off, unless somebody else can have moved it here. */
static bool is_directory_of_us(const struct settling *s, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (is_of_us(s, st.st_uid) || (st.st_uid == 0 && (st.st_mode & 0022) == 0));
}

static int give_directory(const struct settling *s, int fd, const struct user *user, unsigned depth);

static int give_entry(const struct settling *s, int parent, const char *name, const struct user *user, unsigned depth)
{
	int fd = depth < DEPTH_MAX ? open_directory(parent, name) : -1, error = 0;

	if (fd < 0)
		return give_file(s, parent, name, user);
	if (is_directory_of_us(s, fd))
		error = give_directory(s, fd, user, depth + 1);
	close(fd);
	return error;
}

/* Root takes the directory while it gives away what is in it. Who had it can have opened it to others. */
static int give_directory(const struct settling *s, int fd, const struct user *user, unsigned depth)
{
	int copy = fchown(fd, 0, 0) == 0 && fchmod(fd, OWN_MODE) == 0 ? open_directory(fd, ".") : -1, error = 0;
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!directory)
		return errno;
	while (!error && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			error = give_entry(s, fd, entry->d_name, user, depth);
	closedir(directory);
	return error || fchown(fd, user->uid, user->gid) == 0 ? error : errno;
}

static int settle_owner(struct settling *s, int fd, const struct user *user)
{
	struct stat st;

	if (!s->gives)
		return 0;
	if (fstat(fd, &st) != 0)
		return errno;
	s->lost_user = st.st_uid;
	return st.st_uid == 0 || is_of_us(s, st.st_uid) ? give_directory(s, fd, user, 0) : EPERM;
}

/* Was it settled for users that differ? */
static bool is_shared(const struct settling *s)
{
	struct stat st;

	return fstat(s->state_fd, &st) == 0 && st.st_uid == 0 && st.st_gid == s->users->of[AS_RUN_AS].gid &&
	       (st.st_mode & 07777) == SHARED_MODE;
}

/* Others than run_as have to get to their directories, and nobody is to exchange them. A directory of root's that is not as this
 * function leaves it is not ours: the name of state_dir can be led to it. */
static int share(const struct settling *s)
{
	struct stat st;

	if (fstat(s->state_fd, &st) != 0)
		return errno;
	if (!is_of_us(s, st.st_uid))
		return EPERM;
	if (fchmod(s->state_fd, SHARED_MODE) != 0 || fchown(s->state_fd, 0, s->users->of[AS_RUN_AS].gid) != 0)
		return errno;
	return 0;
}

static int unshare_again(const struct settling *s)
{
	const struct user *run_as = &s->users->of[AS_RUN_AS];

	return fchmod(s->state_fd, OWN_MODE) == 0 && fchown(s->state_fd, run_as->uid, run_as->gid) == 0 ? 0 : errno;
}

/* ---- the directories ---- */
/* Under another name, until all files are in it: a start that is broken off goes on the next time. */
static int make_place(struct settling *s, const struct place *p)
{
	char new[32];
	int fd, error = 0;

	snprintf(new, sizeof new, "%s.new", p->name);
	if (mkdirat(s->state_fd, new, OWN_MODE) != 0 && errno != EEXIST)
		return errno;
	fd = open_directory(s->state_fd, new);
	if (fd < 0)
		return errno;
	if (s->gives && fchown(fd, 0, 0) != 0)
		error = errno;
	for (size_t i = 0; !error && i < FILES_MAX && p->files[i]; i++)
		if (renameat(s->state_fd, p->files[i], fd, p->files[i]) != 0 && errno != ENOENT)
			error = errno;
	if (!error)
		error = settle_owner(s, fd, &s->users->of[p->user]);
	if (!error && (fsync(fd) != 0 || renameat(s->state_fd, new, s->state_fd, p->name) != 0 || fsync(s->state_fd) != 0))
		error = errno;
	close(fd);
	return error;
}

static int settle_place(struct settling *s, const struct place *p)
{
	int fd = open_directory(s->state_fd, p->name), error;

	if (fd < 0)
		return errno == ENOENT ? make_place(s, p) : errno;
	error = settle_owner(s, fd, &s->users->of[p->user]);
	close(fd);
	return error;
}

static int settle_places(struct settling *s)
{
	int error = 0;

	for (size_t i = 0; !error && i < sizeof places / sizeof places[0]; i++) {
		error = settle_place(s, &places[i]);
		if (error)
			s->at_fault = &places[i];
	}
	return error;
}

static int settle_as_root(struct settling *s)
{
	int error = 0;

	s->gives = true;
	s->was_shared = is_shared(s);
	if (!s->was_shared)
		error = share(s);
	if (!error)
		error = settle_places(s);
	if (!error && !s->users->separate)
		error = unshare_again(s);
	return error;
}

/* As run_as: root must not be led to another place by somebody who can exchange the directory. */
static int settle_as_user(void *ctx)
{
	struct settling *s = ctx;
	struct stat st;
	int error;

	s->state_fd = open(s->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->state_fd < 0)
		return errno;
	if (fstat(s->state_fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == SHARED_MODE)
		(void)fchmod(s->state_fd,
			     OWN_MODE); /* the service manager has given it back: nobody else has a way to go there */
	error = settle_places(s);
	close(s->state_fd);
	return error;
}

int state_dir_settle(const char *state_dir, const struct users *users, struct arena *a, const char **path_out)
{
	struct settling s = { .users = users, .state_dir = state_dir, .state_fd = -1 };
	const struct user *run_as = &users->of[AS_RUN_AS];
	int error;

	*path_out = state_dir;
	if (users->drop)
		s.state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (users->drop && s.state_fd < 0)
		return errno;
	if (users->drop && (users->separate || is_shared(&s)))
		error = settle_as_root(&s);
	else if (users->drop)
		error = directory_work_as(run_as->uid, run_as->gid, settle_as_user, &s);
	else
		error = settle_as_user(&s);
	if (s.at_fault)
		*path_out = arena_cstr(a, arena_printf(a, "%s/%s", state_dir, s.at_fault->name));
	return error;
}
