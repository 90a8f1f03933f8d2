/* test_schema.c - older, newer and damaged databases. */
#include "sql.h"

static void a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	struct verdict v;

	fixture_close(f);
	(void)fixture_sql(f, "UPDATE meta SET value='99' WHERE key='schema_version'");
	v = fixture_open(f);
	assert_int_equal(v.class, PERM);
	assert_null(f->st);
	assert_true(str_search(v.text, S("newer Posthouse")) < v.text.n);
	(void)fixture_sql(f, "UPDATE meta SET value=7 WHERE key='schema_version'");
	assert_int_equal(fixture_open(f).class, OK);
}

/* A database as version 1 wrote it (version1.sql): 100 with a waiting and a failed recipient, 101 delivered, 102 held, 103 waiting and
 * late. */
static void an_older_schema_is_brought_forward(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	fixture_close(f);
	fixture_script(f, VERSION1_SQL);
	assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), "1");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_open(f).class, OK);
		assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), "7");
		assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");
		assert_str(gates(f), "upstream:isp 1 1700000000000 login refused");
		assert_int_equal(stats_now(f).open_messages, 3);
		assert_int_equal(stats_now(f).waiting, 2);
		assert_str(text_now(f, 100).text, "Subject: x\r\n\r\nhello\r\n");
		assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 1);
		a = unreported_now(f, KIND_DELAY, NOW + 500, 10);
		assert_int_equal(a.n, 1);
		assert_int_equal(((const struct unreported *)a.rows)->id, 103);
		assert_int_equal(unreported_now(f, KIND_SUCCESS, NOW, 10).n, 0);
		assert_str(buckets(f), "");
		fixture_close(f);
	}
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(put_bucket(f, "user:alice", "1/1h", NOW).class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_RELEASE).count, 1);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 10).n, 2);
}

/* A database as version 2 wrote it (version2.sql): as above, with 104 delivered and to be told, 105 of another login, and a bucket. */
static void the_second_schema_is_brought_forward(void **state)
{
	struct fixture *f = *state;
	const struct due_message *m;
	struct answer a;

	fixture_close(f);
	fixture_script(f, VERSION2_SQL);
	assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), "2");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_open(f).class, OK);
		assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), "7");
		assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");
		assert_str(fixture_sql(f, "SELECT length(value) FROM meta WHERE key='known_key'"), "32");
		assert_int_equal(stats_now(f).open_messages, 5);
		assert_int_equal(stats_now(f).lanes, 3);
		assert_str(buckets(f), "upstream:isp 30/1m 1700000000000005");
		assert_str(bans(f), "");
		assert_int_equal(unreported_now(f, KIND_SUCCESS, NOW, 10).n, 1);
		assert_int_equal(lanes_now(f, NOW + 900, 10).n, 3);
		assert_int_equal(show_now(f, 100, 0, 10).message->envelope.priority, PRIORITY_NORMAL);
		fixture_close(f);
	}
	assert_int_equal(fixture_open(f).class, OK);
	/* New mail of normal priority joins the old lane, which gives the old recipient first. */
	assert_int_equal(accept_to(f, 200, "z@a.org").class, OK);
	assert_int_equal(stats_now(f).lanes, 3);
	a = lease_now(f, 1, NOW, 10);
	assert_int_equal(a.n, 2);
	m = a.rows;
	assert_int_equal(m[0].id, 100);
	assert_int_equal(m[0].envelope.priority, PRIORITY_NORMAL);
	assert_int_equal(m[0].envelope.deliver_by, 0);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 200, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(stats_now(f).lanes, 2);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_RELEASE).count, 1);
}

static void deliver(struct fixture *f, uint64_t lane, size_t n)
{
	struct answer a = lease_now(f, lane, clock_now_ms(), 10);
	const struct due_message *m = a.rows;

	assert_int_equal(a.n, n);
	for (size_t i = 0; i < a.n; i++)
		assert_int_equal(settle_now(f, m[i].id, m[i].recipients[0].n, RCPT_DELIVERED, 0).class, OK);
}

/* What is found, before and after the old mail is in the index. */
static void check_found(struct fixture *f, const char *delivered)
{
	struct find by_state = { .states = 1u << RCPT_DELIVERED };

	assert_str(find_now(f, (struct find){ .recipient = S("b@a.org") }, 10), "104/1 102/1 101/1 100/1");
	assert_str(find_now(f, (struct find){ .sender = S("a@example.org"), .recipient = S("c.org") }, 10), "103/1");
	assert_str(find_now(f, by_state, 10), delivered);
}

/* Databases as versions 4 to 6 wrote them (version4.sql and so on): the same messages, with what those versions remember. */
static void the_later_schemas_are_brought_forward(void **state)
{
	static const struct {
		const char *file, *version;
	} cases[] = { { VERSION4_SQL, "4" }, { VERSION5_SQL, "5" }, { VERSION6_SQL, "6" } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_close(f);
		fixture_script(f, cases[i].file);
		assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), cases[i].version);
		assert_int_equal(fixture_open(f).class, OK);
		assert_str(fixture_sql(f, "SELECT value FROM meta WHERE key='schema_version'"), "7");
		assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");
		assert_str(fixture_sql(f, "SELECT told FROM gate"), i ? "3" : "0");
		assert_str(bans(f), "login:mallory 2 9000000000000 guessing");
		assert_int_equal(stats_now(f).open_messages, 5);
		assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 1);
		check_found(f, "104/1 101/1");
		engine_index(f);
		check_found(f, "104/1 101/1");
		assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_RELEASE).count, 1);
		deliver(f, 1, 2);
		deliver(f, 3, 1);
		check_found(f, "104/1 103/1 102/1 101/1 100/1");
	}
}

/* The tables of an older database, brought forward, are those of a new one. */
static void both_ways_lead_to_the_same_tables(void **state)
{
	static const char *const scripts[] = { VERSION1_SQL, VERSION2_SQL, VERSION4_SQL, VERSION5_SQL, VERSION6_SQL };
	struct fixture *f = *state;
	const char *tables =
		"SELECT group_concat(type||' '||name||' '||replace(sql,'\n',''),'|') FROM (SELECT * FROM sqlite_schema ORDER BY name)";
	struct str fresh = fixture_sql(f, tables), brought;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		fixture_close(f);
		fixture_script(f, scripts[i]);
		assert_int_equal(fixture_open(f).class, OK);
		brought = fixture_sql(f, tables);
		assert_int_equal(brought.n, fresh.n);
		assert_memory_equal(brought.p, fresh.p, fresh.n);
	}
}

static void a_damaged_database_is_refused(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	fixture_close(f);
	file = fopen(fixture_path(f, "queue.db"), "r+");
	assert_non_null(file);
	assert_true(fputs("this is not a database at all, and never was", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(fixture_open(f).class, TEMP);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_newer_schema_is_refused),
		CASE(an_older_schema_is_brought_forward),
		CASE(the_second_schema_is_brought_forward),
		CASE(the_later_schemas_are_brought_forward),
		CASE(both_ways_lead_to_the_same_tables),
		CASE(a_damaged_database_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
