/* test_ways.c - routes with several ways, direct delivery, next hops that fail and recover, and what waits for them. */
#include "stored.h"

#include "posthouse/smtp_server.h"

static struct cfg_upstream upstreams[] = {
	{ .name = { "isp", 3 }, .connections = 2 },
	{ .name = { "two", 3 }, .connections = 2, .report_sender = { "bounces@example.org", 19 } },
};
static struct str both[] = { { "isp", 3 }, { "two", 3 } }, both_mx[] = { { "isp", 3 }, { "two", 3 }, { "mx", 2 } };
static struct str only_mx[] = { { "mx", 2 } }, only_isp[] = { { "isp", 3 } }, only_two[] = { { "two", 3 } };
static struct str news[] = { { "news@example.org", 16 } };
static struct cfg_route failover[] = { { .via = { both, 2 } } };
static struct cfg_route failover_mx[] = { { .via = { both_mx, 3 } } };
static struct cfg_route direct[] = { { .via = { only_mx, 1 } } };
static struct cfg_route by_sender[] = { { .senders = { news, 1 }, .via = { only_two, 1 } }, { .via = { only_isp, 1 } } };

static struct str down[] = { { "@.down.example", 14 } };
static struct cfg_route by_domain[] = { { .recipients = { down, 1 }, .via = { only_isp, 1 } }, { .via = { only_two, 1 } } };

static void use_routes(struct harness *h, struct cfg_route *routes, size_t n)
{
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	h->config.routes = routes;
	h->config.routes_n = n;
	queue_ops.apply(harness_role());
}

/* An orderly end, and a start that finds these gates. */
static struct harness *restart(void **state, const struct gate_state *gates, size_t n)
{
	struct harness *h = harness_again_with_gates(*state, START_MS, gates, n);

	connect_submission(h);
	connect_relay(h);
	*state = h;
	return h;
}

static const struct verdict fine = { .class = OK, .code = 250, .text = { "Ok", 2 } };

/* A next hop at fault, in whatever way: at once by the next one; when its pause is over, one message tries the first again. */
static void test_failover(void **state)
{
	struct harness *h = *state;

	use_routes(h, failover, 1);
	for (enum nexthop_fault fault = FAULT_UNREACHABLE; fault <= FAULT_POLICY; fault++) {
		uint64_t id = 10 * (uint64_t)fault;
		size_t n = h->deliveries_n;

		submit_and_wait(h, id, "a@example.org", "b@x.example");
		assert_true(str_eq(delivery_number(h, n + 1)->route, S("upstream:isp")));
		answer_fault(h, &h->deliveries[n], fault, "quota exceeded");
		assert_true(str_eq(delivery_number(h, n + 2)->route, S("upstream:two")));
		assert_int_equal(recipient(id, 1)->attempts, 0);
		assert_true(stored_event(id, "delivery.rerouted", "quota exceeded"));
		answer(h, &h->deliveries[n + 1], fine);
		UNTIL(h, recipient(id, 1)->state == RCPT_DELIVERED);
		assert_true(str_eq(recipient(id, 1)->route, S("upstream:two")));

		submit_and_wait(h, id + 1, "a@example.org", "b@x.example");
		assert_true(str_eq(delivery_number(h, n + 3)->route, S("upstream:two")));
		answer(h, &h->deliveries[n + 2], fine);
		UNTIL(h, h->deliveries[n + 2].settled);
		fake_now = harness_nexthop(h, "upstream:isp")->down_until;
		submit_and_wait(h, id + 2, "a@example.org", "b@x.example");
		submit_and_wait(h, id + 3, "a@example.org", "b@x.example");
		delivery_number(h, n + 5);
		assert_true(str_eq(h->deliveries[n + 3].route, S("upstream:isp"))); /* the probe, and only that */
		assert_true(str_eq(h->deliveries[n + 4].route, S("upstream:two")));
		answer(h, &h->deliveries[n + 3], fine);
		answer(h, &h->deliveries[n + 4], fine);
		UNTIL(h, h->deliveries[n + 3].settled && h->deliveries[n + 4].settled);
		assert_int_equal(harness_nexthop(h, "upstream:isp")->status, NEXTHOP_UP);
	}
	assert_int_equal(stored_gate("upstream:isp")->failures, 0);
}

