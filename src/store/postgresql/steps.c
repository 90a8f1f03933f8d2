/* steps.c - from one version of the tables to the next, while nodes work if these can. */
#include "steps.h"
#include "node.h"
#include "schema.h"
#include "visitor.h"

/* The last version behind this one whose step is not additive; 0: there is none. */
static uint64_t last_break(const struct schema_step *steps, uint64_t from, size_t n)
{
	uint64_t last = 0;

	for (uint64_t v = from + 1; v <= n; v++)
		if (!steps[v - 1].additive)
			last = v;
	return last;
}

static bool is_at(struct db *db, uint64_t version)
{
	uint64_t now = 0, compatible_from = 0;

	return db_numbers(db, db_query(db, Q_node_versions), &now, &compatible_from) && now == version;
}

static bool set_version(struct db *db, const char *key, uint64_t version)
{
	const struct db_value values[] = { { .kind = DB_NULL }, TEXT(str_of(key)), INT(version) };

	(void)db_query_words(db, "UPDATE meta SET value=$2::int8::text WHERE key=$1", values, 3); /* the error stays in db */
	return db_error(db) == DB_WELL;
}

/* A node whose epoch ends does not claim again, since the version does not fit it any more. */
static bool change(struct db *db, const struct schema_step *steps, uint64_t from, size_t n)
{
	uint64_t broken = last_break(steps, from, n);
	bool done = db_begin(db) && schema_lock(db) && is_at(db, from) && set_version(db, "schema_version", n);

	if (done && broken > 0)
		done = set_version(db, "compatible_from", broken) && visitor_end_epochs(db);
	for (uint64_t v = from + 1; v <= n && done; v++)
		done = db_script(db, steps[v - 1].sql);
	if (done && db_commit(db))
		return true;
	db_rollback(db);
	return false;
}

static struct verdict bring_forward(struct db *db, const struct store_database *d, const struct schema_step *steps, uint64_t from,
				    size_t n, struct arena *a)
{
	struct verdict v = last_break(steps, from, n) > 0 ? visitor_stopped(db, d, true, a) : ok();

	if (v.class != OK || change(db, steps, from, n))
		return v;
	return temp(451, S("4.3.0"),
		    arena_printf(a, "repeat the command: %s", db->error[0] ? db->error : "another one was faster"));
}

struct verdict steps_run(struct db *db, const struct store_database *d, const struct schema_step *steps, size_t n,
			 struct arena *a, struct store_migration *out)
{
	bool there = db_exists(db, db_query(db, Q_schema_exists));
	struct verdict v = there ? ok() : schema_open(db, a);
	uint64_t version = 0, compatible_from = 0;

	if (v.class != OK)
		return v;
	if (!db_numbers(db, db_query(db, Q_node_versions), &version, &compatible_from))
		return db_error(db) == DB_AWAY ? visitor_verdict(db, a) : node_check_versions(n, db, a); /* it knows what to do */
	if (version > n)
		return perm(554, S("5.3.5"),
			    arena_printf(a, "the tables have version %llu, and this program knows %zu: use a newer one",
					 (unsigned long long)version, n));
	*out = (struct store_migration){ .from = there ? version : 0, .to = n };
	return version < n ? bring_forward(db, d, steps, version, n, a) : ok();
}
