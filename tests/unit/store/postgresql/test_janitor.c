/* test_janitor.c - lanes in which nobody waits are removed, and no other lane is; an accept that wants one meanwhile makes it anew. */
#include "../../../support/unit.h"

#include "cluster.h"
#include "postgresql.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define ASLEEP "9223372036854775807"

struct fixture {
	struct postgresql *p; /* only what the janitor uses */
	struct arena arena;
	const char *connection;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);
	struct db *db;

	f->p = NEW(struct postgresql);
	f->connection = cluster_database("test");
	db = &f->p->e.db;
	if (!db_open(db, &(struct db_target){ .connection = f->connection, .application_name = "posthouse/1/1" }) ||
	    !schema_session(db) || schema_open(db, &f->arena).class != OK ||
	    !db_exists(db, db_query(db, Q_shards_set, TEXT(S("{1}")))))
		fail_msg("%s", db->error);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	db_close(&f->p->e.db);
	arena_fini(&f->arena);
	free(f->p);
	free(f);
	return 0;
}

static const char *sql(struct fixture *f, const char *text)
{
	return cluster_sql(f->connection, text);
}

/* Lanes that sleep, of the node's own shard. */
#define ADD_LANES(numbers)                                                                                                       \
	"INSERT INTO lane(id,domain,login,priority,via,wish,next_at,shard)"                                                      \
	" SELECT n,'a.org','',0,'',0," ASLEEP ",1 FROM " numbers " AS n"

static void look(struct fixture *f)
{
	struct db *db = &f->p->e.db;

	if (db_begin(db))
		janitor_lanes(&f->p->e);
	if (!db_commit(db))
		fail_msg("%s", db->error);
}

static void assert_lanes(struct fixture *f, const char *expected)
{
	assert_string_equal(sql(f, "SELECT string_agg(id::text,' ' ORDER BY id) FROM lane"), expected);
}

static void lanes_without_use_are_removed(void **state)
{
	struct fixture *f = *state;

	(void)sql(f, ADD_LANES("generate_series(1,6)"));
	(void)sql(f, "INSERT INTO due(message,n,lane,tried,due_at,take_no) VALUES(1,1,2,false,0,0)");
	(void)sql(f, "INSERT INTO taken(message,n,lane,take_no,node,epoch,at) VALUES(1,2,3,1,1,1,0)");
	(void)sql(f, "UPDATE lane SET next_at=5 WHERE id=4");
	(void)sql(f, "UPDATE lane SET shard=2 WHERE id=5");
	look(f);
	assert_lanes(f, "2 3 4 5");
}

/* Some at once, the next ones in the next round, and then not for a while. */
static void many_lanes_take_turns(void **state)
{
	struct fixture *f = *state;

	(void)sql(f, ADD_LANES("generate_series(1,450)"));
	look(f);
	assert_string_equal(sql(f, "SELECT count(*) FROM lane"), "250");
	look(f);
	look(f);
	assert_string_equal(sql(f, "SELECT count(*) FROM lane"), "0");
	(void)sql(f, ADD_LANES("generate_series(1,2)"));
	look(f);
	assert_lanes(f, "1 2");
	f->p->janitor.lanes_at = 0; /* the while has passed */
	look(f);
	assert_string_equal(sql(f, "SELECT count(*) FROM lane"), "0");
}

static PGconn *accept_begins(struct fixture *f)
{
	PGconn *conn = PQconnectdb(f->connection);

	PQclear(PQexec(conn, "BEGIN"));
	return conn;
}

static void accept_ends(PGconn *conn)
{
	PQclear(PQexec(conn, "COMMIT"));
	PQfinish(conn);
}

#define ACCEPT_ADDS ADD_LANES("generate_series(1,1)") " ON CONFLICT(id) DO NOTHING"

static void a_lane_that_an_accept_holds_stays(void **state)
{
	struct fixture *f = *state;
	PGconn *accept;

	(void)sql(f, ADD_LANES("generate_series(1,2)"));
	accept = accept_begins(f);
	PQclear(PQexec(accept, ACCEPT_ADDS));
	PQclear(PQexec(accept, "SELECT 1 FROM lane WHERE id=1 FOR KEY SHARE"));
	look(f);
	assert_lanes(f, "1");
	accept_ends(accept);
	f->p->janitor.lanes_at = 0;
	look(f); /* it added nothing */
	assert_string_equal(sql(f, "SELECT count(*) FROM lane"), "0");
}

/* The accept waits for the one who removes it. */
static void a_lane_that_is_removed_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct db *db = &f->p->e.db;
	PGconn *accept;
	PGresult *r;

	(void)sql(f, ADD_LANES("generate_series(1,1)"));
	assert_true(db_begin(db));
	janitor_lanes(&f->p->e);
	assert_int_equal(db_number(db, db_query(db, Q_lanes_asleep, INT(0), INT(1))), 0); /* the deletion has been done */
	accept = accept_begins(f);
	assert_int_equal(PQsendQuery(accept, ACCEPT_ADDS), 1);
	while (strcmp(sql(f, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'"), "0") == 0)
		(void)poll(NULL, 0, 10);
	if (!db_commit(db))
		fail_msg("%s", db->error);
	r = PQgetResult(accept);
	assert_string_equal(PQcmdTuples(r), "1");
	PQclear(r);
	assert_null(PQgetResult(accept));
	accept_ends(accept);
	assert_lanes(f, "1");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(lanes_without_use_are_removed),
		CASE(many_lanes_take_turns),
		CASE(a_lane_that_an_accept_holds_stays),
		CASE(a_lane_that_is_removed_is_made_anew),
	};

	if (!cluster_start())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