/* All ways are closed: nothing is tried, nothing is written, until the first may open. */
static void test_all_down(void **state)
{
	struct harness *h = *state;
	unsigned settles;

	use_routes(h, failover_mx, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_fault(h, delivery_number(h, 1), FAULT_POLICY, "daily quota");
	answer_fault(h, delivery_number(h, 2), FAULT_OURS, "535 wrong password");
	assert_true(str_eq(delivery_number(h, 3)->route, S("mx:x.example")));
	answer_fault(h, &h->deliveries[2], FAULT_UNREACHABLE, "port 25 is blocked");
	UNTIL(h, h->deliveries[2].settled);
	assert_int_equal(recipient(1, 1)->attempts, 1); /* of the domain's own hosts, as the last way */
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	run_quiet(h);
	settles = store_runs(REQUEST_SETTLE);
	advance(h, 4999);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 3);
	assert_int_equal(store_runs(REQUEST_SETTLE), settles);
	advance(h, 1);
	assert_true(str_eq(delivery_number(h, 4)->route, S("upstream:two"))); /* its pause was the shortest */
	assert_true(str_search(harness_stats(h), S("daily quota")) < harness_stats(h).n);
}

/* Deliveries to MX hosts: a gate and a delivery for each domain. */
static void test_direct(void **state)
{
	struct harness *h = *state;
	bool seen[3] = { false };

	use_routes(h, direct, 1);
	submit_and_wait(h, 1, "a@example.org", "b@X.example c@y.example d@x.example e@[192.0.2.1]");
	delivery_number(h, 3);
	assert_int_equal(store_runs(REQUEST_LEASE_SIBLINGS), 0);
	for (size_t i = 0; i < 3; i++) {
		struct delivery *d = &h->deliveries[i];

		seen[0] = seen[0] || (str_eq(d->route, S("mx:x.example")) && d->n == 1);
		seen[1] = seen[1] || (str_eq(d->route, S("mx:y.example")) && d->n == 1);
		seen[2] = seen[2] || (str_eq(d->route, S("mx:[192.0.2.1]")) && d->n == 1);
	}
	assert_true(seen[1] && seen[2]);
	for (size_t i = 0; i < 3; i++)
		answer(h, &h->deliveries[i], fine);
	for (uint64_t n = 1; n <= 4; n++)
		UNTIL(h, recipient(1, n)->state == RCPT_DELIVERED);
	run_quiet(h);
	assert_null(harness_nexthop(h, "mx:x.example")); /* healthy and unused: forgotten */
	assert_int_equal(store_runs(REQUEST_GATE_PUT), 0);
}

