/* test_slots.c - connections of next hops over several nodes: two stores, each with a thread and a node of its own, on one
 * database. */
#include "cluster.h"
#include "second_store.h"

#include "posthouse/store_nodes.h"

#include <stdlib.h>

#define GATE S("upstream:isp")

struct shares {
	struct answer answer;
	struct slots_wish wishes[2];
	struct slots_share got[2];
};

static void on_shares(void *ctx, struct verdict v, const struct slots_share *shares, size_t n)
{
	struct shares *s = ctx;

	for (size_t i = 0; i < n && v.class == OK; i++)
		s->got[i] = shares[i];
	on_done(&s->answer, v);
}

static void ask_begin(struct fixture *f, struct store *st, struct shares *s, size_t n)
{
	s->answer = (struct answer){ .f = f };
	store_slots(st, s->wishes, n, on_shares, s);
}

/* Of one gate; again while the other node is at it. */
static struct slots_share ask(struct fixture *f, struct store *st, uint64_t limit, uint64_t wanted, uint64_t used)
{
	struct shares s = { .wishes = { { .gate = GATE, .limit = limit, .wanted = wanted, .used = used } } };

	do {
		ask_begin(f, st, &s, 1);
		answer_wait(f, &s.answer);
		assert_int_equal(s.answer.v.class, OK);
	} while (s.got[0].busy);
	return s.got[0];
}

static const char *sql(struct fixture *f, const char *statement)
{
	return cluster_sql(arena_cstr(&f->arena, f->options.database->connection), statement);
}

static const char *table(struct fixture *f)
{
	return sql(f, "SELECT string_agg(node||':'||n||'/'||wanted,' ' ORDER BY node) FROM gate_slot");
}

static void test_handed_over(void **state)
{
	struct fixture *f = *state;
	struct slots_share s = ask(f, f->st, 3, 3, 0);

	assert_true(s.held == 3 && s.keep == 3 && !s.pressed);
	s = ask(f, second_store, 3, 2, 0);
	assert_true(s.held == 0 && s.keep == 0);
	assert_string_equal(table(f), "1:3/3 2:0/2");
	s = ask(f, f->st, 3, 3, 3);
	assert_true(s.held == 3 && s.keep == 2 && s.pressed);
	s = ask(f, f->st, 3, 3, 2);
	assert_true(s.held == 2 && s.keep == 2);
	s = ask(f, second_store, 3, 2, 0);
	assert_true(s.held == 1 && s.keep == 1);
	s = ask(f, second_store, 3, 0, 0);
	assert_int_equal(s.held, 0);
	assert_string_equal(table(f), "1:3/3");
}

/* A row is written when it changes, and not each second. */
static void test_no_write_without_change(void **state)
{
	struct fixture *f = *state;
	char before[40];

	(void)ask(f, f->st, 3, 2, 0);
	(void)snprintf(before, sizeof before, "%s", sql(f, "SELECT xmin FROM gate_slot"));
	for (unsigned i = 0; i < 5; i++)
		(void)ask(f, f->st, 3, 2, 2);
	assert_string_equal(sql(f, "SELECT xmin FROM gate_slot"), before);
}

/* What is not named any more is given up; gates are apart. */
static void test_gates(void **state)
{
	struct fixture *f = *state;
	struct shares s = { .wishes = { { .gate = S("upstream:a"), .limit = 1, .wanted = 1 },
					{ .gate = S("upstream:b"), .limit = 5, .wanted = 9 } } };

	ask_begin(f, f->st, &s, 2);
	answer_wait(f, &s.answer);
	assert_true(s.got[0].held == 1 && s.got[1].held == 5);
	assert_int_equal(ask(f, f->st, 2, 2, 0).held, 2);
	assert_string_equal(table(f), "1:2/2");
}

/* Both at once, many times: each of them wants all, and uses what it is told. */
static void test_at_once(void **state)
{
	struct fixture *f = *state;
	struct shares a = { 0 }, b = { 0 };
	uint64_t most_a = 0, most_b = 0;

	for (unsigned i = 0; i < 150; i++) {
		a.wishes[0] = (struct slots_wish){ .gate = GATE, .limit = 3, .wanted = i % 7, .used = a.got[0].keep };
		b.wishes[0] = (struct slots_wish){ .gate = GATE, .limit = 3, .wanted = i % 5, .used = b.got[0].keep };
		ask_begin(f, f->st, &a, 1);
		ask_begin(f, second_store, &b, 1);
		answer_wait(f, &a.answer);
		answer_wait(f, &b.answer);
		assert_true(a.answer.v.class == OK && b.answer.v.class == OK);
		assert_true(a.got[0].keep + b.got[0].keep <= 3);
		assert_true(strtoul(sql(f, "SELECT coalesce(sum(n),0) FROM gate_slot"), NULL, 10) <= 3);
		most_a = a.got[0].keep > most_a ? a.got[0].keep : most_a;
		most_b = b.got[0].keep > most_b ? b.got[0].keep : most_b;
	}
	assert_true(most_a > 0 && most_b > 0);
}

/* At the end of its epoch, however it ends, a node holds nothing; a node that drains holds what it uses. */
static void test_end_of_epoch(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, second_store, 3, 3, 0).held, 3);
	assert_int_equal(ask(f, f->st, 3, 3, 0).held, 0);
	(void)sql(f, "UPDATE node SET state='draining' WHERE number=2");
	assert_int_equal(ask(f, f->st, 3, 3, 0).held, 0);
	(void)sql(f, "UPDATE node SET state='dead',epoch=epoch+1 WHERE number=2");
	assert_int_equal(ask(f, f->st, 3, 3, 0).held, 3);
	second_close(f);
	second_open(f);
	assert_int_equal(ask(f, second_store, 3, 3, 3).held, 0); /* used is of before */
	assert_string_equal(table(f), "1:3/3 2:0/3");
	second_close(f);
	assert_int_equal(ask(f, f->st, 3, 3, 3).keep, 3);
}

/* Drained is who holds nothing. */
static void test_drained(void **state)
{
	struct fixture *f = *state;
	struct store_node node = { 0 };

	assert_int_equal(ask(f, second_store, 3, 1, 0).held, 1);
	(void)sql(f, "UPDATE node SET state='draining' WHERE number=2");
	for (unsigned i = 0; i < 3; i++) {
		uv_sleep(1000);
		store_node(second_store, &node);
		assert_true(node.state == STORE_NODE_DRAINING || (i == 0 && node.state == STORE_NODE_UP));
	}
	assert_int_equal(ask(f, second_store, 3, 0, 0).held, 0);
	for (unsigned i = 0; i < 100 && node.state != STORE_NODE_DRAINED; i++) {
		uv_sleep(100);
		store_node(second_store, &node);
	}
	assert_int_equal(node.state, STORE_NODE_DRAINED);
}

#define SLOTS_TEST(f) cmocka_unit_test_setup_teardown(f, second_setup, second_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLOTS_TEST(test_handed_over),  SLOTS_TEST(test_no_write_without_change),
		SLOTS_TEST(test_gates),        SLOTS_TEST(test_at_once),
		SLOTS_TEST(test_end_of_epoch), SLOTS_TEST(test_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
