/* disk_space.c - room on the disk: accepts stop while there is little, results get the reserve. */
#include "writer.h"

#include "posthouse/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHECK_EVERY_MS 1000
#define REFUSED_MS     5000 /* how long a refused write counts when the system says that there is room (a quota) */
#define RESERVE_NAME   "reserve"

/* Bytes that we can still use; everything when the system cannot say. */
static uint64_t free_bytes(const struct disk_space *s)
{
	struct statvfs st;

	if (fstatvfs(s->dir_fd, &st) != 0)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

/* Set room aside, when there is plenty. Without it we still work: results then wait for room. */
static void make_reserve(struct disk_space *s, uint64_t min_free)
{
	uint64_t spare = s->free_bytes > min_free ? s->free_bytes - min_free : 0;
	int fd;

	if (s->reserve || spare < 4 * (uint64_t)RESERVE_BYTES)
		return;
	fd = openat(s->dir_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	s->reserve = posix_fallocate(fd, 0, RESERVE_BYTES) == 0;
	(void)close(fd); /* nothing was written */
}

void disk_space_init(struct disk_space *s, int state_fd, uint64_t min_free)
{
	s->dir_fd = state_fd;
	s->checked_at_ms = clock_mono_ms();
	s->free_bytes = free_bytes(s);
	s->min_free = min_free;
	s->full = s->free_bytes < min_free;
	make_reserve(s, min_free);
}

void disk_space_close(struct disk_space *s)
{
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd); /* a directory, read only */
	s->dir_fd = -1;
}

void disk_space_check(struct engine_host *host)
{
	struct disk_space *s = &host->space;
	uint64_t now = clock_mono_ms();
	bool was_full = s->full;

	if (now - s->checked_at_ms < CHECK_EVERY_MS && host->min_free == s->min_free && !s->look)
		return;
	s->look = false;
	s->checked_at_ms = now;
	s->min_free = host->min_free;
	s->free_bytes = free_bytes(s);
	s->full = s->free_bytes < host->min_free || host->results_lack_room ||
		  (s->refused_at_ms && now - s->refused_at_ms < REFUSED_MS);
	if (!s->full)
		make_reserve(s, host->min_free);
	if (s->full && !was_full)
		store_note(host->store, LOG_WARNING, "store.filled", 0, "less than queue.min_free is left");
	if (!s->full && was_full)
		store_note(host->store, LOG_INFO, "store.relieved", 0, "there is room again");
}

void disk_space_found(struct engine_host *host)
{
	host->space.refused_at_ms = 0;
	host->space.look = true;
}

bool disk_space_release(int dir_fd)
{
	return unlinkat(dir_fd, RESERVE_NAME, 0) == 0;
}

void disk_space_refused(struct engine_host *host)
{
	struct disk_space *s = &host->space;

	s->refused_at_ms = s->checked_at_ms = clock_mono_ms();
	if (!s->full)
		store_note(host->store, LOG_WARNING, "store.filled", 0, "the file system refused a write");
	s->full = true;
	if (s->reserve && (disk_space_release(s->dir_fd) || errno == ENOENT))
		s->reserve = false;
}
