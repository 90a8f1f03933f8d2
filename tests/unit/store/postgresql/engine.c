/* engine.c - the engine for PostgreSQL under test: see engine_under_test.h. Each fixture has a database of its own. */
#include "../engine_under_test.h"

#include "cluster.h"

#include <stdio.h>

const struct store_engine *const engine_under_test = &store_engine_postgresql;
const bool engine_has_files = false, engine_knows_clock = false;

static struct str connection;

void engine_begin(struct fixture *f)
{
	struct store_database *d = ARENA_NEW(&f->arena, struct store_database);

	if (!cluster_start_durable())
		exit(77); /* there is no PostgreSQL here */
	connection = arena_str(&f->arena, str_of(cluster_database("store")));
	*d = (struct store_database){ .connection = connection, .node_timeout_ms = 20000, .patience_ms = 3000 };
	f->options.database = d;
}

/* ---- SQL ---- */

static struct str run_sql(struct fixture *f, const char *sql)
{
	return arena_str(&f->arena, str_of(cluster_sql(arena_cstr(&f->arena, connection), sql)));
}

static uint64_t number(struct fixture *f, struct str sql)
{
	uint64_t n = 0;

	assert_true(str_to_u64(run_sql(f, arena_cstr(&f->arena, sql)), &n));
	return n;
}

/* ---- for the suite ---- */

/* What must hold whatever has happened: each statement counts exceptions. */
void engine_check(struct fixture *f)
{
	static const char *const exceptions[] = {
		/* a recipient that waits is in one of both tables, another one is not due */
		"SELECT count(*) FROM recipient r WHERE (state=1)::int<>(SELECT count(*) FROM due d WHERE d.message=r.message AND d.n=r.n)"
		"+(SELECT count(*) FROM taken t WHERE t.message=r.message AND t.n=r.n AND r.state=1)",
		"SELECT count(*) FROM due d WHERE NOT EXISTS(SELECT 1 FROM recipient r WHERE r.message=d.message AND r.n=d.n AND state=1)",
		"SELECT count(*) FROM taken t WHERE NOT EXISTS(SELECT 1 FROM recipient r WHERE r.message=t.message AND r.n=t.n"
		" AND state IN (1,2))",
		"SELECT count(*) FROM recipient r WHERE take_no IS NOT NULL"
		" AND (state<>2 OR EXISTS(SELECT 1 FROM taken t WHERE t.message=r.message AND t.n=r.n))",
		/* no lane sleeps over what is due */
		"SELECT count(*) FROM due d WHERE NOT EXISTS(SELECT 1 FROM lane l WHERE l.id=d.lane AND l.next_at<=d.due_at)",
		"SELECT count(*) FROM due d JOIN recipient r ON r.message=d.message AND r.n=d.n WHERE d.lane<>r.lane"
		" OR d.tried<>(r.attempts>0)",
		"SELECT count(*) FROM due d JOIN recipient r ON r.message=d.message AND r.n=d.n JOIN message m ON m.id=d.message"
		" JOIN lane l ON l.id=d.lane WHERE l.via<>r.via OR l.login<>m.login OR l.priority<>m.priority",
		"SELECT count(*) FROM message m WHERE open<>(SELECT count(*) FROM recipient WHERE message=m.id"
		" AND (state IN (1,2,4) OR reported&8<>0))",
		"SELECT count(*) FROM message m WHERE recipients<>(SELECT count(*) FROM recipient WHERE message=m.id)",
		"SELECT count(*) FROM message WHERE (open=0)<>(finished_at IS NOT NULL) OR (open=0)<>(place=0)",
		"SELECT count(*) FROM message m WHERE (place=1)<>EXISTS(SELECT 1 FROM text WHERE id=m.id)",
		"SELECT count(*) FROM message m WHERE (place=2)<>EXISTS(SELECT 1 FROM text_chunk WHERE id=m.id)",
		"SELECT count(*) FROM text t WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=t.id)",
		"SELECT count(*) FROM message m WHERE (open>0)<>EXISTS(SELECT 1 FROM open_message o WHERE o.id=m.id AND"
		" o.login=m.login AND o.warn_at=m.warn_at AND o.place=m.place)",
		"SELECT count(*) FROM open_message o WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=o.id)",
		"SELECT count(*) FROM recipient r WHERE state=4 AND NOT EXISTS(SELECT 1 FROM report_due WHERE kind=1 AND"
		" message=r.message AND n=r.n)",
		"SELECT count(*) FROM recipient r WHERE reported&8<>0 AND NOT EXISTS(SELECT 1 FROM report_due WHERE kind=3 AND"
		" message=r.message AND n=r.n)",
		"SELECT count(*) FROM recipient WHERE reported&8<>0 AND state NOT IN (3,6)",
		"SELECT count(*) FROM recipient r WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=r.message)",
		"SELECT count(*) FROM event e WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=e.message)",
		"SELECT count(*) FROM (SELECT sum(open_messages) o,sum(waiting) w,sum(held) h,sum(failed) f FROM counter) c"
		" WHERE o<>(SELECT count(*) FROM message WHERE finished_at IS NULL)"
		" OR w<>(SELECT count(*) FROM recipient WHERE state=1) OR h<>(SELECT count(*) FROM recipient WHERE state=2)"
		" OR f<>(SELECT count(*) FROM recipient WHERE state=4)",
	};

	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		struct str n = run_sql(f, exceptions[i]);

		if (!str_eq(n, S("0")))
			fail_msg("%.*s exceptions: %s", STR_ARG(n), exceptions[i]);
	}
}

