/* test_node_death.c - nodes that end: who declares them dead, and what becomes of what they had. */
#include "node_fixture.h"

/* ---- dying ---- */

static void a_stopped_node_is_declared_dead_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = joined(f, 2);
	struct node_row stale[NODE_MAX];
	size_t stale_n;
	uint64_t before, floor;

	ROUNDS(3, a, b, c);
	take(f, c, 1);
	take(f, c, 2);
	take(f, a, 3);
	(void)sql(f, "UPDATE recipient SET deaths=2 WHERE n=2");
	(void)sql(f, "UPDATE recipient SET removing=1 WHERE n=1");
	ROUNDS(TIMEOUT / TICK, a, b);
	assert_int_equal(told("node.dead"), 0); /* both saw the last beat one step after it */
	assert_true(is_fenced(c));
	stale_n = b->node.others_n;
	memcpy(stale, b->node.others, sizeof stale);
	floor = number(f, "SELECT " NODE_NOW);
	ROUNDS(1, a);
	assert_int_equal(told("node.dead"), 1);
	/* The other observer is about to say the same. */
	memcpy(b->node.others, stale, sizeof stale);
	b->node.others_n = stale_n;
	b->node.read_at = b->node.beat_at = boot_ms;
	node_judge(&b->node);
	db_rollback(&b->node.db);
	ROUNDS(2, b, a);
	assert_int_equal(told("node.dead"), 1);
	assert_string_equal(sql(f, "SELECT state||epoch FROM node WHERE number=3"), "dead2");
	assert_false(is_fenced(c));
	assert_true(is_fenced(a) && is_fenced(b));
	/* What it had: not what others have. */
	assert_string_equal(sql(f, "SELECT string_agg(n::text,',') FROM taken"), "3");
	before = number(f, "SELECT due_at FROM due WHERE n=1");
	assert_true(before >= floor + UNKNOWN - 1000 && before <= number(f, "SELECT " NODE_NOW) + UNKNOWN + 1000);
	assert_string_equal(sql(f, "SELECT string_agg(n||':'||tried,',') FROM due"), "1:true");
	assert_string_equal(sql(f, "SELECT string_agg(state||':'||attempts||':'||deaths,',' ORDER BY n) FROM recipient"),
			    "1:1:1,2:1:3,1:0:0");
	assert_int_equal(number(f, "SELECT next_at FROM lane"), before);
	assert_string_equal(sql(f, "SELECT string_agg(n||name,',' ORDER BY n) FROM event"), "1delivery.unknown,2delivery.held");
	assert_string_equal(sql(f, "SELECT fields FROM event WHERE n=1"), "reason=\"outcome unknown: node 3 was declared dead\"");
	assert_string_equal(sql(f, "SELECT waiting||':'||held FROM counter WHERE node=0"), "-1:1");
}

/* Another node has declared it dead after its last beat. */
static void who_is_out_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = joined(f, 2);

	ROUNDS(3, a, b, c);
	take(f, c, 1);
	(void)sql(f, "UPDATE node SET epoch=epoch+1,state='dead' WHERE number=2");
	b->node.read_at = b->node.beat_at = boot_ms += TIMEOUT + TICK;
	node_judge(&b->node);
	assert_int_equal(told("node.dead"), 0);
	assert_true(is_fenced(c));
	(void)sql(f, "UPDATE node SET epoch=epoch+1,state='dead' WHERE number=3");
	node_return_taken(&b->node);
	assert_string_equal(sql(f, "SELECT count(*) FROM taken"), "1");
	(void)sql(f, "UPDATE shard SET node=0,epoch=0");
	node_balance(&b->node);
	assert_string_equal(sql(f, "SELECT count(*) FROM shard WHERE node<>0"), "0");
	assert_int_equal(db_error(&b->node.db), DB_WELL);
}

