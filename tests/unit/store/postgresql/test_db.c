/* test_db.c - libpq as the store sees it, against a server. */
#include "../../../support/unit.h"

#include "cluster.h"
#include "db.h"

#include "posthouse/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const char schema[] =
	"CREATE TABLE thing(id int8 PRIMARY KEY, name text, bytes bytea);"
	"CREATE FUNCTION raise(code text) RETURNS int8 LANGUAGE plpgsql AS"
	" $$BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = code; END$$;"
	"CREATE FUNCTION warn() RETURNS int8 LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'warned'; RETURN 1; END$$;"
	"CREATE FUNCTION warn_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'late'; RETURN NULL; END$$;"
	"CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused'; END$$;"
	"CREATE TABLE warned(id int8); CREATE TABLE refused(id int8);"
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON warned DEFERRABLE INITIALLY DEFERRED"
	" FOR EACH ROW EXECUTE FUNCTION warn_row();"
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON refused DEFERRABLE INITIALLY DEFERRED"
	" FOR EACH ROW EXECUTE FUNCTION refuse_row();";

struct fixture {
	struct db db;
	struct arena arena;
	const char *connection;
	char notice[100];
};

/* ---- time that passes when it is waited for ---- */

static bool impatient;
static uint64_t skipped_ms;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (!impatient)
		return __real_poll(fds, n, timeout_ms);
	skipped_ms += (uint64_t)timeout_ms;
	fds->revents = 0;
	return 0;
}

uint64_t __wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + skipped_ms;
}

/* ---- the database ---- */

static void on_notice(void *ctx, const char *severity, const char *text)
{
	struct fixture *f = ctx;

	(void)snprintf(f->notice, sizeof(f->notice), "%s %s", severity, text);
}

static bool open_with(struct fixture *f, const char *connection, uint32_t timeline_seen)
{
	return db_open(&f->db, &(struct db_target){ .connection = connection,
						    .application_name = "posthouse/3/7",
						    .timeline_seen = timeline_seen,
						    .on_notice = on_notice,
						    .ctx = f });
}

static void reopen(struct fixture *f)
{
	db_close(&f->db);
	if (!open_with(f, f->connection, 0))
		fail_msg("%s", f->db.error);
}

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	f->connection = cluster_database("test");
	reopen(f);
	if (!db_script(&f->db, schema))
		fail_msg("%s", f->db.error);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	impatient = false;
	db_close(&f->db);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

static void assert_str(struct str s, struct str expected)
{
	assert_int_equal(s.n, expected.n);
	assert_memory_equal(s.p, expected.p, s.n);
}

/* Rows in a table as another connection sees them. */
static unsigned rows(struct fixture *f, const char *table)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	return (unsigned)strtoul(cluster_sql(f->connection, sql), NULL, 10);
}

static void assert_error(struct fixture *f, enum db_error kind, const char *sqlstate)
{
	if (db_error(&f->db) != kind)
		fail_msg("%d %s", (int)db_error(&f->db), f->db.error);
	assert_string_equal(f->db.sqlstate, sqlstate);
	assert_true(strlen(f->db.error) > 0);
}

/* ---- values ---- */

static void put_and_get(struct fixture *f, uint64_t id, struct db_value name, struct str name_expected, struct db_value bytes,
			struct str bytes_expected)
{
	struct db_rows *q;

	assert_true(db_run(&f->db, Q_put, INT(id), name, bytes));
	q = db_query(&f->db, Q_get, INT(id));
	assert_true(db_row(&f->db, q));
	assert_true(db_u64(q, 0) == id);
	assert_int_equal(db_is_null(q, 1), name.kind == DB_NULL);
	assert_int_equal(db_is_null(q, 2), bytes.kind == DB_NULL);
	assert_str(db_str(q, 1), name_expected);
	assert_str(db_keep(&f->arena, q, 2), bytes_expected);
	assert_false(db_row(&f->db, q));
	assert_int_equal(db_error(&f->db), DB_WELL);
}

static void values_go_both_ways(void **state)
{
	struct fixture *f = *state;
	struct db_value null = { .kind = DB_NULL };
	char *large = arena_alloc(&f->arena, 1 << 20);

	for (size_t i = 0; i < 1 << 20; i++)
		large[i] = (char)(i * 7 + i / 251);
	put_and_get(f, 1, null, S(""), null, S(""));
	put_and_get(f, 2, TEXT(S("")), S(""), BLOB(S("")), S(""));
	put_and_get(f, 3, TEXT((struct str){ 0 }), S(""), BLOB((struct str){ 0 }), S(""));
	put_and_get(f, 4, TEXT(S("a\0b\0")), S("a b "), BLOB(S("a\0b\0")), S("a\0b\0"));
	put_and_get(f, 5, TEXT(S("\xff\xfe\xc3(\x80")), S("\xff\xfe\xc3(\x80"), BLOB(S("\xff\\x41")), S("\xff\\x41"));
	put_and_get(f, 6, TEXT(S("it's $1 \"\\\"")), S("it's $1 \"\\\""), BLOB(str_make(large, 1 << 20)),
		    str_make(large, 1 << 20));
	put_and_get(f, UINT64_MAX, null, S(""), null, S(""));
	put_and_get(f, INT64_MAX, null, S(""), null, S(""));
	assert_int_equal(rows(f, "thing WHERE id=-1"), 1);
	assert_int_equal(rows(f, "thing"), 8);
}

