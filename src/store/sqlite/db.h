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

/* A value for a parameter, bound in the order given; texts and blobs must live until the statement has run. */
struct db_value {
	enum { DB_INT, DB_TEXT, DB_BLOB, DB_NULL } kind;
	uint64_t u64;
	struct str str;
};
static inline struct db_value INT(uint64_t v) {
	return (struct db_value){ .kind = DB_INT, .u64 = v };
} static inline struct db_value TEXT(struct str v) {
	return (struct db_value){ .kind = DB_TEXT, .str = v };
} static inline struct db_value BLOB(struct str v) {
	return (struct db_value){ .kind = DB_BLOB, .str = v };
}

/* Bind and give the statement for db_row(); NULL after an error. It must not be in use: one walk per statement at a time. */
#define db_query(db, statement, ...)                                                                                             \
	db_query_values((db), (statement), (const struct db_value[]){ { .kind = DB_NULL }, ##__VA_ARGS__ },                      \
			sizeof((const struct db_value[]){ { .kind = DB_NULL }, ##__VA_ARGS__ }) / sizeof(struct db_value))
struct db_rows *
db_query_values(struct db *db, enum statement statement, const struct db_value *values, size_t n);

/* Bind and run to the end; false after an error. */
#define db_run(db, statement, ...)                                                                                               \
	db_run_values((db), (statement), (const struct db_value[]){ { .kind = DB_NULL }, ##__VA_ARGS__ },                        \
		      sizeof((const struct db_value[]){ { .kind = DB_NULL }, ##__VA_ARGS__ }) / sizeof(struct db_value))
bool db_run_values(struct db *db, enum statement statement, const struct db_value *values, size_t n);

/* The next row; at the end, or after an error, false and the statement is reset. A walk that ends earlier calls db_end(). */
bool db_row(struct db *db, struct db_rows *q);
void db_end(struct db_rows *q);

/* Columns of the row; views live until the next db_row() or db_end(), the `keep` form copies. */
static inline uint64_t db_u64(struct db_rows *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q->stmt, column);
}
static inline bool db_is_null(struct db_rows *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}
struct str db_str(struct db_rows *q, int column);
struct str db_keep(struct arena *a, struct db_rows *q, int column);

/* The number in the first column of the first row, which ends the walk; 0 when there is no row, or after an error. */
uint64_t db_number(struct db *db, struct db_rows *q);
/* The numbers in the first columns of the first row, which ends the walk, at these pointers to uint64_t. False when there is no
 * row, or after an error. */
#define db_numbers(db, q, ...)                                                                                                   \
	db_read_numbers((db), (q), (uint64_t *const[]){ __VA_ARGS__ },                                                           \
			sizeof((uint64_t *const[]){ __VA_ARGS__ }) / sizeof(uint64_t *))
bool db_read_numbers(struct db *db, struct db_rows *q, uint64_t *const *out, size_t n);
bool db_exists(struct db *db, struct db_rows *q); /* is there a row? This ends the walk as well */

size_t db_changes(struct db *db);

/* Run a script of fixed SQL; or only its first statement, and set *rest_out to the rest. False after an error. */
bool db_script(struct db *db, const char *sql);
bool db_statement(struct db *db, const char *sql, const char **rest_out);

/* Forget the error; the transaction must have been rolled back. */
void db_forget_error(struct db *db);

/* Is the error a lack of space? Does it concern only this operation (a constraint), and not the engine? */
bool db_is_full(const struct db *db);
bool db_is_private(const struct db *db);

/* Open the file with the settings that durability needs; false after an error. `alone`: no other process can open the file, and
 * the index of the log is in memory that the connections of this process share, not in a mapped file. */
bool db_open(struct db *db, const char *path, bool alone);
void db_close(struct db *db);

#endif
