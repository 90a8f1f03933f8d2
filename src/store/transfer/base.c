/* base.c - a queue in a PostgreSQL database: reading, transactions, and how it is opened. */
#include "base.h"

#include "array.h"
#include "engine.h"
#include "node.h"

#include "posthouse/clock.h"

#include <stdlib.h>

bool base_well(struct side *s)
{
	const struct db *db = &base_of(s)->db;

	if (s->failed || db_error(db) == DB_WELL)
		return !s->failed;
	s->away = db_error(db) == DB_AWAY;
	return side_fail(s, "the database: %s", db->error);
}

static struct db_value values_of_numbers(struct array *array, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		array_add_number(array, numbers[i]);
	return array_value(array, 'i');
}

/* ---- reading ---- */

static bool read_rows(struct side *s, struct page *p, struct str sql, const struct db_value *values, size_t n)
{
	struct db *db = &base_of(s)->db;
	struct db_rows *q;

	if (s->failed)
		return false;
	q = db_query_words(db, arena_cstr(p->arena, sql), values, n);
	while (db_row(db, q)) {
		struct value *row = page_add(p);

		for (size_t i = 0; i < p->table->columns_n; i++) {
			row[i] = (struct value){ .null = db_is_null(q, (int)i) };
			if (!row[i].null && p->table->columns[i].type == 'i')
				row[i].u64 = db_u64(q, (int)i);
			else if (!row[i].null)
				row[i].s = db_keep(p->arena, q, (int)i);
		}
	}
	return base_well(s);
}

static struct str select_words(const struct page *p)
{
	struct str list = side_read_list(p->arena, p->table, SIDE_POSTGRESQL);
	struct str from = side_from(p->arena, p->table, SIDE_POSTGRESQL);

	return arena_printf(p->arena, "SELECT %.*s FROM %.*s", STR_ARG(list), STR_ARG(from));
}

static struct db_value bound(char type, const struct value *v)
{
	if (v->null)
		return (struct db_value){ .kind = DB_NULL };
	return type == 'i' ? INT(v->u64) : type == 't' ? TEXT(v->s) : BLOB(v->s);
}

static bool read_after(struct side *s, const struct value *after, size_t max, struct page *p)
{
	const struct table *t = p->table;
	struct str key = side_key(p->arena, t, "t."), where = S("");
	struct db_value values[3] = { { .kind = DB_NULL } };

	for (size_t i = 0; i < t->keys_n && after; i++)
		values[i + 1] = bound(t->columns[i].type, &after[i]);
	if (after)
		where = arena_printf(p->arena, " WHERE %.*s>(%s)", STR_ARG(key), t->keys_n == 1 ? "$1" : "$1,$2");
	return read_rows(s, p,
			 arena_printf(p->arena, "%.*s%.*s ORDER BY %.*s LIMIT %zu", STR_ARG(select_words(p)), STR_ARG(where),
				      STR_ARG(str_head(str_from(key, 1), key.n - 2)), max),
			 values, after ? t->keys_n + 1 : 1);
}

static bool read_messages(struct side *s, const uint64_t *ids, size_t n, struct page *p)
{
	struct array array = { 0 };
	struct db_value values[2] = { { .kind = DB_NULL }, values_of_numbers(&array, ids, n) };
	const char *id = p->table->columns[0].name;
	bool done =
		read_rows(s, p, arena_printf(p->arena, "%.*s WHERE t.%s=ANY($1) ORDER BY t.%s", STR_ARG(select_words(p)), id, id),
			  values, 2);

	array_fini(&array);
	return done;
}

static bool read_keys(struct side *s, const struct page *keys, struct page *p)
{
	const struct table *t = p->table;
	struct array arrays[2] = { 0 };
	struct db_value values[3] = { { .kind = DB_NULL } };
	static const char *const names[] = { ['i'] = "int8", ['t'] = "text", ['b'] = "bytea" };
	struct str lists = S("");
	bool done;

	for (size_t k = 0; k < t->keys_n; k++) {
		for (size_t i = 0; i < keys->n; i++) {
			struct db_value v = bound(t->columns[k].type, &page_row(keys, i)[k]);

			array_add(&arrays[k], t->columns[k].type, &v);
		}
		values[k + 1] = array_value(&arrays[k], t->columns[k].type);
		lists = arena_printf(p->arena, "%.*s%s$%zu::%s[]", STR_ARG(lists), k ? "," : "", k + 1,
				     names[(unsigned char)t->columns[k].type]);
	}
	done = read_rows(s, p,
			 arena_printf(p->arena, "%.*s JOIN unnest(%.*s) AS u%.*s ON %.*s=%.*s", STR_ARG(select_words(p)),
				      STR_ARG(lists), STR_ARG(side_key(p->arena, t, "")), STR_ARG(side_key(p->arena, t, "t.")),
				      STR_ARG(side_key(p->arena, t, "u."))),
			 values, t->keys_n + 1);
	for (size_t k = 0; k < t->keys_n; k++)
		array_fini(&arrays[k]);
	return done;
}