static void numbers_have_any_size(void **state)
{
	struct fixture *f = *state;
	uint64_t n[6];
	struct db_rows *q = db_query(&f->db, Q_kinds);

	assert_true(db_numbers(&f->db, q, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]));
	assert_int_equal(n[0], 1);
	assert_true(n[1] == (uint64_t)-2 && n[2] == (uint64_t)-3);
	assert_true(n[3] == 1 && n[4] == 0 && n[5] == 0);
	assert_false(db_row(&f->db, q));
	q = db_query(&f->db, Q_kinds);
	assert_true(db_row(&f->db, q));
	assert_false(db_is_null(q, 4));
	assert_true(db_is_null(q, 5) && db_is_null(q, 6));
	db_end(q);
}

static void a_walk_gives_all_rows(void **state)
{
	struct fixture *f = *state;
	struct db_rows *q;
	uint64_t id = 0;

	assert_false(db_exists(&f->db, db_query(&f->db, Q_ids)));
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_ids)), 0);
	assert_true(db_begin(&f->db));
	for (uint64_t i = 1; i <= 2500; i++)
		assert_true(db_run(&f->db, Q_put, INT(i), TEXT(S("x")), BLOB(S("y"))));
	q = db_query(&f->db, Q_ids);
	while (db_row(&f->db, q)) {
		assert_int_equal(db_u64(q, 0), ++id);
		assert_int_equal(db_number(&f->db, db_query(&f->db, Q_count)), 2500); /* another statement, during the walk */
	}
	assert_int_equal(id, 2500);
	assert_true(db_exists(&f->db, db_query(&f->db, Q_ids)));
	assert_int_equal(rows(f, "thing"), 0);
	assert_true(db_commit(&f->db));
	assert_int_equal(rows(f, "thing"), 2500);
}

static void changes_are_counted(void **state)
{
	struct fixture *f = *state;

	assert_true(db_begin(&f->db));
	for (uint64_t i = 0; i < 10; i++)
		assert_true(db_run(&f->db, Q_put, INT(i), TEXT(S("x")), BLOB(S("y"))));
	assert_true(db_run(&f->db, Q_rename, INT(3), TEXT(S("z"))));
	assert_int_equal(db_changes(&f->db), 7);
	assert_true(db_run(&f->db, Q_put_unless, INT(3), TEXT(S("x")), BLOB(S("y"))));
	assert_int_equal(db_changes(&f->db), 0);
	assert_true(db_run(&f->db, Q_put_unless, INT(99), TEXT(S("x")), BLOB(S("y"))));
	assert_int_equal(db_changes(&f->db), 1);
	assert_true(db_commit(&f->db));
}

/* More than the sockets hold in both directions, and more than may be outstanding. */
static void large_values_do_not_block(void **state)
{
	struct fixture *f = *state;
	size_t n = 300000;
	char *large = arena_alloc(&f->arena, n);

	assert_true(db_begin(&f->db));
	for (unsigned i = 0; i < 300; i++)
		assert_true(db_run(&f->db, Q_echo, BLOB(str_make(large, n))));
	for (unsigned i = 0; i < 20000; i++)
		assert_true(db_run(&f->db, Q_put, INT(i), TEXT(S("name")), BLOB(S("bytes"))));
	assert_true(db_run(&f->db, Q_echo, BLOB(str_make(large, n))));
	assert_true(db_commit(&f->db));
	assert_int_equal(rows(f, "thing"), 20000);
}

/* ---- errors ---- */

static void the_first_error_sticks(void **state)
{
	struct fixture *f = *state;
	struct db_rows *q;

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	q = db_query(&f->db, Q_ids);
	assert_non_null(q);
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("b")), BLOB(S("")))); /* nobody knows yet */
	assert_true(db_run(&f->db, Q_put, INT(2), TEXT(S("c")), BLOB(S(""))));
	assert_true(db_run(&f->db, Q_rename, INT(1), TEXT(S("d")))); /* its preparation is skipped */
	assert_null(db_query(&f->db, Q_count));
	assert_error(f, DB_PRIVATE, "23505");
	assert_false(db_row(&f->db, q));
	assert_false(db_run(&f->db, Q_wrong));
	assert_int_equal(db_changes(&f->db), 0);
	assert_int_equal(db_number(&f->db, NULL), 0);
	assert_false(db_script(&f->db, "SELECT 1"));
	assert_false(db_begin(&f->db));
	assert_false(db_commit(&f->db));
	assert_error(f, DB_PRIVATE, "23505");
	db_rollback(&f->db);
	assert_error(f, DB_PRIVATE, "23505");
	db_forget_error(&f->db);
	assert_int_equal(db_error(&f->db), DB_WELL);
	assert_int_equal(rows(f, "thing"), 0);

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_true(db_run(&f->db, Q_rename, INT(1), TEXT(S("d"))));
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_count)), 1);
	assert_true(db_commit(&f->db));
	assert_int_equal(rows(f, "thing WHERE name='d'"), 1);
}

