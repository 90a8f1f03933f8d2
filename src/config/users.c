/* users.c - see users.h. */
#include "posthouse/users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

static bool look_up(struct user *u, struct arena *a, struct str name, bool with_groups)
{
	const char *text = arena_cstr(a, name);
	const struct passwd *found = getpwnam(text);
	int n = USER_GROUPS_MAX;

	if (!found)
		return false;
	*u = (struct user){ .name = text, .uid = found->pw_uid, .gid = found->pw_gid };
	if (with_groups && getgrouplist(text, u->gid, u->groups, &n) >= 0)
		u->groups_n = (size_t)n;
	return true;
}

static struct user myself(struct arena *a)
{
	const struct passwd *found = getpwuid(geteuid());
	struct str name = found ? str_of(found->pw_name) : arena_printf(a, "%u", (unsigned)geteuid());

	return (struct user){ .name = arena_cstr(a, name), .uid = geteuid(), .gid = getegid() };
}

bool users_find(struct users *users, struct arena *a, struct str run_as)
{
	static const char *const endings[ROLE_USERS] = { [AS_NET] = "-net", [AS_KEY] = "-key", [AS_LOGIN] = "-login" };
	struct user me = myself(a);

	*users = (struct users){ .drop = geteuid() == 0, .missing = S("") };
	for (unsigned i = 0; i < ROLE_USERS; i++)
		users->of[i] = me;
	if (!users->drop)
		return true;
	if (!look_up(&users->of[AS_RUN_AS], a, run_as, false))
		return false;
	for (unsigned i = AS_RUN_AS + 1; i < ROLE_USERS; i++) {
		struct str name = arena_printf(a, "%.*s%s", STR_ARG(run_as), endings[i]);

		if (look_up(&users->of[i], a, name, i == AS_LOGIN)) {
			users->separate = true;
			continue;
		}
		look_up(&users->of[i], a, run_as, i == AS_LOGIN);
		users->missing =
			arena_printf(a, "%.*s%s%.*s", STR_ARG(users->missing), users->missing.n ? " " : "", STR_ARG(name));
	}
	return true;
}

bool user_become(const struct user *u)
{
	return setgroups(u->groups_n, u->groups) == 0 && setgid(u->gid) == 0 && setuid(u->uid) == 0;
}
