/* test_node_orders.c - what an administrator orders of nodes, and what he is told of one. */
#include "node_fixture.h"

/* ---- orders ---- */

/* The answer to an order can be lost: it is repeated, and is no failure then. */
static void an_order_can_be_repeated(void **state)
{
	static const struct {
		enum node_order order;
		bool rounds;
		const char *said;
	} steps[] = {
		{ NODE_RESUME, false, "node 2 is up already" },
		{ NODE_DRAIN, false, NULL },
		{ NODE_DRAIN, false, "node 2 is draining already" },
		{ NODE_DRAIN, true, "node 2 is drained already" },
		{ NODE_REMOVE, false, NULL },
		{ NODE_REMOVE, false, "node 2 is removed already" },
	};
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct verdict v;

		if (steps[i].rounds)
			ROUNDS(3, a, b);
		v = node_order(&a->node, &a->db, &f->arena, steps[i].order, 2);
		assert_int_equal(v.class, OK);
		assert_true(str_eq(v.text, str_of(steps[i].said)));
	}
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 2).class, PERM);
	assert_string_equal(sql(f, "SELECT state||epoch FROM node WHERE number=2"), "removed2");
}

static bool since_now(struct fixture *f)
{
	bool now = number(f, "SELECT count(*) FROM node WHERE number=2 AND since>" NODE_NOW "-600000") == 1;

	(void)sql(f, "UPDATE node SET since=0");
	return now;
}

/* What an administrator sees is not when it has joined. */
static void each_state_has_its_begin(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	assert_true(since_now(f));
	ROUNDS(2, a, b);
	assert_false(since_now(f));
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 2).class, OK);
	assert_true(since_now(f));
	ROUNDS(3, a, b);
	assert_int_equal(node_state(&b->node), STORE_NODE_DRAINED);
	assert_true(since_now(f));
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_RESUME, 2).class, OK);
	assert_true(since_now(f));
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_string_equal(sql(f, "SELECT state FROM node WHERE number=2"), "dead");
	assert_true(since_now(f));
}

/* ---- why it does not work with a database that answers ---- */

static void a_node_says_why_it_is_away(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	char why[STORE_NODE_FAULT];

	ROUNDS(1, a);
	node_fault(&a->node, why);
	assert_string_equal(why, "");
	/* Commits are to wait for a standby, and then are not. */
	a->database.standby = true;
	a->node.timing.durability = 0;
	ROUNDS(1, a);
	node_fault(&a->node, why);
	assert_non_null(strstr(why, "would lose mail: synchronous_standby_names is empty"));
	a->database.standby = false;
	ROUNDS(1, a);
	node_fault(&a->node, why);
	assert_string_equal(why, "");
	/* Declared dead; then the writer finds out more, and says so once. */
	(void)sql(f, "UPDATE node SET epoch=epoch+1,state='dead'");
	ROUNDS(1, a);
	assert_int_equal(node_state(&a->node), STORE_NODE_AWAY);
	node_fault(&a->node, why);
	assert_non_null(strstr(why, "declared this one dead"));
	for (unsigned i = 0; i < 2; i++)
		node_exclude(&a->node, S("it was removed"));
	node_fault(&a->node, why);
	assert_string_equal(why, "it was removed");
	assert_int_equal(told("node.excluded"), 1);
	node_exclude(&a->node, S(""));
	assert_int_equal(claim(f, a).class, OK);
	node_fault(&a->node, why);
	assert_string_equal(why, "");
}

static void a_node_is_drained_and_removed(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	struct verdict v;

	ROUNDS(2, a, b);
	take(f, b, 1);
	v = node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("node 2 is up")) < v.text.n);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 9).class, PERM);
	assert_int_equal(node_order(&b->node, &b->db, &f->arena, NODE_DRAIN, 0).class, OK);
	ROUNDS(2, a, b);
	assert_int_equal(node_state(&b->node), STORE_NODE_DRAINING);
	assert_false(node_may_take(&b->node));
	assert_true(is_fenced(b));
	assert_int_equal(shards_n(b), 0);
	ROUNDS(2, a, b);
	assert_int_equal(shards_n(a), 64);
	assert_int_equal(node_state(&b->node), STORE_NODE_DRAINING); /* a delivery is in flight */
	(void)sql(f, "DELETE FROM taken");
	ROUNDS(2, a, b);
	assert_int_equal(node_state(&b->node), STORE_NODE_DRAINED);
	assert_int_equal(claim(f, b).class, TEMP);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_RESUME, 2).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_state(&b->node), STORE_NODE_UP);
	assert_int_equal(shards_n(b), 32);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_DRAIN, 2).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2).class, OK);
	ROUNDS(1, b);
	assert_true(node_is_lost(&b->node));
	v = claim(f, b);
	assert_int_equal(v.class, TEMP); /* not as a new node, as long as nobody restarts it */
	assert_true(str_search(v.text, S("removed")) < v.text.n);
	end_member(f, 1);
	b = joined(f, 1);
	assert_int_equal(node_number(&b->node), 2);
	assert_int_equal(node_epoch(&b->node), 3);
}

static void a_drained_node_that_ends_is_not_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	assert_int_equal(node_order(&b->node, &b->db, &f->arena, NODE_DRAIN, 0).class, OK);
	ROUNDS(3, a, b);
	assert_int_equal(node_state(&b->node), STORE_NODE_DRAINED);
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(told("node.dead"), 0);
	assert_int_equal(node_order(&a->node, &a->db, &f->arena, NODE_REMOVE, 2).class, OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_order_can_be_repeated),
		TEST(each_state_has_its_begin),
		TEST(a_node_says_why_it_is_away),
		TEST(a_node_is_drained_and_removed),
		TEST(a_drained_node_that_ends_is_not_dead),
	};

	return cluster_start_durable() ? RUN_TESTS(tests) : 0;
}
