/* store_database.h - the database that nodes share, as its administrator sees it. Blocking code for a program of its own. */
#ifndef POSTHOUSE_STORE_DATABASE_H
#define POSTHOUSE_STORE_DATABASE_H

#include "posthouse/store_nodes.h"

struct store_finding {
	enum store_finding_level { STORE_FINDING_OK, STORE_FINDING_WARNING, STORE_FINDING_ERROR } level;
	const char *id; /* what was looked at: "server" */
	struct str text;
};
struct store_findings {
	struct store_finding *at; /* in the arena, as their texts */
	size_t n, capacity;
};

/* Can nodes work with this database? It only reads, so it also answers while no commit does. An error: they cannot, or would lose
 * mail; a warning: they are slow, or will be. TEMP: the database cannot be reached, PERM: not with this configuration; then
 * there can be findings too. */
struct verdict store_check(const struct store_database *d, struct arena *a, struct store_findings *out);

/* Versions of the tables. */
struct store_migration {
	uint64_t from; /* 0: there were no tables */
	uint64_t to;   /* the same: nothing was to be done */
};
/* Make the tables, or bring them to the version that this program knows. TEMP: nothing is changed, or it is not known: the
 * database is away, or nodes run that do not know the new version; PERM: the tables are newer than this program. */
struct verdict store_migrate(const struct store_database *d, struct arena *a, struct store_migration *out);

#endif
