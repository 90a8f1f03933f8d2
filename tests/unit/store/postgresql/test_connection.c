/* test_connection.c - COMMIT without an answer, servers that go away, and the choice of one. */
#include "cluster.h"
#include "fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

/* ---- COMMIT ---- */

static void a_failed_transaction_does_not_commit(void **state)
{
	struct fixture *f = *state;

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_true(db_script(&f->db, "INSERT INTO thing VALUES(2); INSERT INTO thing VALUES(3)")); /* inside the transaction */
	assert_int_equal(rows(f, "thing"), 0);
	assert_false(db_script(&f->db, "SELECT 1/0"));
	db_forget_error(&f->db); /* too early: the server knows better */
	assert_false(db_commit(&f->db));
	assert_error(f, DB_PRIVATE, "");
	db_rollback(&f->db);
	db_forget_error(&f->db);
	assert_int_equal(rows(f, "thing"), 0);

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put_refused, INT(1))); /* by a trigger at COMMIT */
	assert_false(db_commit(&f->db));
	assert_error(f, DB_PRIVATE, "P0001");
	db_rollback(&f->db);
	db_forget_error(&f->db);
	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_true(db_commit(&f->db));
	assert_int_equal(rows(f, "thing"), 1);
	assert_int_equal(rows(f, "refused"), 0);
}

static void a_warning_at_commit_is_as_good_as_no_answer(void **state)
{
	struct fixture *f = *state;

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_true(db_run(&f->db, Q_warn)); /* the last before COMMIT warns, which is not COMMIT's */
	assert_true(db_commit(&f->db));
	assert_string_equal(f->notice, "WARNING warned");

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put_warned, INT(1)));
	assert_false(db_commit(&f->db));
	assert_string_equal(f->notice, "WARNING late");
	assert_error(f, DB_AWAY, "");
	assert_null(f->db.conn);
}

static void no_answer_to_commit_is_unknown(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_int_equal(db_changes(&f->db), 1);
	impatient = true;
	before = skipped_ms;
	assert_false(db_commit(&f->db));
	assert_true(skipped_ms - before > 9000 && skipped_ms - before <= 10000);
	assert_error(f, DB_AWAY, "");
	assert_null(f->db.conn);
	db_rollback(&f->db);
	assert_error(f, DB_AWAY, "");
}

/* What was cancelled while it waits for a standby would be there, and be lost with this server. */
static void a_commit_that_is_given_up_goes_on_waiting(void **state)
{
	struct fixture *f = *state;
	const char *waiting =
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event='SyncRep' AND application_name='posthouse/3/7'";

	(void)cluster_sql(f->connection, "ALTER SYSTEM SET synchronous_standby_names='nobody'");
	(void)cluster_sql(f->connection, "SELECT pg_reload_conf()");
	reopen(f);
	while (db_number(&f->db, db_query(&f->db, Q_standbys)) == 0)
		reopen(f);
	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_int_equal(db_changes(&f->db), 1);
	impatient = true;
	assert_false(db_commit(&f->db));
	impatient = false;
	assert_error(f, DB_AWAY, "");
	for (unsigned i = 0; i < 500 && strcmp(cluster_sql(f->connection, waiting), "1") != 0; i++)
		(void)poll(NULL, 0, 10);
	assert_string_equal(cluster_sql(f->connection, waiting), "1");
	assert_int_equal(rows(f, "thing"), 0);
	(void)cluster_sql(f->connection, "ALTER SYSTEM RESET synchronous_standby_names");
	(void)cluster_sql(f->connection, "SELECT pg_reload_conf()");
	while (rows(f, "thing") == 0)
		(void)poll(NULL, 0, 10);
}

/* ---- servers ---- */

static void a_killed_backend_is_away(void **state)
{
	struct fixture *f = *state;
	char sql[100];

	for (int idle = 0; idle < 2; idle++) {
		reopen(f);
		assert_true(db_begin(&f->db));
		if (!idle)
			assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
		assert_true(idle || db_changes(&f->db) == 1);
		(void)snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, 60000)", PQbackendPID(f->db.conn));
		assert_string_equal(cluster_sql(f->connection, sql), "t");
		(void)db_run(&f->db, Q_put, INT(2), TEXT(S("a")), BLOB(S(""))); /* can notice it, or not yet */
		assert_false(db_commit(&f->db));
		if (db_error(&f->db) != DB_AWAY)
			fail_msg("%s", f->db.error);
		db_rollback(&f->db);
		db_forget_error(&f->db);
		assert_null(db_query(&f->db, Q_count));
		assert_error(f, DB_AWAY, "");
	}
	assert_int_equal(rows(f, "thing"), 0);
}

