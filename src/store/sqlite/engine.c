/* engine.c - the engine as a table of functions; opening, transactions, errors. */
#include "sqlite.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CLOCK_EVERY_MS 60000

/* ---- opening ---- */

/* Create the database file with a mode that lets no other user in (SQLite would apply the umask; log and index take the
 * file's mode), and make its name durable. */
static bool create_database(int state_fd)
{
	int fd = openat(state_fd, "queue.db", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	(void)close(fd); /* nothing was written */
	return fsync(state_fd) == 0;
}

/* A file system that copies on write needs room for each write to a page of a mapped file, also when the page was allocated
 * before: on a full disk the process gets SIGBUS. There the index of the log must not be mapped. POSTHOUSE_COW: tests choose
 * this on any file system. */
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

/* Another program has the database open: sqlite3(1), a backup. */
static bool is_busy(const struct db *db)
{
	return (db->rc & 0xff) == SQLITE_BUSY || (db->handle && (sqlite3_errcode(db->handle) & 0xff) == SQLITE_BUSY);
}

/* The verdict on an error: store_full when there is no room, store_busy when another program has the database. */
static struct verdict failed(struct engine *e, struct arena *a, const char *why)
{
	if (db_is_full(&e->db) || (e->db.rc == SQLITE_OK && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)))
		return store_full;
	if (is_busy(&e->db))
		return store_busy;
	return e->db.rc == SQLITE_OK ? perm(554, S("5.3.5"), arena_printf(a, "%s: %s", why, strerror(errno)))
				     : temp(451, S("4.3.0"), arena_printf(a, "%s: %s", why, e->db.error));
}

/* Do every step that can fail. */
static struct verdict open_parts(struct engine *e, struct arena *a)
{
	int state_fd = e->host->space.dir_fd;
	struct verdict v;

	if (!create_database(state_fd))
		return failed(e, a, sqlite_of(e)->database);
	sqlite_of(e)->alone = copies_on_write(state_fd);
	if (!db_open(&e->db, sqlite_of(e)->database, sqlite_of(e)->alone))
		return failed(e, a, sqlite_of(e)->database);
	v = schema_prepare(e, a);
	if (v.class != OK)
		return db_is_full(&e->db) ? store_full : is_busy(&e->db) ? store_busy : v;
	if (!rate_store_open(e, a))
		return temp(451, S("4.3.0"),
			    arena_printf(a, "%s: the key of known addresses is missing", sqlite_of(e)->database));
	read_counters(e);
	search_open(e);
	if (e->db.rc != SQLITE_OK)
		return failed(e, a, sqlite_of(e)->database);
	vacuum_init(e);
	if (checkpoint_start(e))
		return ok();
	if (db_is_full(&sqlite_of(e)->checkpoint.db))
		return store_full;
	if (is_busy(&sqlite_of(e)->checkpoint.db))
		return store_busy;
	return temp(451, S("4.3.0"),
		    arena_printf(a, "%s: no second connection: %s", sqlite_of(e)->database, sqlite_of(e)->checkpoint.db.error));
}

static void close_engine(struct engine *e)
{
	checkpoint_stop(e);
	db_close(&e->db);
	leased_fini(&sqlite_of(e)->leased);
	rate_store_close(e);
	free(sqlite_of(e)->database);
	free(sqlite_of(e));
}

static struct engine *open_engine(struct engine_host *host, struct arena *a, struct verdict *why_out)
{
	struct engine *e = &NEW(struct sqlite)->e;

	e->host = host;
	leased_init(&sqlite_of(e)->leased);
	if (asprintf(&sqlite_of(e)->database, "%s/queue.db", host->state_dir) < 0)
		abort();
	*why_out = open_parts(e, a);
	if (why_out->class == OK)
		return e;
	close_engine(e);
	return NULL;
}

/* ---- transactions ---- */

static bool begin(struct engine *e)
{
	e->tx_before = e->counters;
	e->tx_settles = false;
	return db_run(&e->db, Q_begin_write);
}

/* The counters are written in the transaction, so they are exact after a crash too. The latest time that was seen is written
 * with them: it shows the next start whether the clock was set back. */
