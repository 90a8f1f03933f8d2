/* file.c - see file.h. */
#include "posthouse/file.h"

#include "posthouse/arena.h"
#include "posthouse/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool file_write(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return false;
		}
		s = str_from(s, (size_t)n);
	}
	return true;
}

ssize_t file_read_at(int fd, char *to, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t some = pread(fd, to + done, n - done, (off_t)(at + done));

		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			return -1;
		if (some == 0)
			break;
		done += (size_t)some;
	}
	return (ssize_t)done;
}

int file_put_begin(int directory, const char *aside, mode_t mode)
{
	int fd;

	(void)unlinkat(directory, aside, 0); /* left by one that was killed */
	fd = openat(directory, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	crash_point("file.made");
	return fd;
}

/* A rename is on the disk when its directory is. */
static int sync_directory(int directory, const char *name)
{
	struct arena a = { 0 };
	size_t slash = str_rfind(str_of(name), '/');
	struct str parent = slash < strlen(name) ? str_head(str_of(name), slash + 1) : S(".");
	int fd = openat(directory, arena_cstr(&a, parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd >= 0 && fsync(fd) == 0 ? 0 : errno;

	if (fd >= 0)
		(void)close(fd); /* only synced */
	arena_fini(&a);
	return error;
}

int file_put_end(int directory, const char *aside, const char *name, int fd, bool written)
{
	int error = written && fsync(fd) == 0 ? 0 : errno ? errno : EIO;

	if (fd >= 0 && close(fd) != 0 && !error)
		error = errno;
	crash_point("file.written");
	if (!error && renameat(directory, aside, directory, name) != 0)
		error = errno;
	if (error && fd >= 0)
		(void)unlinkat(directory, aside, 0); /* the fault is told */
	if (!error)
		error = sync_directory(directory, name);
	crash_point("file.replaced");
	return error;
}

int file_put(int directory, const char *aside, const char *name, mode_t mode, struct str text)
{
	int fd = file_put_begin(directory, aside, mode);

	return file_put_end(directory, aside, name, fd, fd >= 0 && file_write(fd, text));
}
