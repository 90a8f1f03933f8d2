/* checkpoint.c - moving the pages of the write-ahead log into the database. A thread with its own connection copies most of
 * them while the writer continues. SQLite starts the log again from its beginning only after all of it has been copied, and
 * under load the thread never reaches the end. So after each pass of the thread the writer itself copies the rest, between
 * two commits; and it waits for the thread when the log has become too long. */
#include "sqlite.h"

#include "posthouse/clock.h"

#define FRAMES_SOON 2000  /* of 4 KiB: ask for a pass */
#define FRAMES_MAX  10000 /* wait for a pass: the log is at most 40 MiB and one batch */
#define RETRY_MS    1000  /* after a pass that could not finish */

/* Make one pass, and handle its error; *full_out: there was no room to copy into. False: the store has failed. */
static bool pass(struct db *db, struct store *st, bool *complete_out, bool *full_out)
{
	int log = 0, copied = 0;
	int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &copied);

	*full_out = false;
	*complete_out = rc == SQLITE_OK && log == copied;
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return true;
	db->rc = rc;
	db->system_errno = sqlite3_system_errno(db->handle);
	*full_out = db_is_full(db);
	if (!*full_out)
		store_fail(st, "checkpoint", sqlite3_errmsg(db->handle));
	db_forget_error(db);
	return *full_out;
}

/* The thread. */
static void checkpoint_main(void *arg)
{
	struct checkpoint *c = arg;
	bool complete, full, alive = true;

	uv_mutex_lock(&c->lock);
	while (alive) {
		while (!c->wanted && !c->stop)
			uv_cond_wait(&c->wake, &c->lock);
		if (c->stop)
			break;
		c->wanted = false;
		c->running = true;
		uv_mutex_unlock(&c->lock);
		alive = pass(&c->db, c->store, &complete, &full);
		uv_mutex_lock(&c->lock);
		c->running = false;
		c->done = true;
		c->full = full;
		uv_cond_signal(&c->passed);
	}
	uv_mutex_unlock(&c->lock);
}

/* The writer's connection tells how long the log is after each commit. */
static int on_commit(void *ctx, sqlite3 *handle, const char *name, int frames)
{
	struct engine *e = ctx;

	(void)handle;
	(void)name;
	sqlite_of(e)->wal_frames = frames;
	return SQLITE_OK;
}

bool checkpoint_start(struct engine *e)
{
	struct checkpoint *c = &sqlite_of(e)->checkpoint;

	if (!db_open(&c->db, sqlite_of(e)->database, sqlite_of(e)->alone))
		return false;
	c->store = e->host->store;
	if (uv_mutex_init(&c->lock) != 0 || uv_cond_init(&c->wake) != 0 || uv_cond_init(&c->passed) != 0)
		return false;
	(void)sqlite3_wal_hook(e->db.handle, on_commit, e); /* returns the old hook's argument */
	c->started = uv_thread_create(&c->thread, checkpoint_main, c) == 0;
	return c->started;
}

/* Ask the thread for a pass; `must`: the log is too long, wait for the pass. True when the writer has to make its own pass
 * now. */
static bool turn_of_writer(struct checkpoint *c, bool must)
{
	bool mine;

	uv_mutex_lock(&c->lock);
	while (must && (c->running || c->wanted))
		uv_cond_wait(&c->passed, &c->lock);
	mine = c->done || must;
	if (!mine && !c->running) {
		c->wanted = true;
		uv_cond_signal(&c->wake);
	}
	c->done = false;
	uv_mutex_unlock(&c->lock);
	return mine;
}

void checkpoint_after_commit(struct engine *e)
{
	struct checkpoint *c = &sqlite_of(e)->checkpoint;

	if (sqlite_of(e)->wal_frames < FRAMES_SOON || clock_mono_ms() < c->retry_at_ms)
		return;
	if (turn_of_writer(c, sqlite_of(e)->wal_frames >= FRAMES_MAX))
		checkpoint_now(e);
}

void checkpoint_now(struct engine *e)
{
	struct checkpoint *c = &sqlite_of(e)->checkpoint;
	bool complete, full;

	if (!pass(&e->db, e->host->store, &complete, &full)) {
		e->host->failed = true;
		return;
	}
	if (full)
		disk_space_refused(e->host);
	if (complete)
		sqlite_of(e)->wal_frames = 0;
	else if (full ||
		 sqlite_of(e)->wal_frames >= FRAMES_MAX) /* no room, or a reader holds an old state: do not try at each commit */
		c->retry_at_ms = clock_mono_ms() + RETRY_MS;
}

void checkpoint_stop(struct engine *e)
{
	struct checkpoint *c = &sqlite_of(e)->checkpoint;

	if (c->started) {
		uv_mutex_lock(&c->lock);
		c->stop = true;
		uv_cond_signal(&c->wake);
		uv_mutex_unlock(&c->lock);
		(void)uv_thread_join(&c->thread); /* it was created */
		uv_mutex_destroy(&c->lock);
		uv_cond_destroy(&c->wake);
		uv_cond_destroy(&c->passed);
	}
	db_close(&c->db);
}