static size_t open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* In the middle of a transaction, after an error, and with answers that nobody has read. */
static void reconnects_leave_nothing(void **state)
{
	struct fixture *f = *state;
	size_t before = open_files();
	char words[400];

	(void)snprintf(words, sizeof(words), "host=/none,%s,%s user=postgres dbname=test", cluster_directory(),
		       cluster_directory());
	for (unsigned i = 0; i < 300; i++) {
		assert_true(open_with(f, words, i % 3 == 0)); /* it is closed first */
		assert_true(db_begin(&f->db));
		(void)db_run(&f->db, Q_put, INT(i % 5), TEXT(S("a")), BLOB(S("")));
		if (i % 4 == 0)
			(void)db_query(&f->db, Q_wrong);
		if (i % 2 == 0)
			(void)db_query(&f->db, Q_ids); /* a walk that is not ended */
		assert_int_equal(open_files(), before);
		if (i % 10 == 0)
			assert_false(open_with(f, words, 9));
	}
	assert_int_equal(rows(f, "thing"), 0);
}

static void a_stopped_server_is_away(void **state)
{
	struct fixture *f = *state;

	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	cluster_stop();
	assert_null(db_query(&f->db, Q_count));
	assert_int_equal(db_error(&f->db), DB_AWAY);
	db_close(&f->db);
	assert_false(open_with(f, f->connection, 0));
	assert_error(f, DB_AWAY, "");
	assert_non_null(cluster_start());
	reopen(f);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_count)), 1);
}

static void a_server_is_chosen(void **state)
{
	struct fixture *f = *state;
	const char *there = cluster_directory();
	char words[400];

	assert_int_equal(f->db.timeline, 1);
	(void)snprintf(words, sizeof(words),
		       "host=/none,%s,%s port=5432,5432,1 user=postgres dbname=test "
		       "target_session_attrs=read-only",
		       there, there);
	db_close(&f->db);
	assert_true(open_with(f, words, 1));
	assert_int_equal(f->db.timeline, 1);
	db_close(&f->db);
	assert_false(open_with(f, words, 2));
	assert_error(f, DB_AWAY, "");
	assert_non_null(strstr(f->db.error, " port 5432: it is on timeline 1, and 2 was seen"));
	assert_non_null(strstr(f->db.error, "/none"));
	(void)snprintf(words, sizeof(words), "host=%s,%s,%s port=5432,5433", there, there, there);
	assert_false(open_with(f, words, 0));
	assert_error(f, DB_PRIVATE, "");
	assert_false(open_with(f, "hots=db1", 0));
	assert_error(f, DB_PRIVATE, "");
}

static void another_encoding_is_refused(void **state)
{
	struct fixture *f = *state;
	char words[200];

	(void)cluster_sql(cluster_start(), "DROP DATABASE IF EXISTS other"); /* gives no value */
	(void)cluster_sql(cluster_start(), "CREATE DATABASE other TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"); /* as above */
	(void)snprintf(words, sizeof(words), "host=%s user=postgres dbname=other", cluster_directory());
	db_close(&f->db);
	assert_false(open_with(f, words, 0));
	assert_error(f, DB_PRIVATE, "");
	assert_non_null(strstr(f->db.error, "UTF8"));
	assert_non_null(strstr(f->db.error, "CREATE DATABASE \"other\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"));
	assert_null(f->db.conn);
}

static void assert_setting(struct fixture *f, const char *name, const char *value)
{
	struct db_rows *q = db_query(&f->db, Q_setting, TEXT(str_of(name)));

	assert_true(db_row(&f->db, q));
	assert_str(db_str(q, 0), str_of(value));
	db_end(q);
}

