/* test_allowance.c - several nodes share the connections of an upstream: what this node asks of the store, what relay hears. */
#include "stored.h"
#include "visits.h"

#include "posthouse/clock.h"

static struct store_node node;

static int setup(void **state)
{
	struct harness *h;

	node = (struct store_node){
		.number = 2, .epoch = 1, .membership = 18, .state = STORE_NODE_UP, .horizon_ms = clock_boot_ms() + 3600000
	};
	fake_mono = 0;
	store_has_nodes = true;
	store_be_node(&node);
	store_give_slots(true, (struct slots_share){ .held = 0 });
	h = harness_new();
	visits_begin(h);
	connect_relay(h);
	UNTIL(h, h->q->accounting.node == 2 && h->q->accounting.away_since == 0);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	fake_mono = 0;
	harness_free(*state);
	store_give_slots(false, (struct slots_share){ .held = 0 });
	store_has_nodes = false;
	return 0;
}

static bool stats_say(struct harness *h, const char *words)
{
	return str_search(harness_stats(h), str_of(words)) < harness_stats(h).n;
}

static void give(uint64_t held, uint64_t keep)
{
	store_give_slots(true, (struct slots_share){ .held = held, .keep = keep, .pressed = held > keep });
}

/* Monotonic time from here on: so much later than the true time. */
static void pass(uint64_t ms)
{
	fake_mono = uv_hrtime() / 1000000 + ms;
}

/* Until the node has looked after its state a few times. */
static void look_some(struct harness *h)
{
	unsigned looks = store_node_looks;

	UNTIL(h, store_node_looks >= looks + 4);
}

/* The upstream of the harness is allowed two. */
static void test_waits_for_its_share(void **state)
{
	struct harness *h = *state;
	unsigned runs;

	run_quiet(h);
	assert_int_equal(store_runs(REQUEST_SLOTS), 0); /* there is no mail */
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	UNTIL(h, store_runs(REQUEST_SLOTS) >= 2);
	assert_true(store_slots_wish().wanted >= 1);
	assert_int_equal(store_slots_wish().limit, 2);
	assert_int_equal(h->deliveries_n, 0);
	give(1, 1);
	UNTIL(h, h->deliveries_n == 1);
	assert_int_equal(h->allowed, 1);
	assert_int_equal(h->allowed_epoch, 18);
	assert_true(stats_say(h, "connections_held upstream:isp=1 of 2 of all nodes"));
	assert_true(stats_say(h, "connections_limit upstream:isp=2"));
	assert_false(store_slots_wish().had_turn);
	pass(11000);
	UNTIL(h, store_slots_wish().had_turn);
	assert_int_equal(store_slots_wish().used, 1);
	give(1, 0);
	pass(13000);
	UNTIL(h, h->allowed == 0 && store_slots_wish().used == 0);
	assert_true(store_slots_wish().had_turn); /* until it is given up */
	give(0, 0);
	pass(15000);
	UNTIL(h, harness_nexthop(h, "upstream:isp")->allowance.held == 0);
	pass(17000);
	UNTIL(h, !store_slots_wish().had_turn);
	give(1, 1);
	pass(19000);
	UNTIL(h, h->allowed == 1);

	/* without work it is kept for a while */
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries[0].settled);
	pass(22000);
	run_quiet(h);
	assert_int_equal(store_slots_wish().wanted, 1);
	give(1, 0);
	pass(26000);
	UNTIL(h, h->allowed == 0);
	assert_int_equal(store_slots_wish().wanted, 0);
	give(0, 0);
	pass(28000);
	UNTIL(h, !harness_nexthop(h, "upstream:isp")->allowance.listed);
	runs = store_runs(REQUEST_SLOTS);
	pass(60000);
	look_some(h);
	assert_int_equal(store_runs(REQUEST_SLOTS), runs);
}

/* The clock stands still, so nothing is asked because it is time. */
static void test_asks_at_once(void **state)
{
	struct harness *h = *state;
	unsigned runs;

	pass(0);
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	UNTIL(h, store_runs(REQUEST_SLOTS) >= 4); /* it has none */
	give(1, 1);
	UNTIL(h, h->deliveries_n == 1);
	look_some(h);
	runs = store_runs(REQUEST_SLOTS);
	look_some(h);
	assert_int_equal(store_runs(REQUEST_SLOTS), runs);
	store_give_slots(true, (struct slots_share){ .held = 1, .keep = 1, .pressed = true });
	pass(1000);
	UNTIL(h, store_runs(REQUEST_SLOTS) == runs + 2); /* another node waits: is there less work than there was? */
	look_some(h);
	assert_int_equal(store_runs(REQUEST_SLOTS), runs + 2);
}

