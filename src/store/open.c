/* open.c - opening: checks that mail is safe in this directory, and reads what is there already. */
#include "writer.h"

#include "posthouse/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_NS 1000000000ull

static bool is_lack_of_room(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static struct verdict check_place(int fd, const char *path, struct arena *a)
{
	const char *unsafe;
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s: %s", path, strerror(errno)));
	unsafe = directory_unsafe(&fs);
	if (unsafe)
		return perm(
			554, S("5.3.5"),
			arena_printf(a, "%s is on %s, where accepted mail would not be safe; use a local disk", path, unsafe));
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		return perm(554, S("5.3.5"), arena_printf(a, "%s is not writable: %s", path, strerror(errno)));
	return ok();
}

/* What an earlier life left among the rows. Without room it waits for the next start; all else is fatal. */
static struct verdict recover(struct writer *w, struct arena *a)
{
	enum engine_error error;
	bool begun = transaction_begin(w);

	if (begun) {
		w->engine->recover(w->e);
		if (w->engine->error(w->e) == ENGINE_WELL && transaction_commit(w))
			return ok();
		w->engine->rollback(w->e);
	}
	error = w->engine->error(w->e);
	if (error == ENGINE_BUSY || error == ENGINE_AWAY || (error == ENGINE_FULL && !begun))
		return error == ENGINE_FULL ? store_full : store_busy;
	if (error != ENGINE_FULL)
		return temp(451, S("4.3.0"), arena_printf(a, "%s: %s", w->st->state_dir, w->engine->error_text(w->e)));
	w->engine->forget_error(w->e);
	return ok();
}

/* Everything that can fail, in order. */
static struct verdict open_parts(struct writer *w, int state_fd, struct arena *a)
{
	struct verdict v = check_place(state_fd, w->st->state_dir, a);

	if (v.class != OK)
		return v;
	if (!spool_open(&w->host.spool, state_fd))
		return is_lack_of_room(errno) ? store_full
					      : perm(554, S("5.3.5"), arena_printf(a, "state_dir/large: %s", strerror(errno)));
	w->e = w->engine->open(&w->host, a, &v);
	if (!w->e)
		return v;
	disk_space_init(&w->host.space, state_fd, w->host.min_free);
	v = recover(w, a);
	if (v.class == OK) {
		backup_clear(state_fd);
		presence_check(w);
	}
	return v;
}

/* Takes state_fd in any case; NULL: *why_out, text in `a`. */
static struct writer *writer_new(struct store *st, int state_fd, struct arena *a, struct verdict *why_out)
{
	struct writer *w = NEW(struct writer);

	w->st = st;
	w->engine = st->engine;
	w->host = (struct engine_host){ .store = st,
					.state_dir = st->state_dir,
					.space.dir_fd = state_fd,
					.spool.dir_fd = -1,
					.database = st->has_database ? &st->database : NULL,
					.min_free = st->min_free,
					.max_messages = st->max_messages };
	list_init(&w->stalled);
	for (int i = 0; i < RANK_COUNT; i++)
		list_init(&w->batch[i]);
	*why_out = open_parts(w, state_fd, a);
	if (why_out->class == OK)
		return w;
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
	bool released = fd >= 0 && disk_space_release(fd);

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

/* Can the error pass by itself? Then log it, once. */
static bool is_passing(struct store *st, const struct verdict *why, bool told)
{
	bool full = why->class == TEMP && why->code == store_full.code, busy = why->class == TEMP && why->code == store_busy.code;

	if (full && !told)
		store_note(st, LOG_ERROR, "store.filled", 0,
			   "there is no room to open the queue: the reserve is released, and it is tried again");
	if (busy && !told)
		store_note(st, LOG_ERROR, "store.busy", 0, st->engine->busy);
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
	large_end(w);
	if (w->e)
		w->engine->close(w->e);
	spool_close(&w->host.spool);
	disk_space_close(&w->host.space);
	hashtable_fini(&w->named);
	arena_fini(&w->host.arena);
	free(w);
}
