/* test_slot_rule.c - connections that nodes share, without a database: each test is one gate, whose rows several nodes change one
 * after another, as they do under the lock. */
#include "../../../support/unit.h"

#include "slot_rule.h"

#include <stdlib.h>

#define NODES 5

static struct slot_row rows[NODES];
static uint64_t in_use[NODES];

/* What a node asks; then its relay uses what is allowed, as far as there is work. */
static struct slots_share ask(size_t i, struct slots_wish w)
{
	struct slots_share s;

	w.used = in_use[i];
	s = slots_divide(rows, NODES, &rows[i], &w);
	assert_true(s.held >= in_use[i] && s.keep <= s.held);
	assert_int_equal(s.held, rows[i].n);
	return s;
}

static void use(size_t i, uint64_t n)
{
	in_use[i] = n;
}

/* The same, until the surplus is closed and given up. */
static struct slots_share settle(size_t i, struct slots_wish w)
{
	struct slots_share s = ask(i, w);

	use(i, s.keep);
	return ask(i, w);
}

static uint64_t sum(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < NODES; i++)
		n += rows[i].n;
	return n;
}

static int setup(void **state)
{
	memset(rows, 0, sizeof rows);
	memset(in_use, 0, sizeof in_use);
	for (size_t i = 0; i < NODES; i++)
		rows[i].node = i + 1;
	return 0;
}

static void assert_held(uint64_t a, uint64_t b, uint64_t c)
{
	assert_int_equal(rows[0].n, a);
	assert_int_equal(rows[1].n, b);
	assert_int_equal(rows[2].n, c);
}

static void alone_a_node_has_what_it_wants(void **state)
{
	struct slots_share s = settle(0, (struct slots_wish){ .limit = 3, .wanted = 2 });

	assert_true(s.held == 2 && s.keep == 2 && !s.pressed && !rows[0].changed);
	s = settle(0, (struct slots_wish){ .limit = 3, .wanted = 9 });
	assert_true(s.held == 3 && s.keep == 3);
	s = settle(0, (struct slots_wish){ .limit = 3, .wanted = 0 });
	assert_true(s.held == 0 && rows[0].wanted == 0);
}

static void the_surplus_goes_to_who_waits(void **state)
{
	const struct slots_wish all = { .limit = 3, .wanted = 3 };
	struct slots_share s;

	(void)settle(0, all);
	assert_int_equal(settle(1, all).keep, 0);
	assert_int_equal(settle(2, all).keep, 0);
	assert_true(rows[1].turn < rows[2].turn);
	s = ask(0, all); /* its relay has not closed them */
	assert_true(s.held == 3 && s.keep == 1 && s.pressed);
	assert_held(3, 0, 0);
	use(0, 2);
	(void)ask(0, all);
	assert_held(2, 1, 0);
	use(0, 1);
	(void)ask(0, all);
	assert_held(1, 1, 1);
	/* the first one has no more work */
	assert_int_equal(settle(0, (struct slots_wish){ .limit = 3 }).held, 0);
	(void)settle(1, all);
	(void)settle(2, all);
	assert_held(0, 2, 1);
}

/* Others have what a node does not want of its part. */
static void who_wants_little_gets_little(void **state)
{
	const struct slots_wish all = { .limit = 10, .wanted = 10 };

	(void)settle(0, all);
	(void)settle(2, (struct slots_wish){ .limit = 10, .wanted = 1 });
	assert_int_equal(ask(0, all).keep, 9);
	(void)settle(0, all);
	assert_held(9, 0, 1);
	(void)settle(1, all);
	assert_int_equal(ask(0, all).keep, 5);
	(void)settle(0, all);
	assert_held(5, 4, 1);
}

static void one_connection_goes_round(void **state)
{
	unsigned turns[3] = { 0 };

	for (unsigned round = 0; round < 300; round++)
		for (size_t i = 0; i < 3; i++) {
			turns[i] += rows[i].n > 0;
			(void)settle(i, (struct slots_wish){ .limit = 1, .wanted = 4, .had_turn = rows[i].n > 0 });
			assert_true(sum() <= 1);
		}
	for (size_t i = 0; i < 3; i++)
		assert_in_range(turns[i], 90, 310);
}

/* Without a wish of others nobody gives a connection away, however long its turn is. */
static void a_turn_ends_only_for_others(void **state)
{
	const struct slots_wish w = { .limit = 1, .wanted = 1, .had_turn = true };

	assert_int_equal(settle(0, w).keep, 1);
	assert_int_equal(settle(0, w).keep, 1);
	(void)settle(1, w);
	assert_int_equal(settle(0, w).keep, 0);
	assert_held(0, 1, 0);
}

static void a_lower_limit_is_kept(void **state)
{
	for (size_t i = 0; i < 3; i++)
		(void)settle(i, (struct slots_wish){ .limit = 6, .wanted = 2 });
	assert_held(2, 2, 2);
	for (size_t i = 0; i < 3; i++)
		(void)settle(i, (struct slots_wish){ .limit = 2, .wanted = 2 });
	assert_held(1, 1, 0);
	assert_int_equal(settle(0, (struct slots_wish){ .limit = 0, .wanted = 2 }).held, 0); /* it is not configured any more */
}

/* Each node goes by its own limit: the higher one uses the rest. */
static void nodes_can_have_limits_of_their_own(void **state)
{
	for (unsigned round = 0; round < 6; round++) {
		(void)settle(1, (struct slots_wish){ .limit = 5, .wanted = 5 });
		(void)settle(0, (struct slots_wish){ .limit = 2, .wanted = 2 });
		assert_true(sum() <= 5);
	}
	assert_held(1, 4, 0);
	assert_false(rows[0].changed || rows[1].changed);
}

/* Whatever they want, and whenever their relays close: never more than the limit; when it is quiet, nobody lacks its part. */
static void any_order(void **state)
{
	srandom(7);
	for (unsigned run = 0; run < 3000; run++) {
		uint64_t limit = 1 + (uint64_t)random() % 7, want[NODES], wanting = 0;

		(void)setup(state);
		for (unsigned step = 0; step < 40; step++) {
			size_t i = (size_t)random() % NODES;
			struct slots_share s =
				ask(i, (struct slots_wish){
					       .limit = limit, .wanted = (uint64_t)random() % 9, .had_turn = random() % 2 });

			assert_true(sum() <= limit);
			if (in_use[i] < s.keep || random() % 2)
				use(i, s.keep);
		}
		for (size_t i = 0; i < NODES; i++) {
			want[i] = (uint64_t)random() % 9;
			wanting += want[i] > 0;
		}
		for (unsigned round = 0; round < 12; round++)
			for (size_t i = 0; i < NODES; i++)
				(void)settle(i, (struct slots_wish){ .limit = limit, .wanted = want[i] });
		for (size_t i = 0; i < NODES && wanting > 0; i++) {
			uint64_t part = limit / wanting;

			assert_true(rows[i].n >= (want[i] < part ? want[i] : part));
			for (size_t k = 0; k < NODES; k++) /* or others have as little */
				assert_true(rows[i].n >= want[i] || rows[k].n <= rows[i].n + 1);
			assert_false(rows[i].changed);
		}
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		CASE(alone_a_node_has_what_it_wants),     CASE(the_surplus_goes_to_who_waits), CASE(one_connection_goes_round),
		CASE(a_turn_ends_only_for_others),        CASE(a_lower_limit_is_kept),         CASE(any_order),
		CASE(nodes_can_have_limits_of_their_own), CASE(who_wants_little_gets_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
