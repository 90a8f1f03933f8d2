/* transaction.c - one transaction: rows, and what changes in memory and among the files together with them. */
#include "writer.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTES_MAX      1000
#define CLOCK_EVERY_MS 60000

void id_array_add(struct id_array *a, uint64_t id)
{
	if (a->n == a->capacity) {
		a->capacity = a->capacity ? a->capacity * 2 : 16;
		a->at = xrealloc(a->at, a->capacity * sizeof(*a->at));
	}
	a->at[a->n++] = id;
}

void store_note(struct store *st, enum log_level level, const char *event, uint64_t id, const char *reason)
{
	struct note *note = NEW(struct note);

	note->level = level;
	note->event = event;
	note->id = id;
	(void)snprintf(note->reason, sizeof(note->reason), "%s", reason);
	uv_mutex_lock(&st->lock);
	if (st->notes_n < NOTES_MAX) {
		list_append(&st->notes, &note->link);
		st->notes_n++;
		note = NULL;
	}
	uv_mutex_unlock(&st->lock);
	free(note);                      /* a flood: the first thousand say it */
	(void)uv_async_send(&st->async); /* fails only while closing, which takes the notes too */
}

void writer_note(struct writer *w, enum log_level level, const char *event, uint64_t id, const char *reason)
{
	store_note(w->st, level, event, id, reason);
}

void store_fail(struct store *st, const char *what, const char *why)
{
	uv_mutex_lock(&st->lock);
	if (st->failure[0] == 0)
		(void)snprintf(st->failure, sizeof(st->failure), "%s: %s", what, why);
	uv_mutex_unlock(&st->lock);
	(void)uv_async_send(&st->async);
}

void writer_fail(struct writer *w, const char *what, const char *why)
{
	w->failed = true;
	store_fail(w->st, what, why);
}

bool transaction_begin(struct writer *w)
{
	struct transaction *tx = &w->tx;

	tx->before = w->counters;
	tx->unlinked.n = tx->stored.n = 0;
	tx->sync_directory = tx->settles = false;
	return db_run(&w->db, Q_begin_write);
}

/* The counters belong to the transaction, so that they are exact whatever happens. With them goes the latest time that was seen: a start by a
 * clock that was set back since knows itself by it. */
static void put_counters(struct writer *w)
{
	const struct counters *now = &w->counters, *before = &w->tx.before;
	uint64_t at = clock_now_ms();

	if (at < w->clock_at + CLOCK_EVERY_MS && now->open_messages == before->open_messages && now->waiting == before->waiting &&
	    now->held == before->held && now->failed == before->failed && now->lanes == before->lanes)
		return;
	if (at > w->clock_at)
		w->clock_at = at;
	db_run(&w->db, Q_counters_put, INT(now->open_messages), INT(now->waiting), INT(now->held), INT(now->failed),
	       INT(now->lanes), INT(w->clock_at));
}

bool transaction_commit(struct writer *w)
{
	struct transaction *tx = &w->tx;

	if (tx->sync_directory && fsync(w->spool.dir_fd) != 0) {
		writer_fail(w, "fsync of the directory of large messages", strerror(errno));
		return false;
	}
	put_counters(w);
	if (w->db.rc != SQLITE_OK || w->failed)
		return false;
	crash_point("store.before_commit");
	if (!db_run(&w->db, Q_commit))
		return false;
	crash_point("store.after_commit");
	if (tx->settles)
		crash_point("store.after_settle_commit");
	w->commits++;
	leases_commit(&w->leases);
	for (size_t i = 0; i < tx->stored.n; i++)
		spool_stored(&w->spool, tx->stored.at[i]);
	for (size_t i = 0; i < tx->unlinked.n; i++)
		spool_unlink(w, tx->unlinked.at[i]);
	return true;
}

void transaction_rollback(struct writer *w)
{
	/* Not through db_run: the error that led here stays. SQLite may have rolled back by itself. */
	if (!sqlite3_get_autocommit(w->db.handle) && sqlite3_exec(w->db.handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		writer_fail(w, "rollback", sqlite3_errmsg(w->db.handle));
	w->counters = w->tx.before;
	leases_rollback(&w->leases);
}