static void say_allowed(struct harness *h, uint64_t epoch, struct str route, uint64_t number)
{
	ipc_send_allowed(h->relay, &(struct msg_allowed){ .epoch = epoch, .route = route, .number = number }, -1);
}

static void test_surplus_is_closed_before_it_is_given(void **state)
{
	struct harness *h = *state;
	uint64_t stale;
	unsigned runs;

	give(2, 2);
	for (uint64_t id = 1; id <= 8; id++)
		submit_and_wait(h, id, "alice@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 4); /* twice the connections, as ever */
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 4);
	h->keeps_connections = true;
	give(2, 1);
	UNTIL(h, h->allowed == 1);
	stale = h->allowed_number;
	give(2, 2);
	UNTIL(h, h->allowed == 2);
	give(2, 1);
	UNTIL(h, h->allowed == 1);
	assert_int_equal(store_slots_wish().used, 2);
	assert_int_equal(store_slots_wish().wanted, 2);
	say_allowed(h, 18, S("upstream:isp"), stale);
	say_allowed(h, 17, S("upstream:isp"), h->allowed_number);
	say_allowed(h, 18, S("upstream:no"), h->allowed_number);
	runs = store_runs(REQUEST_SLOTS);
	UNTIL(h, store_runs(REQUEST_SLOTS) >= runs + 2);
	assert_int_equal(store_slots_wish().used, 2);
	say_allowed(h, 18, S("upstream:isp"), h->allowed_number);
	UNTIL(h, store_slots_wish().used == 1);

	/* half as many are sent now */
	for (unsigned i = 0; i < 3; i++) {
		answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
		UNTIL(h, h->deliveries[i].settled);
	}
	harness_nexthop(h, "upstream:isp")->pace_us = 0; /* however slow the test is */
	advance(h, 0);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 5);
}

/* Relay is another one, or the node has a new epoch: nothing is used, and relay hears what it is allowed. */
static void test_begins_again(void **state)
{
	struct harness *h = *state;

	give(2, 2);
	submit_and_wait(h, 1, "alice@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1 && h->allowed == 2);
	h->allowed = 0;
	give(2, 1);
	disconnect(h, &h->relay);
	connect_relay(h);
	UNTIL(h, h->allowed == 1);
	UNTIL(h, store_slots_wish().used == 1);
	node.membership = 34;
	store_be_node(&node);
	UNTIL(h, h->allowed_epoch == 34);
	assert_int_equal(h->allowed, 1);
}

#define ALLOWANCE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Mail that waits here goes by other nodes: without that, a node with connections would never be drained. */
static void test_drained_node_wants_nothing(void **state)
{
	struct harness *h = *state;

	give(2, 2);
	disconnect(h, &h->relay);
	for (uint64_t id = 1; id <= 30; id++) {
		char to[40];

		(void)snprintf(to, sizeof to, "b@x%u.example", (unsigned)id);
		submit_and_wait(h, id, "alice@example.org", to);
	}
	connect_relay(h);
	UNTIL(h, h->deliveries_n == 4);
	run_quiet(h);
	assert_true(harness_nexthop(h, "upstream:isp")->waiting_n > 0);
	node.state = STORE_NODE_DRAINING;
	store_be_node(&node);
	UNTIL(h, h->q->dispatch.paused);
	for (size_t i = 0; h->q->dispatch.leases.count > 0; i++) {
		UNTIL(h, h->deliveries_n > i || h->q->dispatch.leases.count == 0);
		if (h->deliveries_n > i)
			answer(h, &h->deliveries[i], ok_text(250, S(""), S("Ok")));
		run_quiet(h);
	}
	pass(30000);
	UNTIL(h, store_slots_wish().wanted == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALLOWANCE_TEST(test_drained_node_wants_nothing),
		ALLOWANCE_TEST(test_waits_for_its_share),
		ALLOWANCE_TEST(test_asks_at_once),
		ALLOWANCE_TEST(test_surplus_is_closed_before_it_is_given),
		ALLOWANCE_TEST(test_begins_again),
	};

	return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
