#include "cluster.h"

#include "posthouse/units.h"

#include <stdlib.h>
#include <unistd.h>

/* The beats of nodes that are up or draining, as one text; "": there are none. */
static bool read_beats(struct side *s, struct arena *a, struct str *beats_out)
{
	const struct db_value none = { .kind = DB_NULL };
	struct db *db = &base_of(s)->db;
	struct db_rows *q =
		db_query_words(db,
			       "SELECT coalesce(string_agg(number||' '||host||' '||epoch||' '||beat,',' ORDER BY number),"
			       "'') FROM node WHERE state IN ('up','draining')",
			       &none, 1);

	*beats_out = db_row(db, q) ? db_keep(a, q, 0) : S("");
	db_end(q);
	return base_well(s);
}

static struct verdict still_runs(struct arena *a, const char *which)
{
	return temp(451, S("4.3.0"), arena_printf(a, "%s: stop all nodes first, see `posthouse node list`", which));
}

struct verdict cluster_stopped(struct side *s, const struct store_database *d, bool drained, struct arena *a)
{
	struct str before, after;
	uint64_t connections;

	/* A node has connections with its name, also one that is drained. */
	if (!base_number(s,
			 "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'posthouse/%/%'"
			 " AND datname=current_database()",
			 &connections) ||
	    !read_beats(s, a, &before))
		return temp(451, S("4.3.0"), arena_printf(a, "%s", s->why));
	if (connections > 0 && (!drained || before.n > 0))
		return still_runs(a, "a node runs");
	if (before.n == 0)
		return ok();
	sleep((unsigned)(d->node_timeout_ms / 1000 + 1));
	if (!read_beats(s, a, &after))
		return temp(451, S("4.3.0"), arena_printf(a, "%s", s->why));
	return str_eq(before, after) ? ok() : still_runs(a, "the beat of a node moves");
}

/* What is run in one transaction, each statement with the same one parameter. */
static bool run_all(struct side *s, const char *const *statements, size_t n, struct str parameter)
{
	const struct db_value values[] = { { .kind = DB_NULL }, TEXT(parameter) };

	if (!s->ops->begin(s))
		return false;
	for (size_t i = 0; i < n; i++)
		(void)db_query_words(&base_of(s)->db, statements[i], values, 2); /* the error stays in db */
	if (base_well(s) && s->ops->commit(s))
		return true;
	s->ops->rollback(s);
	return false;
}

/* Every node is out of its epoch: what it still has is not stored. */
#define END_EPOCHS "UPDATE node SET epoch=epoch+1,state='dead' WHERE state<>'removed' AND $1::text IS NOT NULL"

bool cluster_seal(struct side *s, struct str directory)
{
	static const char *const statements[] = {
		"INSERT INTO meta(key,value) VALUES('exported',$1) ON CONFLICT(key) DO UPDATE SET value=$1",
		END_EPOCHS,
	};

	return run_all(s, statements, 2, directory);
}

/* ---- after a restore ---- */

/* A generation is above all that nodes have seen, whichever backup it was, since it grows with the time too. Numbers of takes
 * that are not in the backup were used, and must not be used again. */
static struct verdict next_generation(struct side *s, struct store_generation *out, struct arena *a)
{
	static const char *const statements[] = {
		("UPDATE meta SET value=greatest(value::int8+1,extract(epoch FROM clock_timestamp())::int8)::text"
		 " WHERE key='generation' AND $1::text IS NOT NULL"),
		("UPDATE meta SET value=substr(replace(gen_random_uuid()::text,'-',''),1,12)"
		 " WHERE key='history' AND $1::text IS NOT NULL"),
		"DELETE FROM meta WHERE key='exported' AND $1::text IS NOT NULL",
		"SELECT setval('take',last_value+1000000000) FROM take WHERE $1::text IS NOT NULL",
		END_EPOCHS,
	};
	struct str generation;

	if (!s->ops->meta(s, "exported", a, &out->exported) ||
	    !run_all(s, statements, sizeof statements / sizeof statements[0], S("")) ||
	    !s->ops->meta(s, "generation", a, &generation))
		return temp(451, S("4.3.0"), arena_printf(a, "%s", s->why));
	return str_to_u64(generation, &out->generation) ? ok() : perm(554, S("5.3.0"), S("meta has no generation"));
}

struct verdict store_restored(const struct store_database *d, struct arena *a, struct store_generation *out)
{
	struct verdict v = ok();
	struct side *s = base_open(d, a, &v);

	if (!s)
		return v;
	v = cluster_stopped(s, d, false, a);
	if (v.class == OK)
		v = next_generation(s, out, a);
	s->ops->close(s);
	return v;
}
