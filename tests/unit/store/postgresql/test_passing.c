/* test_passing.c - errors that pass, because another transaction was in the way: the same is done again, and nobody is told of a
 * bug. Triggers make them. */
#include "../engine_under_test.h"

#include "cluster.h"

#include <libpq-fe.h>
#include <stdio.h>

static const char *sql(struct fixture *f, const char *text)
{
	struct str words = arena_printf(&f->arena, "host=%s port=5432 user=postgres dbname=store", cluster_directory());

	return cluster_sql(arena_cstr(&f->arena, words), text);
}

/* From now on these statements fail so many times. */
static void fail_times(struct fixture *f, unsigned times, const char *code, const char *statements)
{
	struct str function = arena_printf(&f->arena,
					   "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
					   " IF nextval('failures')<=%u THEN RAISE EXCEPTION 'in the way' USING ERRCODE='%s';"
					   " END IF; RETURN NULL; END $$",
					   times, code);
	struct str trigger = arena_printf(
		&f->arena, "CREATE OR REPLACE TRIGGER fails %s FOR EACH STATEMENT EXECUTE FUNCTION fails()", statements);

	(void)sql(f, "SET client_min_messages=warning; DROP SEQUENCE IF EXISTS failures");
	(void)sql(f, "CREATE SEQUENCE failures");
	(void)sql(f, arena_cstr(&f->arena, function));
	(void)sql(f, arena_cstr(&f->arena, trigger));
}

/* How often they were tried. */
static unsigned long tries(struct fixture *f)
{
	return strtoul(sql(f, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM failures"), NULL, 10);
}

/* ---- what the log says ---- */

static FILE *captured;
static int saved;

static void capture(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	saved = dup(2);
	assert_int_equal(dup2(fileno(captured), 2), 2);
}

/* How often the event was logged so far. */
static unsigned logged(struct fixture *f, const char *event)
{
	static char text[65536];
	unsigned count = 0;
	ssize_t n;

	(void)uv_run(&f->loop, UV_RUN_NOWAIT); /* the loop logs what the threads have noted */
	n = pread(fileno(captured), text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	for (const char *p = text; (p = strstr(p, event)); p++)
		count++;
	return count;
}

static int end_test(void **state)
{
	if (captured) {
		assert_int_equal(dup2(saved, 2), 2);
		(void)close(saved);
		(void)fclose(captured);
		captured = NULL;
	}
	return fixture_teardown(state);
}

/* ---- what is repeated ---- */

static const char *const codes[] = { "40P01", "40001" };

static void writes_are_repeated(void **state)
{
	struct fixture *f = *state;

	capture();
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		fail_times(f, 4, codes[i], "BEFORE INSERT ON event");
		assert_int_equal(accept_to(f, 100 + i, "b@a.org").class, OK);
		assert_true(tries(f) > 4);
		assert_str(events(f, 100 + i), "mail.accepted");
	}
	assert_int_equal(stats_now(f).open_messages, 2);
	assert_int_equal(logged(f, "store.refused"), 0);
}

/* Nobody holds one for so long but a node that hangs, or a primary whose standby is no more: another server can be there. */
static void a_lock_that_stays_is_an_outage(void **state)
{
	struct fixture *f = *state;
	struct store_database *d = ARENA_NEW(&f->arena, struct store_database);

	*d = *f->options.database;
	d->patience_ms = 600000;
	f->options.database = d;
	fixture_reopen(f);
	capture();
	fail_times(f, 2, "55P03", "BEFORE INSERT ON event");
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_true(tries(f) > 2);
	assert_str(events(f, 100), "mail.accepted");
	assert_true(logged(f, "store.away") > 0);
	assert_int_equal(logged(f, "store.refused"), 0);
}

/* As one that a person has in a session that is left open: nothing waits for it longer than it does for the database. */
static void a_lock_that_stays_longer_refuses_what_needs_it(void **state)
{
	struct outcome o = {
		.id = 100, .n = 1, .state = RCPT_DELIVERED, .attempted = true, .at = NOW + 5, .event = S("settled")
	};
	struct fixture *f = *state;
	struct answer a = { .f = f };

	capture();
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW * 2, 1).n, 1);
	fail_times(f, 1000000, "55P03", "BEFORE INSERT ON event");
	settle_begin(f, &o, 1, &a);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, TEMP);
	assert_int_equal(put_ban(f, "net:192.0.2.1", 1, NOW, "who needs nothing of that").class, OK);
	assert_false(a.done); /* a result is tried again */
	(void)sql(f, "DROP TRIGGER fails ON event");
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	engine_check(f);
}

