/* dkim_file.c - the file that holds `sign`, and how a file is replaced. */
#include "dkim.h"

#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const states[] = { [SIGN_ACTIVE] = "active", [SIGN_PENDING] = "pending", [SIGN_RETIRED] = "retired" };

/* A text in libconfig's quotes; what is in these fields has no control characters. */
static void add_text(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, " %s = \"", name);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, value.p[i]);
	}
	buf_add(out, S("\";"));
}

void dkim_file_format(struct buf *out, const struct cfg_sign *keys, size_t n, struct str directory)
{
	buf_add(out,
		S("# Kept by `posthouse dkim`: what is written here by hand is lost. The keys and their states: `posthouse dkim "
		  "list`.\nsign = ("));
	for (size_t i = 0; i < n; i++) {
		const struct cfg_sign *s = &keys[i];

		buf_add(out, i == 0 ? S("\n  {") : S(",\n  {"));
		add_text(out, "domain", s->domain);
		add_text(out, "selector", s->selector);
		add_text(out, "key", str_starts(s->key, directory) ? str_from(s->key, directory.n) : s->key);
		buf_printf(out, "\n    state = \"%s\";", states[s->state]);
		if (s->since.n > 0)
			add_text(out, "since", s->since);
		if (s->seen.n > 0)
			add_text(out, "seen", s->seen);
		if (!s->oversign)
			buf_add(out, S(" oversign = false;"));
		buf_add(out, S(" }"));
	}
	buf_add(out, S("\n);\n"));
}

/* The owner matters where root writes for another user; who is not root has made the file himself. */
static bool keep_owner(int fd, const char *path)
{
	struct stat old;

	if (stat(path, &old) != 0)
		return errno == ENOENT;
	return fchmod(fd, old.st_mode & 07777) == 0 && (geteuid() != 0 || fchown(fd, old.st_uid, old.st_gid) == 0);
}

void secret_made(int fd)
{
	const struct group *group = geteuid() == 0 ? getgrnam(SECRETS_GROUP) : NULL;

	if (group && fchown(fd, (uid_t)-1, group->gr_gid) == 0)
		(void)fchmod(fd, 0640);
}

const char *file_replace(const char *path, struct str text, mode_t mode)
{
	struct arena a = { 0 };
	const char *new = arena_cstr(&a, arena_printf(&a, "%s.new", path)), *why = NULL;
	int fd = file_put_begin(AT_FDCWD, new, mode), error;

	if (fd >= 0 && mode == 0600)
		secret_made(fd);
	if (fd < 0)
		why = "cannot be made";
	else if (!keep_owner(fd, path))
		why = "cannot get the owner of the old file";
	else if (!file_write(fd, text))
		why = "cannot be written";
	error = file_put_end(AT_FDCWD, new, path, fd, !why);
	if (error && !why)
		why = "cannot be replaced";
	arena_fini(&a);
	errno = error;
	return why;
}