void engine_index(struct fixture *f)
{
}

uint64_t engine_growing_bytes(struct fixture *f)
{
	return number(f, S("SELECT pg_database_size(current_database())"));
}

void engine_fail_bad(struct fixture *f, unsigned way)
{
	static const char *const codes[ENGINE_FAILURES] = { "P0001", "23505", "40P01" };
	struct str sql = arena_printf(&f->arena,
				      "CREATE OR REPLACE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
				      " RAISE EXCEPTION 'bad' USING ERRCODE='%s'; END $$",
				      codes[way]);

	(void)run_sql(f, arena_cstr(&f->arena, sql));
	(void)run_sql(f, "DROP TRIGGER IF EXISTS bad ON event");
	(void)run_sql(
		f,
		"CREATE TRIGGER bad BEFORE INSERT ON event FOR EACH ROW WHEN (new.fields LIKE 'bad %') EXECUTE FUNCTION bad()");
}

#define IN_USE "(EXISTS(SELECT 1 FROM due WHERE lane=l.id) OR EXISTS(SELECT 1 FROM taken WHERE lane=l.id))"

/* A lane in which nobody waits is removed later. */
uint64_t engine_lanes(struct fixture *f)
{
	return number(f, S("SELECT count(*) FROM lane l WHERE " IN_USE));
}

uint64_t lane_of(struct fixture *f, const char *domain)
{
	return number(f, arena_printf(&f->arena, "SELECT coalesce(max(id),0) FROM lane l WHERE domain='%s' AND " IN_USE, domain));
}

uint64_t engine_known(struct fixture *f, const char *login, uint64_t since)
{
	return number(f, arena_printf(&f->arena, "SELECT count(*) FROM known WHERE login='%s' AND last_at>=%llu", login,
				      (unsigned long long)since));
}

struct str engine_told(struct fixture *f, uint64_t id)
{
	struct str sql =
		arena_printf(&f->arena, "SELECT string_agg(reported::text,',' ORDER BY n) FROM recipient WHERE message=%llu",
			     (unsigned long long)id);

	return run_sql(f, arena_cstr(&f->arena, sql));
}

void engine_move_clock(struct fixture *f, uint64_t ms)
{
	struct str sql = arena_printf(&f->arena, "UPDATE counter SET at=at+%llu", (unsigned long long)ms);

	(void)run_sql(f, arena_cstr(&f->arena, sql));
}

/* There is no earlier version. */
uint64_t engine_make_older(struct fixture *f)
{
	return 0;
}
