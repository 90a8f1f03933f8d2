/* store.h - the one SQLite file of the role: policies of MTA-STS (policies.c), and results of TLS for reports. It is in the
 * role's directory below state_dir; its tables are in store.c, all statements in statements.def.
 *
 * What is stored is durable when the call returns. A file that is damaged, or is no file of this role, is put aside: the role
 * goes on with a new one. */
#ifndef TLSPOLICY_STORE_H
#define TLSPOLICY_STORE_H

#include "posthouse/str.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum statement {
#define STATEMENT(name, sql) Q_##name,
#include "statements.def"
	STATEMENT_COUNT
};

/* Starts as { 0 }. */
struct store {
	const char *path;
	sqlite3 *handle; /* NULL: the file cannot be used; nothing is kept, and nothing is found */
	sqlite3_stmt *prepared[STATEMENT_COUNT];
	uint64_t failures; /* statements that did not work */
};

/* `path` lives as long as the store. A file that cannot be opened is logged; the store then has nothing. */
void store_open(struct store *s, const char *path);
void store_close(struct store *s);

/* The statement, with parameters to be bound from 1 on. NULL when the file cannot be used; the functions below take it. It must
 * not be in use: one walk per statement at a time. */
sqlite3_stmt *store_query(struct store *s, enum statement which);

/* `text` lives until the statement has run. */
void store_bind(sqlite3_stmt *q, int at, struct str text);
void store_bind_number(sqlite3_stmt *q, int at, uint64_t value);

/* The next row; at the end, or after an error, false and the statement is reset. A walk that ends earlier calls store_end(). */
bool store_row(struct store *s, sqlite3_stmt *q);
void store_end(sqlite3_stmt *q);

/* Run to the end. False: it has not worked, which is logged. */
bool store_run(struct store *s, sqlite3_stmt *q);

/* Columns from 0 on; the view lives until the next row or the end. */
struct str store_text(sqlite3_stmt *q, int column);
uint64_t store_number(sqlite3_stmt *q, int column);

/* Several statements as one: all of what runs between the two is stored by store_commit(), or nothing. */
void store_begin(struct store *s);
bool store_commit(struct store *s);

#endif