static void put_counters(struct engine *e)
{
	const struct counters *now = &e->counters, *before = &e->tx_before;
	uint64_t at = clock_now_ms();

	if (at < e->clock_at + CLOCK_EVERY_MS && now->open_messages == before->open_messages && now->waiting == before->waiting &&
	    now->held == before->held && now->failed == before->failed && now->lanes == before->lanes)
		return;
	if (at > e->clock_at)
		e->clock_at = at;
	db_run(&e->db, Q_counters_put, INT(now->open_messages), INT(now->waiting), INT(now->held), INT(now->failed),
	       INT(now->lanes), INT(e->clock_at));
}

static bool commit(struct engine *e)
{
	put_counters(e);
	if (e->db.rc != SQLITE_OK)
		return false;
	crash_point("store.before_commit");
	if (!db_run(&e->db, Q_commit))
		return false;
	crash_point("store.after_commit");
	if (e->tx_settles)
		crash_point("store.after_settle_commit");
	leased_commit(&sqlite_of(e)->leased);
	return true;
}

static void rollback(struct engine *e)
{
	/* Not through db_run: the error that led here stays. SQLite can have rolled back by itself. */
	if (!sqlite3_get_autocommit(e->db.handle) && sqlite3_exec(e->db.handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		host_fail(e->host, "rollback", sqlite3_errmsg(e->db.handle));
	e->counters = e->tx_before;
	leased_rollback(&sqlite_of(e)->leased);
}

/* Index some mail by which it is found, in idle time. */
static void index_mail(struct engine *e)
{
	if (begin(e))
		search_step(e);
	if (e->db.rc == SQLITE_OK && commit(e))
		return;
	rollback(e);
	search_put_off(e);
	if (db_is_full(&e->db))
		db_forget_error(&e->db);
	else
		host_fail(e->host, "indexing", e->db.error);
}

static void idle(struct engine *e, bool was_idle)
{
	if (search_wants_step(e, was_idle))
		index_mail(e);
	if (!e->host->failed)
		vacuum_idle(e, was_idle);
}

static void begin_read(struct engine *e)
{
	db_run(&e->db, Q_begin_read);
}

static void end_read(struct engine *e)
{
	db_run(&e->db, Q_commit);
}

/* ---- errors and counters ---- */

static enum engine_error error(const struct engine *e)
{
	if (e->db.rc == SQLITE_OK)
		return ENGINE_WELL;
	if (db_is_full(&e->db))
		return ENGINE_FULL;
	if (is_busy(&e->db))
		return ENGINE_BUSY;
	return db_is_private(&e->db) ? ENGINE_PRIVATE : ENGINE_BROKEN;
}

static const char *error_text(const struct engine *e)
{
	return e->db.error;
}

static void forget_error(struct engine *e)
{
	db_forget_error(&e->db);
}

static void stats(const struct engine *e, struct store_stats *stats_out)
{
	const struct counters *c = &e->counters;

	*stats_out = (struct store_stats){ .open_messages = c->open_messages,
					   .waiting = c->waiting,
					   .held = c->held,
					   .failed = c->failed,
					   .lanes = c->lanes,
					   .accepted = c->accepted,
					   .settled = c->settled,
					   .late = c->late,
					   .over = c->over,
					   .rerouted = e->rerouted,
					   .indexing = search_is_behind(e),
					   .set_back = e->set_back };
}

/* ---- the table ---- */

static const char *const files[] = { "queue.db", "queue.db-wal", NULL };

#define REQUEST(name, run, ...) [REQUEST_##name] = run_##run,
#define FILE_REQUEST(...)
const struct store_engine store_engine_sqlite = {
	.busy = "another program has queue.db open: it is tried again",
	.files = files,
	.open = open_engine,
	.close = close_engine,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.begin_read = begin_read,
	.end_read = end_read,
	.run = {
#include "requests.def"
	},
	.error = error,
	.error_text = error_text,
	.forget_error = forget_error,
	.stats = stats,
	.after_batch = checkpoint_after_commit,
	.idle = idle,
	.recover = recover_rows,
	.place = text_place,
	.next_large = text_next_large,
	.hold = hold_message,
	.copy = copy_rows,
};
