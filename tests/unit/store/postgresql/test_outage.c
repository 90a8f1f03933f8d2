/* test_outage.c - the server is away, refuses, or says nothing: what was answered is stored once, and what was not is tried again. */
#include "../engine_under_test.h"

#include "cluster.h"
#include "proxy.h"

#include <sys/stat.h>

#define LONG_MS (10 * 60 * 1000)

/* As far as they are told here, the settings of the store; the rest is of engine_begin(). */
static void reopen_with(struct fixture *f, const char *connection, uint64_t patience_ms)
{
	struct store_database *d = ARENA_NEW(&f->arena, struct store_database);

	*d = *f->options.database;
	d->patience_ms = patience_ms;
	if (connection)
		d->connection = arena_str(&f->arena, str_of(connection));
	f->options.database = d;
	fixture_reopen(f);
}

static uint64_t number(struct fixture *f, const char *sql)
{
	const char *words = arena_cstr(
		&f->arena, arena_printf(&f->arena, "host=%s port=5432 user=postgres dbname=store", cluster_directory()));

	return strtoull(cluster_sql(words, sql), NULL, 10);
}

static void run_sql(struct fixture *f, const char *sql)
{
	(void)number(f, sql);
}

static void begin_accept(struct fixture *f, struct answer *a, uint64_t id)
{
	*a = (struct answer){ .f = f };
	store_accept(f->st, message(f, id, "b@a.org"), on_done, a);
}

/* What is read is refused while there is no connection. */
static struct answer show(struct fixture *f, uint64_t id)
{
	for (;;) {
		struct answer a = show_now(f, id, 0, 10);

		if (a.v.class != TEMP)
			return a;
	}
}

/* One message with one recipient, its event, its place in `due` or `taken`, and nothing of any other. */
static void assert_stored_once(struct fixture *f, uint64_t id)
{
	struct answer a = show(f, id);

	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.n, 1);
	assert_str(events(f, id), "mail.accepted");
	engine_check(f);
}

