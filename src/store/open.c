/* open.c - opening: is this a place where a promise can be kept, and what is there already. */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* File systems that forget (memory) or on which locks and syncs do not mean what they say. */
static const struct {
	uint32_t type; /* statfs gives a long that may be negative on 32 bits */
	const char *name;
} refused[] = {
	{ TMPFS_MAGIC, "tmpfs" },     { RAMFS_MAGIC, "ramfs" },     { NFS_SUPER_MAGIC, "NFS" }, { SMB_SUPER_MAGIC, "SMB" },
	{ SMB2_SUPER_MAGIC, "SMB" },  { CIFS_SUPER_MAGIC, "CIFS" }, { AFS_SUPER_MAGIC, "AFS" }, { AFS_FS_MAGIC, "AFS" },
	{ CODA_SUPER_MAGIC, "Coda" }, { CEPH_SUPER_MAGIC, "Ceph" },
};

#define RETRY_NS 1000000000ull

static bool is_lack_of_room(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static struct verdict check_place(int fd, const char *path, struct arena *a)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s: %s", path, strerror(errno)));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if ((uint32_t)fs.f_type == refused[i].type)
			return perm(554, S("5.3.5"),
				    arena_printf(a, "%s is on %s, where accepted mail would not be safe; use a local disk", path,
						 refused[i].name));
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s is not writable: %s", path, strerror(errno)));
	return ok();
}

