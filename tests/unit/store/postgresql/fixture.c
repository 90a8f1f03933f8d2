#include "fixture.h"

#include "cluster.h"

#include "posthouse/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const char schema[] =
	"CREATE TABLE thing(id int8 PRIMARY KEY, name text, bytes bytea);"
	"CREATE FUNCTION raise(code text) RETURNS int8 LANGUAGE plpgsql AS"
	" $$BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = code; END$$;"
	"CREATE FUNCTION warn() RETURNS int8 LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'warned'; RETURN 1; END$$;"
	"CREATE FUNCTION warn_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'late'; RETURN NULL; END$$;"
	"CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused'; END$$;"
	"CREATE TABLE warned(id int8); CREATE TABLE refused(id int8);"
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON warned DEFERRABLE INITIALLY DEFERRED"
	" FOR EACH ROW EXECUTE FUNCTION warn_row();"
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON refused DEFERRABLE INITIALLY DEFERRED"
	" FOR EACH ROW EXECUTE FUNCTION refuse_row();";

/* ---- time that passes when it is waited for ---- */

bool impatient;
uint64_t skipped_ms;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (!impatient)
		return __real_poll(fds, n, timeout_ms);
	skipped_ms += (uint64_t)timeout_ms;
	fds->revents = 0;
	return 0;
}

uint64_t __wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + skipped_ms;
}

/* ---- the database ---- */

static void on_notice(void *ctx, const char *severity, const char *text)
{
	struct fixture *f = ctx;

	(void)snprintf(f->notice, sizeof(f->notice), "%s %s", severity, text);
}

bool open_with(struct fixture *f, const char *connection, uint32_t timeline_seen)
{
	return db_open(&f->db, &(struct db_target){ .connection = connection,
						    .application_name = "posthouse/3/7",
						    .timeline_seen = timeline_seen,
						    .on_notice = on_notice,
						    .ctx = f });
}

void reopen(struct fixture *f)
{
	db_close(&f->db);
	if (!open_with(f, f->connection, 0))
		fail_msg("%s", f->db.error);
}

int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	f->connection = cluster_database("test");
	reopen(f);
	if (!db_script(&f->db, schema))
		fail_msg("%s", f->db.error);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;

	impatient = false;
	db_close(&f->db);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

void assert_str(struct str s, struct str expected)
{
	assert_int_equal(s.n, expected.n);
	assert_memory_equal(s.p, expected.p, s.n);
}

/* Rows in a table as another connection sees them. */
unsigned rows(struct fixture *f, const char *table)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	return (unsigned)strtoul(cluster_sql(f->connection, sql), NULL, 10);
}

void assert_error(struct fixture *f, enum db_error kind, const char *sqlstate)
{
	if (db_error(&f->db) != kind)
		fail_msg("%d %s", (int)db_error(&f->db), f->db.error);
	assert_string_equal(f->db.sqlstate, sqlstate);
	assert_true(strlen(f->db.error) > 0);
}
