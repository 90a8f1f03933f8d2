/* test_statements.c - statements.def against a server: what a statement says of a recipient's state is so in due, taken,
 * report_due and open_message; two nodes at once. */
#include "array.h"
#include "tables_fixture.h"

#include "posthouse/id.h"
#include "posthouse/units.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW    1700000000000 /* 14 November 2023 */
#define LATER  (NOW + 300000)
#define ASLEEP INT64_MAX
#define LANE   77

enum { WAITING = 1, HELD, DELIVERED, FAILED, BOUNCED, RELAYED, REMOVED };

static int setup_day(void **state)
{
	struct fixture *f;

	(void)setup(state); /* it fails by itself */
	f = *state;
	make(f);
	f->id = id_first_of(NOW) + 1;
	assert_true(schema_partition(&f->db, &f->days, f->id));
	return 0;
}

static void ok_with(struct db *db, bool done)
{
	if (!done || db_error(db) != DB_WELL)
		fail_msg("%s", db->error);
}
#define RUN(f, ...) ok_with(&(f)->db, db_run(&(f)->db, __VA_ARGS__))

/* Does what is in recipient and message fit what is in the small tables? */
static void check(struct fixture *f)
{
	assert_int_equal(number(f,
				"SELECT count(*) FROM recipient r LEFT JOIN due d USING(message,n)"
				" LEFT JOIN taken t USING(message,n) WHERE CASE r.state WHEN 1 THEN"
				" (d.message IS NOT NULL)::int+(t.message IS NOT NULL)::int<>1 WHEN 2 THEN d.message IS NOT NULL"
				" ELSE d.message IS NOT NULL OR t.message IS NOT NULL END"),
			 0);
	assert_int_equal(number(f, "SELECT count(*) FROM due d JOIN recipient r USING(message,n)"
				   " WHERE d.tried<>(r.attempts>0) OR d.lane<>r.lane"),
			 0);
	assert_int_equal(number(f, "SELECT count(*) FROM recipient r WHERE (state=4)<>EXISTS(SELECT 1 FROM report_due d"
				   " WHERE d.message=r.message AND d.n=r.n AND kind=1) OR ((reported&8)=8)<>EXISTS"
				   "(SELECT 1 FROM report_due d WHERE d.message=r.message AND d.n=r.n AND kind=3)"),
			 0);
	assert_int_equal(number(f, "SELECT count(*) FROM message m FULL JOIN open_message o USING(id) WHERE m.id IS NULL"
				   " OR (m.finished_at IS NULL)<>(o.id IS NOT NULL) OR o.warn_at<>m.warn_at OR o.place<>m.place"),
			 0);
}

/* ---- a message ---- */

static bool add_message(struct fixture *f, uint64_t id, uint64_t recipients)
{
	ok_with(&f->db, db_run(&f->db, Q_message_add, INT(id), INT(id * 3), INT(0), INT(0), INT(NOW), INT(NOW + DAY_MS),
			       INT(LATER), TEXT(S("device")), TEXT(S("origin")), BLOB(S("a\0b")), INT(4), INT(2), INT(1),
			       INT(recipients), (struct db_value){ .kind = DB_NULL }, TEXT(S("login")), TEXT(S("s@example.com")),
			       TEXT(S("")), INT(0), INT(0), INT(0), INT(0), INT(0), INT(0), INT(0), INT(0), TEXT(S("")),
			       TEXT(S("subject")), TEXT(S("<A.b@example.com>"))));
	return db_changes(&f->db) == 1;
}

static void add_lane(struct fixture *f, uint64_t lane, uint64_t next_at)
{
	RUN(f, Q_lane_add, INT(lane), TEXT(S("example.com")), TEXT(S("login")), INT(0), TEXT(S("")), INT(0), INT(next_at),
	    INT(5));
	RUN(f, Q_lane_lock, INT(lane));
	RUN(f, Q_lane_lower, INT(lane), INT(next_at));
}

