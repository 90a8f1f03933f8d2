/* users.h - the users that the roles run as, and what is theirs in state_dir. Used by master and the command line. */
#ifndef POSTHOUSE_USERS_H
#define POSTHOUSE_USERS_H

#include "posthouse/arena.h"
#include "posthouse/roles.h"

#include <stdbool.h>
#include <sys/types.h>

#define USER_GROUPS_MAX 64

struct user {
	const char *name; /* a number when the machine has no name for it */
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX]; /* further ones: only for AS_LOGIN, whose back-end can be open to a group alone */
	size_t groups_n;
};

struct users {
	struct user of[ROLE_USERS];
	bool drop;          /* this process is root, and its roles become these users */
	bool separate;      /* at least one of them is another user than run_as */
	struct str missing; /* names of users that this machine does not have: run_as takes their place; "": none */
};

/* Look the users up. When this process is not root, all of them are its own user. False: there is no user `run_as`. Names live
 * in the arena. */
bool users_find(struct users *users, struct arena *a, struct str run_as);

/* Become the user for good. False: errno says why. */
bool user_become(const struct user *user);

/* ---- state_dir.c ---- */

/* The user whose the account file is: AS_LOGIN where a relay that root had started has been at work, else AS_RUN_AS. */
const struct user *state_dir_login_user(const char *state_dir, const struct users *users);

/* Give the roles that have files in state_dir their directories: `login`, `tokens` and `doctor`. Files of a version that had no
 * such directories are moved into them, once. As root: the directories and what is in them get the users that they are for, and
 * where these differ, state_dir itself becomes root's, with the sticky bit: then no user can exchange what another one has there.
 * The caller has the lock of state_dir. 0, or an errno; then *path_out is at fault. */
int state_dir_settle(const char *state_dir, const struct users *users, struct arena *a, const char **path_out);

/* Files of a version that had no such directories, beside directories that are there: an older version, or an old backup, has put
 * them into state_dir since, and nobody uses them. Their paths with ", " between; "" when there are none. */
struct str state_dir_left_over(const char *state_dir, struct arena *a);
/* What to do about them. */
#define STATE_DIR_LEFT_OVER                                                                                                      \
	"not used, since the directories login and doctor in there have files of these names, or had: "                          \
	"stop the relay, and move the right ones into these, or remove them (posthouse-operation(7), RESTORE)"

#endif