/* Take the only recipient of the message: as often as the database must be asked. */
static void take(struct fixture *f, uint64_t id)
{
	for (;;) {
		struct answer a = lease_now(f, lane_of(f, "a.org"), NOW * 2, 1);

		if (a.v.class == OK && a.n == 1) {
			assert_int_equal(((const struct due_message *)a.rows)[0].id, id);
			return;
		}
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

/* ---- the server is away ---- */

static void an_accept_waits_for_the_server(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	reopen_with(f, NULL, LONG_MS);
	cluster_stop();
	begin_accept(f, &a, 100);
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_false(a.done);
	(void)cluster_start_durable();
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	assert_stored_once(f, 100);
}

static void patience_ends(void **state)
{
	struct fixture *f = *state;
	struct verdict v;

	reopen_with(f, NULL, 300);
	cluster_stop();
	v = accept_to(f, 100, "b@a.org");
	assert_int_equal(v.class, TEMP);
	assert_int_equal(v.code, 451);
	assert_int_equal(show_now(f, 100, 0, 1).v.class, TEMP);
	(void)cluster_start_durable();
	reopen_with(f, NULL, LONG_MS);
	assert_int_equal(show_now(f, 100, 0, 1).v.class, PERM);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_stored_once(f, 100);
}

static void results_wait_for_the_server(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .id = 100, .n = 1, .state = RCPT_DELIVERED, .attempted = true, .at = NOW + 5 };
	struct answer a = { .f = f };

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	take(f, 100);
	cluster_stop();
	settle_begin(f, &o, 1, &a);
	(void)show_now(f, 100, 0, 1); /* it has been tried: reads come after results */
	assert_false(a.done);
	(void)cluster_start_durable();
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	engine_check(f);
}

/* ---- the process ends while the server is away ---- */

static void begin_settle(struct fixture *f, struct answer *a, struct outcome *o, uint64_t id, enum recipient_state state)
{
	*o = (struct outcome){ .id = id,
			       .n = 1,
			       .state = state,
			       .due_at = NOW + 60000,
			       .attempted = true,
			       .at = NOW + 5,
			       .verdict = temp(451, S("4.3.0"), S("later")),
			       .event = S("recipient.settled"),
			       .event_fields = S("") };
	*a = (struct answer){ .f = f };
	settle_begin(f, o, 1, a);
}

/* Of three recipients in flight two have results. */
static void end_without_server(struct fixture *f, struct answer a[static 2])
{
	struct outcome o[2];

	for (uint64_t id = 100; id < 103; id++) {
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
		take(f, id);
	}
	cluster_stop();
	begin_settle(f, &a[0], &o[0], 100, RCPT_DELIVERED);
	begin_settle(f, &a[1], &o[1], 101, RCPT_WAITING);
	fixture_close(f);
	assert_true(a[0].done && a[1].done);
	(void)cluster_start_durable();
}

static void results_outlive_their_process(void **state)
{
	struct fixture *f = *state;
	struct answer a[2];
	const struct recipient_row *row;

	end_without_server(f, a);
	assert_int_equal(a[0].v.class, OK);
	assert_int_equal(a[1].v.class, OK);
	assert_int_equal(access(fixture_path(f, "results"), F_OK), 0);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(access(fixture_path(f, "results"), F_OK), -1);
	assert_int_equal(show(f, 100).message->open, 0);
	assert_str(events(f, 100), "mail.accepted recipient.settled");
	row = show(f, 101).rows;
	assert_int_equal(row->state, RCPT_WAITING);
	assert_int_equal(row->due_at, NOW + 60000);
	assert_int_equal(row->attempts, 1);
	assert_str(row->verdict.text, "later");
	assert_str(events(f, 101), "mail.accepted recipient.settled");
	row = show(f, 102).rows;
	assert_true(row->due_at > NOW + 60000); /* now */
	assert_int_equal(row->attempts, 0);
	assert_str(events(f, 102), "mail.accepted delivery.unknown");
	engine_check(f);
}

/* Another node has declared this one dead, and has taken one of the recipients. */
static void kept_results_can_be_late(void **state)
{
	struct fixture *f = *state;
	struct answer a[2];

	end_without_server(f, a);
	run_sql(f,
		"WITH t AS (DELETE FROM taken RETURNING message,n,lane,take_no) INSERT INTO due(message,n,lane,tried,due_at,take_no)"
		" SELECT message,n,lane,false,0,CASE message WHEN 100 THEN take_no ELSE nextval('take') END FROM t");
	run_sql(f, "UPDATE lane SET next_at=0");
	run_sql(f, "UPDATE node SET state='dead',epoch=epoch+1");
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(show(f, 100).message->open, 0);
	assert_str(events(f, 100), "mail.accepted recipient.settled");
	assert_int_equal(show(f, 101).message->open, 1);
	assert_str(events(f, 101), "mail.accepted delivery.late");
}

static void damaged_results_are_no_obstacle(void **state)
{
	struct fixture *f = *state;
	struct answer a[2];

	end_without_server(f, a);
	assert_int_equal(truncate(fixture_path(f, "results"), 100), 0);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(access(fixture_path(f, "results"), F_OK), -1);
	assert_str(events(f, 100), "mail.accepted delivery.unknown");
}

static void results_that_cannot_be_kept_are_refused(void **state)
{
	struct fixture *f = *state;
	struct answer a[2];

	assert_int_equal(mkdir(fixture_path(f, "results"), 0700), 0); /* in the way */
	end_without_server(f, a);
	assert_int_equal(a[0].v.class, TEMP);
	assert_int_equal(a[1].v.class, TEMP);
	assert_int_equal(fixture_open(f).class, OK);
	assert_str(events(f, 100), "mail.accepted delivery.unknown");
}

/* ---- the connection ends in the middle ---- */

#define STRIDE 211

/* An accept, a take and a result, each with a connection that ends after so many bytes. */
static bool life_of_a_message(struct fixture *f, uint64_t id, size_t cut_after)
{
	struct answer a;
	bool cut;

	proxy_cut_after(cut_after);
	begin_accept(f, &a, id);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	cut = proxy_has_cut();
	proxy_cut_after(0);
	assert_stored_once(f, id);
	proxy_cut_after(cut_after);
	take(f, id);
	cut = proxy_has_cut() || cut;
	proxy_cut_after(cut_after);
	assert_int_equal(settle_now(f, id, 1, RCPT_DELIVERED, 0).class, OK);
	cut = proxy_has_cut() || cut;
	proxy_cut_after(0);
	assert_int_equal(show(f, id).message->open, 0);
	assert_str(events(f, id), "mail.accepted recipient.settled");
	engine_check(f);
	return cut;
}

static void a_connection_ends_anywhere(void **state)
{
	struct fixture *f = *state;
	uint64_t id = 100;

	reopen_with(f, proxy_start(cluster_directory(), "store"), LONG_MS);
	assert_true(life_of_a_message(f, id++, 1));
	for (size_t n = 2; life_of_a_message(f, id++, n); n += STRIDE)
		assert_true(n < 100000);
	assert_true(id > 110);
	fixture_close(f);
	proxy_stop();
	assert_int_equal(fixture_open(f).class, TEMP);
}

/* ---- the server does not promise ---- */

/* Commits wait for a standby that is not there; their backend is told not to wait. */
static void a_warning_at_commit_is_no_answer(void **state)
{
	static const char *const ways[] = { "pg_cancel_backend", "pg_terminate_backend" };
	struct fixture *f = *state;
	struct answer a;

	reopen_with(f, NULL, LONG_MS);
	for (uint64_t i = 0; i < 2; i++) {
		run_sql(f, "ALTER SYSTEM SET synchronous_standby_names='nobody'");
		run_sql(f, "SELECT pg_reload_conf()");
		while (number(f, "SELECT count(*) FROM pg_stat_activity WHERE wait_event='SyncRep'") == 0)
			(void)uv_run(&f->loop, UV_RUN_NOWAIT); /* a beat waits: the server has heard of it */
		begin_accept(f, &a, 100 + i);
		for (int ended = 0; ended < 3;) {
			assert_false(a.done);
			ended += (int)number(
				f,
				arena_cstr(&f->arena,
					   arena_printf(&f->arena,
							"SELECT count(%s(pid)) FROM pg_stat_activity WHERE wait_event='SyncRep'",
							ways[i])));
			(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		}
		assert_false(a.done);
		run_sql(f, "ALTER SYSTEM RESET synchronous_standby_names");
		run_sql(f, "SELECT pg_reload_conf()");
		answer_wait(f, &a);
		assert_int_equal(a.v.class, OK);
		assert_stored_once(f, 100 + i);
	}
}

static void a_server_that_does_not_sync_is_refused(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	cluster_stop();
	(void)cluster_start(); /* without fsync */
	assert_int_equal(fixture_open(f).class, PERM);
	cluster_stop();
	(void)cluster_start_durable();
	assert_int_equal(fixture_open(f).class, OK);
}

static void a_server_that_only_reads_is_away(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	reopen_with(f, NULL, 300);
	run_sql(f, "ALTER DATABASE store SET default_transaction_read_only=on");
	run_sql(f, "SELECT count(pg_terminate_backend(pid,60000)) FROM pg_stat_activity WHERE datname='store'"
		   " AND pid<>pg_backend_pid()");
	assert_int_equal(show_now(f, 100, 0, 1).v.class, TEMP);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, TEMP);
	run_sql(f, "SET transaction_read_only=off; ALTER DATABASE store RESET default_transaction_read_only");
	do /* its patience is short, and so can be the time that it has */
		a.v = accept_to(f, 100, "b@a.org");
	while (a.v.class == TEMP);
	assert_int_equal(a.v.class, OK);
	assert_stored_once(f, 100);
}

/* ---- another node declares this one dead ---- */

static void who_was_declared_dead_goes_on(void **state)
{
	struct fixture *f = *state;
	uint64_t take_no;

	reopen_with(f, NULL, LONG_MS);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	take(f, 100);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	take(f, 101);
	take_no = number(f, "SELECT max(take_no) FROM taken");
	run_sql(f, "UPDATE node SET state='dead',epoch=epoch+1 WHERE number=1");
	assert_int_equal(accept_to(f, 102, "b@a.org").class, OK);
	assert_stored_once(f, 102);
	assert_int_equal(number(f, "SELECT count(*) FROM node WHERE state='up'"), 1);
	/* What it had taken is due in some minutes, and nobody has taken it since: its result counts. */
	assert_int_equal(number(f, "SELECT count(*) FROM taken"), 0);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	/* Another node has taken the other one, and has given it back. */
	run_sql(f, arena_cstr(&f->arena, arena_printf(&f->arena, "UPDATE due SET take_no=nextval('take') WHERE take_no=%llu",
						      (unsigned long long)take_no)));
	assert_int_equal(settle_now(f, 101, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(show_now(f, 101, 0, 1).message->open, 1);
	assert_true(str_ends(events(f, 101), S("delivery.late")));
}

/* The result of a delivery counts also when its recipient is held by then, or was held for a while: released, the mail would come a
 * second time. */
static void what_was_held_meanwhile_is_delivered(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	struct answer a;

	reopen_with(f, NULL, LONG_MS);
	for (uint64_t id = 100; id < 104; id++) {
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
		take(f, id);
	}
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD).in_flight, 1);
	run_sql(f, "UPDATE node SET state='dead',epoch=epoch+1 WHERE number=1");
	assert_int_equal(accept_to(f, 104, "b@a.org").class, OK);
	assert_int_equal(number(f, "SELECT count(*) FROM taken"), 0);
	for (uint64_t id = 101; id < 104; id++)
		assert_int_equal(alter_now(f, (struct selector){ .id = id }, ALTER_HOLD).count, 1);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_RELEASE).count, 1);
	engine_check(f);
	for (uint64_t id = 100; id < 103; id++) {
		assert_int_equal(settle_now(f, id, 1, RCPT_DELIVERED, 0).class, OK);
		assert_int_equal(show(f, id).message->open, 0);
	}
	begin_settle(f, &a, &o, 103, RCPT_WAITING);
	answer_wait(f, &a);
	assert_int_equal(((const struct recipient_row *)show(f, 103).rows)->state, RCPT_HELD);
	assert_true(str_ends(events(f, 103), S("mail.held recipient.settled")));
	assert_int_equal(number(f, "SELECT count(*) FROM recipient WHERE take_no IS NOT NULL"), 0);
	engine_check(f);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_accept_waits_for_the_server),
		CASE(patience_ends),
		CASE(results_wait_for_the_server),
		CASE(results_outlive_their_process),
		CASE(kept_results_can_be_late),
		CASE(damaged_results_are_no_obstacle),
		CASE(results_that_cannot_be_kept_are_refused),
		CASE(a_connection_ends_anywhere),
		CASE(a_warning_at_commit_is_no_answer),
		CASE(a_server_that_does_not_sync_is_refused),
		CASE(a_server_that_only_reads_is_away),
		CASE(who_was_declared_dead_goes_on),
		CASE(what_was_held_meanwhile_is_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