/* A person has written rows that no node can have: nothing counts by these numbers. */
static void a_row_that_is_no_node_is_passed_by(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b;

	(void)sql(f, "INSERT INTO node SELECT n,'no-'||n,1,1,'up',3,'',0,'',0 FROM unnest('{-1,0,16,40}'::int8[]) AS n");
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(a->node.others_n, 0);
	assert_int_equal(told("node.dead"), 0);
	b = member(f, 1);
	(void)sql(f, "UPDATE node SET instance=(SELECT instance FROM node WHERE number=1) WHERE number=0");
	end_member(f, 0);
	a = joined(f, 0);
	assert_int_equal(node_number(&a->node), 1);
	assert_int_equal(claim(f, b).class, OK);
	assert_int_equal(node_number(&b->node), 2);
}

/* After the observer has looked for the last time. */
static void who_beats_at_the_last_moment_lives(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(3, b, a);
	a->node.read_at = a->node.beat_at = boot_ms += TIMEOUT;
	assert_true(node_step(&b->node));
	node_judge(&a->node);
	assert_int_equal(told("node.dead"), 0);
	assert_true(is_fenced(b));
}

/* The writer ends them: an administrator has removed them while they were in flight. */
static void recipients_with_a_mark_are_left_to_the_writer(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	take(f, b, 1);
	take(f, b, 2);
	(void)sql(f, "UPDATE recipient SET removing=2 WHERE n=2");
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_string_equal(sql(f, "SELECT string_agg(message||':'||n,',') FROM marked"), "1000:2");
}

static void who_was_declared_dead_claims_again(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(told("node.dead"), 1);
	assert_int_equal(shards_n(a), 64);
	assert_true(node_step(&b->node));
	assert_true(node_is_lost(&b->node));
	assert_int_equal(node_horizon(&b->node), 0);
	assert_false(node_may_take(&b->node));
	assert_int_equal(told("node.lost"), 1);
	take(f, b, 1); /* of before, and not given back so far: this process may still be delivering it */
	assert_int_equal(claim(f, b).class, OK);
	assert_int_equal(node_number(&b->node), 2);
	assert_int_equal(node_epoch(&b->node), 3);
	assert_true(is_fenced(b));
	assert_string_equal(sql(f, "SELECT count(*) FROM due WHERE due_at>" NODE_NOW "+%d", UNKNOWN - 60000), "1");
	assert_string_equal(sql(f, "SELECT deaths FROM recipient"), "1");
	ROUNDS(3, a, b);
	assert_int_equal(shards_n(a), 32);
	assert_int_equal(shards_n(b), 32);
}

static void who_could_not_watch_declares_nobody_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(3, b, a); /* so the last beat is the one that was seen */
	cluster_stop();
	for (unsigned i = 0; i < 2 * TIMEOUT / TICK; i++) {
		boot_ms += TICK;
		assert_false(node_step(&a->node));
	}
	(void)cluster_start();
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 0);
	assert_false(node_step(&b->node)); /* its connection is gone */
	ROUNDS(2, b, a);
	/* The same when it was stopped itself. */
	boot_ms += 10 * TIMEOUT;
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 0);
	ROUNDS(TIMEOUT / TICK - 2, a);
	assert_int_equal(told("node.dead"), 0);
	/* Nor is a beat of long ago a reason to judge. */
	a->node.read_at = boot_ms += 3 * TICK;
	node_judge(&a->node);
	assert_int_equal(told("node.dead"), 0);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_int_equal(told("node.dead"), 1);
}

static void a_stopped_backend_with_locks_is_ended(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1);

	ROUNDS(1, a, b);
	/* Half a transaction, after which the process is stopped: its server process waits for more, and holds the row. */
	assert_true(db_begin(&b->db));
	assert_true(is_fenced(b));
	while (strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"
			     " AND wait_event='ClientRead' AND state='active'"),
		      "1") != 0)
		uv_sleep(1);
	ROUNDS(TIMEOUT / TICK + 1, a);
	assert_int_equal(told("node.terminated"), 1);
	assert_int_equal(told("node.dead"), 1);
	assert_string_equal(sql(f, "SELECT state FROM node WHERE number=2"), "dead");
	db_rollback(&b->db);
	assert_false(db_commit(&b->db));
	assert_int_equal(db_error(&b->db), DB_AWAY);
}