bool base_number(struct side *s, const char *sql, uint64_t *number_out)
{
	struct db_value none = { .kind = DB_NULL };

	*number_out = s->failed ? 0 : db_number(&base_of(s)->db, db_query_words(&base_of(s)->db, sql, &none, 1));
	return base_well(s);
}

/* ---- transactions ---- */

static bool make_room(struct side *s, const uint64_t *ids, size_t n)
{
	struct base *b = base_of(s);

	for (size_t i = 0; i < n && !s->failed; i++)
		if (!schema_partition(&b->db, &b->days, ids[i]))
			return base_well(s);
	return !s->failed;
}

static bool begin(struct side *s)
{
	(void)(!s->failed && db_begin(&base_of(s)->db)); /* the error stays in db */
	return base_well(s);
}

static bool commit(struct side *s)
{
	arena_reset(&base_of(s)->words);
	(void)(!s->failed && db_commit(&base_of(s)->db)); /* the error stays in db */
	return base_well(s);
}

static void rollback(struct side *s)
{
	db_rollback(&base_of(s)->db);
}

/* Node 0 is none: its counts are added like those of a node. */
static bool count(struct side *s, const struct counted_states *c)
{
	db_run(&base_of(s)->db, Q_counters_put, INT(c->open_messages), INT(c->waiting), INT(c->held), INT(c->failed), INT(0),
	       INT(clock_now_ms()), INT(0));
	return base_well(s);
}

/* ---- large texts, meta ---- */

static bool read_piece(struct side *s, uint64_t id, uint64_t seq, struct arena *a, struct str *piece_out)
{
	struct db *db = &base_of(s)->db;
	struct db_rows *q = db_query(db, Q_chunk_get, INT(id), INT(seq));

	*piece_out = S("");
	if (db_row(db, q))
		*piece_out = db_keep(a, q, 0);
	db_end(q);
	return base_well(s);
}

static bool write_piece(struct side *s, uint64_t id, uint64_t seq, struct str piece)
{
	db_run(&base_of(s)->db, Q_chunk_add, INT(id), INT(seq), BLOB(piece));
	return base_well(s);
}

static bool end_text(struct side *s, uint64_t id)
{
	return !s->failed;
}

static bool meta(struct side *s, const char *key, struct arena *a, struct str *value_out)
{
	*value_out = S("");
	(void)schema_meta(&base_of(s)->db, str_of(key), a, value_out); /* no row: it stays empty; the error stays in db */
	return base_well(s);
}

static bool put_meta(struct side *s, const char *key, struct str value)
{
	const struct db_value values[] = { { .kind = DB_NULL }, TEXT(str_of(key)), TEXT(value) };

	(void)db_query_words(&base_of(s)->db, "INSERT INTO meta(key,value) VALUES($1,$2) ON CONFLICT(key) DO UPDATE SET value=$2",
			     values, 3); /* the error stays in db */
	return base_well(s);
}

/* ---- opening ---- */

static void close_side(struct side *s)
{
	db_close(&base_of(s)->db);
	arena_fini(&base_of(s)->words);
	free(base_of(s));
}

static const struct side_ops ops = {
	.read_after = read_after,
	.read_messages = read_messages,
	.read_keys = read_keys,
	.make_room = make_room,
	.begin = begin,
	.insert = base_insert,
	.merge = base_merge,
	.count = count,
	.commit = commit,
	.rollback = rollback,
	.read_piece = read_piece,
	.write_piece = write_piece,
	.end_text = end_text,
	.meta = meta,
	.put_meta = put_meta,
	.close = close_side,
};

static struct verdict open_parts(struct base *b, const struct store_database *d, struct arena *a)
{
	struct verdict v = visitor_open(&b->db, d, a);
	char why[300] = "";

	if (v.class != OK)
		return v;
	if (!db_check_durability(&b->db, d->standby, why, sizeof why))
		return perm(554, S("5.3.5"), arena_printf(a, "the database would lose mail: %s", why));
	v = visitor_can_commit(&b->db, a);
	if (v.class == OK)
		v = schema_open(&b->db, a);
	return v.class == OK ? node_check_versions(NODE_SCHEMA, &b->db, a) : v;
}

struct side *base_open(const struct store_database *d, struct arena *a, struct verdict *why_out)
{
	struct base *b = NEW(struct base);

	b->side.ops = &ops;
	*why_out = open_parts(b, d, a);
	if (why_out->class == OK)
		return &b->side;
	close_side(&b->side);
	return NULL;
}
