/* backup.c - store_backup(): a copy of the rows by the engine, and hard links of the large files that these rows name. In the
 * order of the steps: store_backup (loop), run_backup_begin (writer), on_begun (loop), work (a thread of its own, while the
 * writer continues), on_worked (loop), run_backup_end (writer), on_ended (loop).
 *
 * The copy is made as NAME.part and gets its name when it is whole and on the disk. From before the moment of which the rows are
 * until the links are made, the writer removes no file of a message that is finished. */
#include "writer.h"

#include "posthouse/crash.h"
#include "posthouse/id.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64

struct backup_job {
	struct engine_copy copy;
	struct store *st;
	uv_work_t work;
	struct arena arena;
	const char *name, *part;
	struct verdict verdict;
	struct backup result;
	int state_fd, spool_fd; /* the store's */
	int backup_fd, part_fd, large_fd;
	uint64_t min_free;
	bool stop; /* under the store's lock */
	store_backup_fn done;
	void *ctx;
};

/* ---- on the thread ---- */

static bool fail(struct backup_job *j, struct verdict v)
{
	if (j->verdict.class == OK)
		j->verdict = v;
	return false;
}

static bool fail_full(struct backup_job *j)
{
	return fail(j, temp(452, S("4.3.1"), S("there is no room for a copy: queue.min_free has to stay free on the disk")));
}

/* errno says what is wrong. */
static bool fail_errno(struct backup_job *j, const char *what)
{
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return fail_full(j);
	return fail(
		j, temp(451, S("4.3.0"), arena_printf(&j->arena, "state_dir/backup/%s: %s: %s", j->part, what, strerror(errno))));
}

