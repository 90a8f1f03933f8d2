#include "fixture.h"

#include <ftw.h>
#include <sqlite3.h>

/* ---- the store ---- */

static void on_opened(void *ctx, struct verdict v)
{
	struct fixture *f = ctx;

	f->opened_n++;
	f->opened = verdict_keep(&f->arena, v);
}

void fixture_begin_open(struct fixture *f)
{
	f->opened_n = 0;
	f->st = store_open(&f->loop, &f->options, on_opened, f);
}

struct verdict fixture_open(struct fixture *f)
{
	struct verdict v;

	fixture_begin_open(f);
	while (f->opened_n == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	v = f->opened;
	if (v.class != OK)
		fixture_close(f);
	return v;
}

void fixture_close(struct fixture *f)
{
	struct answer a = { .f = f };

	if (!f->st)
		return;
	store_close(f->st, on_done, &a);
	answer_wait(f, &a);
	f->st = NULL;
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	assert_int_equal(fixture_open(f).class, OK);
}

int fixture_setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	(void)snprintf(f->dir, sizeof(f->dir), "store-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->options = (struct store_options){
		.engine = &store_engine_sqlite, .state_dir = f->dir, .min_free = 1, .max_messages = 1000000
	};
	assert_int_equal(fixture_open(f).class, OK);
	*state = f;
	return 0;
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* What must hold whatever has happened: each statement counts exceptions. */
static void check_invariants(struct fixture *f)
{
	static const char *const exceptions[] = {
		"SELECT count(*) FROM lane l WHERE next_at IS NOT (SELECT min(due_at) FROM recipient WHERE lane=l.id AND state=1)",
		"SELECT count(*) FROM recipient r WHERE state=1 AND NOT EXISTS(SELECT 1 FROM lane WHERE id=r.lane"
		" AND domain=lower(substr(r.address,instr(r.address,'@')+1)) AND login=(SELECT login FROM message WHERE id=r.message)"
		" AND priority=(SELECT priority FROM message WHERE id=r.message))",
		"SELECT count(*) FROM message m WHERE open<>(SELECT count(*) FROM recipient WHERE message=m.id AND (state IN (1,2,4) OR reported&8))",
		"SELECT count(*) FROM message m WHERE recipients<>(SELECT count(*) FROM recipient WHERE message=m.id)",
		"SELECT count(*) FROM message WHERE (open=0)<>(finished_at IS NOT NULL) OR (open=0)<>(place=0)",
		"SELECT count(*) FROM message m WHERE (place=1)<>EXISTS(SELECT 1 FROM text WHERE id=m.id)",
		"SELECT count(*) FROM text t WHERE NOT EXISTS(SELECT 1 FROM message WHERE id=t.id)",
		"SELECT count(*) FROM recipient WHERE removing=1 AND state<>1",
		"SELECT count(*) FROM recipient WHERE reported&8 AND state NOT IN (3,6)",
		"SELECT count(*) FROM counter WHERE open_messages<>(SELECT count(*) FROM message WHERE finished_at IS NULL)"
		" OR waiting<>(SELECT count(*) FROM recipient WHERE state=1) OR held<>(SELECT count(*) FROM recipient WHERE state=2)"
		" OR failed<>(SELECT count(*) FROM recipient WHERE state=4) OR lanes<>(SELECT count(*) FROM lane)",
	};
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		struct str n = fixture_sql(f, exceptions[i]);

		if (!str_eq(n, S("0")))
			fail_msg("%.*s exceptions: %s", STR_ARG(n), exceptions[i]);
	}
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->st)
		check_invariants(f);

	fixture_close(f);
	while (uv_run(&f->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(uv_loop_close(&f->loop), 0);
	(void)nftw(f->dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

char *fixture_path(struct fixture *f, const char *name)
{
	return (char *)(uintptr_t)arena_cstr(&f->arena, arena_printf(&f->arena, "%s/%s", f->dir, name));
}

struct str fixture_sql(struct fixture *f, const char *sql)
{
	struct str value = S("");
	sqlite3 *db;
	sqlite3_stmt *q = NULL;

	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_text(q, 0))
		value = arena_str(&f->arena, str_make(sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0)));
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
	return value;
}

void fixture_script(struct fixture *f, const char *path)
{
	FILE *file = fopen(path, "r");
	char *sql = arena_alloc(&f->arena, 100000);
	sqlite3 *db;
	size_t n;

	assert_non_null(file);
	n = fread(sql, 1, 99999, file);
	assert_true(n > 0 && feof(file));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(sqlite3_open(fixture_path(f, "queue.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
