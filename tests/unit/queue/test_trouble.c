/* test_trouble.c - next hops that are down, a relay that dies, a store without room, and the end of the role. */
#include "stored.h"

static struct nexthop *isp(struct harness *h)
{
	return harness_nexthop(h, "upstream:isp");
}

/* A fault of the upstream or of our login counts for no message; one probe at a time follows, after growing pauses. */
static void test_gate(void **state)
{
	struct harness *h = *state;
	uint64_t pauses[] = { 5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000 };

	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 4);
	for (size_t i = 0; i < 4; i++)
		answer_gate(h, &h->deliveries[i], "535 5.7.8 wrong password");
	UNTIL(h, h->settled_n == 4 && h->q->dispatch.leases.count == 0);
	assert_int_equal(isp(h)->status, NEXTHOP_DOWN);
	assert_int_equal(isp(h)->failures, 1); /* four met the same fault */
	assert_int_equal(store_runs(REQUEST_GATE_PUT), 1);
	assert_int_equal(stored_gate("upstream:isp")->down_until, START_MS + 5000);
	for (uint64_t id = 1; id <= 6; id++) {
		assert_int_equal(recipient(id, 1)->state, RCPT_WAITING);
		assert_int_equal(recipient(id, 1)->attempts, 0);
	}
	assert_true(stored_event(1, "delivery.deferred", "wrong password"));
	for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
		struct delivery *probe = &h->deliveries[4 + i];

		assert_int_equal(isp(h)->down_until - fake_now, pauses[i]);
		advance(h, pauses[i] - 1);
		run_quiet(h);
		assert_int_equal(h->deliveries_n, 4 + i);
		advance(h, 1);
		UNTIL(h, h->deliveries_n == 5 + i);
		run_quiet(h);
		assert_int_equal(h->deliveries_n, 5 + i);
		answer_gate(h, probe, "535 5.7.8 wrong password");
		UNTIL(h, probe->settled);
	}
	assert_true(str_search(harness_stats(h), S("gate upstream:isp=")) < harness_stats(h).n);
	assert_true(str_search(harness_stats(h), S("wrong password")) < harness_stats(h).n);
	advance(h, 300000);
	UNTIL(h, h->deliveries_n == 13);
	answer(h, &h->deliveries[12], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries_n == 17); /* up: the window is open again */
	assert_int_equal(isp(h)->status, NEXTHOP_UP);
	assert_int_equal(stored_gate("upstream:isp")->failures, 0);
	assert_int_equal(stored_gate("upstream:isp")->last_ok_at, fake_now);
}

/* What was delivered counts even when the connection's end is told with the same result. */
static void test_gate_with_outcomes(void **state)
{
	struct harness *h = *state;
	struct rec_outcome list[2];
	struct msg_result m = { .gate = 1, .gate_reason = S("connection lost"), .outcomes = { list, 2 } };
	struct delivery *d = &h->deliveries[0];

	submit_and_wait(h, 1, "a@example.org", "b@x.example c@x.example");
	UNTIL(h, h->deliveries_n == 1);
	list[0] = (struct rec_outcome){ d->numbers[0], ok_text(250, S(""), S("Ok")) };
	list[1] = (struct rec_outcome){ d->numbers[1], perm(550, S("5.4.5"), S("daily quota exceeded")) };
	m.lease = d->lease;
	ipc_send_result(h->relay, &m, -1);
	UNTIL(h, d->settled);
	assert_int_equal(recipient(1, 1)->state, RCPT_DELIVERED);
	assert_int_equal(recipient(1, 2)->state, RCPT_WAITING);
	assert_int_equal(recipient(1, 2)->attempts, 0);
}

