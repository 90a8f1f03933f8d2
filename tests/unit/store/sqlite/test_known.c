/* test_known.c - the table of the recipients that a login has written to. */
#include "sql.h"

#include "posthouse/units.h"

static void accept_remembered(struct fixture *f, uint64_t id, const char *to, uint64_t received_at)
{
	struct accepted *m = message(f, id, to);

	m->remember = true;
	m->received_at = received_at;
	assert_int_equal(accept_now(f, m).class, OK);
}

/* The table has no address. */
static void addresses_are_hashed(void **state)
{
	struct fixture *f = *state;

	accept_remembered(f, 100, "b@a.org c@b.org", clock_now_ms());
	assert_str(fixture_sql(f, "SELECT count(*) FROM known WHERE login='alice' AND typeof(hash)='integer'"), "2");
	assert_str(fixture_sql(f, "SELECT count(*) FROM known WHERE login||hash LIKE '%@%'"), "0");
}

/* A login that writes to ever more addresses does not fill the disk: the older ones are forgotten, nobody else's are. */
static void of_too_many_the_older_are_forgotten(void **state)
{
	struct fixture *f = *state;
	unsigned long long now = clock_now_ms(), old = now - 100 * DAY_MS;
	unsigned calls = 0;

	accept_remembered(f, 100, "b@a.org", now);
	fixture_sql(
		f,
		arena_cstr(
			&f->arena,
			arena_printf(&f->arena,
				     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<100999)"
				     " INSERT INTO known SELECT 'alice', random(), CASE WHEN i%%2 THEN %llu ELSE %llu END FROM n",
				     old, now)));
	fixture_sql(f, "INSERT INTO known SELECT 'bob', hash, last_at FROM known WHERE login='alice' LIMIT 1000");
	while (prune_now(f, NOW, 500) > 0)
		assert_true(++calls < 1000);
	for (unsigned i = 0; i < 50; i++) /* a look may begin at the end of the rows and find none */
		while (prune_now(f, NOW, 500) > 0)
			assert_true(++calls < 1000);
	assert_str(fixture_sql(f, "SELECT count(*) BETWEEN 99500 AND 100000 FROM known WHERE login='alice'"), "1");
	assert_str(
		fixture_sql(f, arena_cstr(&f->arena,
					  arena_printf(&f->arena,
						       "SELECT count(*) FROM known WHERE login='alice' AND last_at>=%llu", now))),
		"50500");
	assert_str(fixture_sql(f, "SELECT count(*) FROM known WHERE login='bob'"), "1000");
	assert_str(known(f, "alice", "b@a.org"), "yes");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(addresses_are_hashed), CASE(of_too_many_the_older_are_forgotten) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
