/* test_passing.c - errors that pass, because another transaction was in the way: the same is done again, and nobody is told of a
 * bug. Triggers make them. */
#include "../engine_under_test.h"

#include "cluster.h"

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

	capture();
	fail_times(f, 2, "55P03", "BEFORE INSERT ON event");
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_true(tries(f) > 2);
	assert_str(events(f, 100), "mail.accepted");
	assert_true(logged(f, "store.away") > 0);
	assert_int_equal(logged(f, "store.refused"), 0);
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
		CASE(takes_and_results_are_repeated),
		CASE(takes_wait_for_room_on_the_disk),
		CASE(what_does_not_pass_is_refused),
		CASE(a_lane_that_is_removed_is_made_again),
		CASE(idle_work_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
