#include "db.h"
#include "tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATEMENT(name, sql) sql,
static const char *const statements[] = {
#include "statements.def"
};
#undef STATEMENT

/* Keep the first error with its words. */
static void note_error(struct db *db, int rc)
{
	int system_error = errno;

	if (db->rc != SQLITE_OK)
		return;
	db->rc = rc;
	db->system_errno = db->handle ? sqlite3_system_errno(db->handle) : 0;
	if (db->system_errno == 0) /* SQLite does not keep it when COMMIT fails: db_row() has cleared errno before */
		db->system_errno = system_error;
	(void)snprintf(db->error, sizeof(db->error), "%s (%d%s%s)", db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc),
		       rc, db->system_errno ? ", " : "", db->system_errno ? strerror(db->system_errno) : "");
}

/* Bind one parameter. */
static int bind(sqlite3_stmt *q, int at, const struct db_value *v)
{
	const char *p = v->str.p ? v->str.p : "";

	switch (v->kind) {
	case DB_INT: return sqlite3_bind_int64(q, at, (sqlite3_int64)v->u64);
	case DB_TEXT: return sqlite3_bind_text64(q, at, p, v->str.n, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB: return sqlite3_bind_blob64(q, at, p, v->str.n, SQLITE_STATIC);
	default: break;
	}
	return sqlite3_bind_null(q, at);
}

struct db_rows *db_query_values(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	struct db_rows *q = &db->prepared[statement];
	int rc = SQLITE_OK;

	if (db->rc != SQLITE_OK)
		return NULL;
	if (!q->stmt)
		rc = sqlite3_prepare_v3(db->handle, statements[statement], -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
	for (size_t i = 1; i < n && rc == SQLITE_OK; i++) /* values[0] is the macro's placeholder */
		rc = bind(q->stmt, (int)i, &values[i]);
	if (rc == SQLITE_OK)
		return q;
	note_error(db, rc);
	return NULL;
}

bool db_run_values(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	struct db_rows *q = db_query_values(db, statement, values, n);

	while (q && db_row(db, q))
		;
	return db->rc == SQLITE_OK;
}

bool db_row(struct db *db, struct db_rows *q)
{
	int rc;

	if (!q)
		return false;
	if (db->rc != SQLITE_OK) {
		(void)sqlite3_reset(q->stmt); /* the error is known */
		return false;
	}
	errno = 0;
	rc = sqlite3_step(q->stmt);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		note_error(db, rc);
	(void)sqlite3_reset(q->stmt); /* repeats the error that step gave */
	return false;
}

void db_end(struct db_rows *q)
{
	if (q)
		(void)sqlite3_reset(q->stmt); /* as above */
}

struct str db_str(struct db_rows *q, int column)
{
	const void *p = sqlite3_column_blob(q->stmt, column);

	return p ? str_make(p, (size_t)sqlite3_column_bytes(q->stmt, column)) : str_make("", 0);
}

size_t db_changes(struct db *db)
{
	return (size_t)sqlite3_changes(db->handle);
}

bool db_script(struct db *db, const char *sql)
{
	int rc;

	if (db->rc != SQLITE_OK)
		return false;
	rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		note_error(db, rc);
	return rc == SQLITE_OK;
}

bool db_statement(struct db *db, const char *sql, const char **rest_out)
{
	sqlite3_stmt *q = NULL;
	int rc;

	if (db->rc != SQLITE_OK)
		return false;
	errno = 0;
	rc = sqlite3_prepare_v2(db->handle, sql, -1, &q, rest_out);
	while (rc == SQLITE_OK || rc == SQLITE_ROW)
		rc = q ? sqlite3_step(q) : SQLITE_DONE;
	if (rc != SQLITE_DONE)
		note_error(db, rc);
	(void)sqlite3_finalize(q); /* repeats the error */
	return rc == SQLITE_DONE;
}

void db_forget_error(struct db *db)
{
	db->rc = SQLITE_OK;
	db->system_errno = 0;
	db->error[0] = 0;
}

bool db_is_full(const struct db *db)
{
	/* EFBIG: a limit on the size of files, by the file system or the administrator. */
	bool no_space = db->system_errno == ENOSPC || db->system_errno == EDQUOT || db->system_errno == EFBIG;

	if ((db->rc & 0xff) == SQLITE_FULL)
		return true;
	/* A failed sync is never harmless: what the kernel could not write it has forgotten. */
	if (db->rc == SQLITE_IOERR_FSYNC || db->rc == SQLITE_IOERR_DIR_FSYNC)
		return false;
	return no_space && ((db->rc & 0xff) == SQLITE_IOERR || (db->rc & 0xff) == SQLITE_CANTOPEN);
}

bool db_is_private(const struct db *db)
{
	int primary = db->rc & 0xff;

	return primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH || primary == SQLITE_RANGE;
}

bool db_open(struct db *db, const char *path, bool alone)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, &db->handle, flags, alone ? "unix-excl" : NULL);

	if (rc != SQLITE_OK) {
		note_error(db, rc);
		return false;
	}
	(void)sqlite3_busy_timeout(db->handle, 10000); /* cannot fail; only a visitor with sqlite3(1) makes us wait */
	/* secure_delete=FAST: zero what is rewritten anyway, do not write freed pages of texts once more. */
	return db_script(
		db, SQLITE_PRAGMAS
		"PRAGMA wal_autocheckpoint=0;"
		"PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST; PRAGMA trusted_schema=OFF;");
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(db->prepared[i].stmt); /* repeats the statement's last error, which was dealt with */
	(void)sqlite3_close(db->handle);                      /* nothing is open any more, so it cannot refuse */
	*db = (struct db){ 0 };
}
