/* test_files.c - the files of SQLite: space that is given back, the index of the log, another program that has the database. */
#include "sql.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

static uint64_t file_size(struct fixture *f, const char *name)
{
	struct stat st;

	assert_int_equal(stat(fixture_path(f, name), &st), 0);
	return (uint64_t)st.st_size;
}

/* What was pruned goes back to the file system when nothing else is to be done. */
static void pruned_space_is_given_back(void **state)
{
	enum { MANY = 400 };
	struct fixture *f = *state;
	struct answer *answers = calloc(MANY, sizeof *answers);
	char *text = arena_alloc(&f->arena, 60000);
	uint64_t full;

	memset(text, 'x', 60000);
	for (uint64_t i = 0; i < MANY; i++) {
		struct accepted *m = message(f, 100 + i, "b@a.org");

		m->text = str_make(text, 60000);
		m->size = m->text.n;
		answers[i].f = f;
		store_accept(f->st, m, on_done, &answers[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		answer_wait(f, &answers[i]);
	free(answers);
	assert_str(fixture_sql(f, "PRAGMA auto_vacuum"), "2");
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(settle_now(f, 100 + i, 1, RCPT_DELIVERED, 0).class, OK);
	full = file_size(f, "queue.db") + file_size(f, "queue.db-wal");
	assert_true(full > 20 * 1000000);
	while (prune_now(f, UINT64_MAX / 2, 500) >= 500)
		;
	for (uint64_t end = clock_mono_ms() + 60000; file_size(f, "queue.db") > 6 * 1000000; usleep(1000)) {
		assert_true(clock_mono_ms() < end);
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");
	assert_int_equal(accept_to(f, 1000, "b@a.org").class, OK);
}

/* Where a file system copies on write, the index of the log is on the heap: no page of a file has to be found room for when it is written. Others are kept out. */
static void the_index_is_no_file(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child;

	fixture_close(f);
	assert_int_equal(setenv("POSTHOUSE_COW", "1", 1), 0);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_not_equal(access(fixture_path(f, "queue.db-shm"), F_OK), 0);
	child = fork();
	if (child == 0) { /* POSIX locks are not inherited: what SQLite would lock to read is taken */
		struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512 };
		int fd = open(fixture_path(f, "queue.db"), O_RDONLY);

		_exit(fd >= 0 && fcntl(fd, F_SETLK, &lock) != 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(unsetenv("POSTHOUSE_COW"), 0);
}

/* Somebody else has the database: it is waited for, and opened when he is done. */
static void a_visitor_is_waited_for(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	fixture_close(f);
	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	fixture_begin_open(f);
	while (f->opened_n == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->opened.class, TEMP);
	assert_int_equal(f->opened.code, 450);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	while (f->opened_n == 1)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->opened.class, OK);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(pruned_space_is_given_back), CASE(the_index_is_no_file),
					    CASE(a_visitor_is_waited_for) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
