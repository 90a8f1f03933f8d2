/* test_limits.c - limits over several nodes: two stores, each with a thread and a node of its own, on one database. */
#include "cluster.h"
#include "second_store.h"

#define NOW_US  (NOW * 1000)
#define HOUR_US 3600000000ull
#define TENTH   (HOUR_US / 10) /* what one message costs at ten per hour */
#define BUSY    300            /* accepts of each node */

/* ---- accepts with charges ---- */

struct charged {
	struct answer answer;
	struct accepted *m;
	struct bucket_row charges[2];
	uint64_t states[2];
};

static struct bucket_row charge_of(const char *key, uint64_t cost_us, uint64_t at_us)
{
	return (struct bucket_row){ .key = str_of(key),
				    .rule = S("messages 10/1h"),
				    .tat_us = at_us + cost_us,
				    .cost_us = (int64_t)cost_us,
				    .window_us = HOUR_US,
				    .now_us = at_us,
				    .must_fit = true };
}

static struct charged *charged(struct fixture *f, uint64_t id, struct bucket_row first, struct bucket_row second)
{
	struct charged *c = ARENA_NEW(&f->arena, struct charged);

	c->answer.f = f;
	c->m = message(f, id, "b@a.org");
	c->charges[0] = first;
	c->charges[1] = second;
	c->m->charges = c->charges;
	c->m->charges_n = second.key.n ? 2 : 1;
	c->m->states_out = c->states;
	return c;
}

static const struct bucket_row none;

static struct verdict accept_charged(struct fixture *f, struct store *st, struct charged *c)
{
	c->answer.done = false;
	store_accept(st, c->m, on_done, &c->answer);
	answer_wait(f, &c->answer);
	return c->answer.v;
}

/* ---- tests ---- */

