/* test_delivery.c - from the lane to the outcome, when all goes its way. */
#include "stored.h"

static struct delivery *first_delivery(struct harness *h)
{
	UNTIL(h, h->deliveries_n >= 1);
	return &h->deliveries[0];
}

static void test_delivered(void **state)
{
	struct harness *h = *state;
	struct delivery *d;

	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	d = first_delivery(h);
	assert_int_equal(d->id, 100);
	assert_true(str_eq(d->route, S("upstream:isp")));
	assert_true(str_eq(d->sender, S("a@example.org")));
	assert_true(str_eq(d->addresses[0], S("b@x.example")));
	assert_true(str_eq(d->prefix, S("Received: from here\r\n")));
	assert_true(str_ends(d->text, S("body\r\n")));
	assert_false(d->with_file);
	answer(h, d, ok_text(250, S("2.0.0"), S("Ok: queued")));
	UNTIL(h, d->settled);
	assert_int_equal(recipient(100, 1)->state, RCPT_DELIVERED);
	assert_int_equal(recipient(100, 1)->attempts, 1);
	assert_true(str_eq(recipient(100, 1)->route, S("upstream:isp")));
	assert_true(stored_event(
		100, "delivery.sent",
		"recipient=b@x.example remote=\"smtp.isp.example [192.0.2.1]\" tls=TLSv1.3 route=upstream:isp code=250 "
		"enhanced=2.0.0 reply=\"Ok: queued\" attempts=1"));
	assert_int_equal(h->q->dispatch.leases.count, 0);
}

/* Recipients of other lanes join the delivery; `settled` never comes before the store has it. */
static void test_siblings_join(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@y.example d@z.example");
	first_delivery(h);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);
	assert_int_equal(h->deliveries[0].n, 3);
	store_refuse(REQUEST_SETTLE, 1);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, store_runs(REQUEST_SETTLE) == 1);
	run_quiet(h);
	assert_false(h->deliveries[0].settled);
	assert_true(h->q->dispatch.settling.failing);
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(recipient(100, 3)->state, RCPT_DELIVERED);
	assert_false(h->q->dispatch.settling.failing);
}

/* Different answers for the recipients of one message are kept apart. */
static void test_mixed(void **state)
{
	struct harness *h = *state;
	struct rec_outcome list[3];
	struct msg_result m = { .outcomes = { list, 3 } };
	struct delivery *d;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example d@x.example e@x.example");
	d = first_delivery(h);
	assert_int_equal(d->n, 4);
	list[0] = (struct rec_outcome){ d->numbers[0], ok_text(250, S(""), S("fine")) };
	list[1] = (struct rec_outcome){ d->numbers[1], temp(451, S("4.7.1"), S("greylisted")) };
	list[2] = (struct rec_outcome){ d->numbers[2], perm(550, S("5.1.1"), S("no such user")) };
	m.lease = d->lease;
	ipc_send_result(h->relay, &m, -1);
	UNTIL(h, d->settled);
	assert_int_equal(recipient(100, 1)->state, RCPT_DELIVERED);
	assert_int_equal(recipient(100, 2)->state, RCPT_WAITING);
	assert_in_range(recipient(100, 2)->due_at, START_MS + 54000, START_MS + 66000);
	assert_true(stored_event(100, "delivery.deferred", "reply=greylisted"));
	assert_true(recipient(100, 3)->state == RCPT_FAILED || recipient(100, 3)->state == RCPT_BOUNCED);
	assert_true(stored_event(100, "delivery.failed", "reply=\"no such user\""));
	assert_int_equal(recipient(100, 4)->state, RCPT_WAITING); /* relay left it out */
	assert_int_equal(recipient(100, 4)->attempts, 1);
}

/* Deferred recipients come again when they are due, at the configured times. */
static void test_retries(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	first_delivery(h);
	for (uint64_t i = 0; i < 4; i++) {
		struct delivery *d = &h->deliveries[i];
		uint64_t delay = i == 0 ? 60000 : 300000;

		answer(h, d, temp(451, S("4.7.1"), S("later")));
		UNTIL(h, d->settled);
		assert_in_range(recipient(100, 1)->due_at - fake_now, delay - delay / 10, delay + delay / 10);
		advance(h, delay - delay / 10 - 1000);
		run_quiet(h);
		assert_int_equal(h->deliveries_n, i + 1);
		advance(h, delay / 5 + 1000);
		UNTIL(h, h->deliveries_n == i + 2);
	}
	assert_int_equal(recipient(100, 1)->attempts, 4);
	assert_true(str_eq(recipient(100, 1)->transcript, S("C: MAIL\nS: so")));
}

/* The message's time is over only after an attempt that began afterwards. */
static void test_expiry(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	first_delivery(h);
	fake_now = stored(100)->expires_at + 1;
	answer(h, &h->deliveries[0], temp(451, S("4.7.1"), S("later")));
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(recipient(100, 1)->state, RCPT_WAITING);
	advance(h, 70000);
	UNTIL(h, h->deliveries_n == 2);
	answer(h, &h->deliveries[1], temp(451, S("4.7.1"), S("still later")));
	UNTIL(h, h->deliveries[1].settled);
	assert_true(stored_event(
		100, "delivery.failed",
		"code=451 enhanced=4.4.7 reply=\"not delivered within 5 days; last answer: 451 4.7.1 still later\""));
	assert_int_equal(recipient(100, 1)->verdict.class, PERM);
}

