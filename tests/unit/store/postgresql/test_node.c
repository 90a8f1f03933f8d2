/* test_node.c - nodes that share a database: claims, beats, shards. */
#include "node_fixture.h"

#include <sys/stat.h>

/* ---- claiming ---- */

static void claims_the_lowest_number(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	char path[100];
	struct stat s;

	assert_int_equal(node_number(&a->node), 1);
	assert_int_equal(node_epoch(&a->node), 1);
	assert_int_equal(node_number(&b->node), 2);
	assert_true(is_fenced(a));
	assert_string_equal(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"), "1");
	(void)snprintf(path, sizeof path, "%s/node", a->directory);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_int_equal(s.st_size, 56); /* the instance; generation 1, a history of 12 digits, epoch 1, timeline 1 */
}

static void the_same_instance_has_what_it_had_due_at_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);

	(void)joined(f, 1);
	take(f, a, 1);
	end_member(f, 0);
	clock_off_ms = (uint64_t)-10000; /* or that of the database is ahead */
	a = joined(f, 0);
	assert_int_equal(node_number(&a->node), 1);
	assert_int_equal(node_epoch(&a->node), 2);
	assert_string_equal(sql(f, "SELECT count(*) FROM taken"), "0");
	assert_string_equal(sql(f, "SELECT count(*) FROM due WHERE due_at<=" NODE_NOW " AND take_no=1"), "1");
	assert_string_equal(sql(f, "SELECT attempts+deaths FROM recipient"), "0");
	assert_string_equal(sql(f, "SELECT next_at<=" NODE_NOW " FROM lane"), "t");
}

static void the_sixteenth_node_is_refused(void **state)
{
	struct fixture *f = *state;
	struct member *last;
	struct verdict v;

	for (unsigned i = 0; i < NODE_MAX; i++)
		assert_int_equal(node_number(&joined(f, i)->node), i + 1);
	last = member(f, NODE_MAX);
	v = claim(f, last);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("posthouse node remove N")) < v.text.n);
	/* One of them dies and is removed. */
	(void)sql(f, "UPDATE node SET state='dead',epoch=epoch+1 WHERE number=7");
	assert_int_equal(node_order(&last->node, &last->db, &f->arena, NODE_REMOVE, 7).class, OK);
	assert_int_equal(claim(f, last).class, OK);
	assert_int_equal(node_number(&last->node), 7);
	assert_int_equal(node_epoch(&last->node), 4);
	assert_false(is_fenced(f->members[6]));
}

static void another_schema_is_refused_with_the_names_of_the_nodes(void **state)
{
	struct fixture *f = *state;
	struct member *a, *b = joined(f, 0);
	struct verdict v;

	(void)sql(f, "UPDATE meta SET value='8' WHERE key='schema_version'");
	assert_int_equal(claim(f, b).class, OK); /* it is compatible from 1 */
	(void)sql(f, "UPDATE meta SET value='7' WHERE key='compatible_from'");
	(void)sql(f, "UPDATE node SET host='alpha',schema=8");
	a = member(f, 1);
	v = claim(f, a);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("1 (alpha, schema 8)")) < v.text.n);
	assert_true(str_search(v.text, S("newer version")) < v.text.n);
	a->node.schema = 9;
	v = claim(f, a);
	assert_int_equal(v.class, PERM);
	assert_true(str_search(v.text, S("store migrate")) < v.text.n);
}

/* ---- living ---- */

static void a_beat_moves_the_horizon_and_the_floor_of_ids(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	uint64_t horizon = node_horizon(&a->node);

	assert_int_equal(horizon, boot_ms + TIMEOUT - TICK);
	ROUNDS(1, a);
	assert_int_equal(node_horizon(&a->node), boot_ms + TIMEOUT - TICK);
	assert_int_equal(node_state(&a->node), STORE_NODE_UP);
	assert_true(node_may_take(&a->node));
	assert_true(number(f, "SELECT id_floor FROM node") > number(f, "SELECT " NODE_NOW));
	assert_true(node_clock_ahead(&a->node) < 2000 && node_clock_ahead(&a->node) > -2000);
	boot_ms += TIMEOUT - TICK;
	assert_false(node_may_take(&a->node));
	end_member(f, 0);
	a = joined(f, 0);
	assert_true(node_id_floor(&a->node) > number(f, "SELECT " NODE_NOW));
}

