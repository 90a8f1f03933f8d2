/* test_contained.c - what a login cannot do for long: mail over a limit that is held, warnings, breakers; and who hears of it. */
#include "stored.h"
#include "visits.h"

static struct rate three_an_hour[] = { { 3, 3600000 } }, ten_an_hour[] = { { 10, 3600000 } };

#define RULE   "messages 3/1h"
#define KEY    "user:alice@example.org"
#define MINUTE 60000ull

static void three_messages(struct harness *h)
{
	h->config.limits.messages = (struct rate_list){ three_an_hour, 1 };
}

/* Over the limit and held: accepted, not charged, told once. */
static void test_hold(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	h->config.limits.over = OVER_HOLD;
	visits_begin(h);
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	assert_int_equal(visit_reserving, 0);
	for (uint64_t id = 1; id <= 6; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	assert_int_equal(stored(3)->held.n, 0);
	for (uint64_t id = 4; id <= 6; id++) {
		assert_true(holds(stored(id)->held, "3 of 3 messages per hour"));
		assert_int_equal(recipient(id, 1)->state, RCPT_HELD);
	}
	assert_int_equal(stored_tat(KEY, RULE), (START_MS + 60 * MINUTE) * 1000);
	UNTIL(h, stored_notices(ALICE, "Mail is held") == 1 && stored_notices("postmaster@example.org", "queue release") == 1);
	fake_now += 20 * MINUTE;
	assert_int_equal(submit_one(h, 7, "b@x.example").class, OK);
	assert_int_equal(stored(7)->held.n, 0);
	assert_int_equal(submit_one(h, 8, "b@x.example").class, OK);
	assert_true(stored(8)->held.n > 0);
	run_quiet(h);
	assert_int_equal(stored_notices(ALICE, "Mail is held"), 1);
	fake_now += 61 * MINUTE;
	for (uint64_t id = 20; id <= 23; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	UNTIL(h, stored_notices(ALICE, "Mail is held") == 2);
}

static void ten_messages(struct harness *h)
{
	h->config.limits.messages = (struct rate_list){ ten_an_hour, 1 };
}

/* Four fifths are used: told once, also over a restart. */
static void test_warning(void **state)
{
	struct harness *h = *state;

	ten_messages(h);
	visits_begin(h);
	for (uint64_t id = 1; id <= 7; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	run_quiet(h);
	assert_int_equal(stored_notices(ALICE, "nearly used up"), 0);
	assert_int_equal(submit_one(h, 8, "b@x.example").class, OK);
	UNTIL(h, stored_notices(ALICE, "8 of 10 messages per hour") == 1);
	UNTIL(h, stored_notices("postmaster@example.org", "posthouse limits show alice@example.org") == 1);
	assert_int_equal(stored_bucket(KEY, "messages 10/1h")->warned_at, START_MS);
	assert_int_equal(submit_one(h, 9, "b@x.example").class, OK);
	run_quiet(h);
	assert_int_equal(stored_notices(ALICE, "nearly used up"), 1);
	h = visits_restart(state, ten_messages);
	assert_int_equal(submit_one(h, 10, "b@x.example").class, OK);
	run_quiet(h);
	assert_int_equal(stored_notices(ALICE, "nearly used up"), 1);
	fake_now += 61 * MINUTE;
	for (uint64_t id = 20; id <= 28; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	UNTIL(h, stored_notices(ALICE, "nearly used up") == 2);
}

/* Notices are signed like reports, and wait for vault. */
static void test_notice_waits(void **state)
{
	struct harness *h = *state;
	struct cfg_sign key = { .domain = S("relay.example.org"), .selector = S("p1"), .algorithm = DKIM_RSA_SHA256 };

	ten_messages(h);
	h->config.sign = &key;
	h->config.sign_n = 1;
	visits_begin(h);
	for (uint64_t id = 1; id <= 8; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	run_quiet(h);
	assert_int_equal(stored_notices(ALICE, ""), 0);
	connect_vault(h);
	UNTIL(h, stored_notices(ALICE, "") == 1 && stored_notices("postmaster@example.org", "") == 1);
	assert_int_equal(h->signs, 2);
	assert_true(str_eq(h->sign_domain, S("relay.example.org")));
	h->config.sign_n = 0;
}

static void breakers(struct harness *h)
{
	h->config.limits.breaker = BREAKER_ON;
	h->config.breaker.new_recipients = (struct rate){ 4, 3600000 };
	h->config.breaker.bounces = 30;
	h->config.breaker.networks = (struct rate){ 3, 3600000 };
}

/* Too many new recipients: this message, what waits, and what follows is held, until an administrator says otherwise. */
static void test_breaker_recipients(void **state)
{
	struct harness *h = *state;

	breakers(h);
	visits_begin(h);
	assert_int_equal(submit_one(h, 1, "a@x.example b@x.example c@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "a@x.example b@x.example c@x.example").class, OK);
	assert_int_equal(recipient(2, 1)->state, RCPT_WAITING);
	assert_int_equal(submit_one(h, 3, "d@x.example e@x.example").class, OK);
	assert_true(holds(stored(3)->held, "more than 4 new recipients per hour"));
	UNTIL(h, stored_ban("breaker:alice@example.org"));
	UNTIL(h, recipient(1, 1)->state == RCPT_HELD && recipient(2, 3)->state == RCPT_HELD);
	UNTIL(h, stored_notices(ALICE, "password") == 1 &&
			 stored_notices("postmaster@example.org", "limits reset alice@example.org") == 1);
	assert_true(holds(harness_stats(h), "breaker:alice@example.org=1"));
	h->login = S("bob@example.org");
	assert_int_equal(submit_one(h, 4, "b@x.example").class, OK);
	assert_int_equal(stored(4)->held.n, 0);
	h = visits_restart(state, breakers);
	h->login = S(ALICE);
	assert_int_equal(submit_one(h, 5, "a@x.example").class, OK);
	assert_true(stored(5)->held.n > 0);
	fake_now += 400ull * 86400000;
	assert_int_equal(submit_one(h, 6, "a@x.example").class, OK);
	assert_true(stored(6)->held.n > 0);
	assert_non_null(limit_row(limits_show(h, ALICE), "breaker:alice@example.org", "breaker"));
	assert_true(limits_reset(h, ALICE) >= 1);
	assert_int_equal(submit_one(h, 7, "a@x.example").class, OK);
	assert_int_equal(stored(7)->held.n, 0);
	assert_null(stored_ban("breaker:alice@example.org"));
}

/* Logins from many networks; the same ones again do not count. */
static void test_breaker_networks(void **state)
{
	struct harness *h = *state;
	char client[32];

	breakers(h);
	visits_begin(h);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 1; i <= 3; i++) {
			snprintf(client, sizeof client, "192.0.2.%u", i);
			assert_int_equal(admit(h, 10 * round + i, client).class, OK);
			assert_int_equal(log_in(h, 10 * round + i, ALICE, "", true).class, OK);
		}
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(stored(1)->held.n, 0);
	assert_int_equal(admit(h, 30, "192.0.2.4").class, OK);
	assert_int_equal(log_in(h, 30, ALICE, "", true).class, OK);
	assert_int_equal(submit_one(h, 2, "b@x.example").class, OK);
	assert_true(holds(stored(2)->held, "more than 3 client networks"));
}

/* Many recipients refused for good. */
static void test_breaker_bounces(void **state)
{
	struct harness *h = *state;
	char id[64];

	breakers(h);
	h->config.breaker.new_recipients.amount = 0;
	visits_begin(h);
	connect_relay(h);
	h->notify = NOTIFY_NEVER; /* no reports */
	for (uint64_t i = 1; i <= 26; i++) {
		snprintf(id, sizeof id, "r%u@x.example", (unsigned)i);
		assert_int_equal(submit_one(h, i, id).class, OK);
		UNTIL(h, h->deliveries_n == i);
		assert_int_equal(stored(i)->held.n, 0);
		if (i <= 18)
			answer(h, &h->deliveries[i - 1], ok_text(250, S("2.0.0"), S("Ok")));
		else if (i == 19)
			answer(h, &h->deliveries[i - 1], temp(450, S("4.2.1"), S("later"))); /* says nothing yet */
		else
			answer(h, &h->deliveries[i - 1], perm(550, S("5.1.1"), S("no such user")));
		UNTIL(h, h->deliveries[i - 1].settled);
	}
	assert_null(stored_ban("breaker:alice@example.org")); /* 7 of 25 */
	assert_int_equal(submit_one(h, 30, "x@x.example").class, OK);
	UNTIL(h, h->deliveries_n == 27);
	answer(h, &h->deliveries[26], perm(550, S("5.1.1"), S("no such user")));
	UNTIL(h, stored_ban("breaker:alice@example.org"));
	assert_true(holds(stored_ban("breaker:alice@example.org")->reason, "8 of its last 26 recipients"));
	assert_int_equal(submit_one(h, 31, "x@x.example").class, OK);
	assert_true(stored(31)->held.n > 0);
}

static void test_breaker_off(void **state)
{
	struct harness *h = *state;

	breakers(h);
	h->config.limits.breaker = BREAKER_OFF;
	visits_begin(h);
	assert_int_equal(submit_one(h, 1, "a@x b@x c@x d@x e@x f@x").class, OK);
	assert_int_equal(stored(1)->held.n, 0);
	assert_int_equal(store_runs(REQUEST_KNOWN), 0);
	assert_false(store_remembers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hold, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_warning, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_notice_waits, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_breaker_recipients, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_breaker_networks, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_breaker_bounces, harness_setup_alone, harness_teardown),
		cmocka_unit_test_setup_teardown(test_breaker_off, harness_setup_alone, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
