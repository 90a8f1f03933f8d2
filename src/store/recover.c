/* recover.c - what an earlier life left behind: files that never got a row go, rows whose file has gone, or is not whole, are held and shouted
 * about, recipients that were to be removed while in flight are removed. The first two a little at a time, after the start. */
#include "writer.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MAX 32

/* The counters as the last transaction left them, and the first lane number that was never given. */
static void read_counters(struct writer *w)
{
	sqlite3_stmt *q = db_query(&w->db, Q_counters);

	if (!db_row(&w->db, q))
		return;
	w->counters = (struct counters){ .open_messages = db_u64(q, 0),
					 .waiting = db_u64(q, 1),
					 .held = db_u64(q, 2),
					 .failed = db_u64(q, 3),
					 .lanes = db_u64(q, 4) };
	w->next_lane = db_u64(q, 5) + 1;
	w->clock_at = db_u64(q, 6);
	w->set_back = clock_is_foreign(w->clock_at, clock_now_ms(), CLOCK_STEP_MS) || w->clock_at == 0;
	db_end(q);
}

/* Recipients that were in flight when an administrator removed them, and whose result was never heard. */
static void remove_marked(struct writer *w)
{
	sqlite3_stmt *q = db_query(&w->db, Q_removing);
	struct id_array marked = { 0 };
	uint64_t now = clock_now_ms();

	while (db_row(&w->db, q)) {
		id_array_add(&marked, db_u64(q, 0));
		id_array_add(&marked, db_u64(q, 1));
	}
	for (size_t i = 0; i < marked.n; i += 2) {
		uint64_t id = marked.at[i], n = marked.at[i + 1], lane = 0;
		unsigned state = RCPT_REMOVED;

		q = db_query(&w->db, Q_recipient_get, INT(id), INT(n));
		if (db_row(&w->db, q)) {
			state = (unsigned)db_u64(q, 0);
			lane = db_u64(q, 1);
			db_end(q);
		}
		if (state_is_final(state))
			continue;
		db_run(&w->db, Q_recipient_settle, INT(id), INT(n), INT(RCPT_REMOVED), INT(0), INT(0), INT(0), TEXT(S("")),
		       INT(now));
		count_state(w, state, RCPT_REMOVED);
		add_event(w, id, n, now, S("mail.removed"), S("when=\"after a restart\""));
		lane_refresh(w, lane);
		message_reduce_open(w, id, 1, now);
	}
	free(marked.at);
}

bool recover_at_open(struct writer *w)
{
	read_counters(w);
	if (!transaction_begin(w))
		return false;
	remove_marked(w);
	if (w->db.rc == SQLITE_OK && transaction_commit(w))
		return true;
	transaction_rollback(w);
	/* Without room this waits for the next start; all else is fatal. */
	if (!db_is_full(&w->db))
		return false;
	db_forget_error(&w->db);
	return true;
}

/* Was it last changed before this store was opened? */
static bool is_older(const struct spool *s, const struct stat *st)
{
	uint64_t sec = (uint64_t)st->st_ctim.tv_sec, nsec = (uint64_t)st->st_ctim.tv_nsec;

	return sec != s->opened_sec ? sec < s->opened_sec : nsec < s->opened_nsec;
}

/* Look at one name in the directory of large files. */
static void collect(struct writer *w, const char *name)
{
	char canonical[ID_TEXT_MAX];
	uint64_t id, place = PLACE_NONE;
	struct stat st;
	sqlite3_stmt *q;

	if (!id_parse(str_of(name), &id) || strcmp(id_format(id, canonical), name) != 0 ||
	    hashtable_find(&w->spool.created, id, NULL))
		return;
	q = db_query(&w->db, Q_message_place, INT(id));
	if (db_row(&w->db, q)) {
		place = db_u64(q, 0);
		db_end(q);
	}
	if (w->db.rc != SQLITE_OK || place == PLACE_FILE)
		return;
	if (fstatat(w->spool.dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || !is_older(&w->spool, &st))
		return;
	spool_unlink(w, id);
	writer_note(w, LOG_INFO, "store.orphan_removed", id, "a file without a message, from before the start");
}

/* A few names; true when there are no more. */
static bool collect_some(struct writer *w)
{
	if (!w->recovery_dir) {
		int fd = openat(w->spool.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		w->recovery_dir = fd >= 0 ? fdopendir(fd) : NULL;
		if (!w->recovery_dir) {
			writer_note(w, LOG_WARNING, "store.collect_failed", 0, strerror(errno));
			if (fd >= 0)
				(void)close(fd); /* nothing was read from it */
			return true;
		}
	}
	for (int i = 0; i < STEP_MAX; i++) {
		struct dirent *entry = readdir(w->recovery_dir);

		if (!entry) {
			recover_end(w);
			return true;
		}
		collect(w, entry->d_name);
	}
	return false;
}

/* A few rows; true when there are no more. */
static bool check_some(struct writer *w)
{
	for (int i = 0; i < STEP_MAX; i++) {
		sqlite3_stmt *q = db_query(&w->db, Q_large_after, INT(w->recovery_id));
		char name[ID_TEXT_MAX];
		struct stat st;
		uint64_t size;

		if (!db_row(&w->db, q))
			return true;
		w->recovery_id = db_u64(q, 0);
		size = db_u64(q, 1);
		db_end(q);
		if (fstatat(w->spool.dir_fd, id_format(w->recovery_id, name), &st, AT_SYMLINK_NOFOLLOW) != 0
			    ? errno == ENOENT
			    : (uint64_t)st.st_size != size)
			id_array_add(&w->missing, w->recovery_id);
	}
	return false;
}

void recover_step(struct writer *w)
{
	if (w->recovery == RECOVER_FILES && collect_some(w))
		w->recovery = RECOVER_ROWS;
	else if (w->recovery == RECOVER_ROWS && check_some(w))
		w->recovery = RECOVERED;
	if (w->db.rc != SQLITE_OK)
		writer_fail(w, "recovery", w->db.error);
}

/* Hold one message in a transaction of its own; false: there is no room for it now. */
static bool hold_missing(struct writer *w, uint64_t id)
{
	uint64_t in_flight = 0;
	bool held = false;

	if (transaction_begin(w)) {
		held = alter_message(w, id, ALTER_HOLD, S("large file missing or damaged"), NULL, true, &in_flight);
		if (w->db.rc == SQLITE_OK && transaction_commit(w)) {
			writer_note(w, LOG_ERROR, "store.file_missing", id,
				    held ? "the message is held" : "the message was held before");
			return true;
		}
	}
	transaction_rollback(w);
	if (db_is_full(&w->db))
		db_forget_error(&w->db);
	else
		writer_fail(w, "holding a message whose file is missing", w->db.error);
	return false;
}

void recover_missing(struct writer *w)
{
	while (w->missing.n && !w->failed && hold_missing(w, w->missing.at[w->missing.n - 1]))
		w->missing.n--;
}

void recover_end(struct writer *w)
{
	if (w->recovery_dir)
		(void)closedir(w->recovery_dir); /* a directory, read only */
	w->recovery_dir = NULL;
}
