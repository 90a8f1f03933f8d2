/* spool.c - texts that are too large for a row: state_dir/large/ID, which has its final name from the start. Before a client gets
 * 250, these are durable, in this order: the data of the file, the directory, the row. A message is removed in the other order:
 * first the row, then the file. */
#include "writer.h"

#include "posthouse/crash.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool spool_open(struct spool *s, int state_fd)
{
	struct stat st;

	s->dir_fd = -1;
	if (mkdirat(state_fd, "large", 0700) != 0 && errno != EEXIST)
		return false;
	s->dir_fd = openat(state_fd, "large", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd < 0)
		return false;
	/* The kernel tells the holder of a lease by this signal, which ends a process, that somebody wants to write. */
	(void)signal(SIGIO, SIG_IGN);
	/* The time of opening is read from the file system's clock, which is coarser than the process's clock. */
	if (futimens(s->dir_fd, NULL) != 0 || fstat(s->dir_fd, &st) != 0)
		return false;
	s->opened_sec = (uint64_t)st.st_ctim.tv_sec;
	s->opened_nsec = (uint64_t)st.st_ctim.tv_nsec;
	return true;
}

void spool_close(struct spool *s)
{
	struct hashtable_item *node;

	while ((node = hashtable_first(&s->created))) {
		hashtable_remove(&s->created, node);
		free(node);
	}
	hashtable_fini(&s->created);
	free(s->unlinked.at);
	free(s->stored.at);
	free(s->missing.at);
	free(s->kept.at);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd); /* a directory, read only */
	s->dir_fd = -1;
}

/* The file has a row now, or is gone. */
static void forget_created(struct spool *s, uint64_t id)
{
	struct hashtable_item *node = hashtable_find(&s->created, id, NULL);

	if (!node)
		return;
	hashtable_remove(&s->created, node);
	free(node);
}

/* If this fails, the file is an orphan, which the next start removes. */
void spool_unlink(struct engine_host *host, uint64_t id)
{
	char name[ID_TEXT_MAX];

	crash_point("store.before_unlink");
	if (unlinkat(host->spool.dir_fd, id_format(id, name), 0) != 0 && errno != ENOENT)
		store_note(host->store, LOG_WARNING, "store.unlink_failed", id, strerror(errno));
}

void spool_remove(struct engine_host *host, uint64_t id)
{
	if (host->spool.in_backup)
		id_array_add(&host->spool.kept, id);
	else
		spool_unlink(host, id);
}

/* ---- with a transaction ---- */

void spool_begin(struct spool *s)
{
	s->unlinked.n = s->stored.n = 0;
	s->sync_directory = false;
}

void spool_keep(struct engine_host *host, uint64_t id)
{
	id_array_add(&host->spool.stored, id);
}

void spool_forget(struct engine_host *host, uint64_t id)
{
	id_array_add(&host->spool.unlinked, id);
}

bool spool_before_commit(struct engine_host *host)
{
	if (!host->spool.sync_directory || fsync(host->spool.dir_fd) == 0)
		return true;
	host_fail(host, "fsync of the directory of large messages", strerror(errno));
	return false;
}

void spool_after_commit(struct engine_host *host)
{
	struct spool *s = &host->spool;

	for (size_t i = 0; i < s->stored.n; i++)
		forget_created(s, s->stored.at[i]);
	for (size_t i = 0; i < s->unlinked.n; i++)
		spool_remove(host, s->unlinked.at[i]);
}

/* ---- the files ---- */

