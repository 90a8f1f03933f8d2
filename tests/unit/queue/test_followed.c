/* test_followed.c - a store that several nodes share: next hops that another node finds down or up, one node that probes, limits
 * that another node has charged or reset. What other nodes do is written beside the store. */
#include "stored.h"
#include "visits.h"

#include "posthouse/clock.h"

#define HOUR 3600000ull

static struct rate two_an_hour[] = { { 2, HOUR } };

static int setup(void **state)
{
	struct harness *h;

	store_has_nodes = true;
	store_be_node(&(struct store_node){
		.number = 2, .epoch = 1, .membership = 18, .state = STORE_NODE_UP, .horizon_ms = clock_boot_ms() + HOUR });
	h = harness_new();
	h->config.limits.messages = (struct rate_list){ two_an_hour, 1 };
	visits_begin(h);
	connect_relay(h);
	UNTIL(h, h->q->accounting.node == 2 && h->q->accounting.away_since == 0);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	harness_free(*state);
	store_has_nodes = false;
	return 0;
}

/* ---- next hops ---- */

static struct nexthop *isp(struct harness *h)
{
	return harness_nexthop(h, "upstream:isp");
}

/* Another node's row; failures 0: it works. */
static void gate_elsewhere(uint64_t down_until, unsigned failures)
{
	char sql[300];

	(void)snprintf(sql, sizeof sql,
		       "REPLACE INTO gate(name,down_until,failures,reason,last_ok_at,pause,told)"
		       " VALUES('upstream:isp',%llu,%u,'of another node',0,60000,0)",
		       (unsigned long long)down_until, failures);
	store_sql(sql);
}

/* A whole round that begins now. */
static void follow(struct harness *h)
{
	UNTIL(h, !h->q->dispatch.nexthops.reading);
	nexthops_follow(&h->q->dispatch);
	UNTIL(h, !h->q->dispatch.nexthops.reading);
}

static void test_gate(void **state)
{
	struct harness *h = *state;

	gate_elsewhere(fake_now + 60000, 3);
	follow(h);
	assert_int_equal(isp(h)->status, NEXTHOP_DOWN);
	assert_int_equal(isp(h)->failures, 3);
	assert_string_equal(isp(h)->reason, "of another node");
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);

	/* it has been probed elsewhere, and failed; then it works */
	gate_elsewhere(fake_now + 90000, 4);
	follow(h);
	assert_int_equal(isp(h)->down_until, fake_now + 90000);
	assert_int_equal(isp(h)->failures, 4);
	gate_elsewhere(0, 0);
	UNTIL(h, h->deliveries_n == 1);
	assert_int_equal(isp(h)->status, NEXTHOP_UP);
	assert_int_equal(store_runs(REQUEST_GATE_PUT), 0);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries[0].settled);
}

/* What this node does while it reads is newer than what it reads. */
static void test_own_changes(void **state)
{
	struct harness *h = *state;

	follow(h);
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	UNTIL(h, h->deliveries_n == 1);
	store_hold(REQUEST_GATES);
	nexthops_follow(&h->q->dispatch);
	answer_gate(h, &h->deliveries[0], "connection refused");
	UNTIL(h, isp(h)->status == NEXTHOP_DOWN);
	store_go_on();
	UNTIL(h, stored_gate("upstream:isp") != NULL);
	follow(h);
	assert_int_equal(isp(h)->status, NEXTHOP_DOWN);
	assert_int_equal(isp(h)->failures, 1);
}

static void test_one_probes(void **state)
{
	struct harness *h = *state;

	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	UNTIL(h, h->deliveries_n == 1);
	answer_gate(h, &h->deliveries[0], "connection refused");
	UNTIL(h, h->deliveries[0].settled && stored_gate("upstream:isp") != NULL);

	/* the other node is faster */
	UNTIL(h, !h->q->dispatch.nexthops.reading);
	(void)uv_timer_stop(&h->q->dispatch.nexthops.follow);
	gate_elsewhere(isp(h)->down_until + 120000, 1);
	advance(h, isp(h)->down_until - fake_now);
	UNTIL(h, store_runs(REQUEST_GATE_CLAIM) == 1);
	follow(h);
	assert_int_equal(isp(h)->status, NEXTHOP_DOWN);
	assert_int_equal(isp(h)->down_until, fake_now + 120000);
	assert_int_equal(h->deliveries_n, 1);

	/* it does not come back: this one probes, and the others are told so */
	advance(h, 120000);
	UNTIL(h, h->deliveries_n == 2);
	assert_int_equal(store_runs(REQUEST_GATE_CLAIM), 2);
	assert_int_equal(isp(h)->status, NEXTHOP_PROBING);
	assert_int_equal(stored_gate("upstream:isp")->down_until, fake_now + 30000);
	follow(h);
	assert_int_equal(isp(h)->status, NEXTHOP_PROBING);
	answer(h, &h->deliveries[1], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries[1].settled);
	assert_int_equal(isp(h)->status, NEXTHOP_UP);
	assert_int_equal(stored_gate("upstream:isp")->failures, 0);
}

