/* test_damage.c - rows that the store has not written so: it must not fail by them, and what they say is told. */
#include "sql.h"

/* No message has such a priority. Until the next start the lanes are not found, but nothing fails; then their mail goes on. */
static void a_priority_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	struct answer lanes;

	assert_int_equal(accept_to(f, 100, "b@low.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@high.org").class, OK);
	fixture_sql(f, "UPDATE lane SET priority=-1000 WHERE domain='low.org'");
	fixture_sql(f, "UPDATE lane SET priority=5000 WHERE domain='high.org'");
	fixture_sql(f, "UPDATE message SET priority=1000000000000");
	assert_int_equal(lanes_now(f, NOW, 10).v.class, OK);
	fixture_reopen(f);
	assert_str(domains(f, lanes_now(f, NOW, 10)), "high.org low.org");
	lanes = lease_now(f, lane_of(f, "low.org"), NOW, 10);
	assert_int_equal(lanes.n, 1);
	assert_int_equal(((const struct due_message *)lanes.rows)->envelope.priority, PRIORITY_MAX);
	fixture_close(f);
}

/* The last reply of a recipient has a class that verdicts do not have: it counts as a temporary one. */
static void a_class_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	const struct recipient_row *row;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	fixture_sql(f, "UPDATE recipient SET class=77, code=250, enhanced='2.0.0', reply='ok'");
	row = show_now(f, 100, 0, 10).rows;
	assert_int_equal(row->verdict.class, TEMP);
	fixture_close(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_priority_that_does_not_exist),
		CASE(a_class_that_does_not_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