/* Something else than a connection of the dead node. */
static void a_row_that_cannot_be_locked_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = joined(f, 1), *c = member(f, 2);

	assert_true(db_begin(&c->db));
	assert_true(db_exists(&c->db, db_query(&c->db, Q_node_fence, INT(2), INT(1))));
	ROUNDS(TIMEOUT / TICK + 3, a);
	assert_int_equal(told("node.locked"), 1);
	assert_int_equal(told("node.dead"), 0);
	assert_true(db_commit(&c->db));
	ROUNDS(2, a);
	assert_int_equal(told("node.dead"), 1);
	assert_false(is_fenced(b));
}

/* As while a standby is away. */
static void a_beat_that_cannot_be_made_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *b = member(f, 1);
	uint64_t horizon;

	ROUNDS(1, a);
	horizon = node_horizon(&a->node);
	assert_true(db_begin(&b->db));
	assert_true(db_exists(&b->db, db_query(&b->db, Q_node_beat, INT(1), INT(1), INT(0))));
	for (unsigned i = 0; i < 3; i++) {
		boot_ms += TICK;
		assert_false(node_step(&a->node));
	}
	assert_int_equal(told("node.refused"), 1);
	assert_int_equal(node_horizon(&a->node), horizon);
	assert_true(db_commit(&b->db));
	ROUNDS(1, a);
	assert_true(node_horizon(&a->node) > horizon);
}

static void a_claim_ends_what_holds_its_own_row(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *old = a;

	assert_true(db_begin(&old->db));
	assert_true(is_fenced(old));
	f->members[0] = NULL; /* it is stopped, and another process has its state_dir */
	a = joined(f, 0);
	assert_int_equal(node_epoch(&a->node), 2);
	assert_int_equal(told("node.terminated"), 1);
	f->members[5] = old;
}

static void a_copy_of_the_state_dir_is_told(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0), *copy;
	struct verdict v;

	f->members[5] = a;
	f->members[0] = NULL;
	copy = joined(f, 0); /* has the same directory */
	ROUNDS(1, a);
	assert_true(node_is_lost(&a->node));
	v = claim(f, a);
	assert_int_equal(v.class, TEMP);
	assert_true(str_search(v.text, S("has a copy of")) < v.text.n);
	assert_true(is_fenced(copy));
	/* But not when its own claim had no answer. */
	a->node.claim_doubtful = true;
	assert_int_equal(claim(f, a).class, OK);
}

/* What it has committed can be seen when it is ended, and would not be on the standby. */
static void a_backend_that_waits_for_a_standby_is_not_ended(void **state)
{
	struct fixture *f = *state;
	struct member *a = joined(f, 0);
	PGconn *conn = PQconnectdb(f->connection);

	PQclear(PQexec(conn, "SET application_name='posthouse/2/1'"));
	(void)sql(f, "ALTER SYSTEM SET synchronous_standby_names='nobody'");
	(void)sql(f, "SELECT pg_reload_conf()");
	do { /* the server's processes hear of it one by one */
		if (!PQconsumeInput(conn) || PQisBusy(conn))
			continue;
		PQclear(PQgetResult(conn));
		(void)PQsendQuery(conn, "INSERT INTO counter VALUES(2,0,0,0,0,0,0) ON CONFLICT(node) DO UPDATE SET at=0");
	} while (strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name='posthouse/2/1'"
			       " AND wait_event='SyncRep'"),
			"1") != 0);
	node_terminate(&a->node, &a->db, 2, 1);
	assert_int_equal(db_error(&a->db), DB_WELL);
	assert_int_equal(told("node.terminated"), 0);
	(void)sql(f, "ALTER SYSTEM RESET synchronous_standby_names");
	(void)sql(f, "SELECT pg_reload_conf()");
	for (PGresult *r; (r = PQgetResult(conn));)
		PQclear(r);
	node_terminate(&a->node, &a->db, 2, 1);
	assert_int_equal(told("node.terminated"), 1);
	PQfinish(conn);
}