static void takes_and_results_are_repeated(void **state)
{
	struct fixture *f = *state;

	capture();
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	fail_times(f, 4, "40P01", "BEFORE INSERT ON taken");
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW * 2, 1).n, 1);
	assert_true(tries(f) > 4);
	fail_times(f, 4, "40P01", "BEFORE UPDATE ON recipient");
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_true(tries(f) > 4);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	assert_int_equal(logged(f, "store.refused"), 0);
}

/* What was taken would have to be written. */
static void takes_wait_for_room_on_the_disk(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	capture();
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	fail_times(f, 1, "53100", "BEFORE INSERT ON taken");
	a = lease_now(f, lane_of(f, "a.org"), NOW * 2, 1);
	assert_int_equal(a.v.class, TEMP);
	assert_int_equal(a.v.code, 452);
	assert_int_equal(logged(f, "store.filled"), 1);
	assert_int_equal(logged(f, "store.refused"), 0);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW * 2, 1).n, 1);
	engine_check(f);
}

static void what_does_not_pass_is_refused(void **state)
{
	struct fixture *f = *state;

	capture();
	fail_times(f, 1000, "40P01", "BEFORE INSERT ON event");
	assert_int_equal(accept_to(f, 100, "b@a.org").class, TEMP);
	assert_int_equal(logged(f, "store.refused"), 1);
	(void)sql(f, "DROP TRIGGER fails ON event");
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
}

/* ---- what the database refuses ---- */

/* A result meets this error. */
static void begin_settle(struct fixture *f, struct answer *a, struct outcome *o, uint64_t id, const char *code)
{
	*o = (struct outcome){ .id = id, .n = 1, .state = RCPT_DELIVERED, .at = NOW + 5 };
	*a = (struct answer){ .f = f };
	assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW * 2, 1).n, 1);
	fail_times(f, 1000000, code, "BEFORE UPDATE ON recipient");
	settle_begin(f, o, 1, a);
}

/* Codes that speak of the whole database: a lost privilege, a table that is gone, no memory. */
static void results_wait_until_the_database_takes_any(void **state)
{
	static const char *const of_all[] = { "42501", "42P01", "53200" };
	struct fixture *f = *state;

	capture();
	for (unsigned i = 0; i < 3; i++) {
		struct outcome o;
		struct answer a;

		begin_settle(f, &a, &o, 100 + i, of_all[i]);
		while (tries(f) < 4 && !a.done) /* it is tried again */
			(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_int_equal(lease_now(f, 1, NOW, 1).v.class, TEMP);
		assert_false(a.done);
		assert_int_equal(logged(f, "store.denied"), i + 1);
		(void)sql(f, "DROP TRIGGER fails ON recipient");
		answer_wait(f, &a);
		assert_int_equal(a.v.class, OK);
		assert_int_equal(show_now(f, 100 + i, 0, 1).message->open, 0);
	}
}

/* Codes that speak of this result. */
static void one_result_that_does_not_fit_is_refused(void **state)
{
	static const char *const of_one[] = { "23505", "22001", "54000", "P0001", "XX001" };
	struct fixture *f = *state;

	capture();
	for (unsigned i = 0; i < 5; i++) {
		struct outcome o;
		struct answer a;

		begin_settle(f, &a, &o, 100 + i, of_one[i]);
		answer_wait(f, &a);
		assert_int_equal(a.v.class, TEMP);
		assert_int_equal(logged(f, "store.refused"), i + 1);
		(void)sql(f, "DROP TRIGGER fails ON recipient");
	}
	assert_int_equal(logged(f, "store.denied"), 0);
}

/* They are kept when the process ends, and the next one does not begin without them: it would give back what was delivered. */
static void kept_results_wait_too(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	struct answer a;

	capture();
	begin_settle(f, &a, &o, 100, "42501");
	while (tries(f) == 0)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	fixture_close(f);
	assert_int_equal(a.v.class, OK);
	fixture_begin_open(f);
	while (f->opened_n == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->opened.class, TEMP);
	assert_int_equal(access(fixture_path(f, "results"), F_OK), 0);
	assert_int_equal(logged(f, "in the way (42501)"), 2); /* of each process once */
	assert_int_equal(logged(f, "results.lost"), 0);
	(void)sql(f, "DROP TRIGGER fails ON recipient");
	while (f->opened.class != OK)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(access(fixture_path(f, "results"), F_OK), -1);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
}

/* As if the lane had been removed between the statement that adds it and the one that locks it. */
static void a_lane_that_is_removed_is_made_again(void **state)
{
	struct fixture *f = *state;

	capture();
	(void)sql(f, "CREATE SEQUENCE removals");
	(void)sql(f, "CREATE FUNCTION removes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
		     " IF nextval('removals')%3<>0 THEN DELETE FROM lane; END IF; RETURN NULL; END $$");
	(void)sql(f, "CREATE TRIGGER removes AFTER INSERT ON lane FOR EACH STATEMENT EXECUTE FUNCTION removes()");
	for (uint64_t id = 100; id < 102; id++) { /* the lane is new, then it is not */
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
		engine_check(f);
	}
	assert_string_equal(sql(f, "SELECT last_value FROM removals"), "6");
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW * 2, 9).n, 2);
	assert_int_equal(logged(f, "store.refused"), 0);
}

