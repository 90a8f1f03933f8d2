/* kept_results.c - results of deliveries that could not be stored before the process ended, because the database was away. They
 * are kept in state_dir/results, each with the number of its take, and stored by the next process before it claims: until then
 * nothing that this node had taken is due again, unless another node has declared it dead, and the numbers tell which results
 * came too late. */
#include "postgresql.h"

#include "results_form.h"

#include "posthouse/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE        500 /* results in one transaction */
#define PASSING_MAX 10

static const char file_name[] = "results";

static int open_directory(const struct engine *e)
{
	return open(e->host->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void tell(struct engine *e, enum log_level level, const char *event, const char *what, size_t n, const char *why)
{
	char text[300];

	(void)snprintf(text, sizeof text, "%zu %s %s/%s%s%s", n, what, e->host->state_dir, file_name, why[0] ? ": " : "", why);
	store_note(e->host->store, level, event, 0, text);
}

/* ---- keeping ---- */

/* How many fit in. */
static size_t gather(const struct request *const *results, size_t n, struct buf *b)
{
	size_t count = 0;

	if (!results_begin(b))
		return 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < results[i]->max; k++)
			count += results_add(b, &results[i]->in.outcomes[k]);
	return count;
}

bool results_keep(struct engine *e, const struct request *const *results, size_t n)
{
	int dir_fd = open_directory(e);
	size_t count, wanted = 0;
	struct buf b;
	bool good;

	for (size_t i = 0; i < n; i++)
		wanted += results[i]->max;
	buf_init(&b, RESULTS_BYTES_MAX);
	count = gather(results, n, &b);
	good = dir_fd >= 0 && (errno = file_put(dir_fd, "results.new", file_name, 0600, buf_view(&b))) == 0;
	if (good)
		tell(e, LOG_WARNING, "results.left", "results could not be stored, and wait for the next start in", count, "");
	if (!good || count < wanted)
		tell(e, LOG_ERROR, "results.lost", "results were not kept in", good ? wanted - count : wanted,
		     good ? "it would be too large" : strerror(errno));
	buf_fini(&b);
	if (dir_fd >= 0)
		(void)close(dir_fd); /* only synced */
	return good;
}

/* ---- storing ---- */

static bool store_once(struct engine *e, const struct kept_results *k, size_t from, size_t n)
{
	struct postgresql *p = postgresql_of(e);
	struct request r = { .kind = REQUEST_SETTLE, .in.outcomes = k->outcomes + from, .max = n };

	e->tx_before = e->counters;
	p->charges = (struct charges){ 0 };
	p->fenced = true; /* a result counts by its take, whatever became of the node */
	if (db_begin(&e->db)) {
		run_settle(e, &r);
		if (store_engine_postgresql.commit(e))
			return true;
	}
	store_engine_postgresql.rollback(e);
	return false;
}

/* False after an error that does not pass, or not in all tries; it stands. */
static bool store_some(struct engine *e, const struct kept_results *k, size_t from, size_t n)
{
	for (unsigned i = 0; i < PASSING_MAX; i++) {
		if (store_once(e, k, from, n))
			return true;
		if (store_engine_postgresql.error(e) != ENGINE_PASSING)
			return false;
		if (i + 1 < PASSING_MAX)
			db_forget_error(&e->db);
	}
	return false;
}

static bool is_of_one(const struct engine *e)
{
	enum engine_error error = store_engine_postgresql.error(e);

	return error == ENGINE_PRIVATE || error == ENGINE_PASSING;
}

/* A result that the database does not take for itself is told, and given up. False: it takes none; then all are kept, since
 * without them what was delivered would be sent again. */
static bool store_page(struct engine *e, const struct kept_results *k, size_t from, size_t n)
{
	if (store_some(e, k, from, n))
		return true;
	for (size_t i = from; i < from + n; i++) {
		if (is_of_one(e))
			db_forget_error(&e->db);
		if (store_some(e, k, i, 1))
			continue;
		if (!is_of_one(e))
			return false;
		store_note(e->host->store, LOG_ERROR, "results.lost", k->outcomes[i].id, e->db.error);
		db_forget_error(&e->db);
	}
	return true;
}

static bool store_all(struct engine *e, const struct kept_results *k)
{
	for (size_t from = 0; from < k->n; from += PAGE)
		if (!store_page(e, k, from, k->n - from < PAGE ? k->n - from : PAGE))
			return false;
	return true;
}

/* What is in the file; false: it cannot be used, see `errno` (0: it is damaged). */
static bool read_file(int fd, struct arena *a, struct kept_results *out)
{
	struct stat st;
	ssize_t n;
	char *p;

	if (fstat(fd, &st) != 0)
		return false;
	errno = 0;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > RESULTS_BYTES_MAX)
		return false;
	p = ARENA_ARRAY(a, char, (size_t)st.st_size + 1);
	n = file_read_at(fd, p, (size_t)st.st_size, 0);
	return n >= 0 && results_read(a, str_make(p, (size_t)n), out);
}

static bool store_file(struct engine *e, int dir_fd, int fd)
{
	struct arena a = { 0 };
	struct kept_results k = { 0 };
	bool read = read_file(fd, &a, &k), stored;
	int error = errno;

	if (!read)
		tell(e, LOG_ERROR, "results.lost", "results could be read of", 0, error ? strerror(error) : "it is damaged");
	stored = read && store_all(e, &k);
	if ((stored || (!read && error == 0)) && (unlinkat(dir_fd, file_name, 0) != 0 || fsync(dir_fd) != 0))
		tell(e, LOG_WARNING, "results.left", "results were stored, and stay in", k.n, strerror(errno));
	if (stored)
		tell(e, LOG_INFO, "results.stored", "results were stored, which an earlier process had left in", k.n, "");
	arena_fini(&a);
	return !read || stored;
}

bool results_store(struct engine *e)
{
	int dir_fd = open_directory(e);
	int fd = dir_fd >= 0 ? openat(dir_fd, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	bool good = true;

	if (fd >= 0)
		good = store_file(e, dir_fd, fd);
	else if (errno != ENOENT)
		tell(e, LOG_ERROR, "results.lost", "results could be read of", 0, strerror(errno));
	if (fd >= 0)
		(void)close(fd); /* only read from */
	if (dir_fd >= 0)
		(void)close(dir_fd); /* as before */
	return good;
}
