/* files.c - the files that the configuration names. */
#include "loader.h"

#include "posthouse/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CREDENTIAL  "credential:"
#define CREDENTIALS "/run/credentials/posthouse.service" /* where systemd has them, for commands of root beside the service */

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

/* Orchestrators give secrets as files of memory or read-only, or below /run/secrets: their modes are the orchestrator's, and no
 * other user is there. */
bool file_is_given(const char *path)
{
	struct statvfs v;
	struct statfs fs;

	return strncmp(path, "/run/secrets/", 13) == 0 || strncmp(path, "/var/run/secrets/", 17) == 0 ||
	       (statfs(path, &fs) == 0 && statvfs(path, &v) == 0 &&
		((uint32_t)fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC || v.f_flag & ST_RDONLY));
}

/* "credential:NAME": a file that the service manager gives to this service alone (LoadCredential of systemd). */
static struct str credential(struct loader *l, struct str name)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");

	return arena_printf(l->arena, "%s/%.*s", directory ? directory : CREDENTIALS, STR_ARG(name));
}

struct str path_resolve(struct loader *l, struct str path)
{
	if (str_starts(path, S(CREDENTIAL)))
		return credential(l, str_from(path, strlen(CREDENTIAL)));
	if (path.n == 0 || path.p[0] == '/')
		return path;
	return arena_printf(l->arena, "%.*s%.*s", STR_ARG(l->dir), STR_ARG(path));
}
