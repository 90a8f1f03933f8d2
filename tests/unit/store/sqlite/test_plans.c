/* test_plans.c - no statement reads a whole table, or sorts: with a million messages each must find its rows by an index. */
#include "sql.h"

#include <sqlite3.h>

static const struct {
	const char *name, *sql;
} statements[] = {
#define STATEMENT(name, sql) { #name, sql },
#include "sqlite/statements.def"
#undef STATEMENT
};

/* These walk over an index that holds only what they look for, over a table that stays small, or sort one message's rows. */
static const char *const may_scan[] = { "removing",  "lanes_rerouted", "gates",        "buckets",     "bans",
					"counters",  "counters_put",   "clock_put",    "transcripts", "unsearched_ids",
					"older_put", "search_state",   "unusual_count" };

/* What a line of a plan must not be. */
static bool is_slow(struct str line)
{
	if (str_eq(line, S("SCAN CONSTANT ROW")))
		return false;
	return str_starts(line, S("SCAN ")) || str_starts(line, S("USE TEMP B-TREE"));
}

static bool is_allowed(const char *name)
{
	for (size_t i = 0; i < sizeof(may_scan) / sizeof(may_scan[0]); i++)
		if (strcmp(name, may_scan[i]) == 0)
			return true;
	return false;
}

static void statements_use_indexes(void **state)
{
	struct fixture *f = *state;
	size_t lines = 0;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		struct str sql = arena_printf(&f->arena, "EXPLAIN QUERY PLAN %s", statements[i].sql);
		sqlite3_stmt *q;

		if (sqlite3_prepare_v2(db, sql.p, (int)sql.n, &q, NULL) != SQLITE_OK)
			fail_msg("%s: %s", statements[i].name, sqlite3_errmsg(db));
		while (sqlite3_step(q) == SQLITE_ROW) {
			struct str line = str_of((const char *)sqlite3_column_text(q, 3));

			lines++;
			if (is_slow(line) && !is_allowed(statements[i].name))
				fail_msg("%s: %.*s", statements[i].name, STR_ARG(line));
		}
		assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	}
	assert_true(lines > 40); /* there were plans to look at */
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The plans that fairness and speed rest on, in full. */
static void lanes_are_found_by_time(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *sql, *plan;
	} rows[] = {
		{ "SELECT id FROM lane INDEXED BY lane_next WHERE next_at>1 AND next_at<=3 ORDER BY next_at,id",
		  "SEARCH lane USING COVERING INDEX lane_next (next_at>? AND next_at<?)" },
		{ "SELECT id FROM lane INDEXED BY lane_next WHERE next_at=1 AND id>2 AND next_at<=3 ORDER BY id",
		  "SEARCH lane USING COVERING INDEX lane_next (next_at=? AND id>?)" },
		{ "SELECT id,domain,login,next_at FROM lane INDEXED BY lane_priority WHERE priority=1 AND next_at>2 AND next_at<=3"
		  " ORDER BY next_at,id",
		  "SEARCH lane USING INDEX lane_priority (priority=? AND next_at>? AND next_at<?)" },
		{ "SELECT id,domain,login,next_at FROM lane INDEXED BY lane_priority WHERE priority=1 AND next_at=2 AND id>3"
		  " AND +next_at<=4 ORDER BY id",
		  "SEARCH lane USING INDEX lane_priority (priority=? AND next_at=? AND id>?)" },
		{ "SELECT priority FROM lane INDEXED BY lane_priority WHERE priority<1 ORDER BY priority DESC LIMIT 1",
		  "SEARCH lane USING COVERING INDEX lane_priority (priority<?)" },
		{ "SELECT message,n FROM recipient INDEXED BY recipient_due WHERE state=1 AND lane=1 AND (attempts>0)=0 AND due_at<=3"
		  " ORDER BY due_at",
		  "SEARCH recipient USING INDEX recipient_due (lane=? AND <expr>=? AND due_at<?)" },
		{ "SELECT DISTINCT message FROM recipient INDEXED BY recipient_unreported WHERE state=4 AND message>1 AND message<=2",
		  "SEARCH recipient USING INDEX recipient_unreported (message>? AND message<?)" },
		{ "SELECT id,warn_at FROM message INDEXED BY message_warn WHERE finished_at IS NULL AND warn_at>0 AND (warn_at,id)>(1,2)"
		  " AND (warn_at,id)<=(3,4) ORDER BY warn_at,id",
		  "SEARCH message USING INDEX message_warn (warn_at>? AND warn_at<?)" },
		{ "SELECT DISTINCT message FROM recipient INDEXED BY recipient_good WHERE (reported&8)=8 AND message>1 AND message<=2"
		  " ORDER BY message",
		  "SEARCH recipient USING INDEX recipient_good (message>? AND message<?)" },
		{ "SELECT n FROM recipient WHERE message=1 AND +lane=2 AND +state=1 AND due_at<=3 ORDER BY n",
		  "SEARCH recipient USING PRIMARY KEY (message=?)" },
	};
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str sql = arena_printf(&f->arena, "EXPLAIN QUERY PLAN %s", rows[i].sql);
		sqlite3_stmt *q;

		assert_int_equal(sqlite3_prepare_v2(db, sql.p, (int)sql.n, &q, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(q), SQLITE_ROW);
		assert_string_equal(sqlite3_column_text(q, 3), rows[i].plan);
		assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	}
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(statements_use_indexes), CASE(lanes_are_found_by_time) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