/* An error that is on its way when the transaction is rolled back is nobody's. */
static void a_rollback_without_an_error(void **state)
{
	struct fixture *f = *state;

	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_true(db_run(&f->db, Q_wrong));
	db_rollback(&f->db);
	assert_int_equal(db_error(&f->db), DB_WELL);
	db_rollback(&f->db); /* there is none any more */
	assert_true(db_begin(&f->db));
	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_count)), 1); /* all is answered, but nothing is over */
	db_rollback(&f->db);
	assert_int_equal(db_error(&f->db), DB_WELL);
	assert_true(db_run(&f->db, Q_put, INT(2), TEXT(S("a")), BLOB(S(""))));
	assert_int_equal(rows(f, "thing"), 1);
	assert_string_equal(f->notice, ""); /* such as: there is no transaction in progress */
}

static void outside_a_transaction_each_statement_is_one(void **state)
{
	struct fixture *f = *state;

	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_int_equal(rows(f, "thing"), 1);
	assert_false(db_run(&f->db, Q_put, INT(1), TEXT(S("a")), BLOB(S(""))));
	assert_error(f, DB_PRIVATE, "23505");
	db_rollback(&f->db);
	db_forget_error(&f->db);
	assert_null(db_query(&f->db, Q_wrong));
	assert_error(f, DB_PRIVATE, "42P01");
	db_forget_error(&f->db);
	assert_int_equal(db_number(&f->db, db_query(&f->db, Q_count)), 1);
}

static void errors_have_kinds(void **state)
{
	static const struct {
		const char *sqlstate;
		enum db_error kind;
	} cases[] = { { "53100", DB_FULL },    { "53200", DB_PRIVATE }, { "40P01", DB_PRIVATE }, { "55P03", DB_PRIVATE },
		      { "22001", DB_PRIVATE }, { "08P01", DB_PRIVATE }, { "57014", DB_PRIVATE }, { "25006", DB_AWAY },
		      { "08006", DB_AWAY },    { "57P01", DB_AWAY },    { "57P03", DB_AWAY } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(db_begin(&f->db));
		assert_true(db_run(&f->db, Q_raise, TEXT(str_of(cases[i].sqlstate))));
		assert_false(db_commit(&f->db));
		assert_error(f, cases[i].kind, cases[i].sqlstate);
		db_rollback(&f->db);
		db_forget_error(&f->db);
		if (cases[i].kind == DB_AWAY) { /* the connection was closed, and stays so */
			assert_false(db_begin(&f->db));
			assert_error(f, DB_AWAY, "");
			reopen(f);
		}
	}
	db_fail(&f->db, DB_AWAY, "no longer a member");
	db_fail(&f->db, DB_FULL, "later");
	assert_error(f, DB_AWAY, "");
	assert_string_equal(f->db.error, "no longer a member");
}

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
		       "host=/nonexistent,%s,%s port=5432,5432,1 user=postgres dbname=test "
		       "target_session_attrs=read-only",
		       there, there);
	db_close(&f->db);
	assert_true(open_with(f, words, 1));
	assert_int_equal(f->db.timeline, 1);
	db_close(&f->db);
	assert_false(open_with(f, words, 2));
	assert_error(f, DB_AWAY, "");
	assert_non_null(strstr(f->db.error, "it is on timeline 1, and 2 was seen"));
	assert_non_null(strstr(f->db.error, "/nonexistent"));
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
		CASE(values_go_both_ways),
		CASE(numbers_have_any_size),
		CASE(a_walk_gives_all_rows),
		CASE(changes_are_counted),
		CASE(large_values_do_not_block),
		CASE(the_first_error_sticks),
		CASE(a_rollback_without_an_error),
		CASE(outside_a_transaction_each_statement_is_one),
		CASE(errors_have_kinds),
		CASE(a_failed_transaction_does_not_commit),
		CASE(a_warning_at_commit_is_as_good_as_no_answer),
		CASE(no_answer_to_commit_is_unknown),
		CASE(a_killed_backend_is_away),
		CASE(a_stopped_server_is_away),
		CASE(a_server_is_chosen),
		CASE(another_encoding_is_refused),
		CASE(a_session_is_durable),
		CASE(the_settings_of_the_server_are_checked),
	};

	if (!cluster_start())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
