/* sql.h - what the tests of the engine for SQLite do to its database. */
#ifndef STORE_SQLITE_SQL_H
#define STORE_SQLITE_SQL_H

#include "../engine_under_test.h"

/* Run SQL on the database by a connection of our own. The result is the first column of the first row; "" = none. */
struct str fixture_sql(struct fixture *f, const char *sql);

/* Replace the database of the closed store by what the SQL in the file makes. */
void fixture_script(struct fixture *f, const char *path);

#endif