/* Wait until a new session has a setting that was changed for all. */
static void change_setting(struct fixture *f, const char *change, const char *show, const char *value)
{
	(void)cluster_sql(f->connection, change);                    /* gives no value */
	(void)cluster_sql(f->connection, "SELECT pg_reload_conf()"); /* true */
	while (strcmp(cluster_sql(f->connection, show), value) != 0)
		(void)poll(NULL, 0, 10);
	reopen(f);
}

static void a_session_is_durable(void **state)
{
	struct fixture *f = *state;
	char why[200];

	assert_setting(f, "synchronous_commit", "on");
	assert_setting(f, "application_name", "posthouse/3/7");
	assert_setting(f, "client_encoding", "SQL_ASCII");
	assert_setting(f, "client_min_messages", "warning");
	assert_setting(f, "lock_timeout", "10s");
	/* The server of the tests runs without fsync. */
	assert_false(db_check_durability(&f->db, false, why, sizeof(why)));
	assert_non_null(strstr(why, "fsync is off"));
	assert_int_equal(db_error(&f->db), DB_WELL);
	assert_true(db_begin(&f->db));
	assert_false(db_check_durability(&f->db, true, why, sizeof(why)));
	assert_true(db_commit(&f->db));
}

/* What an administrator has set on role or database holds for new sessions, also for ours, unless we set it. */
static void settings_of_others_do_no_harm(void **state)
{
	struct fixture *f = *state;

	(void)cluster_sql(f->connection, "ALTER DATABASE test SET statement_timeout='9s'"); /* gives no value, as those below */
	(void)cluster_sql(f->connection, "ALTER DATABASE test SET idle_session_timeout='9s'");
	(void)cluster_sql(f->connection, "ALTER DATABASE test SET default_transaction_isolation='serializable'");
	(void)cluster_sql(f->connection, "ALTER DATABASE test SET synchronous_commit=off");
	reopen(f);
	assert_setting(f, "synchronous_commit", "on");
	assert_setting(f, "statement_timeout", "0");
	assert_setting(f, "idle_session_timeout", "0");
	assert_true(db_begin(&f->db));
	assert_setting(f, "transaction_isolation", "read committed");
	assert_true(db_commit(&f->db));

	(void)cluster_sql(f->connection, "ALTER DATABASE test SET default_transaction_read_only=on");
	db_close(&f->db);
	assert_false(open_with(f, f->connection, 0));
	assert_error(f, DB_AWAY, "");
	assert_non_null(strstr(f->db.error, "default_transaction_read_only is on"));
	(void)cluster_sql(cluster_start(), "ALTER DATABASE test RESET ALL");
	reopen(f);
}

static void the_settings_of_the_server_are_checked(void **state)
{
	struct fixture *f = *state;
	char why[200];

	cluster_stop();
	assert_non_null(cluster_start_durable());
	reopen(f);
	assert_true(db_check_durability(&f->db, false, why, sizeof(why)));
	assert_string_equal(why, "");
	assert_false(db_check_durability(&f->db, true, why, sizeof(why)));
	assert_non_null(strstr(why, "synchronous_standby_names is empty"));
	change_setting(f, "ALTER SYSTEM SET full_page_writes=off", "SHOW full_page_writes", "off");
	assert_false(db_check_durability(&f->db, false, why, sizeof(why)));
	assert_non_null(strstr(why, "full_page_writes is off"));
	change_setting(f, "ALTER SYSTEM RESET full_page_writes", "SHOW full_page_writes", "on");
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	cluster_stop();
	assert_false(db_check_durability(&f->db, false, why, sizeof(why)));
	assert_int_equal(db_error(&f->db), DB_AWAY);
	assert_true(strlen(why) > 0);
	assert_non_null(cluster_start());
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_failed_transaction_does_not_commit),
		CASE(a_warning_at_commit_is_as_good_as_no_answer),
		CASE(no_answer_to_commit_is_unknown),
		CASE(a_commit_that_is_given_up_goes_on_waiting),
		CASE(a_killed_backend_is_away),
		CASE(reconnects_leave_nothing),
		CASE(a_stopped_server_is_away),
		CASE(a_server_is_chosen),
		CASE(another_encoding_is_refused),
		CASE(a_session_is_durable),
		CASE(settings_of_others_do_no_harm),
		CASE(the_settings_of_the_server_are_checked),
	};

	if (!cluster_start())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
