#include "tables_fixture.h"

#include <stdlib.h>

static void open_db(struct fixture *f, struct db *db)
{
	if (!db_open(db, &(struct db_target){ .connection = f->connection, .application_name = "posthouse/1/1" }) ||
	    !schema_session(db))
		fail_msg("%s", db->error);
}

int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	f->connection = cluster_database("test");
	open_db(f, &f->db);
	open_db(f, &f->other);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;

	db_close(&f->db);
	db_close(&f->other);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

void make(struct fixture *f)
{
	struct verdict v = schema_open(&f->db, &f->arena);

	if (v.class != OK)
		fail_msg("%.*s", STR_ARG(v.text));
}

const char *value(struct fixture *f, const char *sql)
{
	return cluster_sql(f->connection, sql);
}

uint64_t number(struct fixture *f, const char *sql)
{
	return strtoull(value(f, sql), NULL, 10);
}
