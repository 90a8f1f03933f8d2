/* test_elsewhere.c - bans that another node makes and lifts, in a store that several nodes share. */
#include "stored.h"
#include "visits.h"

#define HOUR 3600000ull

/* Another node's row: its ban ends `ms` from now. */
static void ban_elsewhere(const char *key, uint64_t ms, uint64_t length_ms)
{
	char sql[300];

	(void)snprintf(sql, sizeof sql,
		       "REPLACE INTO ban(key,level,until,reason,length) VALUES('%s',1,%llu,'of another node',%llu)", key,
		       (unsigned long long)(fake_now + ms), (unsigned long long)length_ms);
	store_sql(sql);
}

static struct accounting *of(struct harness *h)
{
	return &h->q->accounting;
}

static bool in_force(struct harness *h, const char *key)
{
	return ban_in_force(of(h), str_of(key), fake_now) != NULL;
}

/* One round, to its end. */
static void follow(struct harness *h)
{
	unsigned before = store_runs(REQUEST_BANS);

	bans_follow(of(h));
	UNTIL(h, store_runs(REQUEST_BANS) > before);
	run_quiet(h);
}

static void test_made_and_lifted(void **state)
{
	struct harness *h = *state;

	visits_begin(h);
	ban_elsewhere("login:bob", HOUR, HOUR);
	ban_elsewhere("breaker:alice@example.org", 100 * HOUR, HOUR);
	assert_false(in_force(h, "login:bob"));
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(stored(1)->held.n, 0);
	follow(h);
	assert_true(in_force(h, "login:bob"));
	assert_int_equal(submit_one(h, 2, "b@x.example").class, OK);
	assert_true(holds(stored(2)->held, "of another node"));
	store_sql("DELETE FROM ban");
	follow(h);
	assert_false(in_force(h, "login:bob"));
	assert_int_equal(submit_one(h, 3, "b@x.example").class, OK);
	assert_int_equal(stored(3)->held.n, 0);
}

/* What this node does while it reads is newer than what it reads. */
static void test_own_changes(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };

	visits_begin(h);
	ban_elsewhere("login:bob", HOUR, HOUR);
	follow(h);
	store_hold(REQUEST_BANS);
	bans_follow(of(h));
	ban_put(of(h), S("login:carl"), 1, fake_now, fake_now + HOUR, S("here"));
	(void)ban_lift(of(h), &a, ban_find(of(h), S("login:bob")));
	store_go_on();
	run_quiet(h);
	assert_true(in_force(h, "login:carl"));
	assert_null(ban_find(of(h), S("login:bob")));
	UNTIL(h, stored_ban("login:carl") != NULL);
	follow(h);
	assert_true(in_force(h, "login:carl"));
	arena_fini(&a);
}

/* The other node's clock can be a minute ahead; an hour is a wrong clock, as in a row of this node. */
static void test_clocks(void **state)
{
	struct harness *h = *state;

	visits_begin(h);
	ban_elsewhere("login:bob", HOUR + 60000, HOUR);
	ban_elsewhere("login:carl", 3 * HOUR, HOUR);
	follow(h);
	assert_true(in_force(h, "login:bob"));
	assert_int_equal(ban_find(of(h), S("login:bob"))->until, fake_now + HOUR);
	assert_false(in_force(h, "login:carl"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_and_lifted, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_own_changes, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_clocks, harness_setup_alone, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
