#include "cluster.h"

/* What is run in one transaction, each statement with the same one parameter; and all epochs end. */
static bool run_all(struct side *s, const char *const *statements, size_t n, struct str parameter)
{
	const struct db_value values[] = { { .kind = DB_NULL }, TEXT(parameter) };

	if (!s->ops->begin(s))
		return false;
	for (size_t i = 0; i < n; i++)
		(void)db_query_words(&base_of(s)->db, statements[i], values, 2); /* the error stays in db */
	(void)visitor_end_epochs(&base_of(s)->db);                               /* as here */
	if (base_well(s) && s->ops->commit(s))
		return true;
	s->ops->rollback(s);
	return false;
}

bool cluster_seal(struct side *s, struct str directory)
{
	static const char *const statements[] = {
		"INSERT INTO meta(key,value) VALUES('exported',$1) ON CONFLICT(key) DO UPDATE SET value=$1",
	};

	return run_all(s, statements, 1, directory);
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
	v = visitor_stopped(&base_of(s)->db, d, false, a);
	if (v.class == OK)
		v = next_generation(s, out, a);
	s->ops->close(s);
	return v;
}
