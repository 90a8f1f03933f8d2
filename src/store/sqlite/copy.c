/* copy.c - a copy of the database while the writer works, on a thread with connections of its own. One read transaction holds the
 * state of one moment: the log then grows by what is written meanwhile, and is copied into the database afterwards
 * (checkpoint.c). The pages are copied a few at a time, and synced as they come, so that no commit waits for many of them. */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_PAGES 256 /* of 4 KiB */
#define PAUSE_MS   1
#define SYNC_STEPS 16
#define CHECK_OPS  20000 /* of SQLite's machine, between two questions whether to go on */

struct copying {
	struct engine_copy *c;
	struct db from, to;
	char *path;
	int fd; /* of the copy: for syncs */
};

static bool fail(struct copying *k, const char *why)
{
	if (k->c->why[0] == 0)
		(void)snprintf(k->c->why, sizeof k->c->why, "%s", why);
	return false;
}

/* Neither connection has an error. */
static bool is_well(struct copying *k)
{
	const struct db *db = k->from.rc != SQLITE_OK ? &k->from : &k->to;

	if (db->rc == SQLITE_OK)
		return true;
	k->c->full = db_is_full(&k->to);
	return fail(k, db->error);
}

static bool open_copy(struct copying *k, const struct engine *e)
{
	int rc;

	if (asprintf(&k->path, "%s/queue.db", k->c->directory) < 0)
		abort();
	k->fd = open(k->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); /* SQLite would apply the umask */
	if (k->fd < 0) {
		k->c->full = errno == ENOSPC || errno == EDQUOT;
		return fail(k, strerror(errno));
	}
	if (!db_open(&k->from, sqlite_of(e)->database, sqlite_of(e)->alone))
		return is_well(k);
	rc = sqlite3_open_v2(k->path, &k->to.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc != SQLITE_OK)
		return fail(k, sqlite3_errstr(rc));
	/* Nothing of a copy that is interrupted is used. */
	return db_script(&k->to, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
				 "PRAGMA trusted_schema=OFF;") &&
	       db_script(&k->from, "BEGIN; SELECT count(*) FROM meta") && is_well(k);
}

static bool copy_pages(struct copying *k)
{
	sqlite3_backup *b = sqlite3_backup_init(k->to.handle, "main", k->from.handle, "main");
	int rc = b ? SQLITE_OK : sqlite3_extended_errcode(k->to.handle);

	for (unsigned i = 1; rc == SQLITE_OK && k->c->go_on(k->c); i++) {
		rc = sqlite3_backup_step(b, STEP_PAGES);
		if (rc == SQLITE_OK && i % SYNC_STEPS == 0 && fdatasync(k->fd) != 0)
			rc = SQLITE_IOERR_FSYNC;
		if (rc == SQLITE_OK)
			(void)sqlite3_sleep(PAUSE_MS);
	}
	if (b)
		(void)sqlite3_backup_finish(b); /* repeats the error */
	if (rc == SQLITE_DONE)
		return true;
	k->c->full = (rc & 0xff) == SQLITE_FULL;
	return fail(k, rc == SQLITE_OK ? "" : sqlite3_errstr(rc));
}

static int on_progress(void *ctx)
{
	struct engine_copy *c = ctx;

	return !c->go_on(c);
}

/* Read the whole copy. */
static bool check(struct copying *k)
{
	sqlite3_stmt *q = NULL;
	bool good;

	sqlite3_progress_handler(k->to.handle, CHECK_OPS, on_progress, k->c);
	good = sqlite3_prepare_v2(k->to.handle, "PRAGMA quick_check(1)", -1, &q, NULL) == SQLITE_OK &&
	       sqlite3_step(q) == SQLITE_ROW;
	if (!good)
		(void)fail(k, sqlite3_errmsg(k->to.handle));
	else if (!str_eq(db_str(&(struct db_rows){ q }, 0), S("ok")))
		good = fail(k, (const char *)sqlite3_column_text(q, 0));
	(void)sqlite3_finalize(q); /* repeats the error */
	sqlite3_progress_handler(k->to.handle, 0, NULL, NULL);
	return good;
}

static bool tell_large(struct copying *k)
{
	uint64_t id = 0, size;

	k->c->messages = db_number(&k->to, db_query(&k->to, Q_counters));
	while (db_numbers(&k->to, db_query(&k->to, Q_large_after, INT(id)), &id, &size))
		if (!k->c->go_on(k->c) || !k->c->large(k->c, id))
			return false;
	return is_well(k);
}

/* The log is as long as what was written meanwhile: most of it goes into the database here, so that the writer need not do it.
 * What fails is tried again by the writer's own passes, which tell of errors. */
static void end_reading(struct copying *k)
{
	if (k->from.handle && sqlite3_exec(k->from.handle, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		(void)sqlite3_wal_checkpoint_v2(k->from.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	db_close(&k->from);
}

bool copy_rows(const struct engine *e, struct engine_copy *c)
{
	struct copying k = { .c = c, .fd = -1 };
	bool good = open_copy(&k, e) && copy_pages(&k);

	end_reading(&k);
	good = good && check(&k) && tell_large(&k);
	db_close(&k.to);
	if (good && fsync(k.fd) != 0)
		good = fail(&k, strerror(errno));
	if (k.fd >= 0)
		(void)close(k.fd); /* synced, or of no use */
	free(k.path);
	return good;
}