/* The database file, so that it is ours alone (SQLite would go by the umask; log and index take its mode), and its name on disk. */
static bool create_database(int state_fd)
{
	int fd = openat(state_fd, "queue.db", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	(void)close(fd); /* nothing was written */
	return fsync(state_fd) == 0;
}

/* Where a file system copies on write, a page of a mapped file needs room each time that it is written, whatever was allocated before: on a full
 * disk that is a SIGBUS. There the index of the log must not be mapped. POSTHOUSE_COW: tests, wherever they run. */
static bool copies_on_write(int fd)
{
	static const uint32_t types[] = { BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, NILFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */,
					  0xca451a4e /* bcachefs */ };
	struct statfs fs;

#ifdef POSTHOUSE_CRASH_POINTS
	if (getenv("POSTHOUSE_COW"))
		return true;
#endif
	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

/* A visitor with sqlite3(1), a backup. */
static bool is_busy(const struct db *db)
{
	return (db->rc & 0xff) == SQLITE_BUSY || (db->handle && (sqlite3_errcode(db->handle) & 0xff) == SQLITE_BUSY);
}

/* An error, and why; TEMP 452 when it is only that there is no room, 450 when somebody else is at it. */
static struct verdict failed(struct writer *w, struct arena *a, const char *why)
{
	if (db_is_full(&w->db) || (w->db.rc == SQLITE_OK && is_lack_of_room(errno)))
		return store_full;
	if (is_busy(&w->db))
		return store_busy;
	return w->db.rc == SQLITE_OK ? perm(554, S("5.3.5"), arena_printf(a, "%s: %s", why, strerror(errno)))
				     : temp(451, S("4.3.0"), arena_printf(a, "%s: %s", why, w->db.error));
}

/* Everything that can fail, in order. */
static struct verdict open_parts(struct writer *w, int state_fd, const char *state_dir, struct arena *a)
{
	struct verdict v = check_place(state_fd, state_dir, a);

	if (v.class != OK)
		return v;
	if (!spool_open(&w->spool, state_fd))
		return failed(w, a, "state_dir/large");
	if (!create_database(state_fd))
		return failed(w, a, w->database);
	w->alone = copies_on_write(state_fd);
	if (!db_open(&w->db, w->database, w->alone))
		return failed(w, a, w->database);
	v = schema_prepare(w, a);
	if (v.class != OK)
		return db_is_full(&w->db) ? store_full : is_busy(&w->db) ? store_busy : v;
	if (!ledger_open(w, a))
		return temp(451, S("4.3.0"), arena_printf(a, "%s: the key of known addresses is missing", w->database));
	space_init(&w->space, state_fd, w->min_free);
	if (!recover_at_open(w))
		return failed(w, a, w->database);
	vacuum_init(w);
	presence_check(w);
	return ok();
}

/* Takes state_fd in any case; NULL: *why_out, text in `a`. */
static struct writer *writer_new(struct store *st, int state_fd, struct arena *a, struct verdict *why_out)
{
	struct writer *w = NEW(struct writer);
	bool full;

	w->st = st;
	w->space.dir_fd = state_fd;
	w->spool.dir_fd = -1;
	w->min_free = st->min_free;
	w->max_messages = st->max_messages;
	leases_init(&w->leases);
	list_init(&w->stalled);
	for (int i = 0; i < RANK_COUNT; i++)
		list_init(&w->batch[i]);
	if (asprintf(&w->database, "%s/queue.db", st->state_dir) < 0)
		abort();
	*why_out = open_parts(w, state_fd, st->state_dir, a);
	if (why_out->class == OK && checkpoint_start(w))
		return w;
	full = db_is_full(&w->checkpoint.db);
	if (why_out->class == OK)
		*why_out = full ? store_full
			   : is_busy(&w->checkpoint.db)
				   ? store_busy
				   : temp(451, S("4.3.0"),
					  arena_printf(a, "%s: no second connection: %s", w->database, w->checkpoint.db.error));
	db_close(&w->checkpoint.db);
	writer_free(w);
	return NULL;
}

/* ---- the thread ---- */

static void say(struct store *st, enum opening opening)
{
	uv_mutex_lock(&st->lock);
	st->opening = opening;
	uv_mutex_unlock(&st->lock);
	(void)uv_async_send(&st->async); /* fails only while closing, which waits for us */
}

/* One try; NULL: *why_out. */
static struct writer *try_to_open(struct store *st, struct verdict *why_out)
{
	int fd = open(st->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return writer_new(st, fd, &st->why_arena, why_out);
	*why_out = perm(554, S("5.3.5"), arena_printf(&st->why_arena, "%s: %s", st->state_dir, strerror(errno)));
	return NULL;
}

/* The reserve is there so that a full disk can be cleared: opening needs a little of it. */
static bool release_reserve(const char *state_dir)
{
	int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool released = fd >= 0 && space_release(fd);

	if (fd >= 0)
		(void)close(fd); /* a directory, read only */
	return released;
}

/* Until the store is to be closed, or the next try. */
static void wait_a_second(struct store *st)
{
	uv_mutex_lock(&st->lock);
	if (!st->stop)
		(void)uv_cond_timedwait(&st->wake, &st->lock, RETRY_NS); /* either way we look */
	uv_mutex_unlock(&st->lock);
}

/* Is it worth to wait? Then say so, once. */
static bool is_passing(struct store *st, const struct verdict *why, bool told)
{
	bool full = why->class == TEMP && why->code == store_full.code, busy = why->class == TEMP && why->code == store_busy.code;

	if (full && !told)
		store_note(st, LOG_ERROR, "store.filled", 0,
			   "there is no room to open the queue: the reserve is released, and it is tried again");
	if (busy && !told)
		store_note(st, LOG_ERROR, "store.busy", 0, "another program has queue.db open: it is tried again");
	return full || busy;
}

static struct writer *open_at_last(struct store *st, struct verdict *why_out)
{
	struct writer *w = try_to_open(st, why_out);
	bool told = false;

	while (!w && is_passing(st, why_out, told) && !store_is_stopping(st)) {
		told = true;
		if (why_out->code == store_busy.code || !release_reserve(st->state_dir)) {
			say(st, why_out->code == store_busy.code ? OPEN_BUSY : OPEN_WITHOUT_ROOM);
			wait_a_second(st);
		}
		arena_reset(&st->why_arena);
		w = try_to_open(st, why_out);
	}
	if (w && told)
		store_note(st, LOG_WARNING, "store.relieved", 0, "the queue is open");
	return w;
}

void store_main(void *arg)
{
	struct store *st = arg;
	struct verdict why = ok();
	struct writer *w = open_at_last(st, &why);

	uv_mutex_lock(&st->lock);
	st->writer = w;
	st->refused_why = why;
	st->ended = !w;
	if (w)
		st->shared_stats = writer_stats(w);
	uv_mutex_unlock(&st->lock);
	say(st, w ? OPEN_DONE : OPEN_REFUSED);
	if (w)
		writer_main(w);
}

void writer_free(struct writer *w)
{
	recover_end(w);
	db_close(&w->db);
	spool_close(&w->spool);
	space_close(&w->space);
	leases_fini(&w->leases);
	ledger_close(w);
	hashtable_fini(&w->named);
	arena_fini(&w->arena);
	free(w->tx.unlinked.at);
	free(w->tx.stored.at);
	free(w->missing.at);
	free(w->database);
	free(w);
}
