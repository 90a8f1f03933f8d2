/* test_setback.c - the clock is set back, while the queue runs or while it does not: nothing stays closed for as long as it went back. */
#include "stored.h"
#include "visits.h"

#define MONTHS_MS (300 * DAY_MS) /* further back, the clock counts as not set */

static struct rate hourly[] = { { 200, 3600000 } }, upstream_hourly[] = { { 30, 60000 } };
static struct cfg_limits_user users[] = { { .user = { "alice@example.org", 17 }, .messages = { hourly, 1 } } };
static struct cfg_upstream upstreams[] = { { .name = { "isp", 3 }, .connections = 2, .messages = { upstream_hourly, 1 } } };
static const uint64_t backs[] = { HOUR_MS + 60 * SECOND_MS, DAY_MS + 1, MONTHS_MS };

static void configure(struct harness *h)
{
	h->config.auth.failures = (struct rate){ 2, 600000 };
	h->config.breaker.new_recipients = (struct rate){ 20, 3600000 };
	h->config.breaker.networks = (struct rate){ 4, 3600000 };
	h->config.limits.users = users;
	h->config.limits.users_n = 1;
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 1;
	h->login = S(ALICE);
	queue_ops.apply(harness_role());
	connect_submission(h);
	connect_console(h);
	UNTIL(h, accounting_is_ready(&h->q->accounting) && h->q->dispatch.nexthops.known);
}

static int setup(void **state)
{
	struct harness *h = harness_new();

	configure(h);
	*state = h;
	return 0;
}

/* One of each kind, by a clock that is ahead: a message sent, a client banned, a next hop down. */
static void do_all(struct harness *h)
{
	connect_relay(h);
	assert_int_equal(submit_one(h, 1, "b@x.example c@y.example").class, OK);
	UNTIL(h, h->deliveries_n >= 1);
	for (size_t i = 0; i < h->deliveries_n; i++)
		answer_gate(h, &h->deliveries[i], "timed out");
	UNTIL(h, harness_nexthop(h, "upstream:isp")->status == NEXTHOP_DOWN);
	for (uint64_t s = 1; s <= 3; s++) {
		assert_int_equal(admit(h, s, "192.0.2.1").class, OK);
		(void)log_in(h, s, "mallory@example.org", "", false);
	}
	assert_int_equal(admit(h, 9, "192.0.2.1").code, 421);
	assert_int_equal(admit(h, 10, "192.0.2.9").class, OK);
	assert_int_equal(log_in(h, 10, ALICE, "", true).class, OK);
}

/* Nothing of it is closed now, and the store has no time that is too far ahead. */
static void assert_all_open(struct harness *h)
{
	struct nexthop *g = harness_nexthop(h, "upstream:isp");

	nexthop_tick(g, fake_now);
	assert_int_equal(g->status, NEXTHOP_PROBING);
	assert_int_equal(admit(h, 11, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 11, "bob@example.org", "", true).class, OK);
	assert_int_equal(submit_one(h, 3, "d@z.example").class, OK);
	assert_null(stored_ban("breaker:" ALICE));
	assert_int_equal(limit_row(limits_show(h, ALICE), "user:" ALICE, "messages 200/1h")->used, 1);
	assert_int_equal(limit_row(limits_show(h, ALICE), "user:" ALICE, "messages 200/1h")->wait_ms, 0);
	run_quiet(h);
	assert_true(stored_number("SELECT max(tat_us) FROM bucket") <= (fake_now + 30 * DAY_MS) * 1000);
	assert_true(stored_number("SELECT max(until) FROM ban") <= fake_now);
	assert_true(stored_gate("upstream:isp")->down_until <= fake_now);
}

/* Set back while it runs. */
static void test_running(void **state)
{
	for (size_t i = 0; i < sizeof backs / sizeof *backs; i++) {
		struct harness *h = *state;
		size_t deliveries;
		unsigned mends;

		do_all(h);
		mends = store_runs(REQUEST_MEND);
		deliveries = h->deliveries_n;
		fake_now -= backs[i];
		UNTIL(h, store_runs(REQUEST_MEND) > mends);
		UNTIL(h, h->deliveries_n > deliveries); /* what waits goes at once */
		assert_all_open(h);
		harness_free(h);
		*state = h = harness_new();
		configure(h);
	}
}

/* Set back before it is started again. */
static void test_restarted(void **state)
{
	for (size_t i = 0; i < sizeof backs / sizeof *backs; i++) {
		struct harness *h = *state;

		do_all(h);
		run_quiet(h);
		*state = h = harness_again(h, START_MS - backs[i]);
		configure(h);
		UNTIL(h, store_runs(REQUEST_MEND) > 0 && !h->q->setback.mending);
		assert_all_open(h);
		harness_free(h);
		*state = h = harness_new();
		configure(h);
	}
}

/* A step that is small, or forward, mends nothing: pauses, bans and limits last as long as they should. */
static void test_forward(void **state)
{
	struct harness *h = *state;
	uint64_t looks = h->q->setback.seen;

	do_all(h);
	fake_now += 1500;
	UNTIL(h, h->q->setback.seen > looks);
	fake_now -= 1500;
	looks = uv_hrtime();
	UNTIL(h, uv_hrtime() > looks + 1200000000ull);
	assert_int_equal(store_runs(REQUEST_MEND), 0);
	assert_int_equal(admit(h, 11, "192.0.2.1").code, 421);
	assert_false(nexthop_is_open(harness_nexthop(h, "upstream:isp"), fake_now));
	assert_true(nexthop_is_open(harness_nexthop(h, "upstream:isp"), fake_now + 5000));
}

/* Two thousand messages that finish each second are forgotten as fast: what is left is not put off by seconds. */
static void test_pruning_keeps_up(void **state)
{
	struct harness *h = *state;

	harness_stop(h, 50);
	UNTIL(h, harness_stopped(h));
	store_sql("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n<20000)"
		  " INSERT INTO message(id,token,kind,parent,received_at,expires_at,warn_at,login,device,origin,sender,envid,ret,"
		  "body,utf8,options,priority,sign_domain,size,header_size,place,recipients,open,finished_at,prefix)"
		  " SELECT n,1,0,0,1,1,0,'','','','','',0,0,0,0,0,'',1,1,0,0,0,1,x'' FROM i");
	h = *state = harness_again(h, START_MS);
	configure(h);
	UNTIL(h, stored_messages() == 0); /* within the five seconds that UNTIL waits: it would be forty */
	assert_true(store_runs(REQUEST_PRUNE) >= 40);
}

static void test_windows(void **state)
{
	static const struct {
		const char *rule;
		uint64_t ms;
	} rows[] = { { "messages 200/1h", 3600000 },
		     { "30/1m", 60000 },
		     { "told bytes 50M/2d", 172800000 },
		     { "failures 3/10m", 600000 },
		     { "7/500ms", 500 },
		     { "breaker networks 4/90s", 90000 },
		     { "network 192.0.2.1", 0 },
		     { "network 2001:db8::/64", 0 },
		     { "", 0 },
		     { "/", 0 },
		     { "3/h", 0 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(window_of_rule(str_of(rows[i].rule)), rows[i].ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_running, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_restarted, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_forward, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_pruning_keeps_up, setup, harness_teardown),
		cmocka_unit_test(test_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
