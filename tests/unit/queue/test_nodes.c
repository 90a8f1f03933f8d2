/* test_nodes.c - the role as one of several nodes that share the store: what the other roles hear of it, what waits while it is
 * away or drained, and what administrators see and order. */
#include "stored.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"

static struct store_node up(void)
{
	return (struct store_node){ .number = 2,
				    .epoch = 5,
				    .membership = 52,
				    .state = STORE_NODE_UP,
				    .horizon_ms = clock_boot_ms() + 3600000,
				    .id_floor_ms = START_MS + 7000 };
}

static void become(enum store_node_state state)
{
	struct store_node node = up();

	node.state = state;
	store_be_node(&node);
}

static int setup(void **state)
{
	struct harness *h;

	store_has_nodes = true;
	fake_mono = 0;
	become(STORE_NODE_UP);
	store_set_nodes(NULL, 0);
	h = harness_new();
	connect_submission(h);
	connect_relay(h);
	connect_console(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	fake_mono = 0;
	become(STORE_NODE_UP);
	harness_free(*state);
	store_has_nodes = false;
	return 0;
}

static void look(struct harness *h, unsigned times)
{
	unsigned before = store_node_looks;

	UNTIL(h, store_node_looks >= before + times);
	run_quiet(h);
}

static bool stats_say(struct harness *h, const char *words)
{
	return str_search(harness_stats(h), str_of(words)) < harness_stats(h).n;
}

/* ---- what the others hear ---- */

static void test_told(void **state)
{
	struct harness *h = *state;
	struct store_node node = up();

	UNTIL(h, h->node_is.number == 2 && h->horizon.epoch == 52);
	assert_int_equal(h->node_is.id_floor_ms, START_MS + 7000);
	assert_int_equal(h->node_is.state, NODE_UP);

	/* each beat is told to relay, and not to submission */
	h->node_told_n = 0;
	node.horizon_ms += 1000;
	store_be_node(&node);
	UNTIL(h, h->horizon.boottime_ms == node.horizon_ms);
	assert_int_equal(h->node_told_n, 0);

	/* it has joined again, as another */
	node.number = 3;
	node.epoch = 9;
	node.membership = 93;
	node.id_floor_ms += 5000;
	store_be_node(&node);
	UNTIL(h, h->node_is.number == 3 && h->horizon.epoch == 93);
	assert_int_equal(h->node_is.id_floor_ms, START_MS + 12000);
}

static void be_number(unsigned number)
{
	struct store_node node = up();

	node.number = number;
	store_be_node(&node);
}

/* Who connects hears the number that the node has now, not that of the last look: until the next one ids would be of no node. */
static void test_told_at_once(void **state)
{
	struct harness *h = *state;

	be_number(0);
	*state = h = harness_again(h, START_MS);
	be_number(2);
	connect_submission(h);
	UNTIL(h, h->node_told_n > 0);
	assert_int_equal(h->node_is.number, 2);
}

/* At once, and a short outage not at all. */
static void test_states(void **state)
{
	struct harness *h = *state;
	uint64_t begin = clock_mono_ms();

	UNTIL(h, h->node_is.number == 2);
	fake_mono = begin; /* no time passes */
	become(STORE_NODE_DRAINING);
	UNTIL(h, h->node_is.state == NODE_DRAINING);
	assert_true(stats_say(h, "this node is being drained"));
	become(STORE_NODE_UP);
	UNTIL(h, h->node_is.state == NODE_UP);

	become(STORE_NODE_AWAY);
	look(h, 2);
	fake_mono = begin + 1999;
	look(h, 2);
	assert_int_equal(h->node_is.state, NODE_UP);
	assert_false(stats_say(h, "the database cannot be reached"));
	fake_mono = begin + 2000;
	UNTIL(h, h->node_is.state == NODE_AWAY);
	assert_true(stats_say(h, "the database cannot be reached"));
	become(STORE_NODE_UP);
	UNTIL(h, h->node_is.state == NODE_UP);
}

/* ---- mail ---- */

static void test_paused(void **state)
{
	struct harness *h = *state;
	static const enum store_node_state states[] = { STORE_NODE_AWAY, STORE_NODE_DRAINING, STORE_NODE_DRAINED };
	uint64_t begin = clock_mono_ms();

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		become(STORE_NODE_UP);
		look(h, 2);
		fake_mono = begin; /* the outage is a short one */
		become(states[i]);
		look(h, 2);
		submit_and_wait(h, i + 1, "a@example.org", "b@x.example");
		look(h, 2);
		assert_int_equal(h->deliveries_n, i);
		fake_mono = 0;
		become(STORE_NODE_UP);
		answer(h, delivery_number(h, i + 1), ok_text(250, S("2.0.0"), S("Ok")));
		UNTIL(h, h->deliveries[i].settled);
	}
}

