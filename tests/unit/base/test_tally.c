/* test_tally.c - counting by label and by duration. */
#include "unit.h"

#include "posthouse/tally.h"

#include <stdio.h>

static void test_labels(void **state)
{
	struct tally t = { 0 };

	tally_count(&t, S("2.0.0"));
	tally_count(&t, S("5.1.1"));
	tally_count(&t, S("2.0.0"));
	assert_int_equal(t.n, 2);
	assert_string_equal(t.of[0].label, "2.0.0");
	assert_int_equal(t.of[0].n, 2);
	assert_int_equal(t.of[1].n, 1);
}

/* A label that is too long is cut, and still one label. */
static void test_long_label(void **state)
{
	struct tally t = { 0 };

	tally_count(&t, S("0123456789012345678901234567890123456789"));
	tally_count(&t, S("0123456789012345678901234567890123456789"));
	assert_int_equal(t.n, 1);
	assert_int_equal(t.of[0].n, 2);
	assert_int_equal(strlen(t.of[0].label), TALLY_LABEL_MAX);
}

static void test_full_table(void **state)
{
	struct tally t = { 0 };
	char label[16];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < TALLY_MAX + 10; i++) {
			snprintf(label, sizeof label, "%d", i);
			tally_count(&t, str_of(label));
		}
	}
	assert_int_equal(t.n, TALLY_MAX);
	assert_int_equal(t.of[TALLY_MAX - 1].n, 2);
	assert_int_equal(t.others, 20);
}

static void test_durations(void **state)
{
	struct histogram h = { 0 };

	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bounds_ms[i - 1] < histogram_bounds_ms[i]);
	assert_true(histogram_ninth_decile_ms(&h) == UINT64_MAX);
	histogram_count(&h, 0);
	histogram_count(&h, histogram_bounds_ms[0]);
	assert_int_equal(h.of[0], 2);
	for (int i = 0; i < 7; i++)
		histogram_count(&h, histogram_bounds_ms[3]);
	assert_true(histogram_ninth_decile_ms(&h) == histogram_bounds_ms[3]);
	histogram_count(&h, histogram_bounds_ms[HISTOGRAM_BOUNDS - 1] + 1);
	histogram_count(&h, histogram_bounds_ms[HISTOGRAM_BOUNDS - 1] + 1);
	assert_int_equal(h.of[HISTOGRAM_BOUNDS], 2);
	assert_int_equal(h.n, 11);
	assert_true(histogram_ninth_decile_ms(&h) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_long_label),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
