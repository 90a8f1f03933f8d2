/* vacuum.c - gives space back: pruned rows leave free pages, which go back to the file system in idle time, a few at a time. */
#include "sqlite.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdio.h>

#define KEPT_PAGES  1024 /* of 4 KiB stay free for new mail */
#define STEP_PAGES  1024
#define STEP_FULL   64 /* on a full disk: the pages go through the log first */
#define IDLE_MS     1000
#define RETRY_MS    60000
#define VACUUM_MAX  (64 * MIB) /* SQLite makes the copy in memory */
#define AUTO_VACUUM 2          /* PRAGMA auto_vacuum: incremental */

/* One number that a fixed PRAGMA gives; 0 when there is none. */
static uint64_t number(struct db *db, const char *sql)
{
	sqlite3_stmt *q = NULL;
	uint64_t n = 0;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		n = (uint64_t)sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q); /* repeats the error behind 0 */
	return n;
}

void vacuum_init(struct engine *e)
{
	sqlite_of(e)->vacuum.possible = number(&e->db, "PRAGMA auto_vacuum") == AUTO_VACUUM;
}

void vacuum_convert(struct db *db)
{
	uint64_t bytes = number(db, "PRAGMA page_count") * number(db, "PRAGMA page_size");

	if (bytes > VACUUM_MAX || number(db, "PRAGMA auto_vacuum") == AUTO_VACUUM)
		return;
	/* When there is no room, the database stays as it is: free pages are used again, but not given back. */
	(void)sqlite3_exec(db->handle, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM", NULL, NULL, NULL);
}

/* The file becomes shorter only when the log is copied into it. */
static void shrink_file(struct engine *e)
{
	sqlite_of(e)->vacuum.shrinking = false;
	checkpoint_now(e);
}

void vacuum_idle(struct engine *e, bool was_idle)
{
	struct vacuum *v = &sqlite_of(e)->vacuum;
	uint64_t now = clock_mono_ms(), pages;
	char sql[60];

	if (!was_idle)
		v->busy_at_ms = now;
	if (!v->possible || now < v->busy_at_ms + IDLE_MS || now < v->retry_at_ms)
		return;
	pages = number(&e->db, "PRAGMA freelist_count");
	if (pages <= KEPT_PAGES) {
		if (v->shrinking)
			shrink_file(e);
		return;
	}
	pages -= KEPT_PAGES;
	if (pages > STEP_PAGES)
		pages = e->host->space.full ? STEP_FULL : STEP_PAGES;
	(void)snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%u)", (unsigned)pages);
	if (db_script(&e->db, sql)) {
		v->shrinking = true;
		return;
	}
	v->retry_at_ms = now + RETRY_MS;
	if (db_is_full(&e->db))
		db_forget_error(&e->db);
	else
		host_fail(e->host, "giving pages back", e->db.error);
}