static int open_read(struct spool *s, uint64_t id)
{
	char name[ID_TEXT_MAX];

	return openat(s->dir_fd, id_format(id, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Create the file. A file of this name that an earlier process left was never acknowledged, so it is removed. */
static int create_file(struct spool *s, uint64_t id)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char name[ID_TEXT_MAX];
	int fd = openat(s->dir_fd, id_format(id, name), flags, 0600);

	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (unlinkat(s->dir_fd, name, 0) != 0)
		return -1;
	return openat(s->dir_fd, name, flags, 0600);
}

/* ---- a file that its writer says is complete ---- */

#define COPY_BYTES 32768

/* Who can still write it? The kernel gives a lease for reading only when nobody has the file open for writing: not by another
 * descriptor, a duplicate in another process, or a mapping. The lease is given back at once, and nobody can open the file for
 * writing after that, since the directory is closed to others. False: somebody can, or the kernel does not know. */
static bool seal(struct engine_host *host, uint64_t id, int fd)
{
	struct spool *s = &host->spool;

	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		(void)fchmod(fd, 0400); /* for people who look: what is accepted does not change any more */
		return true;
	}
	if (errno == EAGAIN) {
		store_note(host->store, LOG_INFO, "store.still_open", id, "the message is a copy of the file");
	} else if (!s->without_leases) {
		s->without_leases = true;
		store_note(host->store, LOG_INFO, "store.without_leases", 0, strerror(errno));
	}
	return false;
}

/* Copy some of what follows `at`, of `size` bytes in all. Not every file system can copy by itself, and some kernels and their
 * filters do not know that call: then this process copies. */
static ssize_t copy_piece(int from, int to, uint64_t at, uint64_t size)
{
	off_t from_at = (off_t)at, to_at = (off_t)at;
	ssize_t n = copy_file_range(from, &from_at, to, &to_at, size - at, 0);
	char bytes[COPY_BYTES];

	if (n > 0)
		return n;
	n = pread(from, bytes, size - at < sizeof(bytes) ? size - at : sizeof(bytes), (off_t)at);
	return n > 0 ? pwrite(to, bytes, (size_t)n, (off_t)at) : n;
}

/* Copy `size` bytes. False: see errno. */
static bool copy_bytes(int from, int to, uint64_t size)
{
	uint64_t at = 0;

	while (at < size) {
		ssize_t n = copy_piece(from, to, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno; /* it has become shorter */
			return false;
		}
		at += (uint64_t)n;
	}
	return true;
}

/* A file that cannot be sealed is replaced by a copy: a new file, which nobody but this process has ever opened. So what others
 * write to the old one changes no message, be it a program that backs up files or a hostile submission process. Takes `from`;
 * -1: there is no copy, and *v_out says why. */
static int copy_file(struct engine_host *host, uint64_t id, int from, uint64_t size, struct verdict *v_out)
{
	char name[ID_TEXT_MAX];
	int to = -1;

	if (unlinkat(host->spool.dir_fd, id_format(id, name), 0) == 0)
		to = openat(host->spool.dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (to >= 0 && !copy_bytes(from, to, size)) {
		*v_out = errno == ENOSPC || errno == EDQUOT ? store_full
							    : temp(451, S("4.3.0"), S("the message's file cannot be copied"));
		(void)close(to); /* it is of no use, and removed with the message */
		to = -1;
	} else if (to < 0) {
		*v_out = temp(451, S("4.3.0"), S("the message's file cannot be copied"));
	}
	(void)close(from); /* read only */
	return to;
}

static bool is_as_announced(int fd, uint64_t size)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && (uint64_t)st.st_size == size;
}

/* Make sure that the text is whole, that it does not change any more, and that it is on the disk. Takes fd. */
static struct verdict finish_file(struct engine_host *host, uint64_t id, int fd, uint64_t size)
{
	bool sealed = seal(host, id, fd);
	struct verdict v = ok();

	if (!is_as_announced(fd, size)) /* not before: it could have changed since */
		v = temp(451, S("4.3.0"), S("the message's file is not as it was made, or has not the announced size"));
	else if (!sealed)
		fd = copy_file(host, id, fd, size, &v);
	if (v.class == OK && fdatasync(fd) != 0) { /* what the kernel could not write is lost: no second try makes it true */
		host_fail(host, "fdatasync of a large message", strerror(errno));
		v = store_away;
	}
	host->spool.sync_directory = host->spool.sync_directory || v.class == OK;
	if (fd >= 0)
		(void)close(fd); /* synced, or of no use */
	return v;
}

struct verdict spool_check(struct engine_host *host, uint64_t id, uint64_t size)
{
	int fd;

	if (!hashtable_find(&host->spool.created, id, NULL))
		return temp(451, S("4.3.0"), S("the message's file was not opened by this queue, send it again"));
	fd = open_read(&host->spool, id);
	if (fd < 0)
		return temp(451, S("4.3.0"), S("the message's file cannot be opened"));
	return finish_file(host, id, fd, size);
}

void run_spool_create(struct writer *w, struct request *r)
{
	const struct disk_space *space = &w->host.space;
	uint64_t size_hint = r->cursor;
	enum message_place place;
	int error;

	if (r->id == 0 || r->id > INT64_MAX || hashtable_find(&w->host.spool.created, r->id, NULL) ||
	    w->engine->place(w->e, r->id, &place)) {
		r->verdict = perm(554, S("5.3.0"), S("this queue id is in use"));
		return;
	}
	if (space->full || space->free_bytes < w->host.min_free || space->free_bytes - w->host.min_free < size_hint) {
		r->verdict = store_full;
		return;
	}
	r->out.fd = create_file(&w->host.spool, r->id);
	error = errno;
	if (r->out.fd >= 0) {
		hashtable_add(&w->host.spool.created, NEW(struct hashtable_item), r->id);
		return;
	}
	r->verdict = error == ENOSPC || error == EDQUOT ? store_full : store_away;
	if (r->verdict.code == store_full.code)
		disk_space_refused(&w->host);
	else
		store_note(w->st, LOG_ERROR, "store.create_failed", r->id, strerror(error));
	if (error == EIO || error == EROFS)
		host_fail(&w->host, "creating a large message", strerror(error));
}

void run_spool_drop(struct writer *w, struct request *r)
{
	if (!hashtable_find(&w->host.spool.created, r->id,
			    NULL)) /* it was accepted meanwhile, or this store has not created it */
		return;
	forget_created(&w->host.spool, r->id);
	spool_unlink(&w->host, r->id);
}

bool spool_read(struct engine_host *host, struct request *r, uint64_t size)
{
	struct stat st;

	r->out.fd = open_read(&host->spool, r->id);
	if (r->out.fd < 0 && errno != ENOENT) {
		r->verdict = temp(451, S("4.3.0"), S("the message's large file cannot be opened"));
		return true;
	}
	if (r->out.fd >= 0 && fstat(r->out.fd, &st) == 0 && (uint64_t)st.st_size == size)
		return true;
	/* A truncated file is as useless as a missing one: the disk has lost data, or an administrator has changed the file. */
	id_array_add(&host->spool.missing, r->id);
	if (r->out.fd >= 0)
		(void)close(r->out.fd); /* read only */
	r->out.fd = -1;
	return false;
}
