/* steps.h - from one version of the tables to the next. */
#ifndef POSTGRESQL_STEPS_H
#define POSTGRESQL_STEPS_H

#include "db.h"

#include "posthouse/store_database.h"

struct schema_step {
	const char *sql; /* statements with ; between them */
	bool additive;   /* programs that know the version before can go on with the tables */
};

/* Run the steps that are missing, all in one transaction: steps[v - 1] makes version v of the one before, and `n` is the version
 * that this program knows. That of version 1 is not run: see schema_open(), which is called when there are no tables. With a step
 * that is not additive all nodes must have stopped or be drained, and all epochs end. Verdicts as of store_migrate(). */
struct verdict steps_run(struct db *db, const struct store_database *d, const struct schema_step *steps, size_t n,
			 struct arena *a, struct store_migration *out);

#endif
