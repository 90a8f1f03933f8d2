/* visitor.c - the database for a program that is no node of it. */
#include "visitor.h"
#include "schema.h"

struct verdict visitor_verdict(const struct db *db, struct arena *a)
{
	if (db_error(db) == DB_WELL)
		return ok();
	return db_error(db) == DB_AWAY ? temp(451, S("4.3.0"), arena_printf(a, "the database: %s", db->error))
				       : perm(554, S("5.3.5"), arena_printf(a, "the database: %s", db->error));
}

struct verdict visitor_open(struct db *db, const struct store_database *d, struct arena *a)
{
	struct db_target target = { .connection = arena_cstr(a, d->connection),
				    .password = d->password,
				    .application_name = "posthouse store" };

	if (db_open(db, &target))
		(void)schema_session(db); /* the error stays in db */
	return visitor_verdict(db, a);
}
