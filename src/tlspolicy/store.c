/* store.c - see store.h. */
#include "store.h"

#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <stdio.h>
#include <unistd.h>

#define APPLICATION_ID 1347703920 /* "PTLp": that the file is one of this role */
#define SCHEMA_VERSION 1

static const char *const statements[] = {
#define STATEMENT(name, sql) sql,
#include "statements.def"
};

/* Times are in ms since 1970. */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS policies ("
	" domain TEXT PRIMARY KEY," /* A-labels, lower case */
	" id TEXT NOT NULL,"        /* of the TXT record when it was fetched */
	" text TEXT NOT NULL,"
	" fetched_at INTEGER NOT NULL,"
	" valid_until INTEGER NOT NULL,"
	" refresh_at INTEGER NOT NULL,"
	" used_at INTEGER NOT NULL" /* about the day on which mail was last sent there */
	") WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS policies_refresh ON policies (refresh_at);"
	"CREATE INDEX IF NOT EXISTS policies_valid ON policies (valid_until);"
	"CREATE INDEX IF NOT EXISTS policies_used ON policies (used_at);"
	/* Reports about TLS. A day is its beginning. */
	"CREATE TABLE IF NOT EXISTS report_days ("
	" day INTEGER NOT NULL, domain TEXT NOT NULL,"
	" number INTEGER NOT NULL," /* of the report */
	" due_at INTEGER NOT NULL," /* of the next question where it goes */
	" state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (day, domain)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS report_days_due ON report_days (state, due_at);"
	"CREATE TABLE IF NOT EXISTS report_policies ("
	" id INTEGER PRIMARY KEY, day INTEGER NOT NULL, domain TEXT NOT NULL, type INTEGER NOT NULL, policy_domain TEXT NOT NULL,"
	" text TEXT NOT NULL, mx TEXT NOT NULL, good INTEGER NOT NULL, failed INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS report_policies_day ON report_policies (day, domain);"
	"CREATE TABLE IF NOT EXISTS report_failures ("
	" policy INTEGER NOT NULL, result INTEGER NOT NULL, source TEXT NOT NULL, host TEXT NOT NULL, ip TEXT NOT NULL,"
	" helo TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY (policy, result, host, ip, source, helo, reason)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS report_sends ("
	" id INTEGER PRIMARY KEY, day INTEGER NOT NULL, domain TEXT NOT NULL, target TEXT NOT NULL,"
	" message INTEGER NOT NULL, token INTEGER NOT NULL," /* of the mail: queue takes it once */
	" due_at INTEGER NOT NULL, until INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
	" said TEXT NOT NULL DEFAULT '');"
	"CREATE INDEX IF NOT EXISTS report_sends_due ON report_sends (state, due_at);"
	"CREATE INDEX IF NOT EXISTS report_sends_day ON report_sends (day, domain);";

/* ---- opening ---- */

static int number_of(struct store *s, const char *pragma, int64_t *value_out)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->handle, pragma, -1, &q, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		*value_out = sqlite3_column_int64(q, 0);
		rc = SQLITE_OK;
	}
	(void)sqlite3_finalize(q); /* repeats the error */
	return rc;
}

/* Is it a file of this role, or a new one? A newer version of the role may have left another schema: that is foreign too. */
static int look_at(struct store *s, bool *foreign_out)
{
	int64_t id = 0, version = 0, tables = 0;
	int rc = number_of(s, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK)
		rc = number_of(s, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK)
		rc = number_of(s, "SELECT count(*) FROM sqlite_master", &tables);
	*foreign_out = rc == SQLITE_OK && tables > 0 && (id != APPLICATION_ID || version > SCHEMA_VERSION);
	return rc;
}

/* Only this process has the file: no memory is shared (unix-excl). */
static int try_open(struct store *s, bool *foreign_out)
{
	int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW;
	int rc = sqlite3_open_v2(s->path, &s->handle, flags, "unix-excl");
	char begin[256];

	*foreign_out = false;
	if (rc == SQLITE_OK)
		rc = look_at(s, foreign_out);
	if (rc != SQLITE_OK || *foreign_out)
		return rc;
	snprintf(begin, sizeof begin,
		 "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-1024;"
		 "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA application_id=%d; PRAGMA user_version=%d;",
		 APPLICATION_ID, SCHEMA_VERSION);
	rc = sqlite3_exec(s->handle, begin, NULL, NULL, NULL);
	return rc == SQLITE_OK ? sqlite3_exec(s->handle, schema, NULL, NULL, NULL) : rc;
}