/* What another node has stored wakes nobody here: so we look each second. */
static void test_mail_of_others(void **state)
{
	struct harness *h = *state;
	uint64_t begin;
	unsigned before;

	look(h, 2);
	fake_mono = begin = clock_mono_ms();
	look(h, 2);
	before = store_runs(REQUEST_LANES);
	look(h, 2);
	assert_int_equal(store_runs(REQUEST_LANES), before);
	fake_mono = begin + 1000;
	UNTIL(h, store_runs(REQUEST_LANES) > before);
}

/* Of the delivery that it is of, and not of a later one: the store judges by that which results count. */
static void test_takes(void **state)
{
	struct harness *h = *state;
	uint64_t first;

	for (uint64_t id = 1; id <= 3; id++) {
		submit_and_wait(h, id, "a@example.org", "b@x.example");
		(void)delivery_number(h, id); /* it is on its way */
	}
	answer(h, &h->deliveries[0], ok_text(250, S("2.0.0"), S("Ok")));
	UNTIL(h, recipient(1, 1)->state == RCPT_DELIVERED);
	first = store_settled_take;
	assert_true(first > 0);
	for (uint64_t id = 3; id >= 2; id--) {
		answer(h, &h->deliveries[id - 1], ok_text(250, S("2.0.0"), S("Ok")));
		UNTIL(h, recipient(id, 1)->state == RCPT_DELIVERED);
		assert_int_equal(store_settled_take, first + id - 1);
	}
}

static void test_ids(void **state)
{
	struct harness *h = *state;
	static const char *const report = "SELECT id FROM message WHERE parent=1";

	UNTIL(h, h->node_is.number == 2);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	answer(h, delivery_number(h, 1), perm(550, S("5.1.1"), S("no such user")));
	UNTIL(h, stored_number(report) != 0);
	assert_int_equal(id_node(stored_number(report)), 2);
	assert_true(id_time_ms(stored_number(report)) > START_MS + 7000);
}

/* ---- the console ---- */

static struct rec_node_row row;
static uint64_t ordered_number;

static void on_nodes(void *ctx, struct verdict v, const struct msg_nodes_are *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	if (m->rows.n > 0) {
		row = m->rows.at[m->rows.n - 1];
		row.host = arena_str(&h->arena, row.host);
		row.state = arena_str(&h->arena, row.state);
	}
	harness_keep(h, m->verdict, m->rows.n, 0);
}

static void list(struct harness *h)
{
	size_t before = h->answers_n;

	ipc_call_node_list(h->console, &(struct msg_node_list){ 0 }, -1, on_nodes, h);
	UNTIL(h, h->answers_n > before);
}

static void on_ordered(void *ctx, struct verdict v, const struct msg_node_ordered *m, int fd)
{
	assert_non_null(m);
	ordered_number = m->number;
	harness_keep(ctx, m->verdict, 0, 0);
}

static void order(struct harness *h, uint64_t what, uint64_t number)
{
	size_t before = h->answers_n;

	ipc_call_node_order(h->console, &(struct msg_node_order){ .order = what, .number = number }, -1, on_ordered, h);
	UNTIL(h, h->answers_n > before);
}

static const struct store_node_row three[] = {
	{ .number = 1, .state = STORE_NODE_UP, .host = { "mx1", 3 } },
	{ .number = 2, .state = STORE_NODE_UP, .host = { "mx2", 3 }, .shards = 40, .self = true },
	{ .number = 3,
	  .epoch = 4,
	  .state = STORE_NODE_DEAD,
	  .host = { "mx3", 3 },
	  .since = START_MS,
	  .silent_ms = 5000,
	  .taken = 7,
	  .shards = 24 },
};

static void test_list(void **state)
{
	struct harness *h = *state;

	store_set_nodes(three, 3);
	list(h);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->rows_n, 3);
	assert_true(str_eq(row.host, S("mx3")) && str_eq(row.state, S("dead")));
	assert_true(row.number == 3 && row.epoch == 4 && row.since == START_MS && row.silent_ms == 5000);
	assert_true(row.taken == 7 && row.shards == 24 && row.self == 0);

	/* the figures are those of the last ten seconds */
	UNTIL(h, store_runs(REQUEST_NODES) > 0);
	fake_mono = clock_mono_ms() + 10000;
	become(STORE_NODE_UP); /* beats went on */
	UNTIL(h, stats_say(h, "nodes dead=1 3 (mx3)"));
	assert_true(stats_say(h, "nodes up=2 1 (mx1)"));
	assert_true(stats_say(h, "node=2 up") && stats_say(h, "node_epoch=5") && stats_say(h, "node_shards=40"));
}

