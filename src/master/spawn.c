/* spawn.c - the process of a role: its program, its environment, its descriptors. */
#include "master.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROLE_PATH_MAX 4096

/* In the directory of master's own program (a build directory), or else in libexecdir. */
static const char *role_path(enum role_id role, char path[ROLE_PATH_MAX])
{
	char self[ROLE_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		snprintf(path, ROLE_PATH_MAX, "%.3900s/posthouse-%s", self, role_name(role));
		if (access(path, X_OK) == 0)
			return path;
	}
	snprintf(path, ROLE_PATH_MAX, "%s/posthouse-%s", POSTHOUSE_LIBEXECDIR, role_name(role));
	return path;
}

int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit)
{
	struct master *m = c->master;
	char path[ROLE_PATH_MAX], *kept[ENVIRONMENT_MAX], index[24], incarnation[24], uid[24], gid[24];
	char *arguments[] = { path,        (char *)(uintptr_t) "--index",
			      index,       (char *)(uintptr_t) "--incarnation",
			      incarnation, m->drop ? (char *)(uintptr_t) "--uid" : NULL,
			      uid,         (char *)(uintptr_t) "--gid",
			      gid,         NULL };
	uv_stdio_container_t stdio[5] = { { .flags = UV_IGNORE },
					  { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = log_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = channel_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = m->lock_fd } };
	uv_process_options_t options = { .file = role_path(c->role, path),
					 .args = arguments,
					 .env = clean_environment(c->failures == 0, kept),
					 .exit_cb = on_exit,
					 .stdio = stdio,
					 .stdio_count = 5 };

	snprintf(index, sizeof index, "%u", c->index);
	snprintf(incarnation, sizeof incarnation, "%llu", (unsigned long long)c->incarnation);
	snprintf(uid, sizeof uid, "%u", (unsigned)m->uid);
	snprintf(gid, sizeof gid, "%u", (unsigned)m->gid);
	c->process.data = c;
	return uv_spawn(m->loop, &c->process, &options);
}