static bool is_damage(int rc)
{
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

/* The file keeps its content, for whoever wants to look into it; the one that was put aside before goes. */
static void put_aside(struct store *s, const char *reason)
{
	static const char *const suffixes[] = { "", "-wal", "-journal" };
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		const char *from = arena_cstr(&a, arena_printf(&a, "%s%s", s->path, suffixes[i]));

		(void)rename(from, arena_cstr(&a, arena_printf(&a, "%s.damaged%s", s->path, suffixes[i])));
	}
	log_error(NULL, "tlspolicy.damaged", kv("path", s->path), kv("reason", reason));
	arena_fini(&a);
}

void store_close(struct store *s)
{
	const char *path = s->path;
	uint64_t failures = s->failures;

	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(s->prepared[i]); /* repeats the statement's last error, which was dealt with */
	(void)sqlite3_close(s->handle);                 /* nothing is open any more, so it cannot refuse */
	*s = (struct store){ .path = path, .failures = failures };
}

void store_open(struct store *s, const char *path)
{
	bool foreign;
	int rc;

	s->path = path;
	for (int tries = 0; tries < 2; tries++) {
		rc = try_open(s, &foreign);
		if (rc == SQLITE_OK && !foreign)
			return;
		if (tries > 0 || (!foreign && !is_damage(rc)))
			break;
		store_close(s);
		put_aside(s, foreign ? "it is not a file of this version of Posthouse" : sqlite3_errstr(rc));
	}
	log_error(NULL, "tlspolicy.unusable", kv("path", path),
		  kv("reason", s->handle ? sqlite3_errmsg(s->handle) : sqlite3_errstr(rc)));
	store_close(s);
}

/* ---- statements ---- */

/* A damaged file makes place for a new one at once; other errors (a full disk) can pass. */
static void fail(struct store *s, int rc)
{
	s->failures++;
	if (!is_damage(rc)) {
		log_error(NULL, "tlspolicy.unsaved", kv("reason", sqlite3_errmsg(s->handle)));
		return;
	}
	store_close(s);
	put_aside(s, sqlite3_errstr(rc));
	store_open(s, s->path);
}

sqlite3_stmt *store_query(struct store *s, enum statement which)
{
	sqlite3_stmt **q = &s->prepared[which];
	int rc = SQLITE_OK;

	if (!s->handle)
		return NULL;
	if (!*q)
		rc = sqlite3_prepare_v3(s->handle, statements[which], -1, SQLITE_PREPARE_PERSISTENT, q, NULL);
	if (rc == SQLITE_OK)
		return *q;
	fail(s, rc);
	return NULL;
}

void store_bind(sqlite3_stmt *q, int at, struct str text)
{
	if (q)
		(void)sqlite3_bind_text64(q, at, text.p ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

void store_bind_number(sqlite3_stmt *q, int at, uint64_t value)
{
	if (q)
		(void)sqlite3_bind_int64(q, at, value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value);
}

/* 1: a row; 0: the end; -1: an error. Behind a damaged file no statement is there any more. */
static int step(struct store *s, sqlite3_stmt *q)
{
	int rc = q && s->handle ? sqlite3_step(q) : SQLITE_MISUSE;

	if (rc == SQLITE_ROW)
		return 1;
	if (!q || !s->handle)
		return -1;
	(void)sqlite3_reset(q); /* repeats the error that step gave */
	if (rc == SQLITE_DONE)
		return 0;
	fail(s, rc);
	return -1;
}

bool store_row(struct store *s, sqlite3_stmt *q)
{
	return step(s, q) > 0;
}

void store_end(sqlite3_stmt *q)
{
	if (q)
		(void)sqlite3_reset(q);
}

bool store_run(struct store *s, sqlite3_stmt *q)
{
	int result;

	while ((result = step(s, q)) > 0)
		;
	return result == 0;
}

struct str store_text(sqlite3_stmt *q, int column)
{
	const void *p = sqlite3_column_text(q, column);

	return p ? str_make(p, (size_t)sqlite3_column_bytes(q, column)) : S("");
}

uint64_t store_number(sqlite3_stmt *q, int column)
{
	sqlite3_int64 value = sqlite3_column_int64(q, column);

	return value > 0 ? (uint64_t)value : 0;
}

/* ---- transactions ---- */

static bool execute(struct store *s, const char *sql)
{
	int rc = s->handle ? sqlite3_exec(s->handle, sql, NULL, NULL, NULL) : SQLITE_MISUSE;

	if (rc != SQLITE_OK && s->handle)
		fail(s, rc);
	return rc == SQLITE_OK;
}

void store_begin(struct store *s)
{
	(void)execute(s, "BEGIN IMMEDIATE");
}

bool store_commit(struct store *s)
{
	if (execute(s, "COMMIT"))
		return true;
	if (s->handle)
		(void)sqlite3_exec(s->handle, "ROLLBACK", NULL, NULL, NULL); /* refused where nothing has begun */
	return false;
}
