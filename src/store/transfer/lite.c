/* lite.c - a queue in SQLite: queue.db and the files of large texts, while no relay uses them. */
#include "lite.h"

#include "posthouse/clock.h"
#include "tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool sqlite_failed(struct side *s)
{
	return side_fail(s, "queue.db: %s", sqlite3_errmsg(lite_of(s)->db));
}

static bool script(struct side *s, const char *sql)
{
	return !s->failed && (sqlite3_exec(lite_of(s)->db, sql, NULL, NULL, NULL) == SQLITE_OK || sqlite_failed(s));
}

static bool prepare(struct side *s, struct str sql, sqlite3_stmt **q_out)
{
	*q_out = NULL;
	return !s->failed &&
	       (sqlite3_prepare_v2(lite_of(s)->db, sql.p, (int)sql.n, q_out, NULL) == SQLITE_OK || sqlite_failed(s));
}

static void bind_value(sqlite3_stmt *q, int at, char type, const struct value *v)
{
	const char *p = v->s.p ? v->s.p : "";

	/* What cannot be bound shows when the statement runs. */
	if (v->null)
		(void)sqlite3_bind_null(q, at);
	else if (type == 'i')
		(void)sqlite3_bind_int64(q, at, (sqlite3_int64)v->u64);
	else if (type == 't')
		(void)sqlite3_bind_text64(q, at, p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
	else
		(void)sqlite3_bind_blob64(q, at, p, v->s.n, SQLITE_STATIC);
}

static void bind_columns(sqlite3_stmt *q, const struct table *t, const struct value *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bind_value(q, (int)i + 1, t->columns[i].type, &row[i]);
}

/* Run to the end, for what changes rows; the statement can be used again. */
static bool run(struct side *s, sqlite3_stmt *q)
{
	int rc;

	do
		rc = sqlite3_step(q);
	while (rc == SQLITE_ROW);
	return sqlite3_reset(q) == SQLITE_OK && rc == SQLITE_DONE ? true : sqlite_failed(s);
}

/* ---- reading ---- */

static void read_row(sqlite3_stmt *q, struct page *p)
{
	struct value *row = page_add(p);

	for (size_t i = 0; i < p->table->columns_n; i++) {
		char type = p->table->columns[i].type;
		int at = (int)i;

		row[i] = (struct value){ .null = sqlite3_column_type(q, at) == SQLITE_NULL };
		if (!row[i].null && type == 'i')
			row[i].u64 = (uint64_t)sqlite3_column_int64(q, at);
		if (!row[i].null && type != 'i') {
			const void *bytes = sqlite3_column_blob(q, at);
			struct str s = str_make(bytes ? bytes : "", bytes ? (size_t)sqlite3_column_bytes(q, at) : 0);

			row[i].s = type == 't' ? page_text(p->arena, s) : arena_str(p->arena, s);
		}
	}
}

static bool read_rows(struct side *s, sqlite3_stmt *q, struct page *p)
{
	int rc;

	while ((rc = sqlite3_step(q)) == SQLITE_ROW)
		read_row(q, p);
	return sqlite3_reset(q) == SQLITE_OK && rc == SQLITE_DONE ? true : sqlite_failed(s);
}

static struct str select_words(const struct page *p)
{
	struct str list = side_read_list(p->arena, p->table, SIDE_SQLITE), from = side_from(p->arena, p->table, SIDE_SQLITE);

	return arena_printf(p->arena, "SELECT %.*s FROM %.*s", STR_ARG(list), STR_ARG(from));
}

static bool read_after(struct side *s, const struct value *after, size_t max, struct page *p)
{
	struct arena *a = p->arena;
	const struct table *t = p->table;
	struct str key = side_key(a, t, "t."), where = S("");
	sqlite3_stmt *q;
	bool done;

	if (after)
		where = arena_printf(a, " WHERE %.*s>(%s)", STR_ARG(key), t->keys_n == 1 ? "?1" : "?1,?2");
	if (!prepare(s,
		     arena_printf(a, "%.*s%.*s ORDER BY %.*s LIMIT %zu", STR_ARG(select_words(p)), STR_ARG(where),
				  STR_ARG(str_head(str_from(key, 1), key.n - 2)), max),
		     &q))
		return false;
	if (after)
		bind_columns(q, t, after, t->keys_n);
	done = read_rows(s, q, p);
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

/* All between the first and the last: nobody else is in this database. */
static bool read_messages(struct side *s, const uint64_t *ids, size_t n, struct page *p)
{
	const char *id = p->table->columns[0].name;
	sqlite3_stmt *q;
	bool done;

	if (!prepare(s,
		     arena_printf(p->arena, "%.*s WHERE t.%s>=?1 AND t.%s<=?2 ORDER BY t.%s", STR_ARG(select_words(p)), id, id,
				  id),
		     &q))
		return false;
	bind_value(q, 1, 'i', &(struct value){ .u64 = ids[0] });
	bind_value(q, 2, 'i', &(struct value){ .u64 = ids[n - 1] });
	done = read_rows(s, q, p);
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

static bool read_keys(struct side *s, const struct page *keys, struct page *p)
{
	const struct table *t = p->table;
	sqlite3_stmt *q;
	bool done = true;

	if (!prepare(s,
		     arena_printf(p->arena, "%.*s WHERE %.*s=(%s)", STR_ARG(select_words(p)),
				  STR_ARG(side_key(p->arena, t, "t.")), t->keys_n == 1 ? "?1" : "?1,?2"),
		     &q))
		return false;
	for (size_t i = 0; i < keys->n && done; i++) {
		bind_columns(q, t, page_row(keys, i), t->keys_n);
		done = read_rows(s, q, p);
	}
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

/* ---- writing ---- */

static bool make_room(struct side *s, const uint64_t *ids, size_t n)
{
	return !s->failed;
}

static bool begin(struct side *s)
{
	return script(s, "BEGIN IMMEDIATE");
}

static bool commit(struct side *s)
{
	arena_reset(&lite_of(s)->words);
	return script(s, "COMMIT");
}

static void rollback(struct side *s)
{
	(void)sqlite3_exec(lite_of(s)->db, "ROLLBACK", NULL, NULL, NULL); /* there is an error, or nothing to do */
}

/* "?1,?2,…" */
static struct str places(struct arena *a, size_t n)
{
	struct str list = S("");

	for (size_t i = 0; i < n; i++)
		list = arena_printf(a, "%.*s%s?%zu", STR_ARG(list), i ? "," : "", i + 1);
	return list;
}

/* Lanes get numbers of this database, which are counted from 1. The values that MADE names are the last six parameters. */
static bool insert_lanes(struct side *s, const struct page *p)
{
	const size_t due = p->table->stored_n;
	sqlite3_stmt *q;
	bool done = prepare(s,
			    S("INSERT INTO lane(next_at,domain,login,priority,via,wish) VALUES(?1,?2,?3,?4,?5,?6)"
			      " ON CONFLICT(domain,login,priority,via,wish) DO UPDATE SET next_at=min(next_at,excluded.next_at)"),
			    &q);

	for (size_t i = 0; i < p->n && done; i++) {
		const struct value *row = page_row(p, i);

		if (row[5].u64 != 1) /* state */
			continue;
		for (size_t k = due; k < p->table->columns_n; k++)
			bind_value(q, (int)(k - due) + 1, p->table->columns[k].type, &row[k]);
		done = run(s, q);
	}
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

static bool insert(struct side *s, const struct page *p)
{
	struct arena *a = &lite_of(s)->words;
	const struct table *t = p->table;
	bool recipients = t == table_of(TABLE_recipient), done;
	sqlite3_stmt *q;
	struct str lane = arena_printf(a,
				       ",?%zu,coalesce((SELECT id FROM lane WHERE domain=?%zu AND login=?%zu AND priority=?%zu"
				       " AND via=?%zu AND wish=?%zu),0)",
				       t->stored_n + 1, t->stored_n + 2, t->stored_n + 3, t->stored_n + 4, t->stored_n + 5,
				       t->stored_n + 6);

	if (recipients && !insert_lanes(s, p))
		return false;
	done = prepare(s,
		       arena_printf(a, "INSERT INTO %s(%.*s%s) VALUES(%.*s%.*s)", t->name, STR_ARG(side_stored_list(a, t)),
				    recipients ? ",due_at,lane" : "", STR_ARG(places(a, t->stored_n)),
				    STR_ARG(recipients ? lane : S(""))),
		       &q);
	for (size_t i = 0; i < p->n && done; i++) {
		bind_columns(q, t, page_row(p, i), t->columns_n);
		done = run(s, q);
	}
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

static bool merge(struct side *s, const struct page *p)
{
	return p->n == 0 || side_fail(s, "queue.db has rows of %s that it should not have", p->table->name);
}

static bool count(struct side *s, const struct counted_states *c)
{
	char sql[300];

	(void)snprintf(
		sql, sizeof sql,
		"UPDATE counter SET open_messages=open_messages+%llu,waiting=waiting+%llu,held=held+%llu,failed=failed+%llu",
		(unsigned long long)c->open_messages, (unsigned long long)c->waiting, (unsigned long long)c->held,
		(unsigned long long)c->failed);
	return script(s, sql);
}

/* ---- meta ---- */

bool lite_number(struct side *s, const char *sql, uint64_t *number_out)
{
	sqlite3_stmt *q;
	int rc;

	*number_out = 0;
	if (!prepare(s, str_of(sql), &q))
		return false;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*number_out = (uint64_t)sqlite3_column_int64(q, 0);
	(void)sqlite3_finalize(q); /* repeats the error */
	return rc == SQLITE_ROW || rc == SQLITE_DONE || sqlite_failed(s);
}

static bool meta(struct side *s, const char *key, struct arena *a, struct str *value_out)
{
	sqlite3_stmt *q;
	int rc;

	*value_out = S("");
	if (!prepare(s, S("SELECT CAST(value AS TEXT) FROM meta WHERE key=?1"), &q))
		return false;
	bind_value(q, 1, 't', &(struct value){ .s = str_of(key) });
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*value_out = arena_str(a, str_of((const char *)sqlite3_column_text(q, 0)));
	(void)sqlite3_finalize(q); /* repeats the error */
	return rc == SQLITE_ROW || rc == SQLITE_DONE || sqlite_failed(s);
}

static bool put_meta(struct side *s, const char *key, struct str value)
{
	sqlite3_stmt *q;
	bool done;

	if (!prepare(s, S("INSERT OR REPLACE INTO meta(key,value) VALUES(?1,?2)"), &q))
		return false;
	bind_value(q, 1, 't', &(struct value){ .s = str_of(key) });
	bind_value(q, 2, 't', &(struct value){ .s = value });
	done = run(s, q);
	(void)sqlite3_finalize(q); /* repeats the error */
	return done;
}

/* ---- opening ---- */

static bool make_tables(struct side *s)
{
	char sql[160];
	bool done = script(s, SQLITE_PRAGMAS "BEGIN IMMEDIATE;" SQLITE_META_TABLE);

	for (size_t i = 0; i < SQLITE_SCHEMA_VERSION; i++)
		done = done && script(s, migrations[i]);
	(void)snprintf(sql, sizeof sql, "INSERT INTO meta VALUES('schema_version',%d);UPDATE counter SET at=%llu;COMMIT",
		       SQLITE_SCHEMA_VERSION, (unsigned long long)clock_now_ms());
	return done && script(s, sql);
}

/* Is it a database of this version? A fresh one is made so. */
static bool open_tables(struct side *s, bool fresh)
{
	uint64_t version = 0, tables = 0;
	bool done = lite_number(s, "SELECT count(*) FROM sqlite_schema", &tables);

	if (done && tables == 0 && fresh)
		return make_tables(s);
	done = done && lite_number(s, "SELECT value FROM meta WHERE key='schema_version'", &version);
	if (done && version != SQLITE_SCHEMA_VERSION)
		return side_fail(
			s,
			"queue.db has schema %llu, and this program copies %d: start a relay of this version on it once, and "
			"stop it",
			(unsigned long long)version, SQLITE_SCHEMA_VERSION);
	return done;
}

static void close_side(struct side *s)
{
	struct lite *l = lite_of(s);

	if (l->text_fd >= 0)
		(void)close(l->text_fd); /* only read from, or synced */
	if (l->large_fd >= 0)
		(void)close(l->large_fd); /* a directory */
	(void)sqlite3_close(l->db);       /* no statement is open */
	arena_fini(&l->words);
	free(l);
}

static const struct side_ops ops = {
	.read_after = read_after,
	.read_messages = read_messages,
	.read_keys = read_keys,
	.make_room = make_room,
	.begin = begin,
	.insert = insert,
	.merge = merge,
	.count = count,
	.commit = commit,
	.rollback = rollback,
	.read_piece = lite_piece,
	.write_piece = lite_put_piece,
	.end_text = lite_end_text,
	.meta = meta,
	.put_meta = put_meta,
	.close = close_side,
};

struct side *lite_open(const char *directory, const char *name, bool fresh, struct arena *a, char why[static 400])
{
	struct lite *l = NEW(struct lite);
	const char *path = arena_cstr(a, arena_printf(a, "%s/%s", directory, name));
	const char *large = arena_cstr(a, arena_printf(a, "%s/large", directory));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (fresh ? SQLITE_OPEN_CREATE : 0);

	l->side.ops = &ops;
	l->text_fd = -1;
	if (fresh)
		(void)mkdir(large, 0700); /* if it cannot be made, it cannot be opened */
	l->large_fd = open(large, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->large_fd < 0 && (fresh || errno != ENOENT))
		side_fail(&l->side, "%s: %s", large, strerror(errno));
	else if (sqlite3_open_v2(path, &l->db, flags, NULL) != SQLITE_OK)
		side_fail(&l->side, "%s: %s", path, l->db ? sqlite3_errmsg(l->db) : "no memory");
	else if (open_tables(&l->side, fresh) &&
		 script(&l->side, "CREATE TEMP TABLE account(name TEXT,device TEXT,line TEXT,PRIMARY KEY(name,device))"))
		return &l->side;
	(void)snprintf(why, 400, "%s", l->side.why);
	close_side(&l->side);
	return NULL;
}

bool lite_put_accounts(struct side *s, const struct store_account *accounts, size_t n)
{
	struct arena a = { 0 };
	struct page p = page_of(TABLE_account, &a);
	bool done;

	for (size_t i = 0; i < n; i++) {
		struct value *row = page_add(&p);

		row[0] = (struct value){ .s = accounts[i].name };
		row[1] = (struct value){ .s = accounts[i].device };
		row[2] = (struct value){ .s = accounts[i].line };
	}
	done = insert(s, &p);
	arena_fini(&a);
	return done;
}

bool lite_finish(struct side *s)
{
	return script(s, "UPDATE counter SET lanes=(SELECT count(*) FROM lane),"
			 "older_than=coalesce((SELECT max(id)+1 FROM message),0)") &&
	       script(s, "PRAGMA wal_checkpoint(TRUNCATE)");
}