static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	assert_non_null(m);
	assert_int_equal(m->verdict.class, OK);
}

static void test_large_file(void **state)
{
	struct harness *h = *state;

	submit_file_and_wait(h, 100, "a@example.org", "b@x.example");
	first_delivery(h);
	assert_true(h->deliveries[0].with_file);
	assert_int_equal(h->deliveries[0].text.n, 0);
	assert_int_equal(h->deliveries[0].size, 24);
}

/* More than 100 recipients, and more than a datagram takes, go as several deliveries; nobody twice, nobody forgotten. */
static void test_splitting(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	char *text = arena_alloc(&a, INLINE_MAX);
	size_t seen[250] = { 0 }, total = 0, done = 0;
	struct msg_envelope e = {
		.session = session_of(h), .transaction = 1, .id = 100, .token = 1, .envelope.sender = S("a@example.org")
	};
	struct rec_author from = { S("alice@example.org") };
	struct msg_submit s = { .transaction = 1,
				.place = PLACE_ROW,
				.text = str_make(text, INLINE_MAX),
				.size = INLINE_MAX,
				.received = S("Received: here\r\n"),
				.from = { &from, 1 } };

	memset(text, 'x', INLINE_MAX);
	ipc_send_envelope(h->submission, &e, -1);
	for (uint64_t n = 1; n <= 249; n++) {
		struct rec_recipient r = { .n = n };
		struct msg_recipients page = { .transaction = 1, .recipients = { &r, 1 } };

		r.address = arena_printf(&a, "r%llu@x.example", (unsigned long long)n);
		r.orcpt = arena_printf(&a, "rfc822;%01000llu", (unsigned long long)n);
		ipc_send_recipients(h->submission, &page, -1);
	}
	ipc_call_submit(h->submission, &s, -1, on_submitted, h);
	while (total < 249) {
		UNTIL(h, h->deliveries_n > done);
		for (; done < h->deliveries_n; done++) {
			struct delivery *d = &h->deliveries[done];

			for (size_t k = 0; k < d->n; k++)
				assert_int_equal(seen[d->numbers[k]]++, 0);
			total += d->n;
			assert_true(d->n < 95); /* 95 of these would pass the datagram's bound */
			answer(h, d, ok_text(250, S(""), S("Ok")));
		}
	}
	assert_int_equal(total, 249);
	assert_true(h->deliveries_n >= 3);
	arena_fini(&a);
}

/* Twice the connections are in flight, no more; what follows is at hand when one ends. */
static void test_window(void **state)
{
	struct harness *h = *state;

	for (uint64_t id = 1; id <= 30; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n >= 4);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 4);
	assert_true(h->q->dispatch.leases.count <= 4 + 8);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries_n == 5);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 5);
	for (size_t i = 1; i < 30; i++) {
		UNTIL(h, h->deliveries_n > i);
		answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
	}
	UNTIL(h, h->settled_n == 30);
	assert_int_equal(h->q->dispatch.leases.count, 0);
}

/* What one lane gives at once goes out at once as far as there is room in the window; none of it is sent back to the store. */
static void test_wide_window(void **state)
{
	struct harness *h = *state;
	struct cfg_upstream wide = { .name = S("isp"), .host = h->config.upstreams[0].host, .connections = 64 };

	h->config.upstreams = &wide;
	queue_ops.apply(harness_role());
	disconnect(h, &h->relay);
	for (uint64_t id = 1; id <= 40; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	connect_relay(h);
	UNTIL(h, h->deliveries_n == 40); /* the clock does not go on here */
	for (size_t i = 0; i < 40; i++)
		answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->settled_n == 40);
}

/* What the store was asked for finds a place also when the next hop becomes slow before the store answers. */
static void test_slower(void **state)
{
	struct harness *h = *state;
	struct nexthop *hop = CONTAINER_OF(list_first(&h->q->dispatch.nexthops.upstreams), struct nexthop, in_class);

	disconnect(h, &h->relay);
	for (uint64_t id = 1; id <= 60; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	hop->pace_us = 100;
	store_hold(REQUEST_LEASE);
	connect_relay(h);
	UNTIL(h, hop->expected >= 60);
	hop->pace_us = 10000000;
	store_go_on();
	UNTIL(h, h->q->dispatch.leases.count == 60); /* the clock does not go on here */
	for (size_t i = 0; i < 60; i++) {
		UNTIL(h, h->deliveries_n > i);
		answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
	}
	UNTIL(h, h->settled_n == 60);
}

static void test_no_route(void **state)
{
	struct harness *h = *state;

	h->config.routes_n = 0;
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, stored_event(100, "delivery.deferred", "no route"));
	assert_int_equal(recipient(100, 1)->state, RCPT_WAITING);
	assert_int_equal(h->deliveries_n, 0);
	h->config.routes_n = 1;
	advance(h, 70000);
	UNTIL(h, h->deliveries_n == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delivered, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_siblings_join, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_mixed, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_retries, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_expiry, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_large_file, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_splitting, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_window, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_wide_window, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_slower, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_no_route, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
