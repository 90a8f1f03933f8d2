/* test_schema.c - the tables of an empty database, versions that do not fit, and the partitions of days; every statement is
 * planned by index. */
#include "tables_fixture.h"

#include "posthouse/id.h"
#include "posthouse/units.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000000 /* 14 November 2023 */

static const struct {
	const char *name, *sql;
} statements[] = {
#define STATEMENT(name, sql) { #name, sql },
#include <statements.def>
#undef STATEMENT
};

static const char partitions[] = "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid=inhparent WHERE relkind='p'";

/* ---- the tables ---- */

struct node {
	struct db *db;
	struct arena arena;
	struct verdict v;
};

static void *open_schema(void *ctx)
{
	struct node *n = ctx;

	n->v = schema_open(n->db, &n->arena);
	return NULL;
}

static void two_nodes_make_the_tables_once(void **state)
{
	struct fixture *f = *state;
	struct node nodes[] = { { .db = &f->db }, { .db = &f->other } };
	pthread_t threads[2];

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_schema, &nodes[i]), 0);
	for (size_t i = 0; i < 2; i++) {
		(void)pthread_join(threads[i], NULL);
		if (nodes[i].v.class != OK)
			fail_msg("%.*s", STR_ARG(nodes[i].v.text));
		arena_fini(&nodes[i].arena);
	}
	assert_int_equal(number(f, "SELECT count(*) FROM shard"), 64);
	assert_int_equal(number(f, "SELECT count(*) FROM meta"), 7);
}

static void the_key_is_random(void **state)
{
	struct fixture *f = *state;
	struct str key, other;

	make(f);
	assert_true(schema_meta(&f->db, S("known_key"), &f->arena, &key));
	assert_int_equal(key.n, 32);
	for (size_t i = 0; i < key.n; i++)
		assert_non_null(memchr("0123456789abcdef", key.p[i], 16));
	assert_true(schema_meta(&f->db, S("login_key"), &f->arena, &other));
	assert_int_equal(other.n, 32);
	assert_false(str_eq(key, other));
	assert_false(schema_meta(&f->db, S("no such key"), &f->arena, &key));
	assert_int_equal(db_error(&f->db), DB_WELL);
	make(f); /* opens what is there */
	assert_int_equal(number(f, "SELECT count(*) FROM meta"), 7);
}

static void half_a_schema_is_undone(void **state)
{
	struct fixture *f = *state;

	(void)value(f, "CREATE TABLE bucket(x int8)"); /* gives no value */
	assert_int_equal(schema_open(&f->db, &f->arena).class, TEMP);
	assert_string_equal(value(f, "SELECT to_regclass('message') IS NULL"), "t");
	db_forget_error(&f->db);
	(void)value(f, "DROP TABLE bucket"); /* as above */
	make(f);
}

/* ---- partitions ---- */

/* A message that is finished or open, and an event of it. */
static void add_message(struct fixture *f, uint64_t id, bool open)
{
	const struct str message = arena_printf(
		&f->arena,
		"INSERT INTO message SELECT %llu,0,0,0,0,0,0,NULL,'','','','','',0,0,0,0,0,0,0,'','','',0,0,1,1,1,NULL,NULL,''",
		(unsigned long long)id);
	const struct str event = arena_printf(&f->arena, "INSERT INTO event VALUES(%llu,1,0,0,'','')", (unsigned long long)id);

	(void)value(f, arena_cstr(&f->arena, message)); /* gives no value */
	(void)value(f, arena_cstr(&f->arena, event));   /* as above */
	if (open)
		(void)value(f, arena_cstr(&f->arena, arena_printf(&f->arena, "INSERT INTO open_message VALUES(%llu,'',0,1)",
								  (unsigned long long)id)));
}

static void each_day_has_its_partitions(void **state)
{
	struct fixture *f = *state;
	const uint64_t ids[] = { 1, id_first_of(NOW), id_first_of(NOW / DAY_MS * DAY_MS), id_first_of(NOW / DAY_MS * DAY_MS) - 1,
				 INT64_MAX - 1 };

	make(f);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		assert_true(schema_partition(&f->db, &f->days, ids[i]));
		assert_true(schema_partition(&f->db, &f->days, ids[i]));
		add_message(f, ids[i], false);
	}
	assert_int_equal(number(f, partitions), 4 * 4); /* two ids are of one day */
	assert_string_equal(value(f, "SELECT tableoid::regclass FROM message WHERE id=1"), "message_19991231");
	assert_string_equal(value(f, "SELECT string_agg(tableoid::regclass::text,' ' ORDER BY id) FROM message"),
			    "message_19991231 message_20231113 message_20231114 message_20231114 message_21090515");
	assert_string_equal(value(f, "SELECT array_to_string(reloptions,',') FROM pg_class WHERE relname='recipient_20231114'"),
			    "fillfactor=70");
	assert_string_equal(value(f, "SELECT count(*) FROM pg_indexes WHERE tablename='message_20231114'"), "2");
}

static void a_partition_that_is_rolled_back_is_made_again(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_true(db_begin(&f->db));
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW)));
	db_rollback(&f->db);
	assert_int_equal(number(f, partitions), 0);
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW)));
	assert_true(schema_partition(&f->other, &(struct schema_days){ 0 }, id_first_of(NOW)));
	assert_int_equal(number(f, partitions), 4);
}

struct adding {
	struct db *db;
	bool done;
};

static void *add_days(void *ctx)
{
	struct adding *a = ctx;

	a->done = schema_partitions_ahead(a->db, &(struct schema_days){ 0 }, NOW);
	return NULL;
}

