/* large.c - what an earlier process left behind among the large files: a file without a message is removed; a message whose
 * file is missing or truncated is held and logged as an error. This runs after the start, a few files at a time. */
#include "writer.h"

#include "posthouse/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MAX 32

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
	enum message_place place;
	struct stat st;
	uint64_t id;

	if (!id_parse(str_of(name), &id) || strcmp(id_format(id, canonical), name) != 0 ||
	    hashtable_find(&w->host.spool.created, id, NULL))
		return;
	if ((w->engine->place(w->e, id, &place) && place == PLACE_FILE) || w->engine->error(w->e) != ENGINE_WELL)
		return;
	if (fstatat(w->host.spool.dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
	    !is_older(&w->host.spool, &st))
		return;
	spool_remove(&w->host, id);
	store_note(w->st, LOG_INFO, "store.orphan_removed", id, "a file without a message, from before the start");
}

/* A few names; true when there are no more. */
static bool collect_some(struct writer *w)
{
	if (!w->recovery_dir) {
		int fd = openat(w->host.spool.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		w->recovery_dir = fd >= 0 ? fdopendir(fd) : NULL;
		if (!w->recovery_dir) {
			store_note(w->st, LOG_WARNING, "store.collect_failed", 0, strerror(errno));
			if (fd >= 0)
				(void)close(fd); /* nothing was read from it */
			return true;
		}
	}
	for (int i = 0; i < STEP_MAX; i++) {
		struct dirent *entry = readdir(w->recovery_dir);

		if (!entry) {
			large_end(w);
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
		char name[ID_TEXT_MAX];
		struct stat st;
		uint64_t size;

		if (!w->engine->next_large(w->e, w->recovery_id, &w->recovery_id, &size))
			return true;
		if (fstatat(w->host.spool.dir_fd, id_format(w->recovery_id, name), &st, AT_SYMLINK_NOFOLLOW) != 0
			    ? errno == ENOENT
			    : (uint64_t)st.st_size != size)
			id_array_add(&w->host.spool.missing, w->recovery_id);
	}
	return false;
}

void large_step(struct writer *w)
{
	if (w->engine->error(w->e) == ENGINE_AWAY)
		return;
	if (w->recovery == RECOVER_FILES && collect_some(w))
		w->recovery = RECOVER_ROWS;
	else if (w->recovery == RECOVER_ROWS && check_some(w))
		w->recovery = RECOVERED;
	if (w->engine->error(w->e) != ENGINE_WELL && w->engine->error(w->e) != ENGINE_AWAY)
		host_fail(&w->host, "recovery", w->engine->error_text(w->e));
}

/* Hold one message in a transaction of its own; false: there is no room for it now. */
static bool hold_missing(struct writer *w, uint64_t id)
{
	bool held = false;

	if (transaction_begin(w)) {
		held = w->engine->hold(w->e, id, S("large file missing or damaged"));
		if (w->engine->error(w->e) == ENGINE_WELL && transaction_commit(w)) {
			store_note(w->st, LOG_ERROR, "store.file_missing", id,
				   held ? "the message is held" : "the message was held before");
			return true;
		}
	}
	w->engine->rollback(w->e);
	if (w->engine->error(w->e) == ENGINE_FULL)
		w->engine->forget_error(w->e);
	else if (w->engine->error(w->e) != ENGINE_AWAY)
		host_fail(&w->host, "holding a message whose file is missing", w->engine->error_text(w->e));
	return false;
}

void large_hold_missing(struct writer *w)
{
	struct id_array *missing = &w->host.spool.missing;

	while (missing->n && !w->host.failed && hold_missing(w, missing->at[missing->n - 1]))
		missing->n--;
}

void large_end(struct writer *w)
{
	if (w->recovery_dir)
		(void)closedir(w->recovery_dir); /* a directory, read only */
	w->recovery_dir = NULL;
}
