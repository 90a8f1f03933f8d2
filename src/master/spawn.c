/* spawn.c - the process of a role: its program, its environment, its descriptors. */
#include "master.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 12

/* The program of queue is one for each engine: no program can have both. */
static const char *program_of(const struct child *c)
{
	bool database = c->role == ROLE_QUEUE && c->master->config->store.engine == ENGINE_POSTGRESQL;

	return database ? "queue-postgresql" : role_name(c->role);
}

const char *program_path(const char *program, char path[PROGRAM_PATH_MAX])
{
	char self[PROGRAM_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		snprintf(path, PROGRAM_PATH_MAX, "%.3900s/posthouse-%s", self, program);
		if (access(path, X_OK) == 0)
			return path;
	}
	snprintf(path, PROGRAM_PATH_MAX, "%s/posthouse-%s", POSTHOUSE_LIBEXECDIR, program);
	return path;
}

/* "4,24,27" */
static struct str groups_text(struct arena *a, const struct user *u)
{
	struct str text = S("");

	for (size_t i = 0; i < u->groups_n; i++)
		text = arena_printf(a, "%.*s%s%u", STR_ARG(text), i ? "," : "", (unsigned)u->groups[i]);
	return text;
}

/* What master tells the role: arguments.c of src/role reads it. */
static void make_arguments(const struct child *c, struct arena *a, char *path, char *arguments[ARGUMENTS_MAX])
{
	const struct user *u = child_user(c);
	const struct {
		const char *name;
		struct str value;
		bool given;
	} all[] = { { "--index", arena_printf(a, "%u", c->index), true },
		    { "--incarnation", arena_printf(a, "%llu", (unsigned long long)c->incarnation), true },
		    { "--uid", arena_printf(a, "%u", (unsigned)u->uid), c->master->users.drop },
		    { "--gid", arena_printf(a, "%u", (unsigned)u->gid), c->master->users.drop },
		    { "--groups", groups_text(a, u), c->master->users.drop && u->groups_n > 0 } };
	size_t n = 0;

	arguments[n++] = path;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (!all[i].given)
			continue;
		arguments[n++] = (char *)(uintptr_t)all[i].name;
		arguments[n++] = (char *)(uintptr_t)arena_cstr(a, all[i].value);
	}
	arguments[n] = NULL;
}

int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit)
{
	struct master *m = c->master;
	struct arena a = { 0 };
	char path[PROGRAM_PATH_MAX], *kept[ENVIRONMENT_MAX], *arguments[ARGUMENTS_MAX];
	uv_stdio_container_t stdio[5] = { { .flags = UV_IGNORE },
					  { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = log_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = channel_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = m->lock_fd } };
	uv_process_options_t options = { .file = program_path(program_of(c), path),
					 .args = arguments,
					 .env = clean_environment(c->failures == 0, kept),
					 .exit_cb = on_exit,
					 .stdio = stdio,
					 .stdio_count = 5 };
	int error;

	make_arguments(c, &a, path, arguments);
	c->process.data = c;
	error = uv_spawn(m->loop, &c->process, &options);
	arena_fini(&a);
	if (error == UV_ENOENT && strcmp(program_of(c), role_name(c->role)) != 0)
		log_error(NULL, "role.not_installed", kv("path", path),
			  kv("reason", "store.engine is \"postgresql\", and this program is not installed: it is in the package "
				       "posthouse-postgresql, or Posthouse was built without libpq"));
	return error;
}
