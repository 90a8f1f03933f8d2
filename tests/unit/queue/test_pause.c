/* test_pause.c - what replies mean for queued mail: pauses of one sender, of a recipient, complaints; who is told. */
#include "stored.h"

static struct cfg_upstream upstreams[] = {
	{ .name = { "isp", 3 }, .host = { "a", 1 }, .connections = 10 },
	{ .name = { "two", 3 }, .host = { "b", 1 }, .connections = 10 },
};
static struct str both[] = { { "isp", 3 }, { "two", 3 } };
static struct cfg_route one_way[] = { { .via = { both, 1 } } };
static struct cfg_route two_ways[] = { { .via = { both, 2 } } };

static const struct verdict fine = { .class = OK, .code = 250, .text = { "Ok", 2 } };

static void use_routes(struct harness *h, struct cfg_route *routes)
{
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
	use_routes(h, one_way);
	*state = h;
	return 0;
}

static struct verdict refused(const char *text)
{
	return temp(550, S("4.7.1"), str_of(text));
}

static const struct meaning not_owned = {
	.trouble = TROUBLE_SETUP, .actor = ACTOR_ADMIN, .scope = SCOPE_SENDER, .waits = true, .pause_ms = 3600000
};
static const struct meaning bad_domain = {
	.trouble = TROUBLE_REPUTATION, .actor = ACTOR_ADMIN, .scope = SCOPE_DOMAIN, .waits = true, .pause_ms = 3600000
};

static bool stats_say(struct harness *h, const char *words)
{
	return str_search(harness_stats(h), str_of(words)) < harness_stats(h).n;
}

/* One sender's mail waits there; that of all others goes, of the same domain too, and the gate stays open. */
static void test_sender(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "shop@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), refused("not owned by this account"), not_owned);
	UNTIL(h, h->deliveries[0].settled);
	assert_true(stored_event(1, "delivery.deferred", "class=setup"));
	assert_true(stored_event(1, "delivery.deferred", "scope=sender"));
	assert_true(stats_say(h, "gate upstream:isp from shop@example.org="));
	assert_int_equal(harness_nexthop(h, "upstream:isp")->status, NEXTHOP_UP);
	submit_and_wait(h, 2, "Shop@Example.org", "c@y.example");
	submit_and_wait(h, 3, "info@example.org", "b@x.example");
	assert_int_equal(delivery_number(h, 2)->id, 3);
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, recipient(3, 1)->state == RCPT_DELIVERED);

	/* when the pause is over, one delivery tries, and what comes of it decides for the others */
	advance(h, 3600000);
	advance(h, 60000);
	UNTIL(h, h->deliveries_n >= 3);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 3);
	answer(h, &h->deliveries[2], fine);
	UNTIL(h, h->deliveries[2].settled);
	advance(h, 3600000);
	UNTIL(h, h->deliveries_n == 4);
	answer(h, &h->deliveries[3], fine);
	UNTIL(h, recipient(1, 1)->state == RCPT_DELIVERED && recipient(2, 1)->state == RCPT_DELIVERED);
	assert_false(stats_say(h, " from shop@example.org"));
	assert_null(stored_gate("upstream:isp from shop@example.org"));
}

/* A domain's: all its addresses wait; it is known after a restart, and grows while nothing gets better. */
static void test_domain(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), refused("your domain is listed"), bad_domain);
	UNTIL(h, h->deliveries[0].settled);
	submit_and_wait(h, 2, "z@example.org", "b@x.example");
	submit_and_wait(h, 3, "a@example.net", "b@x.example");
	assert_int_equal(delivery_number(h, 2)->id, 3);
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, h->deliveries[1].settled);
	assert_int_equal(stored_gate("upstream:isp from @example.org")->down_until, START_MS + 3600000);
	harness_free(h);
	*state = h = harness_again_with_gates(harness_new(), START_MS,
					      &(struct gate_state){ .name = S("upstream:isp from @example.org"),
								    .down_until = START_MS + 3600000,
								    .pause_ms = 3600000,
								    .failures = 1,
								    .reason = S("listed") },
					      1);
	connect_submission(h);
	connect_relay(h); /* with the one upstream of the harness: a start does not end pauses */
	UNTIL(h, stats_say(h, "gate upstream:isp from @example.org="));
	submit_and_wait(h, 4, "y@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	use_routes(h, one_way); /* a new configuration ends the pause: it is worth a try */
	advance(h, 300000);
	answer_meaning(h, delivery_number(h, 1), refused("your domain is listed"), bad_domain);
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(stored_gate("upstream:isp from @example.org")->down_until, fake_now + 7200000);
}

/* Where the route has another way, the sender's mail takes that at once, and no attempt is counted. */
static void test_other_way(void **state)
{
	struct harness *h = *state;

	use_routes(h, two_ways);
	submit_and_wait(h, 1, "shop@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), refused("not owned by this account"), not_owned);
	assert_true(str_eq(delivery_number(h, 2)->route, S("upstream:two")));
	assert_int_equal(recipient(1, 1)->attempts, 0);
	assert_true(stored_event(1, "delivery.rerouted", "not owned"));
	submit_and_wait(h, 2, "info@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 3)->route, S("upstream:isp")));
}

/* A sender that is paused has its time all the same. */
static void test_time_is_over(void **state)
{
	struct harness *h = *state;
	struct meaning day = not_owned;

	day.pause_ms = 86400000;
	h->config.queue.lifetime_ms = 7200000;
	submit_and_wait(h, 1, "shop@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), refused("not owned by this account"), day);
	UNTIL(h, h->deliveries[0].settled);
	advance(h, 7200000);
	advance(h, 60000);
	for (int i = 0; i < 30 && recipient(1, 1)->state == RCPT_WAITING; i++) {
		if (h->deliveries_n > 1 && !h->deliveries[h->deliveries_n - 1].answered)
			answer_meaning(h, &h->deliveries[h->deliveries_n - 1], refused("not owned by this account"), day);
		advance(h, 3600000);
		run_quiet(h);
	}
	assert_int_equal(recipient(1, 1)->state, RCPT_BOUNCED);
}

/* What concerns one recipient waits by itself as long as it was told; only an administrator can mend some of that, and hears of it. */
static void test_recipient(void **state)
{
	struct harness *h = *state;
	struct meaning m = {
		.trouble = TROUBLE_SETUP, .actor = ACTOR_ADMIN, .scope = SCOPE_RECIPIENT, .waits = true, .pause_ms = 600000
	};

	h->config.queue.retry_ms = (uint64_t[]){ 60000, 7200000 };
	h->config.queue.retry_n = 2;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), refused("relay access denied"), m);
	UNTIL(h, h->deliveries[0].settled);
	assert_in_range(recipient(1, 1)->due_at, START_MS + 600000, START_MS + 660000);
	assert_true(stats_say(h, "complains: relay access denied"));
	assert_int_equal(harness_nexthop(h, "upstream:isp")->status, NEXTHOP_UP);
	submit_and_wait(h, 2, "a@example.org", "b@y.example");
	assert_int_equal(delivery_number(h, 2)->id, 2);
}

#define PAUSE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAUSE_TEST(test_sender),       PAUSE_TEST(test_domain),    PAUSE_TEST(test_other_way),
		PAUSE_TEST(test_time_is_over), PAUSE_TEST(test_recipient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
