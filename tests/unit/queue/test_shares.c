/* test_shares.c - entries of a route with weights: their shares in the long run, and when one of them is closed. */
#include "stored.h"

static struct rate two_a_minute[] = { { 2, 60000 } };
static struct cfg_upstream upstreams[] = {
	{ .name = { "ses", 3 }, .connections = 5 },
	{ .name = { "mailgun", 7 }, .connections = 5 },
};
static struct str pool[] = { { "ses:3", 5 }, { "mailgun:1", 9 }, { "mx", 2 } };
static struct cfg_route routes[] = { { .via = { pool, 3 } } };

static const struct verdict fine = { .class = OK, .code = 250, .text = { "Ok", 2 } };

static void apply(struct harness *h, struct rate_list mailgun)
{
	upstreams[1].messages = mailgun;
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	h->config.routes = routes;
	h->config.routes_n = 1;
	queue_ops.apply(harness_role());
}

static int setup(void **state)
{
	struct harness *h = harness_new();

	connect_submission(h);
	connect_relay(h);
	apply(h, (struct rate_list){ 0 });
	*state = h;
	return 0;
}

static struct delivery *next_delivery(struct harness *h, size_t n)
{
	UNTIL(h, h->deliveries_n > n);
	return &h->deliveries[n];
}

static bool is_by(const struct delivery *d, const char *route)
{
	return str_eq(d->route, str_of(route));
}

/* Send `n` messages one after the other, all delivered. Returns how many of them went by mailgun; none went by mx. */
static unsigned send_by_mailgun(struct harness *h, uint64_t first_id, unsigned n)
{
	unsigned by_mailgun = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t number = h->deliveries_n;
		struct delivery *d;

		submit_and_wait(h, first_id + i, "a@example.org", "b@x.example");
		d = next_delivery(h, number);
		by_mailgun += is_by(d, "upstream:mailgun");
		assert_true(is_by(d, "upstream:mailgun") || is_by(d, "upstream:ses"));
		answer(h, d, fine);
		UNTIL(h, d->settled);
	}
	return by_mailgun;
}

/* At each moment no share is more than one message away from what it should be, also when many messages are under way. */
static void test_long_run(void **state)
{
	struct harness *h = *state;
	unsigned by_mailgun = 0;
	size_t answered = 0;

	for (uint64_t id = 1; id <= 400; id++)
		submit(h, id, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	for (; answered < 400; answered++) {
		struct delivery *d = next_delivery(h, answered);

		by_mailgun += is_by(d, "upstream:mailgun");
		answer(h, d, fine);
	}
	UNTIL(h, h->settled_n == 400);
	if (by_mailgun < 99 || by_mailgun > 101)
		fail_msg("%u of 400 by mailgun", by_mailgun);
	assert_true(str_search(harness_stats(h), S("75 % of all; its share is 75 %")) < harness_stats(h).n);
	for (unsigned sent = 0; sent < 20; sent++) {
		by_mailgun += send_by_mailgun(h, 1000 + sent, 1);
		assert_in_range(4 * by_mailgun, 400 + sent + 1 - 4, 400 + sent + 1 + 4);
	}
}

/* One that is down gets nothing; when it is back, it gets its share and does not catch up. What came to nothing does not count. */
static void test_down_and_back(void **state)
{
	struct harness *h = *state;
	size_t number;

	assert_int_equal(send_by_mailgun(h, 1, 8), 2);
	do {
		number = h->deliveries_n;
		submit_and_wait(h, 100 + number, "a@example.org", "b@x.example");
		if (is_by(next_delivery(h, number), "upstream:ses"))
			answer(h, &h->deliveries[number], fine);
	} while (!is_by(&h->deliveries[number], "upstream:mailgun"));
	answer_fault(h, &h->deliveries[number], FAULT_POLICY, "daily quota");
	assert_true(is_by(next_delivery(h, number + 1), "upstream:ses"));
	answer(h, &h->deliveries[number + 1], fine);
	UNTIL(h, h->deliveries[number + 1].settled);
	assert_int_equal(send_by_mailgun(h, 200, 40), 0);
	fake_now = harness_nexthop(h, "upstream:mailgun")->down_until;
	assert_in_range(send_by_mailgun(h, 300, 8), 2, 3);
	assert_int_equal(harness_nexthop(h, "upstream:mailgun")->status, NEXTHOP_UP);
	assert_int_equal(send_by_mailgun(h, 400, 40), 10);
}

/* At its limit it is passed by; all closed: the next step. */
static void test_limit(void **state)
{
	struct harness *h = *state;

	apply(h, (struct rate_list){ two_a_minute, 1 });
	assert_int_equal(send_by_mailgun(h, 1, 40), 2);
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	answer_fault(h, next_delivery(h, 40), FAULT_UNREACHABLE, "refused");
	assert_true(is_by(next_delivery(h, 41), "mx:x.example"));
	answer(h, &h->deliveries[41], fine);
}

/* Recipients of one message stay together. */
static void test_together(void **state)
{
	struct harness *h = *state;
	unsigned by_mailgun = 0;

	for (size_t i = 0; i < 8; i++) {
		struct delivery *d;

		submit_and_wait(h, 1 + i, "a@example.org", "b@x.example c@y.example d@z.example e@x.example");
		d = next_delivery(h, i);
		assert_int_equal(d->n, 4);
		by_mailgun += is_by(d, "upstream:mailgun");
		answer(h, d, fine);
		UNTIL(h, d->settled);
	}
	assert_int_equal(by_mailgun, 2);
}

/* An entry of the old form after one with a weight is a step of its own; "mx" can have a weight too. */
static void test_steps(void **state)
{
	static struct str mixed[] = { { "a", 1 }, { "b:1", 3 }, { "mx:1000", 7 }, { "c", 1 }, { "d:2", 3 } };
	struct harness *h = *state;
	struct dispatch *d = &h->q->dispatch;
	const struct str_list via = { mixed, 5 };

	assert_null(step_get(d, &via, 0));
	assert_null(step_get(d, &via, 3));
	assert_int_equal(step_get(d, &via, 1)->n, 2);
	assert_int_equal(step_get(d, &via, 4)->n, 1);
	assert_string_equal(step_get(d, &via, 1)->name, "b:1,mx:1000");
	assert_int_equal(step_get(d, &via, 1)->shares[1].via.weight, 1000);
	assert_ptr_equal(step_get(d, &via, 1), step_get(d, &via, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_long_run, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_down_and_back, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
