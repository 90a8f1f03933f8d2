/* test_db.c - statements, values and errors, on a server. */
#include "cluster.h"
#include "fixture.h"

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

/* The tables are not ours alone. */
static void a_number_that_is_none_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct db_rows *q;

	assert_true(db_run(&f->db, Q_put, INT(1), TEXT(S("x")), BLOB(S(""))));
	assert_true(db_run(&f->db, Q_put, INT(2), TEXT(S("x")), BLOB(S(""))));
	(void)cluster_sql(f->connection, "ALTER TABLE thing ALTER id TYPE numeric");
	q = db_query(&f->db, Q_ids);
	assert_true(db_row(&f->db, q));
	assert_int_equal(db_u64(q, 0), 0);
	assert_error(f, DB_PRIVATE, "");
	assert_false(db_row(&f->db, q));
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
	for (unsigned i = 20000; i < 20030; i++) /* their answers are so small that the server would keep them */
		assert_true(db_run(&f->db, Q_put, INT(i), TEXT(S("name")), BLOB(str_make(large, n))));
	assert_true(db_commit(&f->db));
	assert_int_equal(rows(f, "thing"), 20030);
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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(values_go_both_ways),
		CASE(numbers_have_any_size),
		CASE(a_walk_gives_all_rows),
		CASE(a_number_that_is_none_is_an_error),
		CASE(changes_are_counted),
		CASE(large_values_do_not_block),
		CASE(the_first_error_sticks),
		CASE(a_rollback_without_an_error),
		CASE(outside_a_transaction_each_statement_is_one),
		CASE(errors_have_kinds),
	};

	if (!cluster_start())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