/* Gates are remembered over a restart; a reload or an administrator's retry ends the pause. */
static void test_gate_remembered(void **state)
{
	struct gate_state gate = {
		.name = S("upstream:isp"), .down_until = START_MS + 200000, .failures = 6, .reason = S("certificate expired")
	};
	struct harness *h = harness_again_with_gates(*state, START_MS, &gate, 1);

	connect_submission(h);
	connect_relay(h);
	*state = h;
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	queue_ops.apply(harness_role());
	UNTIL(h, h->deliveries_n == 1);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);                       /* a probe */
	answer(h, &h->deliveries[0], temp(451, S(""), S("later"))); /* it works, though it does not want this one */
	UNTIL(h, h->deliveries_n == 2);
}

static void test_relay_away(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(store_leases(), 0);
	connect_relay(h);
	UNTIL(h, h->deliveries_n == 1);
}

/* Three deaths of relay hold a recipient; what relay did not have yet counts nothing. */
static void test_deaths(void **state)
{
	struct harness *h = *state;

	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	for (uint64_t death = 1; death <= 3; death++) {
		UNTIL(h, h->deliveries_n > 0);
		run_quiet(h);
		disconnect(h, &h->relay);
		leases_settle_orphans(&h->q->dispatch, true);
		UNTIL(h, h->q->dispatch.leases.count == 0);
		for (size_t i = 0; i < h->deliveries_n; i++) {
			const struct stored_recipient *r = recipient(h->deliveries[i].id, 1);

			assert_int_equal(r->deaths, death);
			assert_int_equal(r->state, death < 3 ? RCPT_WAITING : RCPT_HELD);
			if (death < 3)
				assert_int_equal(r->due_at, fake_now + 300000);
		}
		assert_int_equal(recipient(6, 1)->deaths, 0);
		/* those that were only parked keep out of this test */
		store_sql("UPDATE recipient SET due_at=9000000000000000 WHERE message IN (5,6)");
		if (death == 3)
			break;
		h->deliveries_n = 0;
		advance(h, 300000);
		connect_relay(h);
	}
	assert_true(stored_event(h->deliveries[0].id, "delivery.held", "three times"));
}

/* A relay that has ended in order, as one that master starts again, has tried nothing of what it gave no result for. */
static void test_relay_ends_in_order(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	ipc_send_drained(h->relay, &(struct msg_drained){ 0 }, -1);
	UNTIL(h, h->q->dispatch.drained);
	disconnect(h, &h->relay);
	UNTIL(h, h->q->dispatch.leases.count == 0);
	assert_int_equal(recipient(1, 1)->deaths, 0);
	assert_int_equal(recipient(1, 1)->attempts, 0);
	connect_relay(h);
	UNTIL(h, h->deliveries_n == 2);
	assert_false(h->q->dispatch.drained);
}

/* The death is settled by itself, a moment after the channel has closed. */
static void test_death_timer(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	disconnect(h, &h->relay);
	assert_int_equal(h->q->dispatch.leases.count, 1);
	UNTIL(h, h->q->dispatch.leases.count == 0);
	assert_int_equal(recipient(1, 1)->deaths, 1);
	assert_true(stored_event(1, "delivery.deferred", "outcome unknown"));
}

/* A relay that ends because all of us do has not died of its deliveries. */
static void test_stop_after_relay(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	disconnect(h, &h->relay);
	harness_stop(h, 1000);
	UNTIL(h, h->q == NULL || h->q->dispatch.leases.count == 0);
	UNTIL(h, harness_stopped(h));
	assert_int_equal(recipient(1, 1)->deaths, 0);
}

static void test_unknown_lease(void **state)
{
	struct harness *h = *state;

	ipc_send_result(h->relay, &(struct msg_result){ .lease = 12345 }, -1);
	UNTIL(h, h->settled_n == 1);
	assert_int_equal(store_runs(REQUEST_SETTLE), 0);
}

/* A result is kept until the store has room, relay is told then only, and nothing new is leased meanwhile. */
static void test_results_kept(void **state)
{
	struct harness *h = *state;
	unsigned leases;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	store_refuse(REQUEST_SETTLE, 1);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->q->dispatch.settling.failing);
	leases = store_leases();
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(store_leases(), leases);
	assert_int_equal(h->settled_n, 0);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok"))); /* once more: nothing to say to that yet */
	UNTIL(h, h->settled_n == 1);
	assert_int_equal(recipient(1, 1)->state, RCPT_DELIVERED);
	UNTIL(h, h->deliveries_n == 2);
}

