/* init_files.c - the files that `posthouse init` creates: when a later step fails, they are removed. */
#include "dkim.h"
#include "init.h"

#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

static void undo(struct init *t)
{
	while (t->created_n)
		remove(t->created[--t->created_n]);
}

void init_fail(struct init *t, int code, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	undo(t);
	die(code, "%s", text);
}

void init_made(struct init *t, const char *path)
{
	if (t->created_n == CREATED_MAX)
		init_fail(t, EX_SOFTWARE, "more files than expected");
	t->created[t->created_n++] = path;
}

int init_exit_code(int error)
{
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT;
}

FILE *init_create(struct init *t, const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file;

	if (fd < 0)
		init_fail(t, init_exit_code(errno), "%s: %s", path, strerror(errno));
	init_made(t, path);
	if (mode == 0600)
		secret_made(fd);
	file = fdopen(fd, "w");
	if (!file)
		init_fail(t, EX_OSERR, "%s: %s", path, strerror(errno));
	return file;
}

void init_finish(struct init *t, FILE *file, const char *path, bool written)
{
	written = fflush(file) == 0 && fsync(fileno(file)) == 0 && written;
	if (fclose(file) != 0 || !written)
		init_fail(t, EX_IOERR, "%s could not be written: %s", path, strerror(errno));
}

const char *init_path_in(struct init *t, const char *directory, struct str name)
{
	return arena_cstr(&t->arena, arena_printf(&t->arena, "%s/%.*s", directory, STR_ARG(name)));
}