/* A domain that is down is tried by one message at a time, at the times of queue.retry; each such attempt counts for its message. */
static void test_direct_down(void **state)
{
	struct harness *h = *state;

	use_routes(h, direct, 1);
	for (uint64_t id = 1; id <= 3; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	delivery_number(h, 3);
	for (size_t i = 0; i < 3; i++)
		answer_gate(h, &h->deliveries[i], "no route to host");
	UNTIL(h, h->settled_n == 3);
	assert_int_equal(recipient(1, 1)->attempts, 1);
	assert_in_range(recipient(1, 1)->due_at, START_MS + 54000, START_MS + 66000);
	assert_true(stored_event(1, "delivery.deferred", "enhanced=4.4.1 reply=\"no route to host\" attempts=1"));
	assert_int_equal(stored_gate("mx:x.example")->failures, 1);
	assert_int_equal(stored_gate("mx:x.example")->down_until, START_MS + 54000);
	submit_and_wait(h, 4, "a@example.org", "b@x.example");
	submit_and_wait(h, 5, "a@example.org", "b@other.example");
	assert_int_equal(delivery_number(h, 4)->id, 5);
	advance(h, 70000); /* all are due, and the pause is over */
	assert_int_equal(delivery_number(h, 5)->id, 4);
	answer_gate(h, &h->deliveries[4], "no route to host");
	UNTIL(h, h->deliveries[4].settled);
	advance(h, 269999);
	assert_int_equal(delivery_number(h, 5)->id, 4);
	advance(h, 1);
	delivery_number(h, 6);
	answer(h, &h->deliveries[5], temp(450, S("4.2.2"), S("mailbox full"))); /* they answer: the others follow */
	UNTIL(h, h->deliveries_n >= 8);
	assert_int_equal(harness_nexthop(h, "mx:x.example")->status, NEXTHOP_UP);
}

/* The sender reads what is wrong: TLS there, and not the set-up here (RFC 3463 3.8). */
static void test_direct_tls(void **state)
{
	struct harness *h = *state;

	use_routes(h, direct, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_closed(h, delivery_number(h, 1), FAULT_OURS, (struct meaning){ .trouble = TROUBLE_TLS, .scope = SCOPE_HOP },
		      "its certificate is not the right one");
	UNTIL(h, h->settled_n == 1);
	assert_true(stored_event(1, "delivery.deferred", "enhanced=4.7.5 reply=\"its certificate is not the right one\""));
}

/* Remembered over a restart, and over many a domain: but healthy ones are nothing to remember. */
static void test_direct_remembered(void **state)
{
	struct gate_state gates[] = {
		{ .name = S("mx:x.example"), .down_until = START_MS + 30000, .failures = 2, .reason = S("away") },
		{ .name = S("mx:y.example"), .last_ok_at = START_MS - 1 },
	};
	struct harness *h = restart(state, gates, 2);

	h->config.routes = direct;
	h->config.routes_n = 1;
	h->q->dispatch.nexthops.mx_used = true;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@y.example");
	assert_int_equal(delivery_number(h, 1)->id, 2);
	assert_int_equal(h->q->dispatch.nexthops.down_n, 1);
	advance(h, 30000);
	assert_int_equal(delivery_number(h, 2)->id, 1);
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, h->deliveries[1].settled);
	assert_int_equal(h->q->dispatch.nexthops.down_n, 0);
	UNTIL(h, !stored_gate("mx:x.example"));
}

/* States that the store cannot read hold nothing up: each next hop counts as up until a delivery shows otherwise. */
static void test_states_unreadable(void **state)
{
	struct gate_state gate = {
		.name = S("upstream:isp"), .down_until = START_MS + 30000, .failures = 2, .reason = S("away")
	};
	struct harness *h = *state;

	UNTIL(h, h->q->dispatch.nexthops.known); /* the reading that fails is the next start's */
	store_refuse(REQUEST_GATES, 1);
	h = restart(state, &gate, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	assert_int_equal(delivery_number(h, 1)->id, 1);
}

/* What is remembered of domains that are down is bounded: those that were looked at last stay, and not for ever. */
static void test_gates_bounded(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };

	for (unsigned i = 0; i < 10100; i++) {
		struct nexthop *g = nexthop_get(&h->q->dispatch, arena_printf(&a, "mx:d%u.example", i));

		g->status = NEXTHOP_DOWN;
		g->down_until = START_MS + 60000;
		g->pause_ms = 60000;
		nexthop_place(g);
		arena_reset(&a);
	}
	nexthop_get(&h->q->dispatch, S("mx:idle.example"));
	nexthops_collect(&h->q->dispatch);
	assert_int_equal(h->q->dispatch.nexthops.down_n, 10000);
	assert_null(harness_nexthop(h, "mx:d99.example"));
	assert_non_null(harness_nexthop(h, "mx:d100.example"));
	assert_null(harness_nexthop(h, "mx:idle.example"));
	fake_now += 25ull * 3600 * 1000;
	nexthops_collect(&h->q->dispatch);
	assert_int_equal(h->q->dispatch.nexthops.down_n, 0);
	arena_fini(&a);
}

/* Messages that wait for a next hop that is down end together, once somebody has tried it after their time: not one each probe. */
static void test_expiry_together(void **state)
{
	struct harness *h = *state;
	struct delivery *probe;

	h->config.queue.lifetime_ms = 100000;
	use_routes(h, failover, 1);
	for (uint64_t id = 1; id <= 60; id++)
		submit_and_wait(h, id, "a@example.org", id % 2 ? "b@x.example" : "b@y.example");
	UNTIL(h, h->deliveries_n >= 4);
	for (size_t i = 0; h->q->dispatch.nexthops.down_n == 0 && i < h->deliveries_n && i < 60; i++) {
		answer_fault(h, &h->deliveries[i], i % 2 ? FAULT_UNREACHABLE : FAULT_POLICY, "connection refused");
		run_quiet(h);
	}
	UNTIL(h, h->q->dispatch.leases.count == 0);
	assert_int_equal(harness_nexthop(h, "upstream:isp")->status, NEXTHOP_DOWN);
	assert_int_equal(harness_nexthop(h, "upstream:two")->status, NEXTHOP_DOWN);
	fake_now = START_MS + 100001;
	harness_nexthop(h, "upstream:isp")->status = harness_nexthop(h, "upstream:two")->status = NEXTHOP_PROBING;
	h->deliveries_n = 0;
	scheduler_wake(&h->q->dispatch);
	probe = delivery_number(h, 2); /* one for each */
	answer_gate(h, &h->deliveries[0], "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	advance(h, 2000);
	run_quiet(h);
	for (uint64_t id = 1; id <= 60; id++) /* the other one may still take them */
		assert_int_equal(recipient(id, 1)->state, RCPT_WAITING);
	answer_gate(h, probe, "no route to host");
	UNTIL(h, probe->settled);
	advance(h, 2000);
	for (uint64_t id = 1; id <= 60; id++)
		UNTIL(h, recipient(id, 1)->state == RCPT_FAILED || recipient(id, 1)->state == RCPT_BOUNCED);
	assert_true(stored_event(60, "delivery.failed", "not delivered within 100 seconds; last answer: 451 4.4.1 "));
	assert_true(stored_event(60, "delivery.failed", "route=upstream:"));
	assert_true(h->deliveries_n <= 4);
}

/* What is our own fault never ends a message's time. */
static void test_own_fault_waits(void **state)
{
	struct harness *h = *state;

	h->config.queue.lifetime_ms = 10000;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	fake_now = START_MS + 20000;
	h->config.queue.lifetime_ms = 10000;
	answer_fault(h, &h->deliveries[0], FAULT_OURS, "535 wrong password");
	answer_fault(h, &h->deliveries[1], FAULT_OURS, "535 wrong password");
	UNTIL(h, h->settled_n == 2);
	for (size_t i = 2; i < 6; i++) {
		advance(h, 300000);
		answer_fault(h, delivery_number(h, i + 1), FAULT_OURS, "535 wrong password");
		UNTIL(h, h->deliveries[i].settled);
	}
	assert_int_equal(recipient(1, 1)->state, RCPT_WAITING);
	assert_int_equal(recipient(2, 1)->state, RCPT_WAITING);
	assert_int_equal(recipient(1, 1)->attempts, 0);
}

/* A lane of which only some mail is blocked, because the route depends on the sender: the rest goes. */
static void test_mixed_lane(void **state)
{
	struct harness *h = *state;

	use_routes(h, by_sender, 2);
	submit_and_wait(h, 1, "news@example.org", "b@x.example");
	assert_true(str_eq(delivery_number(h, 1)->route, S("upstream:two")));
	answer_gate(h, &h->deliveries[0], "connection refused");
	UNTIL(h, h->deliveries[0].settled);
	for (uint64_t id = 2; id <= 5; id++)
		submit_and_wait(h, id, "news@example.org", "b@x.example");
	submit_and_wait(h, 6, "a@example.org", "b@x.example");
	assert_int_equal(delivery_number(h, 2)->id, 6);
	assert_int_equal(recipient(2, 1)->attempts, 0);
	assert_true(recipient(2, 1)->due_at <= START_MS + 60000);
	advance(h, 60000);
	assert_true(str_eq(delivery_number(h, 3)->route, S("upstream:two"))); /* a probe */
}

static bool was_sent(const struct harness *h, uint64_t id)
{
	for (size_t i = 0; i < h->deliveries_n; i++)
		if (h->deliveries[i].id == id)
			return true;
	return false;
}

/* However many slow domains there are, another one gets its turn; and of one domain's mail, each login. */
static void test_fairness(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	size_t before;

	h->config.delivery.connections_per_destination = 10;
	use_routes(h, direct, 1);
	for (uint64_t id = 1; id <= 60; id++) {
		struct str list = arena_printf(&a, "b@slow%llu.example", (unsigned long long)(id % 6));

		for (int i = 0; i < 39; i++)
			list = arena_printf(&a, "%.*s b%d@slow%llu.example", STR_ARG(list), i, (unsigned long long)(id % 6));
		submit(h, id, 1, "news@example.org", arena_cstr(&a, list), "Subject: news\r\n\r\n");
	}
	UNTIL(h, h->answers_n == 60);
	run_quiet(h);
	before = h->deliveries_n;
	h->login = S("bob");
	submit_and_wait(h, 100, "b@example.org", "b@fast.example");
	UNTIL(h, h->deliveries_n > before);
	run_quiet(h);
	assert_true(was_sent(h, 100));
	submit_and_wait(h, 101, "b@example.org", "b@slow1.example");
	for (size_t i = 0, done = 0; !was_sent(h, 101); i++) {
		assert_true(i < h->deliveries_n && done < 5); /* bob's turn comes long before the ten news are all out */
		if (!str_eq(h->deliveries[i].route, S("mx:slow1.example")))
			continue;
		done++;
		answer(h, &h->deliveries[i], fine);
		UNTIL(h, h->deliveries[i].settled);
		run_quiet(h);
	}
	arena_fini(&a);
}

/* Domains whose name servers are silent have nothing leased, however many there are; and relay is asked about each once. */
static void test_silent_dns(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };

	h->silent_dns = true;
	use_routes(h, direct, 1);
	for (uint64_t id = 1; id <= 300; id++)
		submit(h, id, 1, "a@example.org",
		       arena_cstr(&a, arena_printf(&a, "b@dead%llu.example c@dead%llu.example", (unsigned long long)id,
						   (unsigned long long)id)),
		       "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 300);
	submit_and_wait(h, 1000, "a@example.org", "b@good.example");
	assert_int_equal(delivery_number(h, 1)->id, 1000);
	assert_int_equal(h->q->dispatch.leases.count, 1);
	assert_int_equal(h->look_ups, 301);
	answer(h, &h->deliveries[0], fine);
	UNTIL(h, h->deliveries[0].settled);
	submit_and_wait(h, 1001, "a@example.org", "b@good.example");
	assert_int_equal(delivery_number(h, 2)->id, 1001);
	assert_int_equal(h->look_ups, 301); /* it works: no need to ask */
	disconnect(h, &h->relay);
	run_quiet(h);
	h->silent_dns = false;
	connect_relay(h); /* a new one is asked anew */
	UNTIL(h, h->look_ups >= 601);
	arena_fini(&a);
}

/* Where no mail servers can be found one delivery hears why, and the others wait. */
static void test_missing_hosts(void **state)
{
	struct harness *h = *state;

	h->dead_dns = true;
	use_routes(h, direct, 1);
	for (uint64_t id = 1; id <= 5; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	answer_gate(h, delivery_number(h, 1), "no answer from DNS");
	UNTIL(h, h->deliveries[0].settled);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);
	assert_int_equal(harness_nexthop(h, "mx:x.example")->status, NEXTHOP_DOWN);
	h->dead_dns = false;
	advance(h, 70000);
	answer(h, delivery_number(h, 2), fine);
	UNTIL(h, h->deliveries_n == 6);
}

/* A next hop that takes its time has what its connections can do, and little more. */
static void test_slow_upstream(void **state)
{
	struct harness *h = *state;
	size_t answered = 0;

	for (uint64_t id = 1; id <= 30; id++)
		submit(h, id, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 30);
	for (; answered < 8; answered++) {
		run_quiet(h);
		run_quiet(h);
		UNTIL(h, h->deliveries_n > answered);
		answer(h, &h->deliveries[answered], fine);
		UNTIL(h, h->deliveries[answered].settled);
	}
	run_quiet(h);
	assert_int_equal(h->deliveries_n, answered + 2); /* its connections */
	assert_int_equal(h->q->dispatch.leases.count, 2);
	h->login = S("bob");
	submit_and_wait(h, 100, "b@example.org", "b@x.example");
	for (size_t turns = 0; !was_sent(h, 100); turns++) {
		assert_true(turns < 4);
		answer(h, &h->deliveries[answered + turns], fine);
		run_quiet(h);
	}
}

/* Hundreds of lanes that wait for a next hop that is down cost nothing, and do not hide the others. */
static void test_many_blocked(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	unsigned settles;

	use_routes(h, by_domain, 2);
	harness_nexthop(h, "upstream:isp")->status = NEXTHOP_DOWN;
	harness_nexthop(h, "upstream:isp")->down_until = START_MS + 60000;
	harness_nexthop(h, "upstream:isp")->pause_ms = 60000;
	for (uint64_t id = 1; id <= 600; id++)
		submit(h, id, 1, "a@example.org",
		       arena_cstr(&a, arena_printf(&a, "b@n%llu.down.example", (unsigned long long)id)), "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 600);
	submit_and_wait(h, 1000, "a@example.org", "b@x.example");
	assert_int_equal(delivery_number(h, 1)->id, 1000);
	settles = store_runs(REQUEST_SETTLE);
	answer(h, &h->deliveries[0], fine);
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(store_runs(REQUEST_SETTLE), settles + 1);
	assert_int_equal(store_leases(), 1);
	advance(h, 60000);
	delivery_number(h, 2); /* the probe */
	answer(h, &h->deliveries[1], fine);
	for (size_t i = 2; i < 40; i++) { /* more lanes than the window, a page or the list of waiting ones takes */
		UNTIL(h, h->deliveries_n > i);
		run_some(h);
		assert_true(h->deliveries_n <= i + 4);
		answer(h, &h->deliveries[i], fine);
	}
	UNTIL(h, h->deliveries_n > 40);
	run_quiet(h);
	arena_fini(&a);
}

/* Two logins with much mail for one full next hop take turns. */
static void test_turns(void **state)
{
	struct harness *h = *state;
	size_t mine = 0;

	for (uint64_t id = 1; id <= 40; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	h->login = S("bob");
	for (uint64_t id = 41; id <= 80; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	for (size_t i = 0; i < 60; i++) {
		UNTIL(h, h->deliveries_n > i);
		mine += i >= 20 && h->deliveries[i].id > 40;
		answer(h, &h->deliveries[i], fine);
	}
	assert_in_range(mine, 12, 28);
}

/* Greylisting: soon again the first time, then as the list says. */
static void test_greylisting(void **state)
{
	struct harness *h = *state;
	static uint64_t slow[] = { 3600000, 7200000 };
	struct meaning m = { .trouble = TROUBLE_GREYLIST, .scope = SCOPE_RECIPIENT };

	h->config.queue.retry_ms = slow;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer_meaning(h, delivery_number(h, 1), temp(450, S("4.2.0"), S("Greylisted")), m);
	UNTIL(h, h->deliveries[0].settled);
	assert_in_range(recipient(1, 1)->due_at, START_MS + 300000, START_MS + 330000);
	advance(h, 330000);
	answer_meaning(h, delivery_number(h, 2), temp(450, S("4.2.0"), S("Greylisted")), m);
	UNTIL(h, h->deliveries[1].settled);
	assert_in_range(recipient(1, 1)->due_at - fake_now, 6480000, 7920000);
}

static struct delivery *delivery_for(struct harness *h, uint64_t id)
{
	for (size_t i = 0; i < h->deliveries_n; i++)
		if (h->deliveries[i].id == id)
			return &h->deliveries[i];
	return NULL;
}

/* What relay gets to know, and what it makes of NOTIFY. */
static void test_notify(void **state)
{
	struct harness *h = *state;
	struct delivery *d;

	h->notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	h->envid = S("QQ314159");
	h->ret = RET_HDRS;
	sign_for(h, "example.org");
	connect_vault(h);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	d = delivery_number(h, 1);
	assert_int_equal(d->notifies[0], NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_true(str_eq(d->envid, S("QQ314159")));
	assert_int_equal(d->ret, RET_HDRS);
	assert_true(str_eq(d->sign_domain, S("example.org")));
	assert_int_equal(d->header_size, 41);
	answer(h, d, fine);
	UNTIL(h, d->settled);
	assert_int_equal(recipient(1, 1)->state, RCPT_RELAYED);
	assert_int_equal(stored(1)->warn_at, 0);
	h->config.queue.warn_after_ms = 5000;
	h->notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	UNTIL(h, (d = delivery_for(h, 2)) != NULL);
	assert_int_equal(stored(2)->warn_at, START_MS + 5000);
	ipc_send_result(h->relay,
			&(struct msg_result){ .lease = d->lease, .outcomes = { &(struct rec_outcome){ 1, fine }, 1 }, .dsn = 1 },
			-1);
	UNTIL(h, d->settled);
	assert_int_equal(recipient(2, 1)->state, RCPT_RELAYED);
	assert_false(recipient(2, 1)->report_success); /* the next hop tells */
	h->notify = NOTIFY_NEVER;
	submit_and_wait(h, 3, "a@example.org", "b@x.example");
	assert_int_equal(stored(3)->warn_at, 0);
}

/* Reports and notices go with the null sender, but where an upstream has another one for them; other mail with the null sender stays as it is. */
static void test_report_sender(void **state)
{
	struct harness *h = *state;

	use_routes(h, failover, 1);
	disconnect(h, &h->relay);
	for (uint64_t id = 1; id <= 3; id++)
		submit_and_wait(h, id, "", "b@x.example");
	store_sql("UPDATE message SET kind=CASE id WHEN 2 THEN 1 ELSE 4 END WHERE id>1"); /* KIND_FAILURE, KIND_NOTICE */
	harness_nexthop(h, "upstream:isp")->status = NEXTHOP_DOWN;
	harness_nexthop(h, "upstream:isp")->down_until = START_MS + 5000;
	harness_nexthop(h, "upstream:isp")->pause_ms = 5000;
	connect_relay(h);
	delivery_number(h, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(str_eq(h->deliveries[i].sender, h->deliveries[i].id >= 2 ? S("bounces@example.org") : S("")));
	answer_gate(h, &h->deliveries[0], "away");
	advance(h, 5000);
	UNTIL(h, h->deliveries_n > 3);
	assert_true(str_eq(h->deliveries[3].sender, S("")));
	assert_true(str_eq(h->deliveries[3].route, S("upstream:isp")));
}

/* ---- fresh signatures ---- */

static void on_resigned(void *ctx, struct verdict v, const struct msg_resigned *m, int fd)
{
	struct harness *h = ctx;

	h->answer = verdict_keep(&h->arena, m ? m->verdict : v);
	h->rows_n = m ? m->signatures.n : 0;
	h->answers_n++;
}

static void resign(struct harness *h, uint64_t lease)
{
	struct rec_digest digest = { S("p1r"), DKIM_RSA_SHA256, S("0123456789abcdef0123456789abcdef") };
	size_t before = h->answers_n;

	ipc_call_resign(h->relay, &(struct msg_resign){ .lease = lease, .digests = { &digest, 1 } }, -1, on_resigned, h);
	UNTIL(h, h->answers_n > before);
}

static void test_resign(void **state)
{
	struct harness *h = *state;

	connect_vault(h);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	sign_for(h, "example.org");
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	delivery_number(h, 2);
	resign(h, h->deliveries[0].lease); /* was not signed */
	assert_int_equal(h->answer.class, PERM);
	resign(h, 12345);
	assert_int_equal(h->answer.class, PERM);
	assert_int_equal(h->signs, 1);
	resign(h, h->deliveries[1].lease);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->rows_n, 1);
	assert_true(str_eq(h->sign_domain, S("example.org")));
	h->vault_fails = true;
	resign(h, h->deliveries[1].lease);
	assert_int_equal(h->answer.class, TEMP);
	answer(h, &h->deliveries[1], fine);
	UNTIL(h, h->deliveries[1].settled);
	resign(h, h->deliveries[1].lease); /* too late */
	assert_int_equal(h->answer.class, PERM);
	h->vault_fails = false;
	submit_and_wait(h, 3, "a@example.org", "b@x.example");
	disconnect(h, &h->vault);
	resign(h, delivery_number(h, 3)->lease);
	assert_int_equal(h->answer.class, TEMP);
	assert_int_equal(h->q->dispatch.re_signs.n, 0);
}

/* An upstream that takes mail only from its own address: envelope, From and signatures are that address's, but not the null
 * sender. */
static void test_rewrite_from(void **state)
{
	struct harness *h = *state;

	use_routes(h, failover, 1);
	upstreams[0].rewrite_from = true;
	upstreams[0].from_address = S("me@provider.example");
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "", "b@x.example");
	delivery_number(h, 2);
	assert_true(str_eq(h->deliveries[0].sender, S("me@provider.example")));
	assert_true(str_eq(h->deliveries[1].sender, S("")));
	assert_true(str_eq(stored(1)->envelope.sender, S("a@example.org")));
	connect_vault(h);
	resign(h, h->deliveries[0].lease);
	assert_int_equal(h->answer.class, OK);
	assert_true(str_eq(h->sign_domain, S("provider.example")));
	answer(h, &h->deliveries[0], fine);
	UNTIL(h, h->deliveries[0].settled);
	assert_true(stored_event(1, "delivery.sent", "me@provider.example"));
	upstreams[0].rewrite_from = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failover, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_all_down, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_direct, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_direct_down, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_direct_tls, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_direct_remembered, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_states_unreadable, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_gates_bounded, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_expiry_together, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_own_fault_waits, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_mixed_lane, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_fairness, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_silent_dns, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_missing_hosts, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_slow_upstream, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_many_blocked, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_turns, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_greylisting, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_notify, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_report_sender, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_resign, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_rewrite_from, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