static void two_nodes_add_the_same_days(void **state)
{
	struct fixture *f = *state;
	struct adding nodes[] = { { .db = &f->db }, { .db = &f->other } };
	pthread_t threads[2];

	make(f);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_days, &nodes[i]), 0);
	for (size_t i = 0; i < 2; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_true(nodes[i].done);
	}
	assert_int_equal(number(f, partitions), 8 * 4);
}

/* Somebody reads the tables, and has done so for long. */
static void partitions_are_added_while_the_tables_are_read(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_true(db_begin(&f->other));
	assert_true(db_script(&f->other, "SELECT count(*) FROM message"));
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW)));
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 2 * DAY_MS)); /* it is in use */
	assert_int_equal(number(f, partitions), 4);
	assert_true(db_commit(&f->other));
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 2 * DAY_MS));
	assert_int_equal(number(f, partitions), 0);
}

static void days_with_open_messages_stay(void **state)
{
	struct fixture *f = *state;

	make(f);
	for (uint64_t day = 0; day < 4; day++) {
		assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW + day * DAY_MS)));
		add_message(f, id_first_of(NOW + day * DAY_MS), day == 1);
	}
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 3 * DAY_MS));
	assert_string_equal(value(f, "SELECT string_agg(tableoid::regclass::text,' ' ORDER BY id) FROM message"),
			    "message_20231115 message_20231117");
	assert_int_equal(number(f, "SELECT count(*) FROM event"), 2);
	assert_int_equal(number(f, partitions), 2 * 4);
	(void)value(f, "DELETE FROM open_message"); /* gives no value */
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 3 * DAY_MS));
	assert_int_equal(number(f, partitions), 4);
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW))); /* it was known, and is made again */
	assert_int_equal(number(f, partitions), 2 * 4);
}

/* What was finished late is history for as long as anything else. */
static void days_with_messages_that_were_finished_late_stay(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW)));
	add_message(f, id_first_of(NOW), false);
	(void)cluster_sql(f->connection, "UPDATE message SET finished_at=1700000000000+5*86400000");
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 5 * DAY_MS));
	assert_int_equal(number(f, partitions), 4);
	assert_true(schema_drop_before(&f->db, &f->days, NOW + 5 * DAY_MS + 1));
	assert_int_equal(number(f, partitions), 0);
}

/* ---- every statement ---- */

/* Does this line of a plan read a table from end to end? Tables of what is in flight, of nodes and of lanes can be read so, and the
 * server's own; of the statements only ahead_finished can do so, after the clock was set back. */
static bool reads_too_much(const char *line)
{
	static const char *const can_be_read[] = { "taken", "marked", "counter", "node", "shard", "lane", "pg_" };
	const char *table = strstr(line, "Seq Scan on ");

	if (!table)
		return false;
	table += strlen("Seq Scan on ");
	for (size_t i = 0; i < sizeof can_be_read / sizeof *can_be_read; i++)
		if (strncmp(table, can_be_read[i], strlen(can_be_read[i])) == 0)
			return false;
	return true;
}

/* Texts, bytes, and arrays: of numbers, texts, bytes. */
static bool is_kept(Oid type)
{
	return type == 25 || type == 17 || type == 1016 || type == 1009 || type == 1001;
}

/* Plan a statement without values. The types that the server infers are replaced as db.c replaces them: a number is int8. */
static void plan(PGconn *conn, const char *name, const char *sql)
{
	char explain[400];
	Oid types[40];
	PGresult *r;
	int n, at;

	PQclear(PQprepare(conn, "", sql, 0, NULL));
	r = PQdescribePrepared(conn, "");
	n = PQnparams(r);
	for (int i = 0; i < n; i++)
		types[i] = is_kept(PQparamtype(r, i)) ? PQparamtype(r, i) : 20;
	for (int i = 0; i < PQnfields(r); i++)
		if (PQftype(r, i) == 1700)
			fail_msg("%s: column %d is numeric", name, i);
	PQclear(r);
	PQclear(PQprepare(conn, name, sql, n, types));
	at = snprintf(explain, sizeof explain, "EXPLAIN EXECUTE %s", name);
	for (int i = 0; i < n; i++)
		at += snprintf(explain + at, sizeof explain - (size_t)at, "%sNULL", i ? "," : "(");
	(void)snprintf(explain + at, sizeof explain - (size_t)at, n ? ")" : "");
	r = PQexec(conn, explain);
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", name, PQerrorMessage(conn));
	for (int i = 0; i < PQntuples(r); i++)
		if (reads_too_much(PQgetvalue(r, i, 0)) && strcmp(name, "ahead_finished") != 0)
			fail_msg("%s: %s", name, PQgetvalue(r, i, 0));
	PQclear(r);
}

static void every_statement_is_planned_by_index(void **state)
{
	struct fixture *f = *state;
	PGconn *conn = PQconnectdb(f->connection);

	make(f);
	assert_true(schema_partition(&f->db, &f->days, id_first_of(NOW)));
	PQclear(PQexec(conn, "SET plan_cache_mode=force_generic_plan;SET enable_seqscan=off;SET posthouse.shards='{0}';"
			     "SET posthouse.early='{0}'"));
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		plan(conn, statements[i].name, statements[i].sql);
	PQfinish(conn);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(two_nodes_make_the_tables_once),
		CASE(the_key_is_random),
		CASE(half_a_schema_is_undone),
		CASE(each_day_has_its_partitions),
		CASE(a_partition_that_is_rolled_back_is_made_again),
		CASE(two_nodes_add_the_same_days),
		CASE(partitions_are_added_while_the_tables_are_read),
		CASE(days_with_open_messages_stay),
		CASE(days_with_messages_that_were_finished_late_stay),
		CASE(every_statement_is_planned_by_index),
	};

	return RUN_TESTS(tests);
}
