/* test_limits.c - upstreams that take only so many messages and recipients in a time, and only so many recipients at once. */
#include "stored.h"

static struct rate two_a_minute[] = { { 2, 60000 } }, both_rates[] = { { 3, 60000 }, { 4, 86400000 } },
		   five_a_minute[] = { { 5, 60000 } };
static struct cfg_upstream upstreams[] = {
	{ .name = { "isp", 3 }, .connections = 5, .messages = { two_a_minute, 1 } },
	{ .name = { "two", 3 }, .connections = 5 },
};
static struct str both[] = { { "isp", 3 }, { "two", 3 } };
static struct cfg_route routes[] = { { .via = { both, 1 } } };

/* The first `ways` of the two. */
static void use_ways(struct harness *h, size_t ways)
{
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	routes[0].via.n = ways;
	h->config.routes = routes;
	h->config.routes_n = 1;
	queue_ops.apply(harness_role());
}

static int setup(void **state)
{
	struct harness *h = harness_new();

	upstreams[0].messages = (struct rate_list){ two_a_minute, 1 };
	upstreams[0].recipients = (struct rate_list){ NULL, 0 };
	upstreams[0].warmup = (struct cfg_warmup){ 0, 0 };
	routes[0].via = (struct str_list){ both, 1 };
	upstreams[0].recipients_per_message = upstreams[0].message_size = 0;
	use_ways(h, 1);
	connect_submission(h);
	connect_relay(h);
	*state = h;
	return 0;
}

static const struct verdict fine = { .class = OK, .code = 250, .text = { "Ok", 2 } };

static void finish(struct harness *h, size_t i)
{
	answer(h, &h->deliveries[i], fine);
	UNTIL(h, h->deliveries[i].settled);
}

/* Two at once, then one each 30 seconds; nothing is written for those that wait. */
static void test_waits(void **state)
{
	struct harness *h = *state;
	unsigned settles;

	for (uint64_t id = 1; id <= 5; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	finish(h, 0);
	finish(h, 1);
	settles = store_runs(REQUEST_SETTLE);
	for (size_t i = 2; i < 5; i++) {
		advance(h, 29999);
		delivery_number(h, i);
		advance(h, 1);
		delivery_number(h, i + 1);
		finish(h, i);
	}
	assert_int_equal(store_runs(REQUEST_SETTLE), settles + 3);
	assert_int_equal(stored_tat("upstream:isp", "2/1m"), (START_MS + 90000 + 60000) * 1000);
	assert_true(str_search(harness_stats(h), S("limit upstream:isp 2/1m=2 of 2/1m; the next one in 30 seconds")) <
		    harness_stats(h).n);
}

/* The next way takes what the first one may not. */
static void test_next_way(void **state)
{
	struct harness *h = *state;
	size_t first = 0;

	use_ways(h, 2);
	for (uint64_t id = 1; id <= 5; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	delivery_number(h, 5);
	for (size_t i = 0; i < 5; i++)
		first += str_eq(h->deliveries[i].route, S("upstream:isp"));
	assert_int_equal(first, 2);
	advance(h, 30000);
	submit_and_wait(h, 6, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 6)->route, S("upstream:isp")));
}

/* All rates hold; a delivery to many recipients is one message. */
static void test_several_rates(void **state)
{
	struct harness *h = *state;

	upstreams[0].messages = (struct rate_list){ both_rates, 2 };
	use_ways(h, 1);
	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example c@x.example d@y.example");
	delivery_number(h, 3);
	assert_int_equal(h->deliveries[0].n, 3);
	advance(h, 60000);
	delivery_number(h, 4);
	advance(h, 3600000);
	delivery_number(h, 4);
	advance(h, 21600000);
	delivery_number(h, 5);
}

/* Charged durably before it is sent. */
static void test_charge_first(void **state)
{
	struct harness *h = *state;

	store_hold(REQUEST_BUCKET_PUT);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	assert_int_equal(h->q->dispatch.leases.count, 1);
	store_go_on();
	delivery_number(h, 1);
	assert_int_equal(stored_tat("upstream:isp", "2/1m"), (START_MS + 30000) * 1000);
}

