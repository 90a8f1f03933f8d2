/* machine_users.c - the users of this machine, as its files and its directory services have them. */
#include "posthouse/local.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#define ENTRY_MAX  (64 * 1024)
#define NAMES_MAX  (16 * 1024)
#define USERS_FROM 1000 /* UID_MIN of login.defs: below are users of programs */
#define NOBODY     65534

struct str machine_user_name(struct arena *a, uint64_t uid)
{
	char *bytes = arena_alloc(a, ENTRY_MAX);
	struct passwd entry, *found = NULL;

	if (uid > UINT32_MAX || getpwuid_r((uid_t)uid, &entry, bytes, ENTRY_MAX, &found) != 0 || !found)
		return S("");
	return str_of(found->pw_name);
}

struct str machine_system_users(struct arena *a)
{
	char *bytes = arena_alloc(a, ENTRY_MAX);
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd entry, *found;
	struct str names;
	struct buf b;

	buf_init(&b, NAMES_MAX);
	while (file && fgetpwent_r(file, &entry, bytes, ENTRY_MAX, &found) == 0)
		if (found->pw_uid < USERS_FROM || found->pw_uid == NOBODY)
			buf_printf(&b, "%s%s", b.n > 0 ? " " : "", found->pw_name);
	if (file)
		fclose(file);
	names = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return names;
}
