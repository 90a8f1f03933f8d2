/* migrate.c - `posthouse store migrate`: the versions of the tables that there are. */
#include "node.h"
#include "schema_slots.h"
#include "steps.h"
#include "visitor.h"

#include <assert.h>

/* The step of a later version goes below; NODE_SCHEMA grows with it, and schema_script.h makes it at once. */
static const struct schema_step steps[] = {
	{ .additive = true }, /* version 1: the first */
	{ "ALTER TABLE recipient ADD COLUMN take_no int8", .additive = true },
	{ GATE_SLOT_TABLE, .additive = true },
};
static_assert(sizeof steps / sizeof steps[0] == NODE_SCHEMA, "each version has a step");

struct verdict store_migrate(const struct store_database *d, struct arena *a, struct store_migration *out)
{
	struct db db = { 0 };
	struct verdict v = visitor_open(&db, d, a);

	if (v.class == OK)
		v = visitor_can_commit(&db, a);
	if (v.class == OK)
		v = steps_run(&db, d, steps, NODE_SCHEMA, a, out);
	db_close(&db);
	return v;
}
