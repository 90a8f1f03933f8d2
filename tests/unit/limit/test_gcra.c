/* test_gcra.c - token buckets: bursts, the pace after them, returns, and clocks that jump. */
#include "posthouse/limit.h"

/* clang-format off */
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#define NOW    1795289874000000ull /* us */
#define SECOND 1000000ull

static const struct rate hourly = { 200, 3600 * 1000 };

/* One step each: state before (relative to NOW), amount, what wait says, state after take, used after it. */
static void test_steps(void **state)
{
	static const struct {
		struct rate rate;
		int64_t before;
		uint64_t amount, wait, after, used;
	} rows[] = {
		{ { 200, 3600000 }, 0, 1, 0, 18 * SECOND, 1 },
		{ { 200, 3600000 }, -5 * (int64_t)SECOND, 1, 0, 18 * SECOND, 1 }, /* long empty: no credit is saved up */
		{ { 200, 3600000 }, 0, 200, 0, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 0, 201, UINT64_MAX, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 3582 * SECOND, 1, 0, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 3582 * SECOND + 1, 1, 1, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 3600 * SECOND, 1, 18 * SECOND, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 3600 * SECOND, 10, 180 * SECOND, 3600 * SECOND, 200 },
		{ { 200, 3600000 }, 18 * SECOND, 0, 0, 18 * SECOND, 1 },
		{ { 1, 60000 }, 0, 1, 0, 60 * SECOND, 1 },
		{ { 1, 60000 }, 59 * SECOND, 1, 59 * SECOND, 60 * SECOND, 1 },
		{ { 7, 60000 }, 0, 1, 0, 8571428, 1 }, /* does not divide: rounded in the client's favour */
		{ { 7, 60000 }, 0, 3, 0, 25714285, 3 },
		{ { 1ull << 40, 86400000 }, 0, 1ull << 39, 0, 43200 * SECOND, 1ull << 39 }, /* bytes, beyond 64 bits in between */
		{ { 5000000, 1000 }, 0, 1, 0, 1, 5 },                                       /* finer than a us */
		{ { 0, 60000 }, 0, 1, UINT64_MAX, 60 * SECOND, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t tat = NOW + (uint64_t)rows[i].before;

		assert_int_equal(gcra_wait_us(tat, rows[i].rate, rows[i].amount, NOW), rows[i].wait);
		tat = gcra_take(tat, rows[i].rate, rows[i].amount, NOW);
		assert_int_equal(tat, NOW + rows[i].after);
		assert_int_equal(gcra_used(tat, rows[i].rate, NOW), rows[i].used);
	}
}

/* A burst of exactly the amount, whether or not it divides the window; then one each interval, for a whole day. */
static void test_burst_and_pace(void **state)
{
	static const struct {
		struct rate rate;
		uint64_t day; /* how many pass in 24 hours, with the burst */
	} rows[] = { { { 200, 3600000 }, 200 + 4800 },
		     { { 7, 60000 }, 7 + 10080 },
		     { { 30, 60000 }, 30 + 43200 },
		     { { 500, 86400000 }, 500 + 500 },
		     { { 1, 60000 }, 1 + 1440 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rate r = rows[i].rate;
		uint64_t tat = 0, now = NOW, passed = 0;

		while (gcra_wait_us(tat, r, 1, now) == 0) {
			tat = gcra_take(tat, r, 1, now);
			passed++;
		}
		assert_int_equal(passed, r.amount);
		assert_int_equal(gcra_used(tat, r, now), r.amount);
		while ((now += gcra_wait_us(tat, r, 1, now)) <= NOW + 86400 * SECOND) {
			assert_true(gcra_wait_us(tat, r, 1, now - 1) == 1);
			tat = gcra_take(tat, r, 1, now);
			passed++;
		}
		assert_in_range(passed, rows[i].day, rows[i].day + 1);
	}
}

static void test_return(void **state)
{
	uint64_t tat = gcra_take(0, hourly, 5, NOW);

	assert_int_equal(gcra_return(tat, hourly, 2, NOW), NOW + 54 * SECOND);
	assert_int_equal(gcra_return(tat, hourly, 5, NOW), NOW);
	assert_int_equal(gcra_return(tat, hourly, 500, NOW), NOW);                               /* never more than all */
	assert_int_equal(gcra_return(tat, hourly, 1, NOW + 3600 * SECOND), NOW + 3600 * SECOND); /* had flown back already */
	assert_int_equal(gcra_used(0, hourly, NOW), 0);
	assert_int_equal(gcra_used(NOW + 1, hourly, NOW), 1);
}

/* A clock that is set back costs one window at most. */
static void test_clock_back(void **state)
{
	uint64_t tat = gcra_take(0, hourly, 10, NOW), earlier = NOW - 86400 * SECOND;

	assert_int_equal(gcra_used(tat, hourly, earlier), 200);
	assert_int_equal(gcra_wait_us(tat, hourly, 1, earlier), 18 * SECOND);
	tat = gcra_take(tat, hourly, 1, earlier);
	assert_int_equal(tat, earlier + 3600 * SECOND);
	assert_int_equal(gcra_used(tat, hourly, earlier + 1800 * SECOND), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_burst_and_pace),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_clock_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
