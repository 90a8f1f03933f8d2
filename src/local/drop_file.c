/* drop_file.c - a message is written into the drop directory: beside, durable, then under its name. */
#include "posthouse/file.h"
#include "posthouse/id.h"
#include "posthouse/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE      65536
#define NAME_BYTES 64
#define HIDDEN     ".tmp-" /* in front of the name while the file is written: pickup passes it by */

static int copy_text(int fd, int text_fd, uint64_t from)
{
	char bytes[PIECE];

	for (;;) {
		ssize_t n = pread(text_fd, bytes, sizeof bytes, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		if (!file_write(fd, str_make(bytes, (size_t)n)))
			return errno;
		from += (uint64_t)n;
	}
}

/* Head and text, then the mark of local.h. The umask of the caller must not keep run_as from reading the file. */
static int fill(int fd, const struct local_message *m, int text_fd, uint64_t from)
{
	struct buf head;
	int error;

	buf_init(&head, 2 * DROP_HEAD_MAX);
	drop_head_write(&head, m);
	error = head.n > DROP_HEAD_MAX ? EMSGSIZE : file_write(fd, buf_view(&head)) ? 0 : errno;
	buf_fini(&head);
	if (error == 0)
		error = copy_text(fd, text_fd, from);
	if (error == 0 && (fchmod(fd, DROP_MODE) != 0 || fsync(fd) != 0))
		error = errno;
	return error;
}

int drop_file_write(const char *directory, const struct local_message *m, int text_fd, uint64_t from)
{
	int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;
	char hidden[NAME_BYTES], *name = hidden + sizeof HIDDEN - 1;

	if (dir < 0)
		return errno;
	snprintf(hidden, sizeof hidden, HIDDEN "%016llx%016llx", (unsigned long long)random_u64(),
		 (unsigned long long)random_u64());
	fd = openat(dir, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	error = fd < 0 ? errno : fill(fd, m, text_fd, from);
	if (error == 0 && renameat(dir, hidden, dir, name) != 0)
		error = errno;
	/* The name has to be durable too, but nobody who is not run_as can open the directory and sync it. */
	if (error == 0 && syncfs(fd) != 0) {
		error = errno;
		if (unlinkat(dir, name, 0) != 0 && errno == ENOENT)
			error = 0; /* pickup was faster: it syncs what it takes */
	} else if (error != 0 && fd >= 0) {
		unlinkat(dir, hidden, 0);
	}
	if (fd >= 0)
		close(fd);
	close(dir);
	return error;
}