/* The others are told what this node has, unless their row of it says that already; and who of them has something else is said. */
static void test_configuration(void **state)
{
	struct harness *h = *state;
	struct store_node_row rows[3];

	memcpy(rows, three, sizeof rows);
	rows[0].config_hash = S("abc");
	rows[2].config_hash = S("def"); /* it is dead */
	h->config.store.agreement = 0xabc;
	store_set_nodes(rows, 3);
	UNTIL(h, store_runs(REQUEST_NODE_CONFIG) > 0);
	assert_true(stats_say(h, "nodes_config_differs=0"));
	rows[1].config_hash = S("abc");
	rows[2].state = STORE_NODE_UP;
	store_set_nodes(rows, 3);
	fake_mono = clock_mono_ms() + 10000;
	become(STORE_NODE_UP); /* beats went on */
	UNTIL(h, stats_say(h, "nodes_config_differs=1 3 (mx3)"));
	list(h);
	assert_true(row.number == 3 && row.differs == 1);
	assert_int_equal(store_runs(REQUEST_NODE_CONFIG), 1);
}

static void test_order(void **state)
{
	struct harness *h = *state;

	store_set_nodes(three, 3);
	order(h, STORE_NODE_DRAIN, 0);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(ordered_number, 2); /* this one */
	assert_int_equal(store_ordered, STORE_NODE_DRAIN * 100 + 2);
	order(h, STORE_NODE_REMOVE, 3);
	assert_int_equal(store_ordered, STORE_NODE_REMOVE * 100 + 3);
	order(h, STORE_NODE_RESUME, 4);
	assert_int_equal(h->answer.code, 550);
	order(h, STORE_NODE_REMOVE + 1, 1);
	assert_int_equal(h->answer.code, 501);
}

/* The store would wait for the database. */
static void test_away(void **state)
{
	struct harness *h = *state;
	unsigned before;

	become(STORE_NODE_AWAY);
	before = store_runs(REQUEST_NODES);
	list(h);
	assert_int_equal(h->answer.code, 451);
	assert_true(str_search(h->answer.text, S("node, number 2")) < h->answer.text.n);
	order(h, STORE_NODE_DRAIN, 1);
	assert_int_equal(h->answer.code, 451);
	assert_int_equal(store_runs(REQUEST_NODES), before);
}

/* A database that answers and does not let the node work is not said to be away. */
static void test_excluded(void **state)
{
	struct harness *h = *state;
	struct store_node node = up();

	node.state = STORE_NODE_AWAY;
	(void)snprintf(node.fault, sizeof node.fault, "it was removed");
	fake_mono = clock_mono_ms();
	store_be_node(&node);
	look(h, 2);
	list(h);
	assert_int_equal(h->answer.code, 451);
	assert_true(str_search(h->answer.text, S("node 2 has not worked with the database")) < h->answer.text.n);
	assert_true(str_ends(h->answer.text, S(": it was removed")));
	fake_mono += 2000;
	UNTIL(h, h->node_is.state == NODE_AWAY);
	assert_true(stats_say(h, "takes_mail=0 it was removed"));
	assert_false(stats_say(h, "cannot be reached"));
}

/* A server that says nothing is away when no beat ends, long before its connection is given up. */
static void test_silent(void **state)
{
	struct harness *h = *state;

	fake_mono = 10000;
	become(STORE_NODE_UP);
	look(h, 2);
	fake_mono += 3900; /* a slow one is not away */
	look(h, 2);
	list(h);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->node_is.state, NODE_UP);
	fake_mono += 200;
	UNTIL(h, h->node_is.state == NODE_AWAY);
	list(h);
	assert_int_equal(h->answer.code, 451);
	assert_true(str_search(h->answer.text, S("no standby follows")) < h->answer.text.n);
	assert_true(stats_say(h, "takes_mail=0 the database cannot be reached, or ends no commit"));
	become(STORE_NODE_UP); /* by a beat */
	UNTIL(h, h->node_is.state == NODE_UP);
	list(h);
	assert_int_equal(h->answer.class, OK);
}

/* With SQLite's engine there is no row, and each order is refused. */
static void test_none(void **state)
{
	struct harness *h = *state;

	connect_console(h);
	list(h);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(h->rows_n, 0);
	order(h, STORE_NODE_DRAIN, 0);
	assert_int_equal(h->answer.code, 550);
	assert_false(stats_say(h, "node"));
	assert_int_equal(h->node_told_n, 0);
}

#define NODE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODE_TEST(test_told),
		NODE_TEST(test_told_at_once),
		NODE_TEST(test_states),
		NODE_TEST(test_paused),
		NODE_TEST(test_mail_of_others),
		NODE_TEST(test_takes),
		NODE_TEST(test_ids),
		NODE_TEST(test_list),
		NODE_TEST(test_configuration),
		NODE_TEST(test_order),
		NODE_TEST(test_away),
		NODE_TEST(test_excluded),
		NODE_TEST(test_silent),
		cmocka_unit_test_setup_teardown(test_none, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
