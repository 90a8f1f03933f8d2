/* test_wishes.c - what a message asks of TLS on its way (RFC 8689): other ways of its route, and next hops of its own. */
#include "stored.h"

static struct cfg_upstream upstreams[] = { { .name = { "isp", 3 }, .connections = 2 },
					   { .name = { "two", 3 }, .connections = 2 } };
static struct str both[] = { { "isp", 3 }, { "two", 3 } }, both_mx[] = { { "isp", 3 }, { "two", 3 }, { "mx", 2 } };
static struct str only_mx[] = { { "mx", 2 } };
static struct cfg_route failover[] = { { .via = { both, 2 } } };
static struct cfg_route failover_mx[] = { { .via = { both_mx, 3 } } };
static struct cfg_route direct[] = { { .via = { only_mx, 1 } } };

static void use_route(struct harness *h, struct cfg_route *route)
{
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	h->config.routes = route;
	h->config.routes_n = 1;
	queue_ops.apply(harness_role());
}

static const struct verdict fine = { .class = OK, .code = 250, .text = { "Ok", 2 } };
static const struct verdict not_offered = { .class = PERM, .code = 550, .enhanced = { "5.7.30", 6 }, .text = { "lacks it", 8 } };

/* A next hop that cannot do what REQUIRETLS demands is passed by for this message, and for no other; when no way is left, the message
 * comes back. */
static void test_requiretls_takes_another_way(void **state)
{
	struct harness *h = *state;

	use_route(h, failover_mx);
	h->options = OPTION_REQUIRETLS;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 1)->route, S("upstream:isp")));
	advance(h, 1);
	answer_unfit(h, &h->deliveries[0], not_offered);
	assert_true(str_eq(delivery_number(h, 2)->route, S("upstream:two")));
	assert_true(stored_event(1, "delivery.rerouted", "lacks it"));
	assert_int_equal(recipient(1, 1)->attempts, 0);
	assert_int_equal(harness_nexthop(h, "upstream:isp")->status, NEXTHOP_UP);
	answer_unfit(h, &h->deliveries[1], not_offered);
	run_quiet(h);
	advance(h, 1000); /* its mail servers were looked up meanwhile */
	assert_true(str_eq(delivery_number(h, 3)->route, S("mx:x.example/requiretls")));
	answer_unfit(h, &h->deliveries[2], not_offered);
	UNTIL(h, h->deliveries[2].settled);
	assert_true(stored_event(1, "delivery.failed", "5.7.30"));
	/* the report about it goes where other mail goes, and asks for REQUIRETLS where it is offered */
	assert_true(str_eq(delivery_number(h, 4)->route, S("upstream:isp")));
	answer(h, &h->deliveries[3], fine);
	h->options = 0;
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 5)->route, S("upstream:isp")));
	answer(h, &h->deliveries[4], fine);
	/* the next message tries for itself */
	h->options = OPTION_REQUIRETLS;
	advance(h, 1);
	submit_and_wait(h, 3, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 6)->route, S("upstream:isp")));
	answer(h, &h->deliveries[5], fine);
	UNTIL(h, recipient(3, 1)->state == RCPT_DELIVERED);
}

/* While the only way that is left is closed, the message waits for that, and the first way is not tried again. */
static void test_requiretls_waits_for_another_way(void **state)
{
	struct harness *h = *state;

	use_route(h, failover);
	h->options = OPTION_REQUIRETLS;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	advance(h, 1);
	answer_unfit(h, delivery_number(h, 1), not_offered);
	answer_fault(h, delivery_number(h, 2), FAULT_UNREACHABLE, "port closed");
	UNTIL(h, h->deliveries[1].settled);
	advance(h, 1000);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 2);
	assert_int_equal(recipient(1, 1)->state, RCPT_WAITING);
	fake_now = harness_nexthop(h, "upstream:two")->down_until;
	advance(h, 1);
	assert_true(str_eq(delivery_number(h, 3)->route, S("upstream:two")));
	answer(h, &h->deliveries[2], fine);
	UNTIL(h, recipient(1, 1)->state == RCPT_DELIVERED);
}

/* TLS fails at all servers of a domain: mail that is content without it does not wait with the other mail. */
static void test_optional_does_not_wait(void **state)
{
	struct harness *h = *state;

	use_route(h, direct);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_fault(h, delivery_number(h, 1), FAULT_UNREACHABLE, "certificate");
	UNTIL(h, h->deliveries[0].settled);
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);
	h->options = OPTION_TLS_OPTIONAL;
	submit_and_wait(h, 3, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 2)->route, S("mx:x.example/tls-optional")));
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, recipient(3, 1)->state == RCPT_DELIVERED);
	assert_int_equal(recipient(2, 1)->state, RCPT_WAITING);
}

/* Two routes to one domain, by sender: each demands something else of its TLS, so neither waits with the other. */
static void test_routes_demand_tls(void **state)
{
	static struct str careful[] = { { "careful@example.org", 19 } };
	static struct cfg_route by_sender[] = {
		{ .senders = { careful, 1 }, .via = { only_mx, 1 }, .tls = TLS_REQUIRE_VERIFIED },
		{ .via = { only_mx, 1 } },
	};
	struct harness *h = *state;

	use_route(h, by_sender);
	h->config.routes_n = 2;
	submit_and_wait(h, 1, "careful@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 1)->route, S("mx:x.example/verified")));
	answer_fault(h, &h->deliveries[0], FAULT_UNREACHABLE, "certificate");
	UNTIL(h, h->deliveries[0].settled);
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 2)->route, S("mx:x.example")));
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, recipient(2, 1)->state == RCPT_DELIVERED);
	assert_int_equal(recipient(1, 1)->state, RCPT_WAITING);
	h->options = OPTION_REQUIRETLS;
	submit_and_wait(h, 3, "careful@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 3)->route, S("mx:x.example/verified/requiretls")));
	answer(h, &h->deliveries[2], fine);
	UNTIL(h, recipient(3, 1)->state == RCPT_DELIVERED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_requiretls_takes_another_way),
		CASE(test_requiretls_waits_for_another_way),
		CASE(test_optional_does_not_wait),
		CASE(test_routes_demand_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
