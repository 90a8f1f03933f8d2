/* test_presence.c - files that are taken away from under the store; and space that it gives back. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void run_until_lost(struct fixture *f, bool lost)
{
	for (uint64_t end = clock_mono_ms() + 20000; stats_now(f).lost != lost; usleep(1000)) {
		assert_true(clock_mono_ms() < end);
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

static void move(struct fixture *f, const char *from, const char *to)
{
	assert_int_equal(rename(fixture_path(f, from), fixture_path(f, to)), 0);
}

/* Whatever is asked: nothing would last. */
static void assert_refused(struct fixture *f, uint64_t id)
{
	struct answer created;

	assert_int_equal(accept_to(f, id, "b@a.org").code, 451);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).code, 451);
	assert_int_equal(lanes_now(f, NOW + 1000, 10).v.code, 451);
	assert_int_equal(show_now(f, 100, 0, 10).v.code, 451);
	created = create_now(f, id, 100);
	assert_int_equal(created.v.code, 451);
	assert_int_equal(created.fd, -1);
}

/* Gone, or another one in its place: nothing is acknowledged until the very same file is back. */
static void a_file_that_is_away_is_noticed(void **state)
{
	static const char *const names[] = { "queue.db", "queue.db-wal", "large" };
	struct fixture *f = *state;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	for (size_t i = 0; i < 3; i++)
		for (int replaced = 0; replaced < 2; replaced++) {
			move(f, names[i], "away");
			if (replaced && i < 2)
				assert_int_equal(fclose(fopen(fixture_path(f, names[i]), "w")), 0);
			else if (replaced)
				assert_int_equal(mkdir(fixture_path(f, names[i]), 0700), 0);
			run_until_lost(f, true);
			assert_refused(f, 200 + 10 * i + (uint64_t)replaced);
			if (replaced)
				assert_int_equal(remove(fixture_path(f, names[i])), 0);
			move(f, "away", names[i]);
			run_until_lost(f, false);
			assert_int_equal(accept_to(f, 300 + 10 * i + (uint64_t)replaced, "b@a.org").class, OK);
		}
	assert_int_equal(stats_now(f).open_messages, 7);
}

/* The whole directory is moved away. */
static void a_directory_that_is_away_is_noticed(void **state)
{
	struct fixture *f = *state;
	char away[100];

	(void)snprintf(away, sizeof away, "%s-away", f->dir);
	assert_int_equal(rename(f->dir, away), 0);
	run_until_lost(f, true);
	assert_int_equal(accept_to(f, 100, "b@a.org").code, 451);
	assert_int_equal(rename(away, f->dir), 0);
	run_until_lost(f, false);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
}

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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_file_that_is_away_is_noticed),
		CASE(a_directory_that_is_away_is_noticed),
		CASE(pruned_space_is_given_back),
		CASE(the_index_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