/* What came to nothing is given back: an upstream that is down, a delivery that was dropped. What was refused was sent. */
static void test_returned(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_gate(h, delivery_number(h, 1), "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	UNTIL(h, stored_tat("upstream:isp", "2/1m") == START_MS * 1000);
	advance(h, 5000);
	answer(h, delivery_number(h, 2), temp(0, S(""), S("withdrawn")));
	UNTIL(h, h->deliveries[1].settled);
	answer(h, delivery_number(h, 3), temp(450, S("4.2.2"), S("mailbox full")));
	UNTIL(h, h->deliveries[2].settled);
	UNTIL(h, stored_tat("upstream:isp", "2/1m") == (START_MS + 35000) * 1000);
	disconnect(h, &h->relay);
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	assert_int_equal(stored_tat("upstream:isp", "2/1m"), (START_MS + 35000) * 1000);
}

/* A restart forgets nothing; a reload with the same rate neither. */
static void test_remembered(void **state)
{
	struct harness *h = *state;
	uint64_t tat;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	finish(h, 0);
	finish(h, 1);
	use_ways(h, 1);
	submit_and_wait(h, 3, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	tat = stored_tat("upstream:isp", "2/1m");
	assert_int_equal(tat, (START_MS + 60000) * 1000);
	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, START_MS);
	use_ways(h, 1);
	connect_submission(h);
	connect_relay(h);
	submit_and_wait(h, 4, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	advance(h, 30000);
	delivery_number(h, 1);
	assert_int_equal(stored_tat("upstream:isp", "2/1m"), tat + 30000000);
}

/* The upstream counts recipients: five in a minute, then one each 12 seconds. */
static void count_recipients(struct harness *h, size_t ways)
{
	upstreams[0].messages.n = 0;
	upstreams[0].recipients = (struct rate_list){ five_a_minute, 1 };
	use_ways(h, ways);
}

/* A message goes to as many of its recipients as there is room for, and to the others one by one. */
static void test_recipients(void **state)
{
	struct harness *h = *state;

	count_recipients(h, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example c@x.example d@y.example");
	assert_int_equal(delivery_number(h, 1)->n, 3);
	submit_and_wait(h, 2, "a@example.org", "b@x.example c@x.example d@x.example e@y.example");
	assert_int_equal(delivery_number(h, 2)->n, 2);
	assert_int_equal(stored_tat("upstream:isp", "recipients 5/1m"), (START_MS + 60000) * 1000);
	for (size_t i = 3; i <= 4; i++) {
		advance(h, 11999);
		delivery_number(h, i - 1);
		advance(h, 1);
		assert_int_equal(delivery_number(h, i)->n, 1);
	}
}

/* More recipients than the whole rate: they do not wait for ever. What the first upstream has no room for takes the next one. */
static void test_more_than_the_rate(void **state)
{
	struct harness *h = *state;
	const char *eight = "a@x.example b@x.example c@x.example d@x.example e@x.example f@x.example g@x.example h@x.example";

	count_recipients(h, 1);
	submit_and_wait(h, 1, "a@example.org", eight);
	assert_int_equal(delivery_number(h, 1)->n, 5);
	advance(h, 12000);
	assert_int_equal(delivery_number(h, 2)->n, 1);
	use_ways(h, 2);
	advance(h, 12000);
	delivery_number(h, 4);
	assert_int_equal(h->deliveries[2].n + h->deliveries[3].n, 2);
	assert_false(str_eq(h->deliveries[2].route, h->deliveries[3].route));
}

/* Recipients are given back as messages are. */
static void test_recipients_returned(void **state)
{
	struct harness *h = *state;

	count_recipients(h, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example c@x.example d@y.example");
	answer_gate(h, delivery_number(h, 1), "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	UNTIL(h, stored_tat("upstream:isp", "recipients 5/1m") == START_MS * 1000);
}

/* A message for many recipients is sent in parts, and each part counts as one message. */
static void test_parts(void **state)
{
	struct harness *h = *state;

	upstreams[0].recipients_per_message = 2;
	upstreams[0].messages = (struct rate_list){ both_rates, 1 };
	use_ways(h, 1);
	submit_and_wait(h, 1, "a@example.org",
			"a@x.example b@x.example c@y.example d@x.example e@x.example f@z.example g@x.example");
	delivery_number(h, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(h->deliveries[i].n, 2);
	assert_int_equal(stored_tat("upstream:isp", "3/1m"), (START_MS + 60000) * 1000);
	advance(h, 20000);
	assert_int_equal(delivery_number(h, 4)->n, 1);
}

/* A message that is too large for the first upstream takes the next one. Without one it is refused, or fails when the limit came
 * later. */
static void test_size(void **state)
{
	struct harness *h = *state;

	upstreams[0].message_size = 10;
	use_ways(h, 2);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 1)->route, S("upstream:two")));
	finish(h, 0);
	disconnect(h, &h->relay);
	submit_and_wait(h, 2, "a@example.org", "b@x.example c@y.example");
	use_ways(h, 1);
	connect_relay(h);
	submit(h, 3, 3, "a@example.org", "b@x.example c@y.example", "Subject: large\r\n\r\nx\r\n");
	UNTIL(h, h->answers_n == 3);
	assert_int_equal(h->answer.code, 552);
	assert_true(str_eq(h->answer.enhanced, S("5.3.4")) && str_search(h->answer.text, S("10 bytes")) < h->answer.text.n);
	UNTIL(h, recipient(2, 1)->state == RCPT_FAILED && recipient(2, 2)->state == RCPT_FAILED);
	assert_true(stored_event(2, "delivery.failed", "552") &&
		    stored_event(2, "delivery.failed", "the 10 bytes that upstream:isp takes"));
}

/* Two on the first day, four a day from the second one on; a restart does not begin again. */
static void test_warmup(void **state)
{
	struct harness *h = *state;

	upstreams[0].messages = (struct rate_list){ NULL, 0 };
	upstreams[0].warmup = (struct cfg_warmup){ 2, 86400000 };
	use_ways(h, 1);
	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	finish(h, 0);
	finish(h, 1);
	assert_true(str_search(harness_stats(h), S("limit upstream:isp warmup 2/1d=2 of day 1 of the warm-up, 2 a day")) <
		    harness_stats(h).n);
	advance(h, 43199999);
	delivery_number(h, 2);
	advance(h, 1);
	delivery_number(h, 3);
	finish(h, 2);
	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, fake_now);
	use_ways(h, 1);
	connect_submission(h);
	connect_relay(h);
	advance(h, 43199999);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	advance(h, 1);
	delivery_number(h, 2);
	finish(h, 0);
	finish(h, 1);
	assert_true(str_search(harness_stats(h), S("of day 2 of the warm-up, 4 a day; the next one in 6 hours")) <
		    harness_stats(h).n);
	advance(h, 21600000);
	delivery_number(h, 3);
	finish(h, 2);
}

/* All domains' own servers have one warm-up together. */
static void test_warmup_of_direct_delivery(void **state)
{
	struct harness *h = *state;
	static struct str mx = { "mx", 2 };

	routes[0].via = (struct str_list){ &mx, 1 };
	h->config.delivery.connections_per_destination = 10;
	h->config.delivery.warmup = (struct cfg_warmup){ 2, 86400000 };
	queue_ops.apply(harness_role());
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	delivery_number(h, 1);
	submit_and_wait(h, 2, "a@example.org", "b@y.example");
	delivery_number(h, 2);
	submit_and_wait(h, 3, "a@example.org", "b@z.example");
	delivery_number(h, 2);
	finish(h, 0);
	finish(h, 1);
	advance(h, 43200000);
	delivery_number(h, 3);
	finish(h, 2);
	routes[0].via = (struct str_list){ both, 1 };
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_next_way, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_several_rates, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_charge_first, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_returned, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_remembered, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_recipients, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_more_than_the_rate, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_recipients_returned, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_size, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_warmup, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_warmup_of_direct_delivery, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
