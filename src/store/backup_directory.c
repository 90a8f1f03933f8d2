/* backup_directory.c - the directory of the copies, and what copies that were interrupted have left in it. */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int backup_open(int state_fd)
{
	if (mkdirat(state_fd, "backup", 0700) != 0 && errno != EEXIST)
		return -1;
	return openat(state_fd, "backup", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static DIR *open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d && fd >= 0)
		(void)close(fd); /* nothing was read from it */
	return d;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Remove the files of a directory, and it. What cannot be removed is in the way of nothing. */
static void remove_files(int parent, const char *name)
{
	DIR *d = open_directory(parent, name);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (!is_dots(entry->d_name))
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		(void)closedir(d); /* a directory, read only */
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_copy(int backup_fd, const char *name)
{
	int fd = openat(backup_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	remove_files(fd, "large");
	(void)close(fd); /* a directory, read only */
	remove_files(backup_fd, name);
}

void backup_clear(int state_fd)
{
	DIR *d = open_directory(state_fd, "backup");
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (!is_dots(entry->d_name) && str_ends(str_of(entry->d_name), S(BACKUP_PART)))
			remove_copy(dirfd(d), entry->d_name);
	if (d)
		(void)closedir(d); /* a directory, read only */
}