/* A message with recipients that wait in the lane. */
static void accept(struct fixture *f, uint64_t id, uint64_t recipients)
{
	assert_true(add_message(f, id, recipients));
	RUN(f, Q_text_add, INT(id), BLOB(S("text")));
	for (uint64_t n = 1; n <= recipients; n++)
		RUN(f, Q_recipient_add, INT(id), INT(n), TEXT(S("a@example.com")), TEXT(S("")), INT(0), INT(LANE), INT(WAITING),
		    INT(NOW), TEXT(S("")));
	add_lane(f, LANE, NOW);
	RUN(f, Q_event_add, INT(id), INT(0), INT(NOW), TEXT(S("mail.accepted")), TEXT(S("")));
}

/* Take what is due in the lane: how many recipients. */
static size_t take(struct db *db, uint64_t node, bool tried, uint64_t max)
{
	struct array lane = { 0 }, fresh = { 0 }, old = { 0 }, now = { 0 }, most = { 0 };
	struct db_rows *q;
	size_t n = 0;

	array_add_number(&lane, LANE);
	array_add_number(&fresh, tried ? INT64_MAX : 0);
	array_add_number(&old, tried ? 0 : INT64_MAX);
	array_add_number(&now, LATER);
	array_add_number(&most, max);
	q = db_query(db, Q_take_lanes, array_value(&lane, 'i'), array_value(&fresh, 'i'), array_value(&old, 'i'),
		     array_value(&now, 'i'), array_value(&most, 'i'), INT(node), INT(1));
	array_fini(&lane);
	array_fini(&fresh);
	array_fini(&old);
	array_fini(&now);
	array_fini(&most);
	ok_with(db, true);
	while (db_row(db, q))
		n++;
	return n;
}

static uint64_t take_number(struct fixture *f, uint64_t n)
{
	char sql[200];

	(void)snprintf(sql, sizeof sql, "SELECT take_no FROM taken WHERE message=%llu AND n=%llu", (unsigned long long)f->id,
		       (unsigned long long)n);
	return number(f, sql);
}

static bool lease_end(struct fixture *f, uint64_t n, uint64_t take_no)
{
	return db_exists(&f->db, db_query(&f->db, Q_lease_end, INT(f->id), INT(n), INT(take_no)));
}

/* The result of the present take. */
static void settle(struct fixture *f, uint64_t n, unsigned next)
{
	assert_true(lease_end(f, n, take_number(f, n)));
	RUN(f, Q_recipient_settle_reply, INT(f->id), INT(n), INT(next), INT(LATER), INT(1), INT(0), TEXT(S("mx")), INT(NOW),
	    INT(1), INT(450), TEXT(S("4.0.0")), TEXT(S("text")), TEXT(S("host")), INT(0), TEXT(S("")));
}

static void alter(struct fixture *f, uint64_t n, unsigned next, uint64_t lane)
{
	RUN(f, Q_recipient_alter, INT(f->id), INT(n), INT(next), INT(lane), INT(NOW));
}

static void a_message_is_added_once(void **state)
{
	struct fixture *f = *state;

	accept(f, f->id, 1);
	check(f);
	assert_false(add_message(f, f->id, 1));
	assert_int_equal(number(f, "SELECT count(*) FROM open_message"), 1);
	assert_int_equal(number(f, "SELECT length(prefix) FROM message"), 3);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_find_message_id, TEXT(S("a.B@EXAMPLE.com")), INT(9))), f->id);
}

static void what_is_taken_is_not_due(void **state)
{
	struct fixture *f = *state;

	accept(f, f->id, 3);
	assert_int_equal(take(&f->db, 1, true, 9), 0);
	assert_int_equal(take(&f->db, 1, false, 1), 3); /* all of one message */
	check(f);
	assert_int_equal(take(&f->other, 2, false, 9), 0);
	assert_true(db_exists(&f->db, db_query(&f->db, Q_taken_has, INT(f->id), INT(2))));
	settle(f, 1, WAITING);
	settle(f, 2, FAILED);
	settle(f, 3, DELIVERED);
	RUN(f, Q_recipient_tell, INT(f->id), INT(3));
	check(f);
	assert_int_equal(number(f, "SELECT count(*) FROM due WHERE tried"), 1);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_failed_messages, INT(0), INT(0), INT(0), INT(INT64_MAX))), f->id);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_failed_recipients, INT(f->id))), 2);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_good_recipients, INT(f->id))), 3);
	RUN(f, Q_recipient_report, INT(f->id), INT(2), INT(BOUNCED), INT(1));
	RUN(f, Q_recipient_report, INT(f->id), INT(3), INT(DELIVERED), INT(4));
	check(f);
	assert_false(db_exists(&f->db, db_query(&f->db, Q_failed_messages, INT(0), INT(0), INT(0), INT(INT64_MAX))));
}