/* A failover must not undo them. */
static void claims_beats_and_deaths_wait_for_the_standby(void **state)
{
	struct fixture *f = *state;
	struct member *a, *b;

	cluster_demand_synchronous(f->connection, "node,taken,due,recipient");
	a = joined(f, 0);
	b = joined(f, 1);
	take(f, b, 1);
	ROUNDS(TIMEOUT / TICK + 2, a);
	assert_int_equal(told("node.dead"), 1);
	assert_string_equal(sql(f, "SELECT count(*) FROM due"), "1");
	take(f, b, 2);
	assert_true(node_step(&b->node));
	assert_int_equal(claim(f, b).class, OK);
	assert_string_equal(sql(f, "SELECT count(*) FROM due"), "2");
}

/* ---- the thread ---- */

static void await_shards(struct member *m, unsigned n)
{
	while (shards_n(m) != n)
		uv_sleep(1);
}

static void threads_balance_and_give_up_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0), *b = member(f, 1);

	f->members[0]->node.timing.fresh = f->members[1]->node.timing.fresh = 100000;
	assert_int_equal(claim(f, a).class, OK);
	assert_int_equal(claim(f, b).class, OK);
	assert_true(node_start(&a->node));
	await_shards(a, 32);
	assert_true(node_start(&b->node));
	await_shards(b, 32);
	node_stop(&b->node);
	assert_string_equal(sql(f, "SELECT count(*) FROM shard WHERE node=2"), "0");
	assert_string_equal(sql(f, "SELECT state FROM node WHERE number=2"), "drained");
	await_shards(a, 64);
	assert_int_equal(told("node.dead"), 0);
}

/* On the clock of this machine. */
static void a_thread_declares_a_stopped_one_dead(void **state)
{
	struct fixture *f = *state;
	struct member *a = member(f, 0), *b = member(f, 1);
	struct node real;

	node_init(&real, &a->host);
	a->node.boottime = real.boottime;
	a->node.timing.fresh = 100000;
	node_fini(&real);
	assert_int_equal(claim(f, a).class, OK);
	assert_int_equal(claim(f, b).class, OK);
	take(f, b, 1);
	assert_true(node_start(&a->node));
	await_shards(a, 64);
	while (strcmp(sql(f, "SELECT count(*) FROM due"), "1") != 0)
		uv_sleep(1);
	node_stop(&a->node);
	assert_int_equal(told("node.dead"), 1);
	assert_false(is_fenced(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stopped_node_is_declared_dead_once),
		TEST(recipients_with_a_mark_are_left_to_the_writer),
		TEST(who_was_declared_dead_claims_again),
		TEST(who_could_not_watch_declares_nobody_dead),
		TEST(a_stopped_backend_with_locks_is_ended),
		TEST(a_row_that_cannot_be_locked_is_told_once),
		TEST(a_beat_that_cannot_be_made_is_told_once),
		TEST(a_claim_ends_what_holds_its_own_row),
		TEST(a_copy_of_the_state_dir_is_told),
		TEST(a_backend_that_waits_for_a_standby_is_not_ended),
		TEST(claims_beats_and_deaths_wait_for_the_standby),
		TEST(who_is_out_changes_nothing),
		TEST(a_row_that_is_no_node_is_passed_by),
		TEST(who_beats_at_the_last_moment_lives),
		TEST(threads_balance_and_give_up_at_the_end),
		TEST(a_thread_declares_a_stopped_one_dead),
	};

	return RUN_TESTS(tests);
}
