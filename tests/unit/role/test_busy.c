/* test_busy.c - when a role that is to end has nothing under way any more. */
#include "unit.h"

#include "posthouse/busy.h"

static uv_loop_t loop;

static void on_idle(void *ctx)
{
	(*(unsigned *)ctx)++;
}

static void run(void)
{
	for (int i = 0; i < 5; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
}

static void test_idle_is_told_from_the_loop(void **state)
{
	unsigned told = 0;
	struct busy b;

	uv_loop_init(&loop);
	busy_init(&b, &loop, on_idle, &told);
	busy_change(&b, +1);
	busy_change(&b, -1);
	run();
	assert_int_equal(told, 0); /* nobody waits */
	busy_change(&b, +1);
	busy_wait(&b);
	run();
	assert_int_equal(told, 0);
	busy_change(&b, -1); /* one ends by beginning another */
	busy_change(&b, +1);
	run();
	assert_int_equal(told, 0);
	busy_change(&b, -1);
	assert_int_equal(told, 0); /* not within the call */
	run();
	assert_int_equal(told, 1);
	busy_change(&b, +1);
	busy_change(&b, -1);
	run();
	assert_int_equal(told, 2);
	uv_close((uv_handle_t *)&b.check, NULL);
	run();
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_nothing_has_begun(void **state)
{
	unsigned told = 0;
	struct busy b;

	uv_loop_init(&loop);
	busy_init(&b, &loop, on_idle, &told);
	busy_wait(&b);
	assert_int_equal(told, 0);
	run();
	assert_int_equal(told, 1);
	uv_close((uv_handle_t *)&b.check, NULL);
	run();
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_idle_is_told_from_the_loop),
					    cmocka_unit_test(test_nothing_has_begun) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
