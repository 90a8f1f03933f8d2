/* visitor.c - the database for a program that is no node of it. */
#include "visitor.h"
#include "schema.h"

#include <unistd.h>

struct verdict visitor_verdict(const struct db *db, struct arena *a)
{
	if (db_error(db) == DB_WELL)
		return ok();
	return db_error(db) == DB_AWAY ? temp(451, S("4.3.0"), arena_printf(a, "the database: %s", db->error))
				       : perm(554, S("5.3.5"), arena_printf(a, "the database: %s", db->error));
}

struct verdict visitor_open(struct db *db, const struct store_database *d, bool pooler_allowed, struct arena *a)
{
	struct db_target target = { .connection = arena_cstr(a, d->connection),
				    .password = d->password,
				    .application_name = "posthouse store",
				    .pooler_allowed = pooler_allowed };

	if (db_open(db, &target) && !db->pooled)
		(void)schema_session(db); /* the error stays in db */
	return visitor_verdict(db, a);
}

/* ---- the nodes ---- */

static struct db_rows *ask(struct db *db, const char *sql)
{
	const struct db_value none = { .kind = DB_NULL };

	return db_query_words(db, sql, &none, 1);
}

struct verdict visitor_can_commit(struct db *db, struct arena *a)
{
	struct db_rows *q = ask(db, "SELECT current_setting('synchronous_standby_names')"
				    " WHERE current_setting('synchronous_standby_names')<>''"
				    " AND NOT EXISTS (SELECT 1 FROM pg_stat_replication)");
	struct verdict v = ok();

	if (db_row(db, q))
		v = temp(451, S("4.3.0"),
			 arena_printf(
				 a,
				 "the database: no standby is connected, so no commit ends: synchronous_standby_names = '%.*s'",
				 STR_ARG(db_str(q, 0))));
	db_end(q);
	return v.class == OK ? visitor_verdict(db, a) : v;
}

/* The beats of nodes that are up or draining, as one text; "": there are none. */
static struct str read_beats(struct db *db, struct arena *a)
{
	struct db_rows *q = ask(db, "SELECT coalesce(string_agg(number||' '||host||' '||epoch||' '||beat,',' ORDER BY number),'')"
				    " FROM node WHERE state IN ('up','draining')");
	struct str beats = db_row(db, q) ? db_keep(a, q, 0) : S("");

	db_end(q);
	return beats;
}

static struct verdict still_runs(struct arena *a, const char *which)
{
	return temp(451, S("4.3.0"), arena_printf(a, "%s: stop all nodes first, see `posthouse node list`", which));
}

struct verdict visitor_stopped(struct db *db, const struct store_database *d, bool drained, struct arena *a)
{
	/* A node has connections with its name, also one that is drained. */
	uint64_t connections = db_number(db, ask(db, "SELECT count(*) FROM pg_stat_activity WHERE datname=current_database()"
						     " AND application_name LIKE 'posthouse/%/%'"));
	struct str before = read_beats(db, a), after;

	if (db_error(db) != DB_WELL)
		return visitor_verdict(db, a);
	if (connections > 0 && (!drained || before.n > 0))
		return still_runs(a, "a node runs");
	if (before.n == 0)
		return ok();
	sleep((unsigned)(d->node_timeout_ms / 1000 + 1));
	after = read_beats(db, a);
	if (db_error(db) != DB_WELL)
		return visitor_verdict(db, a);
	return str_eq(before, after) ? ok() : still_runs(a, "the beat of a node moves");
}

/* First the row that a claim holds: one that has read meta already comes before us, and its epoch ends too. */
bool visitor_end_epochs(struct db *db)
{
	(void)ask(db, "UPDATE meta SET value=value WHERE key='schema_version'");
	(void)ask(db, "UPDATE node SET epoch=epoch+1,state='dead' WHERE state<>'removed'"); /* the error stays in db */
	return db_error(db) == DB_WELL;
}
