/* engine.c - the engine for SQLite under test: see engine_under_test.h. */
#include "sql.h"

#include <sqlite3.h>
#include <sys/stat.h>

const struct store_engine *const engine_under_test = &store_engine_sqlite;
const bool engine_has_files = true, engine_knows_clock = true;

void engine_begin(struct fixture *f)
{
}

/* ---- SQL ---- */

struct str fixture_sql(struct fixture *f, const char *sql)
{
	struct str value = S("");
	sqlite3 *db;
	sqlite3_stmt *q = NULL;

	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_text(q, 0))
		value = arena_str(&f->arena, str_make(sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0)));
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
	return value;
}

void fixture_script(struct fixture *f, const char *path)
{
	FILE *file = fopen(path, "r");
	char *sql = arena_alloc(&f->arena, 100000);
	sqlite3 *db;
	size_t n;

	assert_int_equal(unlink(fixture_path(f, "queue.db")), 0);
	assert_non_null(file);
	n = fread(sql, 1, 99999, file);
	assert_true(n > 0 && feof(file));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- for the suite ---- */

/* What must hold whatever has happened: each statement counts exceptions. */
void engine_check(struct fixture *f)
{
	static const char *const exceptions[] = {
		"SELECT count(*) FROM lane l WHERE next_at IS NOT (SELECT min(due_at) FROM recipient WHERE lane=l.id AND state=1)",
		"SELECT count(*) FROM recipient r WHERE state=1 AND NOT EXISTS(SELECT 1 FROM lane WHERE id=r.lane AND via=r.via"
		" AND domain=lower(substr(r.address,instr(r.address,'@')+1)) AND login=(SELECT login FROM message WHERE id=r.message)"
		" AND priority=(SELECT priority FROM message WHERE id=r.message))",
		"SELECT count(*) FROM message m WHERE open<>(SELECT count(*) FROM recipient WHERE message=m.id AND (state IN (1,2,4) OR reported&8))",
		"SELECT count(*) FROM message m WHERE recipients<>(SELECT count(*) FROM recipient WHERE message=m.id)",
		"SELECT count(*) FROM message WHERE (open=0)<>(finished_at IS NOT NULL) OR (open=0)<>(place=0)",
		"SELECT count(*) FROM message m WHERE (place=1)<>EXISTS(SELECT 1 FROM text WHERE id=m.id)",
		"SELECT count(*) FROM text t WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=t.id)",
		"SELECT count(*) FROM recipient WHERE removing>0 AND state<>1",
		"SELECT count(*) FROM recipient WHERE reported&8 AND state NOT IN (3,6)",
		"SELECT count(*) FROM recipient r WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=r.message)",
		"SELECT count(*) FROM event e WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=e.message)",
		"SELECT count(*) FROM unsearched u WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=u.message)",
		"SELECT count(*) FROM word w WHERE NOT EXISTS(SELECT 1 FROM block WHERE id=w.id/256)",
		"SELECT count(*) FROM counter WHERE open_messages<>(SELECT count(*) FROM message WHERE finished_at IS NULL)"
		" OR waiting<>(SELECT count(*) FROM recipient WHERE state=1) OR held<>(SELECT count(*) FROM recipient WHERE state=2)"
		" OR failed<>(SELECT count(*) FROM recipient WHERE state=4) OR lanes<>(SELECT count(*) FROM lane)",
	};

	assert_str(fixture_sql(f, "PRAGMA integrity_check"), "ok");
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		struct str n = fixture_sql(f, exceptions[i]);

		if (!str_eq(n, S("0")))
			fail_msg("%.*s exceptions: %s", STR_ARG(n), exceptions[i]);
	}
}

void engine_index(struct fixture *f)
{
	while (!str_eq(fixture_sql(f, "SELECT (SELECT count(*) FROM unsearched)<1024 AND older_than=0 FROM counter"), S("1")))
		uv_sleep(50);
}

uint64_t engine_growing_bytes(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(fixture_path(f, "queue.db-wal"), &st), 0);
	return (uint64_t)st.st_size;
}

void engine_fail_bad(struct fixture *f, unsigned way)
{
	static const char *const ways[ENGINE_FAILURES] = { "ABORT", "ROLLBACK", "FAIL" };
	struct str sql = arena_printf(&f->arena,
				      "CREATE TRIGGER bad BEFORE INSERT ON event WHEN new.fields='bad'"
				      " BEGIN SELECT RAISE(%s,'bad'); END",
				      ways[way]);

	(void)fixture_sql(f, "DROP TRIGGER IF EXISTS bad");
	(void)fixture_sql(f, arena_cstr(&f->arena, sql));
}

static uint64_t number(struct fixture *f, struct str sql)
{
	uint64_t n = 0;

	assert_true(str_to_u64(fixture_sql(f, arena_cstr(&f->arena, sql)), &n));
	return n;
}

uint64_t engine_lanes(struct fixture *f)
{
	return stats_now(f).lanes;
}

uint64_t lane_of(struct fixture *f, const char *domain)
{
	return number(f, arena_printf(&f->arena, "SELECT ifnull(max(id),0) FROM lane WHERE domain='%s'", domain));
}

uint64_t engine_known(struct fixture *f, const char *login, uint64_t since)
{
	return number(f, arena_printf(&f->arena, "SELECT count(*) FROM known WHERE login='%s' AND last_at>=%llu", login,
				      (unsigned long long)since));
}

struct str engine_told(struct fixture *f, uint64_t id)
{
	struct str sql = arena_printf(&f->arena, "SELECT group_concat(reported) FROM recipient WHERE message=%llu",
				      (unsigned long long)id);

	return fixture_sql(f, arena_cstr(&f->arena, sql));
}

void engine_move_clock(struct fixture *f, uint64_t ms)
{
	struct str sql = arena_printf(&f->arena, "UPDATE counter SET at=at+%llu", (unsigned long long)ms);

	(void)fixture_sql(f, arena_cstr(&f->arena, sql));
}

uint64_t engine_make_older(struct fixture *f)
{
	fixture_script(f, VERSION2_SQL);
	return 5;
}