static void an_administrator_alters_what_is_in_flight(void **state)
{
	struct fixture *f = *state;

	accept(f, f->id, 3);
	assert_int_equal(take(&f->db, 1, false, 9), 3);
	alter(f, 1, HELD, LANE);
	check(f);
	alter(f, 1, WAITING, LANE);
	check(f);
	add_lane(f, 78, NOW);
	alter(f, 2, WAITING, 78); /* sent another way */
	check(f);
	RUN(f, Q_lane_sleep, INT(78));
	RUN(f, Q_lane_drop, INT(78)); /* is needed when the recipient comes back */
	assert_int_equal(number(f, "SELECT count(*) FROM lane WHERE id=78"), 1);
	(void)db_run(&f->db, Q_recipient_alter, INT(f->id), INT(3), INT(REMOVED), INT(LANE), INT(0));
	assert_int_equal(db_error(&f->db), DB_PRIVATE); /* it was taken after the administrator's transaction had looked */
	db_forget_error(&f->db);
	for (uint64_t n = 1; n <= 3; n++)
		settle(f, n, n == 1 ? HELD : WAITING);
	check(f);
	assert_int_equal(number(f, "SELECT lane FROM due WHERE n=2"), 78);
	alter(f, 1, REMOVED, LANE);
	alter(f, 2, HELD, 78);
	alter(f, 3, FAILED, LANE);
	check(f);
	assert_int_equal(number(f, "SELECT count(*) FROM due"), 0);
}

static void a_dead_node_gives_back(void **state)
{
	struct fixture *f = *state;
	uint64_t first;
	struct db_rows *q;

	accept(f, f->id, 2);
	RUN(f, Q_lane_sleep, INT(LANE));
	assert_int_equal(take(&f->db, 1, false, 9), 2);
	first = take_number(f, 1);
	RUN(f, Q_lane_sleep, INT(LANE));
	assert_true(number(f, "SELECT next_at FROM lane") == ASLEEP);
	q = db_query(&f->db, Q_give_back, INT(1), INT(1), INT(LATER), INT(NOW), INT(1), INT(9));
	assert_false(db_exists(&f->db, q)); /* this epoch lives */
	q = db_query(&f->db, Q_give_back, INT(1), INT(2), INT(LATER), INT(NOW), INT(1), INT(9));
	assert_true(db_exists(&f->db, q));
	check(f);
	RUN(f, Q_lane_wake, INT(LANE));
	assert_int_equal(number(f, "SELECT next_at FROM lane"), LATER);
	/* A result that comes now is still the last one's. */
	assert_true(lease_end(f, 1, first));
	RUN(f, Q_recipient_settle, INT(f->id), INT(1), INT(RELAYED), INT(0), INT(0), INT(0), TEXT(S("")), INT(NOW));
	check(f);
	assert_int_equal(take(&f->db, 1, true, 9), 1);
	assert_false(lease_end(f, 2, first + 1)); /* and that one is late */
	check(f);
}

static void the_third_death_holds(void **state)
{
	struct fixture *f = *state;

	accept(f, f->id, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(take(&f->db, 1, i > 0, 9), 1);
		ok_with(&f->db,
			db_exists(&f->db, db_query(&f->db, Q_give_back, INT(1), INT(2), INT(NOW), INT(NOW), INT(1), INT(9))));
		check(f);
	}
	assert_int_equal(number(f, "SELECT state FROM recipient"), HELD);
	assert_int_equal(number(f, "SELECT deaths FROM recipient"), 3);
}

