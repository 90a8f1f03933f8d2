/* files.c - the files that the configuration names. */
#include "loader.h"

#include "posthouse/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *read_all(int fd, size_t max, struct buf *b)
{
	char *room;
	ssize_t n;

	for (;;) {
		size_t want = b->n < max ? max - b->n : 1;

		if (want > 65536)
			want = 65536;
		room = buf_reserve(b, want);
		if (!room)
			return "is too large";
		n = read(fd, room, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? strerror(errno) : NULL;
		buf_claim(b, (size_t)n);
		if (b->n > max)
			return "is too large";
	}
}

const char *file_read(const char *path, size_t max, struct buf *b, unsigned *mode_out)
{
	struct stat st;
	const char *why = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not stop us */

	buf_init(b, max + 1);
	*mode_out = 0;
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) < 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file";
	else
		why = read_all(fd, max, b);
	close(fd);
	*mode_out = (unsigned)st.st_mode & 07777;
	if (why)
		buf_wipe(b);
	return why;
}

struct str path_resolve(struct loader *l, struct str path)
{
	if (path.n == 0 || path.p[0] == '/')
		return path;
	return arena_printf(l->arena, "%.*s%.*s", STR_ARG(l->dir), STR_ARG(path));
}
