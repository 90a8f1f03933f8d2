/* db.h - SQLite as the rest of the store sees it. The first error sticks in `rc`: from then on every call does nothing and
 * gives no rows, so an operation reads straight down and the batch looks at `rc` once, at its end, and rolls back. */
#ifndef POSTHOUSE_STORE_DB_H
#define POSTHOUSE_STORE_DB_H

#include "posthouse/arena.h"
#include "posthouse/verdict.h"

#include <sqlite3.h>

enum statement {
#define STATEMENT(name, sql) Q_##name,
#include "statements.def"
#undef STATEMENT
	STATEMENT_COUNT
};

/* A statement, and where its walk is. */
struct db_rows {
	sqlite3_stmt *stmt;
};

struct db {
	sqlite3 *handle;
	struct db_rows prepared[STATEMENT_COUNT];
	int rc;           /* first error since db_forget_error(): an extended result code */
	int system_errno; /* errno of the system call behind it; 0: none */
	char error[256];  /* message of SQLite */
};

#include "db_calls.h"

/* A walk that has ended resets its statement. Columns of the row: */
static inline uint64_t db_u64(struct db_rows *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q->stmt, column);
}
static inline bool db_is_null(struct db_rows *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

/* Run only the first statement of a script, and set *rest_out to the rest. False after an error. */
bool db_statement(struct db *db, const char *sql, const char **rest_out);

/* Is the error a lack of space? Does it concern only this operation (a constraint), and not the engine? */
bool db_is_full(const struct db *db);
bool db_is_private(const struct db *db);

/* Open the file with the settings that durability needs; false after an error. `alone`: no other process can open the file, and
 * the index of the log is in memory that the connections of this process share, not in a mapped file. */
bool db_open(struct db *db, const char *path, bool alone);
void db_close(struct db *db);

#endif