static uint64_t time_that_passes(void)
{
	return boot_ms += 10;
}

/* The others have seen it then at the earliest. */
static void the_horizon_counts_from_the_start_of_the_beat(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	uint64_t before = boot_ms;

	a->node.boottime = time_that_passes;
	assert_true(node_step(&a->node));
	assert_int_equal(node_horizon(&a->node), before + 10 + TIMEOUT - TICK);
}

static void the_horizon_stays_while_the_server_is_away(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	uint64_t horizon;

	ROUNDS(1, a);
	horizon = node_horizon(&a->node);
	cluster_stop();
	boot_ms += TICK;
	assert_false(node_step(&a->node));
	assert_false(node_step(&a->node));
	assert_int_equal(node_state(&a->node), STORE_NODE_AWAY);
	assert_int_equal(node_horizon(&a->node), horizon);
	(void)cluster_start();
	ROUNDS(1, a);
	assert_int_equal(node_state(&a->node), STORE_NODE_UP);
	assert_int_equal(node_horizon(&a->node), boot_ms + TIMEOUT - TICK);
	assert_false(node_is_lost(&a->node));
}

static void the_others_are_known(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);
	struct node_row others[NODE_MAX];
	struct node_counters count;

	(void)sql(f, "INSERT INTO counter VALUES(1,100,100,100,100,0,0),(2,5,4,3,2,0,0),(3,-1,-1,0,0,0,0)");
	(void)sql(f, "UPDATE node SET host='beta',config_hash='abc' WHERE number=2");
	ROUNDS(1, a);
	ROUNDS(1, a);
	assert_int_equal(node_others(&a->node, others, &count), 1);
	assert_int_equal(others[0].number, node_number(&b->node));
	assert_int_equal(others[0].state, STORE_NODE_UP);
	assert_string_equal(others[0].host, "beta");
	assert_string_equal(others[0].config_hash, "abc");
	assert_int_equal(others[0].seen_at, boot_ms - TICK);
	assert_int_equal(count.open_messages, 4);
	assert_int_equal(count.waiting, 3);
	assert_int_equal(count.held, 3);
	assert_int_equal(count.failed, 2);
	ROUNDS(1, b, a);
	(void)node_others(&a->node, others, &count);
	assert_int_equal(others[0].seen_at, boot_ms);
}

/* Its beats could wait there for ever. */
static void a_primary_of_before_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);

	ROUNDS(1, a);
	node_saw_timeline(&a->node, node_timeline(&a->node) + 1, a->node.history);
	assert_false(node_step(&a->node)); /* there is no other server */
	assert_null(a->node.db.conn);
}

static void a_wrong_clock_is_told_and_one_that_is_very_wrong_drains(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c;

	ROUNDS(1, a);
	assert_int_equal(told("node.clock"), 0);
	clock_off_ms = (uint64_t)-10000;
	ROUNDS(2, a);
	assert_int_equal(told("node.clock"), 1); /* once */
	assert_true(node_clock_ahead(&a->node) > 9000 && node_clock_ahead(&a->node) < 12000);
	/* What is given back is due in the database's time. */
	take(f, b, 1);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_string_equal(sql(f, "SELECT abs(due_at-" NODE_NOW "-%d)<5000 FROM due", UNKNOWN), "t");
	clock_off_ms = 0;
	c = joined(f, 2);
	ROUNDS(1, a, c);
	clock_off_ms = 100000;
	ROUNDS(2, a);
	assert_int_equal(told("node.clock"), 2);
	assert_int_equal(node_state(&a->node), STORE_NODE_DRAINING);
	ROUNDS(2, a);
	assert_int_equal(node_state(&a->node), STORE_NODE_DRAINED);
}

