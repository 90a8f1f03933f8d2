/* test_steps.c - later versions of the tables, by steps that are made up. */
#include "node.h"
#include "steps.h"
#include "tables_fixture.h"

/* The tables, which are said to be the first ones. */
static void make_first(struct fixture *f)
{
	make(f);
	(void)value(f, "UPDATE meta SET value='1' WHERE key='schema_version'");
}

/* As a program that knows `n` versions migrates. */
static struct verdict migrate(struct fixture *f, size_t n, struct store_migration *m)
{
	static const struct schema_step made_up[] = {
		{ .additive = true },
		{ "ALTER TABLE ban ADD COLUMN by text NOT NULL DEFAULT '';CREATE INDEX ban_by ON ban(by)", .additive = true },
		{ "ALTER TABLE ban DROP COLUMN reason", .additive = false },
		{ "CREATE TABLE third(x int8);CREATE TABLE third(x int8)", .additive = true },
	};
	const struct store_database d = { .node_timeout_ms = 0 };
	struct verdict v = steps_run(&f->db, &d, made_up, n, &f->arena, m);

	db_forget_error(&f->db);
	return v;
}

static const char *versions(struct fixture *f)
{
	return value(f, "SELECT string_agg(value,',' ORDER BY key) FROM meta WHERE key IN ('schema_version','compatible_from')");
}

static void an_additive_step_leaves_nodes_at_work(void **state)
{
	struct fixture *f = *state;
	struct store_migration m;

	make_first(f);
	(void)value(f, "INSERT INTO node VALUES(1,'a',4,1,'up',1,'',0,'alpha',0)"); /* gives no value */
	assert_int_equal(migrate(f, 1, &m).class, OK);
	assert_true(m.from == 1 && m.to == 1);
	assert_int_equal(migrate(f, 2, &m).class, OK);
	assert_true(m.from == 1 && m.to == 2);
	assert_string_equal(versions(f), "1,2");
	assert_string_equal(value(f, "SELECT state||epoch FROM node"), "up4");
	assert_string_equal(value(f, "SELECT 1 FROM pg_class WHERE relname='ban_by'"), "1");
	assert_int_equal(migrate(f, 1, &m).class, PERM); /* the older program */
	assert_string_equal(versions(f), "1,2");
}

static void any_other_step_ends_all_epochs(void **state)
{
	struct fixture *f = *state;
	struct store_migration m;

	make_first(f);
	(void)value(f, "INSERT INTO node VALUES(1,'a',4,1,'up',1,'',0,'alpha',0),(2,'b',7,1,'drained',1,'',0,'beta',0)");
	assert_int_equal(migrate(f, 3, &m).class, TEMP); /* a node runs: the connections of the fixture have such a name */
	assert_string_equal(versions(f), "1,1");
	(void)value(f, "UPDATE node SET state='drained'");
	assert_int_equal(migrate(f, 3, &m).class, OK);
	assert_true(m.from == 1 && m.to == 3);
	assert_string_equal(versions(f), "3,3");
	assert_string_equal(value(f, "SELECT string_agg(state||epoch,',' ORDER BY number) FROM node"), "dead5,dead8");
}

static void a_step_that_fails_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_migration m;

	make_first(f);
	(void)value(f, "INSERT INTO node VALUES(1,'a',4,1,'drained',1,'',0,'alpha',0)");
	assert_int_equal(migrate(f, 4, &m).class, TEMP);
	assert_string_equal(versions(f), "1,1");
	assert_string_equal(value(f, "SELECT state||epoch FROM node"), "drained4");
}

/* A claim that has read the version holds it until its end. */
static void a_claim_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct store_migration m;

	make_first(f);
	assert_true(db_begin(&f->other) && db_exists(&f->other, db_query(&f->other, Q_node_hold_versions)));
	assert_true(db_script(&f->db, "SET lock_timeout='100ms'"));
	assert_int_equal(migrate(f, 3, &m).class, TEMP);
	assert_true(db_run(&f->other, Q_node_claim, INT(1), TEXT(S("a")), INT(1), TEXT(S("")), TEXT(S("alpha"))));
	assert_true(db_commit(&f->other));
	assert_int_equal(migrate(f, 3, &m).class, TEMP); /* now there is a node */
	assert_string_equal(versions(f), "1,1");
}

static struct str columns(struct fixture *f)
{
	return arena_str(&f->arena,
			 str_of(value(f, "SELECT string_agg(table_name||'.'||column_name||' '||data_type||' '||is_nullable||"
					 "coalesce(column_default,''),',' ORDER BY table_name,ordinal_position)"
					 " FROM information_schema.columns WHERE table_schema=current_schema()")));
}

/* The tables of version 1, brought forward, are those that an empty database gets. */
static void the_steps_of_the_product_make_its_tables(void **state)
{
	struct fixture *f = *state;
	const struct store_database d = { .connection = str_of(f->connection), .node_timeout_ms = 0 };
	struct store_migration m;
	struct str fresh;

	assert_int_equal(store_migrate(&d, &f->arena, &m).class, OK);
	assert_true(m.from == 0 && m.to == NODE_SCHEMA);
	fresh = columns(f);
	(void)value(f, "ALTER TABLE recipient DROP COLUMN take_no"); /* of 2 */
	(void)value(f, "DROP TABLE gate_slot");                      /* of 3 */
	(void)value(f, "UPDATE meta SET value='1' WHERE key='schema_version'");
	assert_false(str_eq(columns(f), fresh));
	assert_int_equal(store_migrate(&d, &f->arena, &m).class, OK);
	assert_true(m.from == 1 && m.to == NODE_SCHEMA);
	assert_true(str_eq(columns(f), fresh));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_additive_step_leaves_nodes_at_work),    CASE(any_other_step_ends_all_epochs),
		CASE(a_step_that_fails_changes_nothing),        CASE(a_claim_is_waited_for),
		CASE(the_steps_of_the_product_make_its_tables),
	};

	return RUN_TESTS(tests);
}
