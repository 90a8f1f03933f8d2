/* test_presence.c - files that are taken away from under the store. */
#include "engine_under_test.h"

#include <sys/stat.h>

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
static void check_away(struct fixture *f, const char *name, bool is_directory, uint64_t *id)
{
	for (int replaced = 0; replaced < 2; replaced++) {
		move(f, name, "away");
		if (replaced && !is_directory)
			assert_int_equal(fclose(fopen(fixture_path(f, name), "w")), 0);
		else if (replaced)
			assert_int_equal(mkdir(fixture_path(f, name), 0700), 0);
		run_until_lost(f, true);
		assert_refused(f, ++*id);
		if (replaced)
			assert_int_equal(remove(fixture_path(f, name)), 0);
		move(f, "away", name);
		run_until_lost(f, false);
		assert_int_equal(accept_to(f, ++*id, "b@a.org").class, OK);
	}
}

static void a_file_that_is_away_is_noticed(void **state)
{
	struct fixture *f = *state;
	uint64_t id = 100, looked = 1;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	for (const char *const *name = engine_under_test->files; *name; name++, looked++)
		check_away(f, *name, false, &id);
	check_away(f, "large", true, &id);
	assert_int_equal(stats_now(f).open_messages, 1 + 2 * looked);
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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_file_that_is_away_is_noticed),
		CASE(a_directory_that_is_away_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