/* All nodes disagree with it: none drains. */
static void a_wrong_clock_of_the_database_is_only_told(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = joined(f, 2);

	ROUNDS(2, a, b, c);
	take(f, c, 1);
	clock_off_ms = 3600000;
	(void)sql(f, "UPDATE node SET id_floor=id_floor+3600000"); /* what it is when the database is behind */
	ROUNDS(2 * TIMEOUT / TICK, a, b);
	assert_int_equal(told("node.clock"), 2);
	assert_int_equal(told("node.dead"), 1);
	/* What c had is due by the clocks of the nodes; also what it gives back itself. */
	assert_string_equal(sql(f, "SELECT abs(due_at-" NODE_NOW "-3600000-%d)<5000 FROM due", UNKNOWN), "t");
	take(f, c, 2);
	assert_true(node_step(&c->node) && node_is_lost(&c->node));
	assert_int_equal(claim(f, c).class, OK);
	assert_string_equal(sql(f, "SELECT abs(due_at-" NODE_NOW "-3600000-%d)<5000 FROM due WHERE n=2", UNKNOWN), "t");
	(void)sql(f, "UPDATE node SET state='dead' WHERE number=3");
	assert_int_equal(node_state(&a->node), STORE_NODE_UP);
	assert_int_equal(node_state(&b->node), STORE_NODE_UP);
	/* It was its own after all: the other one is corrected. */
	clock_off_ms = 0;
	(void)sql(f, "UPDATE node SET id_floor=id_floor-3600000 WHERE number=2");
	ROUNDS(1, b);
	clock_off_ms = 3600000;
	ROUNDS(2, a);
	assert_int_equal(node_state(&a->node), STORE_NODE_DRAINING);
}

/* What is due at once is due now, by whichever clock. */
static void a_restart_beside_a_wrong_clock_has_its_mail_at_once(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		take(f, joined(f, i), i + 1);
		end_member(f, i);
		clock_off_ms = i == 0 ? 3600000 : (uint64_t)-3600000;
		(void)joined(f, i);
		assert_string_equal(
			sql(f, "SELECT due_at<=" NODE_NOW "+least(0,%lld) FROM due WHERE n=%u", (long long)clock_off_ms, i + 1),
			"t");
	}
}

/* ---- shards ---- */

static void shards_are_balanced_and_taken_over(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b, *c;

	ROUNDS(1, a);
	assert_int_equal(shards_n(a), 64);
	b = joined(f, 1);
	ROUNDS(2, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
	assert_true((node_shards(&a->node) & node_shards(&b->node)) == 0);
	c = joined(f, 2);
	ROUNDS(3, a, b, c);
	assert_int_equal(shards_n(a), 22);
	assert_int_equal(shards_n(b), 22);
	assert_int_equal(shards_n(c), 20);
	assert_true((node_shards(&a->node) | node_shards(&b->node) | node_shards(&c->node)) == UINT64_MAX);
	ROUNDS(TIMEOUT / TICK + 3, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
	assert_true((node_shards(&a->node) | node_shards(&b->node)) == UINT64_MAX);
	assert_string_equal(sql(f, "SELECT count(*) FROM shard WHERE node=3"), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claims_the_lowest_number),
		TEST(the_same_instance_has_what_it_had_due_at_once),
		TEST(the_sixteenth_node_is_refused),
		TEST(another_schema_is_refused_with_the_names_of_the_nodes),
		TEST(a_beat_moves_the_horizon_and_the_floor_of_ids),
		TEST(the_horizon_counts_from_the_start_of_the_beat),
		TEST(the_horizon_stays_while_the_server_is_away),
		TEST(the_others_are_known),
		TEST(a_primary_of_before_is_given_up),
		TEST(a_wrong_clock_is_told_and_one_that_is_very_wrong_drains),
		TEST(a_wrong_clock_of_the_database_is_only_told),
		TEST(a_restart_beside_a_wrong_clock_has_its_mail_at_once),
		TEST(shards_are_balanced_and_taken_over),
	};

	return RUN_TESTS(tests);
}
