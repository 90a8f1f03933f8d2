/* schema.c - the tables, and the scripts that bring an older database to them. */
#include "sqlite.h"
#include "tables.h"

#include "posthouse/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define PROGRESS_STEPS 100000 /* instructions of SQLite's virtual machine: some ms */
#define SAY_SOON_MS    1000   /* progress is logged between two statements */
#define SAY_EACH_MS    10000  /* and within a long one */

/* One value of a fixed query; false when there is none, or after an error. */
static bool schema_value(struct db *db, const char *sql, struct arena *a, struct str *value_out)
{
	sqlite3_stmt *q = NULL;
	bool found = false;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		*value_out = db_keep(a, &(struct db_rows){ q }, 0);
		found = true;
	}
	(void)sqlite3_finalize(q); /* repeats the error behind `false` */
	return found;
}

bool schema_meta(struct db *db, struct str key, struct arena *a, struct str *value_out)
{
	struct db_rows *q = db_query(db, Q_meta, TEXT(key));

	if (!db_row(db, q))
		return false;
	*value_out = db_keep(a, q, 0);
	db_end(q);
	return true;
}

/* The version on disk: 0 for an empty database; false when it cannot be read. */
static bool read_version(struct db *db, struct arena *a, uint64_t *version_out)
{
	struct str value;

	*version_out = 0;
	if (!schema_value(db, "SELECT count(*) FROM sqlite_schema WHERE name='meta'", a, &value))
		return false;
	if (str_eq(value, S("0")))
		return true;
	return schema_value(db, "SELECT value FROM meta WHERE key='schema_version'", a, &value) && str_to_u64(value, version_out);
}

/* ---- migration ---- */

struct migration {
	struct engine *e;
	size_t done, all; /* statements: progress */
	uint64_t said_at;
};

static void say(struct migration *m)
{
	char text[80];

	m->said_at = clock_mono_ms();
	(void)snprintf(text, sizeof text, "bringing the queue to schema %d, %zu %%", SQLITE_SCHEMA_VERSION,
		       100 * m->done / m->all);
	store_note(m->e->host->store, LOG_INFO, "store.upgrading", 0, text);
}

/* SQLite calls this after every PROGRESS_STEPS. A result other than 0 stops the statement: when the store is closed, the
 * migration is rolled back. */
static int on_progress(void *ctx)
{
	struct migration *m = ctx;

	if (m->said_at + SAY_EACH_MS <= clock_mono_ms())
		say(m);
	return store_is_stopping(m->e->host->store);
}

/* For tests, a slow disk: POSTHOUSE_SLOW is how many ms each statement takes longer. */
static void delay_for_test(void)
{
#ifdef POSTHOUSE_CRASH_POINTS
	const char *ms = getenv("POSTHOUSE_SLOW");

	if (ms)
		uv_sleep((unsigned)strtoul(ms, NULL, 10));
#endif
}

static size_t count_statements(const char *script)
{
	size_t n = 0;

	for (; *script; script++)
		n += *script == ';';
	return n;
}

static bool run_script(struct migration *m, const char *script)
{
	while (*script) {
		if (m->said_at + SAY_SOON_MS <= clock_mono_ms())
			say(m);
		if (store_is_stopping(m->e->host->store) || !db_statement(&m->e->db, script, &script))
			return false;
		delay_for_test();
		m->done++;
	}
	return true;
}

/* Run the scripts that are missing, in one transaction. */
static bool migrate(struct engine *e, struct arena *a, uint64_t from)
{
	struct db *db = &e->db;
	struct migration m = { .e = e, .all = 1, .said_at = clock_mono_ms() }; /* a new database is not worth a log line */
	bool done = db_script(db, "BEGIN IMMEDIATE");

	for (uint64_t v = from; v < SQLITE_SCHEMA_VERSION; v++)
		m.all += count_statements(migrations[v]);
	sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, &m);
	if (from > 0)
		say(&m);

	if (from == 0)
		done = done && db_script(db, SQLITE_META_TABLE);
	for (uint64_t v = from; v < SQLITE_SCHEMA_VERSION; v++)
		done = done && run_script(&m, migrations[v]);
	done = done && db_script(db, arena_cstr(a, arena_printf(a, "INSERT OR REPLACE INTO meta VALUES('schema_version',%d)",
								SQLITE_SCHEMA_VERSION)));
	if (from == 0) /* a new database has no time of another clock */
		done = done && db_script(db, arena_cstr(a, arena_printf(a, "UPDATE counter SET at=%llu",
									(unsigned long long)clock_now_ms())));
	done = done && db_script(db, "COMMIT");
	sqlite3_progress_handler(db->handle, 0, NULL, NULL);
	if (done && from > 0)
		store_note(e->host->store, LOG_INFO, "store.upgraded", 0, "the queue has its new schema");
	if (done)
		return true;
	/* An error of ROLLBACK does not matter: the first error is reported, and closing the connection rolls back too. */
	(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

struct verdict schema_prepare(struct engine *e, struct arena *a)
{
	struct db *db = &e->db;
	uint64_t version;
	struct str mode;

	if (!schema_value(db, "PRAGMA journal_mode", a, &mode) || !str_ieq(mode, S("wal")))
		return perm(554, S("5.3.5"),
			    arena_printf(a, "queue.db: the file system does not allow a write-ahead log: %s",
					 sqlite3_errmsg(db->handle)));
	if (!read_version(db, a, &version))
		return temp(451, S("4.3.0"), arena_printf(a, "queue.db cannot be read: %s", sqlite3_errmsg(db->handle)));
	if (version > SQLITE_SCHEMA_VERSION)
		return perm(554, S("5.3.5"),
			    arena_printf(a, "queue.db was written by a newer Posthouse (schema %llu; this one knows %d)",
					 (unsigned long long)version, SQLITE_SCHEMA_VERSION));
	if (version > 0 && version < SQLITE_SCHEMA_VERSION)
		vacuum_convert(db);
	if (version < SQLITE_SCHEMA_VERSION && !migrate(e, a, version))
		return temp(451, S("4.3.0"),
			    arena_printf(a, "queue.db cannot be brought to schema %d: %s", SQLITE_SCHEMA_VERSION, db->error));
	return ok();
}
