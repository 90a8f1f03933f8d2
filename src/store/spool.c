/* spool.c - texts too large for a row: state_dir/large/ID, under the final name from the start. The order that makes a 250 true:
 * file data, directory, row. Removing goes the other way round: row, then file. */
#include "writer.h"

#include "posthouse/crash.h"
#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
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
	/* The file system's own clock says when we opened: it ticks more coarsely than ours. */
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
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd); /* a directory, read only */
	s->dir_fd = -1;
}

/* Forget that we created it: it has a row now, or is gone. */
void spool_stored(struct spool *s, uint64_t id)
{
	struct hashtable_item *node = hashtable_find(&s->created, id, NULL);

	if (!node)
		return;
	hashtable_remove(&s->created, node);
	free(node);
}

/* Unlink; a failure leaves an orphan that the next start collects. */
void spool_unlink(struct writer *w, uint64_t id)
{
	char name[ID_TEXT_MAX];

	crash_point("store.before_unlink");
	if (unlinkat(w->spool.dir_fd, id_format(id, name), 0) != 0 && errno != ENOENT)
		writer_note(w, LOG_WARNING, "store.unlink_failed", id, strerror(errno));
}

int spool_open_read(struct spool *s, uint64_t id)
{
	char name[ID_TEXT_MAX];

	return openat(s->dir_fd, id_format(id, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* The checks on an open file; then its data is made durable. */
static struct verdict check_file(struct writer *w, int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return temp(451, S("4.3.0"), S("the message's file is not as it was made"));
	if ((uint64_t)st.st_size != size)
		return temp(451, S("4.3.0"), S("the message's file has not the announced size"));
	if (fdatasync(fd) != 0) { /* what the kernel could not write is lost: no second try makes it true */
		writer_fail(w, "fdatasync of a large message", strerror(errno));
		return store_away;
	}
	w->tx.sync_directory = true;
	return ok();
}

struct verdict spool_check(struct writer *w, uint64_t id, uint64_t size)
{
	struct verdict v;
	int fd;

	if (!hashtable_find(&w->spool.created, id, NULL))
		return temp(451, S("4.3.0"), S("the message's file was not opened by this queue, send it again"));
	fd = spool_open_read(&w->spool, id);
	if (fd < 0)
		return temp(451, S("4.3.0"), S("the message's file cannot be opened"));
	v = check_file(w, fd, size);
	(void)close(fd); /* read only, and synced */
	return v;
}

/* Has a message with this id a file that must not be touched? */
static bool has_row(struct writer *w, uint64_t id)
{
	sqlite3_stmt *q = db_query(&w->db, Q_message_place, INT(id));
	bool found = db_row(&w->db, q);

	db_end(q);
	return found;
}

/* Create the file; one that an earlier life left under this name was never acknowledged, and goes. */
static int create_file(struct writer *w, uint64_t id)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char name[ID_TEXT_MAX];
	int fd = openat(w->spool.dir_fd, id_format(id, name), flags, 0600);

	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (unlinkat(w->spool.dir_fd, name, 0) != 0)
		return -1;
	return openat(w->spool.dir_fd, name, flags, 0600);
}

void run_spool_create(struct writer *w, struct op *op)
{
	uint64_t size_hint = op->cursor;
	int error;

	if (op->id == 0 || op->id > INT64_MAX || hashtable_find(&w->spool.created, op->id, NULL) || has_row(w, op->id)) {
		op->verdict = perm(554, S("5.3.0"), S("this queue id is in use"));
		return;
	}
	if (w->space.full || w->space.free_bytes < w->min_free || w->space.free_bytes - w->min_free < size_hint) {
		op->verdict = store_full;
		return;
	}
	op->out.fd = create_file(w, op->id);
	error = errno;
	if (op->out.fd >= 0) {
		hashtable_add(&w->spool.created, NEW(struct hashtable_item), op->id);
		return;
	}
	op->verdict = error == ENOSPC || error == EDQUOT ? store_full : store_away;
	if (op->verdict.code == store_full.code)
		space_refused(w);
	else
		writer_note(w, LOG_ERROR, "store.create_failed", op->id, strerror(error));
	if (error == EIO || error == EROFS)
		writer_fail(w, "creating a large message", strerror(error));
}

void run_spool_drop(struct writer *w, struct op *op)
{
	if (!hashtable_find(&w->spool.created, op->id, NULL)) /* accepted, or not ours */
		return;
	spool_stored(&w->spool, op->id);
	spool_unlink(w, op->id);
}

/* Has the message recipients to whom it is still to be sent, and who are not held? */
static bool is_waiting(struct writer *w, uint64_t id)
{
	sqlite3_stmt *q = db_query(&w->db, Q_message_due, INT(id));
	bool waiting = db_row(&w->db, q) && sqlite3_column_type(q, 0) != SQLITE_NULL;

	db_end(q);
	return waiting;
}

/* A delivery waits for the file; a report about what has failed can do without it. */
static struct verdict damaged(bool waiting)
{
	struct str text = S("the message's large file is missing or damaged");

	return waiting ? temp(451, S("4.3.0"), text) : perm(554, S("5.3.0"), text);
}

void run_text(struct writer *w, struct op *op)
{
	sqlite3_stmt *q = db_query(&w->db, Q_message_place, INT(op->id));
	enum message_place place = PLACE_NONE;
	uint64_t size = 0;
	struct stat st;

	if (db_row(&w->db, q)) {
		place = (enum message_place)db_u64(q, 0);
		size = db_u64(q, 1);
		db_end(q);
	}
	if (place == PLACE_NONE) {
		op->verdict = store_unknown;
		return;
	}
	if (place == PLACE_ROW) {
		q = db_query(&w->db, Q_text_get, INT(op->id));
		if (db_row(&w->db, q)) {
			op->out.text = db_keep(&op->arena, q, 0);
			db_end(q);
		}
		return;
	}
	op->out.fd = spool_open_read(&w->spool, op->id);
	if (op->out.fd < 0 && errno != ENOENT) {
		op->verdict = temp(451, S("4.3.0"), S("the message's large file cannot be opened"));
		return;
	}
	if (op->out.fd >= 0 && fstat(op->out.fd, &st) == 0 && (uint64_t)st.st_size == size)
		return;
	/* Half a text is as bad as none: a disk that lied, or somebody's hand. */
	op->verdict = damaged(is_waiting(w, op->id));
	id_array_add(&w->missing, op->id);
	if (op->out.fd >= 0)
		(void)close(op->out.fd); /* read only */
	op->out.fd = -1;
}