static bool make_directories(struct backup_job *j)
{
	struct stat st;

	backup_clear(j->state_fd);
	j->backup_fd = backup_open(j->state_fd);
	if (j->backup_fd < 0)
		return fail_errno(j, "open");
	if (fstatat(j->backup_fd, j->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fail(j, perm(550, S("5.0.0"), arena_printf(&j->arena, "state_dir/backup/%s is there already", j->name)));
	if (mkdirat(j->backup_fd, j->part, 0700) != 0)
		return fail_errno(j, "mkdir");
	j->part_fd = openat(j->backup_fd, j->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (j->part_fd < 0 || mkdirat(j->part_fd, "large", 0700) != 0)
		return fail_errno(j, "mkdir");
	j->large_fd = openat(j->part_fd, "large", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return j->large_fd >= 0 || fail_errno(j, "open");
}

static bool go_on(struct engine_copy *c)
{
	struct backup_job *j = CONTAINER_OF(c, struct backup_job, copy);
	struct statvfs fs;
	bool stop;

	uv_mutex_lock(&j->st->lock);
	stop = j->stop;
	uv_mutex_unlock(&j->st->lock);
	if (stop)
		return fail(j, temp(451, S("4.3.0"), S("the relay stops: no copy was made")));
	if (fstatvfs(j->state_fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < j->min_free)
		return fail_full(j);
	return true;
}

/* A file that the store has lost is missing in the copy too: its message is held, here and there. */
static bool link_large(struct engine_copy *c, uint64_t id)
{
	struct backup_job *j = CONTAINER_OF(c, struct backup_job, copy);
	char name[ID_TEXT_MAX];
	struct stat st;

	if (linkat(j->spool_fd, id_format(id, name), j->large_fd, name, 0) != 0) {
		j->result.missing += errno == ENOENT;
		return errno == ENOENT || fail_errno(j, "link");
	}
	if (fstatat(j->large_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		j->result.bytes += (uint64_t)st.st_size;
	j->result.files++;
	return true;
}

static bool make_durable(struct backup_job *j)
{
	struct stat st;

	for (const char *const *name = j->st->engine->files; *name; name++)
		if (fstatat(j->part_fd, *name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			j->result.bytes += (uint64_t)st.st_size;
	if (fsync(j->large_fd) != 0 || fsync(j->part_fd) != 0)
		return fail_errno(j, "fsync");
	crash_point("store.before_backup");
	if (renameat(j->backup_fd, j->part, j->backup_fd, j->name) != 0)
		return fail_errno(j, "rename");
	return (fsync(j->backup_fd) == 0 && fsync(j->state_fd) == 0) || fail_errno(j, "fsync");
}

static bool copy_rows(struct backup_job *j)
{
	if (j->st->engine->copy(j->st->writer->e, &j->copy)) {
		j->result.messages = j->copy.messages;
		return true;
	}
	if (j->copy.full)
		return fail_full(j);
	return fail(j, temp(451, S("4.3.0"), arena_printf(&j->arena, "state_dir/backup/%s: %s", j->part, j->copy.why)));
}

static void work(uv_work_t *work)
{
	struct backup_job *j = work->data;

	if (!make_directories(j) || !copy_rows(j) || !make_durable(j))
		backup_clear(j->state_fd);
	if (j->large_fd >= 0)
		(void)close(j->large_fd); /* directories, read only */
	if (j->part_fd >= 0)
		(void)close(j->part_fd);
	if (j->backup_fd >= 0)
		(void)close(j->backup_fd);
}

/* ---- in the writer ---- */

void run_backup_begin(struct writer *w, struct request *r)
{
	const struct disk_space *space = &w->host.space;

	if (w->host.spool.in_backup)
		r->verdict = temp(451, S("4.3.2"), S("another copy is being made"));
	else if (space->full || space->free_bytes < w->host.min_free || space->free_bytes - w->host.min_free < w->presence.bytes)
		r->verdict = temp(452, S("4.3.1"),
				  arena_printf(&r->arena,
					       "there is no room for a copy of %llu MB: queue.min_free has to stay free "
					       "on the disk",
					       (unsigned long long)w->presence.bytes / MIB + 1));
	else
		w->host.spool.in_backup = true;
}

void run_backup_end(struct writer *w, struct request *r)
{
	struct spool *s = &w->host.spool;

	s->in_backup = false;
	for (size_t i = 0; i < s->kept.n; i++)
		spool_unlink(&w->host, s->kept.at[i]);
	s->kept.n = 0;
}

/* ---- on the loop ---- */

static void finish(struct backup_job *j)
{
	j->done(j->ctx, j->verdict, &j->result);
	arena_fini(&j->arena);
	free(j);
}

static void on_ended(void *ctx, struct verdict v)
{
	finish(ctx); /* when it came too late for the writer, the next start removes the files */
}

static void on_worked(uv_work_t *work, int status)
{
	struct backup_job *j = work->data;
	struct store *st = j->st;

	st->backup = NULL;
	store_backup_end(st, on_ended, j);
	(void)uv_async_send(&st->async); /* closing waits for this; not closing, so it cannot fail */
}

static void on_begun(void *ctx, struct verdict v)
{
	struct backup_job *j = ctx;
	struct store *st = j->st;

	if (v.class != OK) {
		j->verdict = verdict_keep(&j->arena, v);
		finish(j);
		return;
	}
	if (st->closing)
		j->verdict = store_away;
	if (j->verdict.class != OK) {
		store_backup_end(st, on_ended, j);
		return;
	}
	j->state_fd = st->writer->host.space.dir_fd;
	j->spool_fd = st->writer->host.spool.dir_fd;
	uv_mutex_lock(&st->lock);
	j->min_free = st->min_free;
	uv_mutex_unlock(&st->lock);
	st->backup = j;
	if (uv_queue_work(st->loop, &j->work, work, on_worked) != 0)
		abort(); /* it can fail only without a callback */
}

static bool is_name(struct str name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == 0 || !strchr(allowed, name.p[i]))
			return false;
	return name.n > 0 && name.n <= NAME_MAX_BYTES && name.p[0] != '.' && !str_ends(name, S(BACKUP_PART));
}

static struct str name_of_now(struct arena *a)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	(void)strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	return arena_str(a, str_of(text));
}

void store_backup(struct store *st, struct str name, store_backup_fn done, void *ctx)
{
	struct backup_job *j = NEW(struct backup_job);

	*j = (struct backup_job){
		.st = st, .verdict = ok(), .backup_fd = -1, .part_fd = -1, .large_fd = -1, .done = done, .ctx = ctx
	};
	j->work.data = j;
	if (name.n == 0)
		name = name_of_now(&j->arena);
	if (!is_name(name))
		j->verdict = perm(550, S("5.0.0"), S("a copy can have a name of 64 letters, digits, \"-\", \"_\" and \".\""));
	j->name = arena_cstr(&j->arena, name);
	j->part = arena_cstr(&j->arena, arena_printf(&j->arena, "%s" BACKUP_PART, j->name));
	j->result.directory = arena_printf(&j->arena, "%s/backup/%s", st->state_dir, j->name);
	j->copy = (struct engine_copy){
		.directory = arena_cstr(&j->arena, arena_printf(&j->arena, "%s/backup/%s", st->state_dir, j->part)),
		.go_on = go_on,
		.large = link_large,
	};
	store_backup_begin(st, on_begun, j);
}

void store_stop_backup(struct store *st)
{
	if (!st->backup)
		return;
	uv_mutex_lock(&st->lock);
	st->backup->stop = true;
	uv_mutex_unlock(&st->lock);
}