/* Each node thinks that it is alone; together they accept ten, in whatever order they come. */
static void two_nodes_share_a_limit(void **state)
{
	struct fixture *f = *state;
	struct charged *all[40];
	unsigned accepted = 0, over = 0;

	for (size_t i = 0; i < 40; i++)
		all[i] = charged(f, 100 + i, charge_of("user:alice", TENTH, NOW_US), none);
	for (size_t i = 0; i < 40; i++) {
		store_accept(i % 2 ? second_store : f->st, all[i]->m, on_done, &all[i]->answer);
		if (i % 7 == 0)
			(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	for (size_t i = 0; i < 40; i++) {
		answer_wait(f, &all[i]->answer);
		accepted += all[i]->answer.v.class == OK;
		over += store_is_over(all[i]->answer.v);
		if (store_is_over(all[i]->answer.v))
			assert_int_equal(all[i]->states[0], NOW_US + HOUR_US);
		assert_int_equal(show_now(f, 100 + i, 0, 1).v.class, all[i]->answer.v.class == OK ? OK : PERM);
	}
	assert_int_equal(accepted, 10);
	assert_int_equal(over, 30);
	assert_str(buckets(f), "user:alice messages 10/1h 1700003600000000");
}

/* The answer tells what all nodes have charged; nothing of a refused message is stored, nor are its other charges. */
static void answers_tell_the_state(void **state)
{
	struct fixture *f = *state;
	struct charged *c = charged(f, 100, charge_of("user:alice", 6 * TENTH, NOW_US), charge_of("device:a", TENTH, NOW_US));

	assert_int_equal(accept_charged(f, f->st, c).class, OK);
	assert_int_equal(c->states[0], NOW_US + 6 * TENTH);
	assert_int_equal(c->states[1], NOW_US + TENTH);
	c = charged(f, 101, charge_of("user:alice", TENTH, NOW_US), none);
	assert_int_equal(accept_charged(f, second_store, c).class, OK);
	assert_int_equal(c->states[0], NOW_US + 7 * TENTH);
	c = charged(f, 102, charge_of("device:a", TENTH, NOW_US), charge_of("user:alice", 4 * TENTH, NOW_US));
	assert_true(store_is_over(accept_charged(f, second_store, c)));
	assert_int_equal(c->states[0], NOW_US + TENTH);
	assert_int_equal(c->states[1], NOW_US + 7 * TENTH);
	assert_str(buckets(f), "device:a messages 10/1h 1700000360000000; user:alice messages 10/1h 1700002520000000");
	/* A tenth of an hour later it fits; and again, when its answer was lost, it is not charged twice. */
	c = charged(f, 102, charge_of("device:a", TENTH, NOW_US + TENTH), charge_of("user:alice", 4 * TENTH, NOW_US + TENTH));
	assert_int_equal(accept_charged(f, second_store, c).code, 0);
	assert_int_equal(accept_charged(f, f->st, c).code, 250);
	assert_str(buckets(f), "device:a messages 10/1h 1700000720000000; user:alice messages 10/1h 1700003960000000");
}

/* What another node has charged is not known here: of a batch only the messages that do not fit are lost, and the others are not
 * stored one by one. */
static void a_batch_loses_what_is_over(void **state)
{
	struct fixture *f = *state;
	struct charged *all[60];
	struct store_stats before, after;
	char keys[60][20];
	unsigned alice = 0;

	assert_int_equal(accept_charged(f, second_store, charged(f, 100, charge_of("user:alice", 9 * TENTH, NOW_US), none)).class,
			 OK);
	store_stats(f->st, &before);
	for (size_t i = 0; i < 60; i++) {
		(void)snprintf(keys[i], sizeof keys[i], i % 20 == 7 ? "user:alice" : "user:%zu", i);
		all[i] = charged(f, 200 + i, charge_of(keys[i], TENTH, NOW_US), charge_of("device:a", 1000, NOW_US));
		store_accept(f->st, all[i]->m, on_done, &all[i]->answer);
	}
	for (size_t i = 0; i < 60; i++) {
		answer_wait(f, &all[i]->answer);
		if (i % 20 != 7)
			assert_int_equal(all[i]->answer.v.class, OK);
		else if (all[i]->answer.v.class == OK)
			alice++;
		else
			assert_int_equal(all[i]->states[0], NOW_US + HOUR_US);
	}
	assert_int_equal(alice, 1);
	store_stats(f->st, &after);
	assert_in_range(after.commits - before.commits, 1, 10); /* the loop hands over some batches, and not sixty */
	assert_int_equal(after.over - before.over, 2);
	assert_in_range(after.repeated[REPEAT_CONFLICT] - before.repeated[REPEAT_CONFLICT], 1, 3);
}

/* What need not fit is charged up to the limit; what is given back, and what is only set; a cost of more than the limit. */
static void charges_of_all_kinds(void **state)
{
	struct fixture *f = *state;
	struct bucket_row row = charge_of("net:1", 8 * TENTH, NOW_US);
	struct answer a = { .f = f };

	row.must_fit = false;
	for (unsigned i = 0; i < 2; i++) {
		a.done = false;
		store_bucket_put(f->st, &row, 1, on_done, &a);
		answer_wait(f, &a);
		assert_int_equal(a.v.class, OK);
	}
	assert_str(buckets(f), "net:1 messages 10/1h 1700003600000000");
	row.cost_us = -(int64_t)(3 * TENTH);
	a.done = false;
	store_bucket_put(f->st, &row, 1, on_done, &a);
	answer_wait(f, &a);
	assert_str(buckets(f), "net:1 messages 10/1h 1700002520000000");
	row.window_us = 0;
	row.tat_us = 7;
	a.done = false;
	store_bucket_put(f->st, &row, 1, on_done, &a);
	answer_wait(f, &a);
	assert_str(buckets(f), "net:1 messages 10/1h 7");
	assert_true(store_is_over(accept_charged(f, f->st, charged(f, 100, charge_of("net:1", HOUR_US + 1, NOW_US), none))));
	assert_str(buckets(f), "net:1 messages 10/1h 7");
}

/* A node whose clock is behind by less than two minutes does not take a full bucket for an empty one. */
static void clocks_can_differ(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(accept_charged(f, f->st, charged(f, 100, charge_of("user:a", HOUR_US, NOW_US), none)).class, OK);
	assert_true(store_is_over(accept_charged(f, f->st, charged(f, 101, charge_of("user:a", 1, NOW_US - 60000000), none))));
	/* by an hour and more: then it is the time before that was wrong */
	assert_int_equal(accept_charged(f, f->st, charged(f, 102, charge_of("user:a", 1, NOW_US - HOUR_US), none)).class, OK);
}

/* Both nodes charge the same buckets, each in another order: none waits for the other for ever, and all is counted. */
static void no_node_waits_for_ever(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = { "user:a", "user:b", "user:c" };
	struct charged *all[2 * BUSY];
	const char *deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname=current_database()";

	for (size_t i = 0; i < 2 * BUSY; i++) {
		size_t key = i / 2 % 3, next = (key + 1 + i % 2) % 3;

		all[i] = charged(f, 100 + i, charge_of(keys[key], 1000, NOW_US), charge_of(keys[next], 1000, NOW_US));
		store_accept(i % 2 ? second_store : f->st, all[i]->m, on_done, &all[i]->answer);
		if (i % 5 == 0)
			(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	for (size_t i = 0; i < 2 * BUSY; i++) {
		answer_wait(f, &all[i]->answer);
		assert_int_equal(all[i]->answer.v.class, OK);
	}
	assert_str(buckets(f), "user:a messages 10/1h 1700000000400000; user:b messages 10/1h 1700000000400000; "
			       "user:c messages 10/1h 1700000000400000");
	second_close(f); /* what it has counted is told then */
	fixture_close(f);
	assert_string_equal(cluster_sql(arena_cstr(&f->arena, f->options.database->connection), deadlocks), "0");
	assert_int_equal(fixture_open(f).class, OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, second_setup, second_teardown)
	const struct CMUnitTest tests[] = {
		CASE(two_nodes_share_a_limit), CASE(answers_tell_the_state), CASE(charges_of_all_kinds),
		CASE(clocks_can_differ),       CASE(no_node_waits_for_ever), CASE(a_batch_loses_what_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
