/* test_gcra.c - token buckets: bursts, the pace after them, returns, and clocks that jump. */
#include "posthouse/limit.h"

/* clang-format off */
#include "unit.h"
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

/* A state of a clock that was set back since by more than the window says nothing: the bucket is empty, at once, and whatever is done with
 * it makes a good state. */
static void test_clock_back(void **state)
{
	static const uint64_t backs[] = { 3601 * SECOND, 7200 * SECOND, 86400 * SECOND, 366 * 86400 * SECOND };

	for (size_t i = 0; i < sizeof backs / sizeof *backs; i++) {
		uint64_t tat = gcra_take(0, hourly, 10, NOW), earlier = NOW - backs[i];

		assert_int_equal(gcra_used(tat, hourly, earlier), 0);
		assert_int_equal(gcra_wait_us(tat, hourly, 1, earlier), 0);
		assert_int_equal(gcra_take(tat, hourly, 1, earlier), earlier + 18 * SECOND);
		assert_int_equal(gcra_return(tat, hourly, 1, earlier), earlier);
	}
	/* exactly full is no other clock's */
	assert_int_equal(gcra_wait_us(NOW + 3600 * SECOND, hourly, 1, NOW), 18 * SECOND);
	assert_int_equal(gcra_wait_us(NOW + 3600 * SECOND + 1, hourly, 1, NOW), 0);
}

static uint64_t random_number(void)
{
	static uint64_t x = 88172645463325252ull; /* xorshift: the same numbers in each run */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static const struct rate jumping[] = { { 200, 3600000 }, { 7, 60000 }, { 1, 60000 }, { 500, 86400000 }, { 1000, 600000 } };

/* So far a clock jumps: some seconds, an hour, a day, a year, either way. */
static uint64_t jump(uint64_t shown)
{
	static const uint64_t sizes[] = { 5 * SECOND, 3600 * SECOND, 86400 * SECOND, 366 * 86400 * SECOND };
	uint64_t by = sizes[random_number() % 4] + random_number() % SECOND;

	return random_number() % 2 ? shown + by : shown - by;
}

/* Somebody tries again and again, by a clock that jumps. However it does: what he hears is never more than one unit's time, he is never
 * shut out for longer than one window of true time, and between two jumps no more passes than a burst and the pace. */
static void test_jumping_clocks(void **state)
{
	for (size_t k = 0; k < sizeof jumping / sizeof *jumping; k++) {
		struct rate r = jumping[k];
		uint64_t window = r.window_ms * 1000, shown = NOW, tat = 0, passed = 0, since_jump = 0, shut = 0;

		for (int step = 0; step < 20000; step++) {
			uint64_t wait = gcra_wait_us(tat, r, 1, shown), forward = random_number() % (window / r.amount);

			assert_true(wait <= window / r.amount + 1);
			if (wait == 0) {
				tat = gcra_take(tat, r, 1, shown);
				passed++;
				shut = 0;
			}
			shown += forward;
			since_jump += forward;
			shut += forward;
			assert_true(shut <= window + window / r.amount);
			assert_true(passed <= r.amount + since_jump / (window / r.amount) + 1);
			if (random_number() % 100 == 0) {
				shown = jump(shown);
				passed = since_jump = 0;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),      cmocka_unit_test(test_burst_and_pace), cmocka_unit_test(test_return),
		cmocka_unit_test(test_clock_back), cmocka_unit_test(test_jumping_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