static void counters_of_nodes_add_up(void **state)
{
	struct fixture *f = *state;
	uint64_t open = 0, waiting = 0, held = 0, failed = 0, lanes = 0, at = 0;

	RUN(f, Q_counters_put, INT(2), INT(5), INT(0), INT(0), INT(1), INT(10), INT(1));
	RUN(f, Q_counters_put, INT(0), INT((uint64_t)-3), INT(1), INT(0), INT(0), INT(30), INT(2));
	RUN(f, Q_counters_put, INT((uint64_t)-1), INT((uint64_t)-1), INT(0), INT(0), INT(0), INT(20), INT(2));
	assert_true(db_numbers(&f->db, db_query(&f->db, Q_counters_sum), &open, &waiting, &held, &failed, &lanes, &at));
	assert_int_equal(open * 1000 + waiting * 100 + held * 10 + failed, 1110);
	assert_int_equal(at, 30);
}

/* ---- two nodes at once ---- */

struct closer {
	struct db *db;
	uint64_t id, open;
};

/* Close one of two recipients; waits for the node that closes the other. */
static void *close_other(void *ctx)
{
	struct closer *c = ctx;

	(void)db_begin(c->db);
	c->open = db_number(c->db, db_query(c->db, Q_message_open, INT(c->id)));
	(void)db_commit(c->db);
	return NULL;
}

static void wait_for_lock(struct fixture *f)
{
	while (number(f, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'") == 0)
		;
}

static void the_second_of_two_sees_the_last_recipient(void **state)
{
	struct fixture *f = *state;
	struct closer c = { .db = &f->other, .id = f->id };
	pthread_t thread;

	accept(f, f->id, 2);
	ok_with(&f->db, db_begin(&f->db));
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_message_open, INT(f->id))), 2);
	assert_int_equal(pthread_create(&thread, NULL, close_other, &c), 0);
	wait_for_lock(f);
	RUN(f, Q_message_reduce, INT(f->id), INT(1));
	ok_with(&f->db, db_commit(&f->db));
	(void)pthread_join(thread, NULL);
	assert_int_equal(c.open, 1);
	RUN(f, Q_message_finish, INT(f->id), INT(NOW));
	assert_int_equal(number(f, "SELECT count(*) FROM open_message"), 0);
}

/* An accept that has seen the lane awake, and has not committed, keeps it awake. */
static void a_lane_in_use_does_not_sleep(void **state)
{
	struct fixture *f = *state;

	add_lane(f, LANE, NOW);
	ok_with(&f->db, db_begin(&f->db));
	accept(f, f->id, 1);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_lane_lock, INT(LANE))), 1);
	ok_with(&f->other, db_begin(&f->other));
	assert_false(db_exists(&f->other, db_query(&f->other, Q_lane_sleep_lock, INT(LANE))));
	ok_with(&f->other, db_commit(&f->other));
	ok_with(&f->db, db_commit(&f->db));
	ok_with(&f->other, db_begin(&f->other));
	assert_true(db_exists(&f->other, db_query(&f->other, Q_lane_sleep_lock, INT(LANE))));
	ok_with(&f->other, db_run(&f->other, Q_lane_sleep, INT(LANE)) && db_commit(&f->other));
	assert_int_equal(number(f, "SELECT next_at FROM lane"), NOW);
}

static void a_lane_that_is_gone_is_an_error(void **state)
{
	struct fixture *f = *state;

	(void)db_run(&f->db, Q_lane_lock, INT(1));
	assert_int_equal(db_error(&f->db), DB_PRIVATE);
}

/* What an administrator looks at is not taken before he has done. */
static void candidates_are_not_taken(void **state)
{
	struct fixture *f = *state;

	accept(f, f->id, 2);
	ok_with(&f->db, db_begin(&f->db));
	ok_with(&f->db, db_exists(&f->db, db_query(&f->db, Q_recipient_states, INT(f->id))));
	assert_int_equal(take(&f->other, 2, false, 9), 0);
	ok_with(&f->db, db_commit(&f->db));
	assert_int_equal(take(&f->other, 2, false, 9), 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_day, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_message_is_added_once),
		CASE(what_is_taken_is_not_due),
		CASE(an_administrator_alters_what_is_in_flight),
		CASE(a_dead_node_gives_back),
		CASE(the_third_death_holds),
		CASE(counters_of_nodes_add_up),
		CASE(the_second_of_two_sees_the_last_recipient),
		CASE(a_lane_in_use_does_not_sleep),
		CASE(a_lane_that_is_gone_is_an_error),
		CASE(candidates_are_not_taken),
	};

	return RUN_TESTS(tests);
}
