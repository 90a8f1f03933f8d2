/* test_horizon.c - is it too late to end a text? */
#include "unit.h"

#include "horizon.h"

static void test_table(void **state)
{
	static const struct {
		struct horizon horizon;
		uint64_t epoch, now;
		bool past;
	} rows[] = {
		{ { 0, 0 }, 0, 1000, false },                                    /* no cluster */
		{ { 5, 1000 }, 0, 2000, false },                                 /* the delivery is of none */
		{ { 0, 0 }, 5, 0, true },                                        /* queue has said nothing so far */
		{ { 0, 9000 }, 5, 1000, true },                                  /* … and nothing that makes sense */
		{ { 5, 1000 }, 5, 999, false },  { { 5, 1000 }, 5, 1000, true }, /* at the horizon */
		{ { 5, 1000 }, 5, 1001, true },  { { 5, UINT64_MAX }, 5, UINT64_MAX - 1, false },
		{ { 6, 9000 }, 5, 1000, true }, /* declared dead, and back: others have its mail */
		{ { 4, 9000 }, 5, 1000, true }, /* the horizon of this epoch has not come so far */
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (horizon_is_past(&rows[i].horizon, rows[i].epoch, rows[i].now) != rows[i].past)
			fail_msg("row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
