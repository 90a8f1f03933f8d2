/* fixture.h - a connection to an empty database, with the tables and functions that statements.def uses. */
#ifndef POSTGRESQL_FIXTURE_H
#define POSTGRESQL_FIXTURE_H

#include "../../../support/unit.h"

#include "db.h"

struct fixture {
	struct db db;
	struct arena arena;
	const char *connection;
	char notice[100];
};

/* While it is true poll(2) gives nothing, at once, and the clock has moved by the time that it was to wait. */
extern bool impatient;
extern uint64_t skipped_ms;

bool open_with(struct fixture *f, const char *connection, uint32_t timeline_seen);
void reopen(struct fixture *f); /* to `connection`, after closing what is open */
int setup(void **state);
int teardown(void **state);

void assert_str(struct str s, struct str expected);
/* Rows in a table as another connection sees them. */
unsigned rows(struct fixture *f, const char *table);
void assert_error(struct fixture *f, enum db_error kind, const char *sqlstate);

#endif
