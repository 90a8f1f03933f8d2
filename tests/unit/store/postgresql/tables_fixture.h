/* tables_fixture.h - two connections to an empty database, as those of two nodes, and the product's tables. */
#ifndef POSTGRESQL_TABLES_FIXTURE_H
#define POSTGRESQL_TABLES_FIXTURE_H

#include "../../../support/unit.h"

#include "cluster.h"
#include "schema.h"

struct fixture {
	struct db db, other;
	struct arena arena;
	const char *connection;
	struct schema_days days;
	uint64_t id; /* of the message that a test has */
};

int setup(void **state);
int teardown(void **state);
#define RUN_TESTS(tests) (cluster_start() ? cmocka_run_group_tests(tests, NULL, NULL) : 0)

/* The tables, which are made when there are none. */
void make(struct fixture *f);

/* The first value that the statement gives. */
const char *value(struct fixture *f, const char *sql);
uint64_t number(struct fixture *f, const char *sql);

#endif
