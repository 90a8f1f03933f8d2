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

struct verdict visitor_open_as(struct db *db, const struct store_database *d, struct db_target target, struct arena *a)
{
	target.connection = arena_cstr(a, d->connection);
	target.password = d->password;
	target.application_name = "posthouse store";
	if (db_open(db, &target) && !db->pooled)
		(void)schema_session(db); /* the error stays in db */
	return visitor_verdict(db, a);
}

struct verdict visitor_open(struct db *db, const struct store_database *d, struct arena *a)
{
	return visitor_open_as(db, d, (struct db_target){ .connection = NULL }, a);
}

static struct db_rows *ask(struct db *db, const char *sql)
{
	const struct db_value none = { .kind = DB_NULL };

	return db_query_words(db, sql, &none, 1);
}

/* ---- standbys ---- */

/* "name", "name, name", "2 (name, ...)", "FIRST 2 (...)" or "ANY 2 (...)"; a name is in double quotes, or can be "*". What else
 * the server knows of a standby, an ordinary role does not see. */
static const char standbys_sql[] =
	"WITH s AS (SELECT current_setting('synchronous_standby_names') AS setting,"
	"lower(current_setting('synchronous_standby_names')) AS names)"
	"SELECT setting,(SELECT coalesce(string_agg(DISTINCT application_name,', '),'') FROM pg_stat_replication),"
	"(SELECT count(*) FROM pg_stat_replication),"
	"(SELECT count(*) FROM pg_stat_replication WHERE strpos(names,'*')>0"
	" OR lower(application_name)=ANY(regexp_split_to_array(names,'[ ,()\"]+'))),"
	"coalesce((regexp_match(names,'^ *(?:(?:first|any) +)?([0-9]+) *[(]'))[1],'1')::int8 FROM s";

void visitor_standbys(struct db *db, struct arena *a, struct visitor_standbys *out)
{
	struct db_rows *q = ask(db, standbys_sql);
	uint64_t named = 0, needed = 0;

	*out = (struct visitor_standbys){ .fault = S("") };
	if (!db_row(db, q))
		return;
	out->names = db_keep(a, q, 0);
	out->connected = db_keep(a, q, 1);
	out->connected_n = db_u64(q, 2);
	named = db_u64(q, 3);
	needed = db_u64(q, 4);
	db_end(q);
	if (out->names.n == 0 || named >= needed)
		return;
	out->fault = arena_printf(a, "no standby is connected, so no commit ends: synchronous_standby_names = '%.*s'",
				  STR_ARG(out->names));
	if (out->connected_n > 0)
		out->fault = arena_printf(a,
					  "no commit ends: synchronous_standby_names = '%.*s' waits for %llu of these names, and "
					  "%llu of them follow; who follows is called %.*s, which is the cluster_name there",
					  STR_ARG(out->names), (unsigned long long)needed, (unsigned long long)named,
					  STR_ARG(out->connected));
}

struct verdict visitor_can_commit(struct db *db, struct arena *a)
{
	struct visitor_standbys s;

	visitor_standbys(db, a, &s);
	if (s.fault.n > 0)
		return temp(451, S("4.3.0"), arena_printf(a, "the database: %.*s", STR_ARG(s.fault)));
	return visitor_verdict(db, a);
}

/* ---- the nodes ---- */

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
	(void)ask(db, "UPDATE node SET epoch=epoch+1,state='dead',since=(extract(epoch FROM clock_timestamp())*1000)::int8"
		      " WHERE state<>'removed'"); /* the error stays in db */
	return db_error(db) == DB_WELL;
}