/* ---- limits ---- */

static void bucket_elsewhere(const char *key, const char *rule, uint64_t tat_us)
{
	char sql[300];

	(void)snprintf(sql, sizeof sql, "REPLACE INTO bucket(key,rule,tat_us,warned_at) VALUES('%s','%s',%llu,0)", key, rule,
		       (unsigned long long)tat_us);
	store_sql(sql);
}

/* The other node has lifted the limit; here two messages are known to be used up. */
static void test_reset(void **state)
{
	struct harness *h = *state;

	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 3, "b@x.example").class, TEMP);
	store_sql("DELETE FROM bucket");
	bucket_elsewhere(RESET_KEY, RESET_RULE, fake_now * 1000);
	UNTIL(h, h->q->accounting.buckets.reset_at_us == fake_now * 1000 && !h->q->accounting.buckets.reading);
	assert_int_equal(submit_one(h, 4, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 5, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 6, "b@x.example").class, TEMP);
}

/* What only other nodes have charged is shown here, and is reset here. The others are told. */
static void test_shown(void **state)
{
	struct harness *h = *state;
	const struct limit_rows *rows;

	bucket_elsewhere("user:carl@example.org", "messages 2/1h", fake_now * 1000 + HOUR * 500);
	rows = limits_show(h, "carl@example.org");
	assert_non_null(limit_row(rows, "user:carl@example.org", "messages 2/1h"));
	assert_int_equal(limit_row(rows, "user:carl@example.org", "messages 2/1h")->used, 1);
	bucket_elsewhere("user:carl@example.org", "messages 2/1h", fake_now * 1000 + HOUR * 1000);
	assert_int_equal(limit_row(limits_show(h, ""), "user:carl@example.org", "messages 2/1h")->used, 2);

	bucket_elsewhere("user:dora@example.org", "messages 2/1h", fake_now * 1000 + HOUR * 500);
	assert_int_equal(limits_reset(h, "dora@example.org"), 1);
	assert_int_equal(stored_tat("user:dora@example.org", "messages 2/1h"), 0);
	assert_int_equal(stored_tat(RESET_KEY, RESET_RULE), fake_now * 1000);
	assert_int_equal(stored_tat("user:carl@example.org", "messages 2/1h"), fake_now * 1000 + HOUR * 1000);
}

/* Without the database they are shown as of then, and not reset. */
static struct verdict reset_answer;
static uint64_t shown_as_of;
static unsigned answered;

static void on_shown(void *ctx, struct verdict v, const struct msg_limits_rows *m, int fd)
{
	assert_int_equal(m->verdict.class, OK);
	assert_int_equal(m->node, 2);
	shown_as_of = m->as_of;
	answered++;
}

static void on_reset(void *ctx, struct verdict v, const struct msg_limits_were_reset *m, int fd)
{
	reset_answer = verdict_keep(&((struct harness *)ctx)->arena, m->verdict);
	answered++;
}

static void test_away(void **state)
{
	struct harness *h = *state;

	store_be_node(&(struct store_node){ .number = 2, .epoch = 1, .state = STORE_NODE_AWAY });
	UNTIL(h, h->q->accounting.away_since != 0);
	ipc_call_limits_page(h->console, &(struct msg_limits_page){ 0 }, -1, on_shown, h);
	ipc_call_limits_reset(h->console, &(struct msg_limits_reset){ 0 }, -1, on_reset, h);
	UNTIL(h, answered == 2);
	assert_int_equal(shown_as_of, h->q->accounting.away_since);
	assert_int_equal(reset_answer.code, 451);
	assert_true(holds(reset_answer.text, "cannot be reached by this node, number 2, since 20"));
}

#define NODE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODE_TEST(test_gate),  NODE_TEST(test_own_changes), NODE_TEST(test_one_probes),
		NODE_TEST(test_reset), NODE_TEST(test_shown),       NODE_TEST(test_away),
	};

	return cmocka_run_group_tests_name("followed", tests, NULL, NULL);
}