/* ---- lanes that another node uses at the same time ---- */

/* A connection of another node, whose transaction has done these; to be ended by commit(). */
static PGconn *other_node(struct fixture *f, const char *statements)
{
	struct str words = arena_printf(&f->arena, "host=%s port=5432 user=postgres dbname=store", cluster_directory());
	PGconn *conn = PQconnectdb(arena_cstr(&f->arena, words));
	PGresult *r;

	PQclear(PQexec(conn, "BEGIN"));
	r = PQexec(conn, statements);
	if (PQresultStatus(r) == PGRES_FATAL_ERROR)
		fail_msg("%s", PQerrorMessage(conn));
	PQclear(r);
	return conn;
}

static void commit(PGconn *conn)
{
	PQclear(PQexec(conn, "COMMIT"));
	PQfinish(conn);
}

/* It has accepted a message, and has not committed. The second time the take is repeated, which is done in single steps. */
static void a_lane_that_is_being_filled_does_not_sleep(void **state)
{
	struct fixture *f = *state;
	uint64_t lane;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	lane = lane_of(f, "a.org");
	assert_int_equal(lease_now(f, lane, NOW * 2, 1).n, 1);
	for (int i = 0; i < 2; i++) {
		PGconn *other;

		(void)sql(f, "UPDATE lane SET next_at=1"); /* it is awake, so the accept does not change it */
		if (i == 1)
			fail_times(f, 1, "40P01", "BEFORE INSERT ON taken");
		other = other_node(f, "INSERT INTO due SELECT 999,1,id,false,1,0 FROM lane; SELECT 1 FROM lane FOR KEY SHARE");
		assert_int_equal(lease_now(f, lane, NOW * 2, 1).n, 0);
		commit(other);
		assert_string_equal(sql(f, "SELECT next_at FROM lane"), "1");
		(void)sql(f, "DELETE FROM due WHERE message=999");
	}
}

/* It finds nothing more in the lane, and has not committed. */
static void a_lane_that_is_put_to_sleep_is_waked(void **state)
{
	struct fixture *f = *state;
	struct answer a = { .f = f };
	PGconn *other;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	other = other_node(f, "SELECT 1 FROM lane FOR UPDATE; UPDATE lane SET next_at=9223372036854775807");
	store_accept(f->st, message(f, 101, "b@a.org"), on_done, &a);
	while (!a.done && strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'"), "0") == 0)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_false(a.done);
	commit(other);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	assert_string_equal(sql(f, "SELECT next_at<9223372036854775807 FROM lane"), "t");
	(void)sql(f, "UPDATE lane SET next_at=1"); /* 100 was there before */
}

/* What is done each second, without an operation. */
static void idle_work_is_repeated(void **state)
{
	struct fixture *f = *state;

	capture();
	fail_times(f, 1, "40P01", "BEFORE DELETE ON marked");
	while (tries(f) < 3)
		usleep(20000);
	assert_int_equal(logged(f, "store.refused"), 0);
	fail_times(f, 1, "P0001", "BEFORE DELETE ON marked");
	while (tries(f) < 3)
		usleep(20000);
	assert_int_equal(logged(f, "store.refused"), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, end_test)
	const struct CMUnitTest tests[] = {
		CASE(writes_are_repeated),
		CASE(a_lock_that_stays_is_an_outage),
		CASE(a_lock_that_stays_longer_refuses_what_needs_it),
		CASE(takes_and_results_are_repeated),
		CASE(takes_wait_for_room_on_the_disk),
		CASE(what_does_not_pass_is_refused),
		CASE(results_wait_until_the_database_takes_any),
		CASE(one_result_that_does_not_fit_is_refused),
		CASE(kept_results_wait_too),
		CASE(a_lane_that_is_removed_is_made_again),
		CASE(a_lane_that_is_being_filled_does_not_sleep),
		CASE(a_lane_that_is_put_to_sleep_is_waked),
		CASE(idle_work_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
