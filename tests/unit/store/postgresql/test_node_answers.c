/* test_node_answers.c - the answer to each statement of what nodes do is lost: claims, beats, declaring dead and giving back, draining,
 * sharing the lanes. Each was done once or not at all, and is done in the end. */
#include "node_fixture.h"

#include "proxy.h"

#include <errno.h>
#include <unistd.h>

static struct member *a, *b;

/* ---- steps ---- */

static void reconnect(struct fixture *f, struct member *m)
{
	db_close(&m->db);
	assert_true(db_open(&m->db, &(struct db_target){ .connection = f->connection, .application_name = "posthouse/0/0" }));
}

/* As the store does after it has lost its connection. */
static void claim_in_the_end(struct fixture *f, struct member *m)
{
	struct verdict v = claim(f, m);

	while (v.class == TEMP) {
		reconnect(f, m);
		v = claim(f, m);
	}
	assert_int_equal(v.class, OK);
	if (db_error(&m->db) != DB_WELL) /* it has only not got its name */
		reconnect(f, m);
}

/* A step, after which a lost connection is made again with the next one. */
static void step(struct member *m)
{
	boot_ms += TICK;
	(void)node_step(&m->node);
}

static bool is(struct fixture *f, const char *condition)
{
	return strcmp(sql(f, "SELECT %s", condition), "t") == 0;
}

static void assert_is(struct fixture *f, const char *condition)
{
	if (!is(f, condition))
		fail_msg("not: %s", condition);
}

/* Both recipients of b are due again, each with one end in its history. */
static void assert_given_back_once(struct fixture *f)
{
	assert_is(f, "count(*)=0 FROM taken");
	assert_is(f, "count(*)=2 AND bool_and(tried) FROM due");
	assert_is(f, "bool_and(state=1 AND attempts=1 AND deaths=1) FROM recipient");
	assert_is(f, "count(*)=2 AND count(DISTINCT n)=2 AND bool_and(name='delivery.unknown') FROM event");
	assert_is(f, "next_at=(SELECT min(due_at) FROM due) FROM lane");
}

/* ---- claims ---- */

static void prepare_new(struct fixture *f)
{
	a = member(f, 0);
}

static void run_claim(struct fixture *f)
{
	claim_in_the_end(f, a);
}

static void check_new(struct fixture *f)
{
	assert_true(is_fenced(a));
	assert_is(f, "count(*)=1 AND bool_and(number=1 AND epoch<=2 AND state='up') FROM node");
}

static void prepare_both(struct fixture *f)
{
	a = joined(f, 0);
	b = joined(f, 1);
	ROUNDS(3, a, b);
}

/* b was declared dead, and nobody has given back so far. */
static void prepare_lost(struct fixture *f)
{
	prepare_both(f);
	take(f, b, 1);
	take(f, b, 2);
	(void)sql(f, "UPDATE node SET epoch=epoch+1,state='dead' WHERE number=2");
	ROUNDS(1, b);
	assert_true(node_is_lost(&b->node));
}

static void run_claim_again(struct fixture *f)
{
	claim_in_the_end(f, b);
}

static void check_claimed_again(struct fixture *f)
{
	assert_true(is_fenced(b));
	assert_is(f, "count(*)=2 AND bool_and(state='up') AND max(epoch) IN (3,4) FROM node");
	assert_given_back_once(f);
}

/* ---- beats and shards ---- */

static void run_beat(struct fixture *f)
{
	uint64_t before = a->node.beat_at;

	while (a->node.beat_at == before)
		step(a);
}

static void check_alive(struct fixture *f)
{
	assert_is(f, "count(*)=2 AND bool_and(state='up' AND epoch=1) FROM node");
	ROUNDS(3, b, a);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
	assert_int_equal(node_shards(&a->node) & node_shards(&b->node), 0);
}

static void prepare_alone(struct fixture *f)
{
	a = joined(f, 0);
	ROUNDS(2, a);
	b = joined(f, 1);
}

static void run_share(struct fixture *f)
{
	do {
		step(a);
		step(b);
	} while (shards_n(a) != 32 || shards_n(b) != 32);
}

/* ---- death ---- */

static void prepare_silent(struct fixture *f)
{
	prepare_both(f);
	take(f, b, 1);
	take(f, b, 2);
	ROUNDS(TIMEOUT / TICK, a); /* the next step declares b dead */
}

static void run_death(struct fixture *f)
{
	step(a);
	step(a); /* takes the shards */
	while (!is(f, "(SELECT count(*) FROM taken)=0 AND (SELECT count(*) FROM shard WHERE node=1)=64"))
		for (unsigned i = 0; i <= TIMEOUT / TICK; i++) /* so long it has to watch again */
			step(a);
}

static void check_dead(struct fixture *f)
{
	assert_is(f, "string_agg(number||state||epoch,' ' ORDER BY number)='1up1 2dead2' FROM node");
	assert_given_back_once(f);
}

/* ---- draining ---- */

static void prepare_draining(struct fixture *f)
{
	prepare_both(f);
	(void)sql(f, "UPDATE node SET state='draining' WHERE number=1");
}

static void run_drain(struct fixture *f)
{
	do
		step(a);
	while (!is(f, "state='drained' FROM node WHERE number=1"));
}

static void check_drained(struct fixture *f)
{
	assert_is(f, "bool_and(epoch=1) FROM node");
	ROUNDS(2, b);
	assert_int_equal(shards_n(b), 64);
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	void (*prepare)(struct fixture *f);
	void (*run)(struct fixture *f); /* with an answer that is lost */
	void (*check)(struct fixture *f);
} deeds[] = {
	{ "claim", prepare_new, run_claim, check_new },
	{ "claim again", prepare_lost, run_claim_again, check_claimed_again },
	{ "beat", prepare_both, run_beat, check_alive },
	{ "share the lanes", prepare_alone, run_share, check_alive },
	{ "declare dead", prepare_silent, run_death, check_dead },
	{ "drain", prepare_draining, run_drain, check_drained },
};

/* The next members are of an empty database, and have not seen this one. */
static void forget_all(struct fixture *f)
{
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		const char *identity = arena_cstr(&f->arena, arena_printf(&f->arena, "%s/%u/node", f->root, i));

		if (f->members[i])
			end_member(f, i);
		assert_true(unlink(identity) == 0 || errno == ENOENT);
	}
	(void)sql(
		f,
		"DELETE FROM node; DELETE FROM taken; DELETE FROM due; DELETE FROM recipient; DELETE FROM event; DELETE FROM lane;"
		"UPDATE shard SET node=0,epoch=0");
}

static void each_answer_is_lost(void **state)
{
	struct fixture *f = *state;

	(void)snprintf(f->connection, sizeof f->connection, "%s", proxy_start(cluster_directory(), "nodes"));
	for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
		size_t lost = 0;

		for (bool cut = true; cut; lost += cut) {
			forget_all(f);
			deeds[i].prepare(f);
			proxy_cut_before_answer(lost + 1);
			deeds[i].run(f);
			cut = proxy_has_cut();
			proxy_cut_before_answer(0);
			deeds[i].check(f);
		}
		print_message("# %s: %zu answers were lost\n", deeds[i].name, lost);
		assert_true(lost >= 4); /* BEGIN, what is to be done, COMMIT, and that all is said */
	}
	forget_all(f);
	proxy_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(each_answer_is_lost) };

	return RUN_TESTS(tests);
}
