/* visitor.h - the database for a program that is no node of it. */
#ifndef POSTGRESQL_VISITOR_H
#define POSTGRESQL_VISITOR_H

#include "db.h"

#include "posthouse/store.h"

/* Connect as a node does. TEMP: the database is away; PERM: only the administrator can help. `db` is to be closed also then. */
struct verdict visitor_open(struct db *db, const struct store_database *d, struct arena *a);

/* The error of `db` as a verdict; OK when there is none. */
struct verdict visitor_verdict(const struct db *db, struct arena *a);

#endif