/* A store that refuses to tell what is due is asked again after some seconds, also when nothing else is due for long. */
static void test_leasing_refused(void **state)
{
	struct harness *h = *state;
	const uv_timer_t *timer = &h->q->dispatch.scheduler.timer;

	store_refuse(REQUEST_LANES, 1);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->q->dispatch.scheduler.failing);
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 0);
	assert_true(uv_is_active((const uv_handle_t *)timer));
	assert_in_range(uv_timer_get_due_in(timer), 1, 5000);
	advance(h, 5000);
	UNTIL(h, h->deliveries_n == 2);
}

static void test_text_gone(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_file_and_wait(h, 1, "a@example.org", "b@x.example");
	assert_int_equal(stored(1)->place, PLACE_FILE);
	store_lose_files();
	connect_relay(h);
	UNTIL(h, stored_event(1, "mail.held", "large file missing or damaged"));
	UNTIL(h, stored_event(1, "delivery.deferred", "missing or damaged")); /* what comes back is held all the same */
	assert_int_equal(recipient(1, 1)->state, RCPT_HELD);
}

/* Stopping waits for results, then closes the store; after the grace it does not wait. */
static void test_stop(void **state)
{
	struct harness *h = *state;

	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 4);
	run_quiet(h);
	harness_stop(h, 5000);
	run_quiet(h);
	assert_false(harness_stopped(h));
	assert_int_equal(h->q->dispatch.leases.count, 4); /* the parked ones were given back */
	for (size_t i = 0; i < 4; i++)
		answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
	UNTIL(h, harness_stopped(h));
	assert_int_equal(h->settled_n, 4);
	assert_int_equal(h->deliveries_n, 4);
}

static void test_stop_without_results(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	harness_stop(h, 20);
	UNTIL(h, harness_stopped(h));
}

/* Why the store cannot be opened is why the role cannot start. */
static void test_store_refused(void **state)
{
	struct harness *h = *state;

	harness_stop(h, 0);
	UNTIL(h, harness_stopped(h));
	store_on_tmpfs = true;
	harness_begin(h);
	UNTIL(h, harness_start());
	assert_int_equal(harness_start()->class, PERM);
	assert_true(str_ends(harness_start()->text, S(" is on tmpfs, where accepted mail would not be safe; use a local disk")));
	store_on_tmpfs = false;
	harness_stop(h, 0);
	UNTIL(h, harness_stopped(h));
}

/* Without room to open, the role starts all the same: clients hear why, and are served as soon as there is room. */
static void test_start_without_room(void **state)
{
	struct harness *h = *state;

	harness_stop(h, 0);
	UNTIL(h, harness_stopped(h));
	store_without_room = true;
	harness_begin(h);
	UNTIL(h, harness_start());
	assert_int_equal(harness_start()->class, OK);
	queue_ops.apply(harness_role());
	disconnect(h, &h->submission);
	connect_submission(h);
	submit(h, 100, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.code, 452);
	assert_true(str_eq(h->answer.enhanced, S("4.3.1")));
	assert_true(str_search(harness_stats(h), S("takes_mail=0 no room")) < harness_stats(h).n);
	store_without_room = false;
	UNTIL(h, h->q->open && accounting_is_ready(&h->q->accounting));
	submit_and_wait(h, 101, "a@example.org", "b@x.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gate, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_gate_with_outcomes, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_gate_remembered, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_relay_away, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_deaths, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_relay_ends_in_order, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_death_timer, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_stop_after_relay, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_lease, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_results_kept, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_leasing_refused, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_text_gone, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_stop, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_stop_without_results, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_store_refused, harness_setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_start_without_room, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
