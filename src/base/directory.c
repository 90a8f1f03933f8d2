/* directory.c - root makes files and directories for another user. A user who can write to a directory can exchange its content
 * between two calls that name it, so root must not be led to other files. */
#include "posthouse/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who we were before we acted as somebody else. */
struct self {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int groups_n;
};

/* Back to ourselves; there is no going on when that fails. */
static void act_as_self(struct self *self)
{
	int error = errno;

	if (seteuid(self->uid) != 0 || setegid(self->gid) != 0 || setgroups((size_t)self->groups_n, self->groups) != 0)
		abort();
	free(self->groups);
	errno = error;
}

/* Act as a user, as the roles are: without further groups. False: errno says why, and nothing has changed. */
static bool act_as(uid_t uid, gid_t gid, struct self *self_out)
{
	struct self *self = self_out;

	*self = (struct self){ .uid = geteuid(), .gid = getegid(), .groups_n = getgroups(0, NULL) };
	if (self->groups_n < 0)
		return false;
	self->groups = xcalloc((size_t)self->groups_n + 1, sizeof *self->groups);
	if (getgroups(self->groups_n, self->groups) != self->groups_n || setgroups(0, NULL) != 0) {
		free(self->groups);
		return false;
	}
	if (setegid(gid) == 0 && seteuid(uid) == 0)
		return true;
	act_as_self(self);
	return false;
}

/* Only root can act as others, and as itself it need not; the walls of a role do not let it. */
static bool works_as_itself(uid_t uid)
{
	return geteuid() != 0 || uid == 0;
}

const char *directory_unsafe(const struct statfs *fs)
{
	static const struct {
		uint32_t type; /* statfs gives a long that can be negative on 32 bits */
		const char *name;
	} unsafe[] = {
		{ TMPFS_MAGIC, "tmpfs" },     { RAMFS_MAGIC, "ramfs" },    { NFS_SUPER_MAGIC, "NFS" },
		{ SMB_SUPER_MAGIC, "SMB" },   { SMB2_SUPER_MAGIC, "SMB" }, { CIFS_SUPER_MAGIC, "CIFS" },
		{ AFS_SUPER_MAGIC, "AFS" },   { AFS_FS_MAGIC, "AFS" },     { CODA_SUPER_MAGIC, "Coda" },
		{ CEPH_SUPER_MAGIC, "Ceph" },
	};

	for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++)
		if ((uint32_t)fs->f_type == unsafe[i].type)
			return unsafe[i].name;
	return NULL;
}

static bool is_empty(int directory_fd)
{
	int fd = dup(directory_fd);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool empty = directory != NULL;

	while (directory && (entry = readdir(directory)))
		empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return empty;
}

int directory_give(const char *path, uid_t uid, gid_t gid)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd < 0) /* a link to somebody else's directory: its owner must not change */
		return errno == ELOOP || errno == ENOTDIR ? 0 : errno;
	if (fstat(fd, &st) != 0 || (st.st_uid == 0 && st.st_uid != uid && is_empty(fd) && fchown(fd, uid, gid) != 0))
		error = errno;
	close(fd);
	return error;
}

int directory_make_for(const char *path, uid_t uid, gid_t gid)
{
	struct self self;
	int made;

	if (works_as_itself(uid))
		return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
	if (!act_as(uid, gid, &self))
		return errno;
	made = mkdir(path, 0700);
	act_as_self(&self);
	if (made == 0 || errno == EEXIST)
		return 0;
	if (errno != EACCES)
		return errno;
	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? 0 : errno;
	return directory_give(path, uid, gid);
}

int directory_work_as(uid_t uid, gid_t gid, int (*work)(void *ctx), void *ctx)
{
	struct self self;
	int result;

	if (geteuid() == uid)
		return work(ctx);
	if (!act_as(uid, gid, &self))
		return errno;
	result = work(ctx);
	act_as_self(&self);
	return result;
}

int directory_open_file_as(const char *path, uid_t uid, gid_t gid)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct self self;
	int fd;

	if (works_as_itself(uid))
		return open(path, flags, 0600);
	if (!act_as(uid, gid, &self))
		return -1;
	fd = open(path, flags, 0600);
	act_as_self(&self);
	return fd;
}

struct str directory_of(struct arena *a, struct str state_dir, const char *name)
{
	struct str path = arena_printf(a, "%.*s/%s", STR_ARG(state_dir), name);
	struct stat st;

	return lstat(arena_cstr(a, path), &st) == 0 && S_ISDIR(st.st_mode) ? path : state_dir;
}
