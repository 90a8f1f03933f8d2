/* directory.h - what root does where somebody else can write: nothing by name, and as that somebody where it can be. */
#ifndef POSTHOUSE_DIRECTORY_H
#define POSTHOUSE_DIRECTORY_H

#include "posthouse/arena.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/vfs.h>

/* The name of a file system that loses its files with a restart, or on which locks and syncs are not reliable; NULL: mail is
 * safe there. */
const char *directory_unsafe(const struct statfs *fs);

/* Make a directory that only this user can enter. A process that is not root makes it as itself. Root makes it as the user, and
 * only where the user is not allowed to it makes the directory itself and gives it away, by its descriptor. A directory that is
 * there stays as it is. 0, or an errno. */
int directory_make_for(const char *path, uid_t uid, gid_t gid);

/* Give a directory of root's that has nothing in it to a user; any other stays as it is. 0, or an errno. */
int directory_give(const char *path, uid_t uid, gid_t gid);

/* Call `work` as this user, from a process of root's. Its value, or an errno when that was not possible. */
int directory_work_as(uid_t uid, gid_t gid, int (*work)(void *ctx), void *ctx);

/* Where a role keeps its files: in `state_dir`/`name`, or in state_dir itself while the relay of this version has not been
 * started there (state_dir_settle() of users.h moves them). In the arena, or `state_dir`. */
struct str directory_of(struct arena *a, struct str state_dir, const char *name);

/* A file of this user's, made if it is not there (mode 0600), opened for reading and writing as the user would open it: root
 * cannot be led to a file that the user has no right to. A process that is not root opens it as itself. The descriptor, or -1
 * with errno. */
int directory_open_file_as(const char *path, uid_t uid, gid_t gid);

#endif
