/* base_rows.c - rows as they are stored in the database: each page in one statement, with what follows from its rows. */
#include "base.h"

#include "array.h"
#include "lane_name.h"

#include <stdlib.h>

/* Behind the columns of recipient: due_at, and what names the lane. */
enum { RECIPIENT_STATE = 5, DUE_AT = 0, LANE_DOMAIN, LANE_LOGIN, LANE_PRIORITY, LANE_VIA, LANE_WISH };

/* What follows from the rows u that are inserted, in the same statement. */
static const char of_recipients[] =
	",d AS (INSERT INTO due(message,n,lane,tried,due_at,take_no) SELECT message,n,lane,attempts>0,due_at,0 FROM u"
	" WHERE state=1),m AS (INSERT INTO marked(message,n) SELECT message,n FROM u WHERE removing>0),"
	"f AS (INSERT INTO report_due(kind,message,n) SELECT 1,message,n FROM u WHERE state=4"
	" UNION ALL SELECT 3,message,n FROM u WHERE (reported&8)=8)";
static const char *const follows[TABLE_COUNT] = {
	[TABLE_message] = ",o AS (INSERT INTO open_message SELECT id,login,warn_at,place FROM u WHERE finished_at IS NULL)",
	[TABLE_account] = ",v AS (UPDATE meta SET value=(value::int8+1)::text WHERE key='accounts')",
	[TABLE_recipient] = of_recipients,
};

static const char *type_name(char type)
{
	return type == 'i' ? "int8" : type == 't' ? "text" : "bytea";
}

static struct db_value value_of(char type, const struct value *v)
{
	if (v->null)
		return (struct db_value){ .kind = DB_NULL };
	return type == 'i' ? INT(v->u64) : type == 't' ? TEXT(v->s) : BLOB(v->s);
}

/* ---- lanes ---- */

struct lane {
	uint64_t number, due_at;
	const struct value *made; /* of the recipient that is due first */
};

static int compare(const void *a, const void *b)
{
	const struct lane *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->due_at < y->due_at ? -1 : x->due_at > y->due_at;
}

static uint64_t lane_of(struct arena *a, const struct value *made)
{
	const struct lane_key key = { .login = made[LANE_LOGIN].s,
				      .priority = (unsigned)(made[LANE_PRIORITY].u64 + PRIORITY_NORMAL),
				      .via = made[LANE_VIA].s,
				      .wish = (enum tls_wish)made[LANE_WISH].u64 };

	return lane_number(a, made[LANE_DOMAIN].s, &key);
}

/* The lanes of a page, sorted, each once with the time at which it has to wake. */
static size_t lanes_of(struct arena *a, const struct page *p, struct lane *lanes)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct value *row = page_row(p, i), *made = row + p->table->stored_n;

		if (row[RECIPIENT_STATE].u64 == 1)
			lanes[n++] = (struct lane){ lane_of(a, made), made[DUE_AT].u64, made };
	}
	qsort(lanes, n, sizeof *lanes, compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || lanes[kept - 1].number != lanes[i].number)
			lanes[kept++] = lanes[i];
	return kept;
}

/* As gather.c does: many lanes, in one order. */
static void wake_lanes(struct base *b, const struct page *p)
{
	struct arena *a = &b->words;
	struct lane *lanes = ARENA_ARRAY(a, struct lane, p->n + 1);
	size_t n = lanes_of(a, p, lanes);
	static const char types[] = "ittitiii";
	struct array arrays[8] = { 0 };
	struct db_value v[8];

	for (size_t i = 0; i < n; i++) {
		const struct value *made = lanes[i].made;
		const struct db_value row[8] = { INT(lanes[i].number),     TEXT(made[LANE_DOMAIN].s),
						 TEXT(made[LANE_LOGIN].s), INT(made[LANE_PRIORITY].u64),
						 TEXT(made[LANE_VIA].s),   INT(made[LANE_WISH].u64),
						 INT(lanes[i].due_at),     INT(lane_shard(made[LANE_DOMAIN].s)) };

		for (size_t k = 0; k < 8; k++)
			array_add(&arrays[k], types[k], &row[k]);
	}
	for (size_t k = 0; k < 8; k++)
		v[k] = array_value(&arrays[k], types[k]);
	if (n > 0) {
		db_run(&b->db, Q_lanes_add, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
		db_run(&b->db, Q_lanes_lock, v[0], INT(n));
		db_run(&b->db, Q_lanes_lower, v[0], v[6]);
	}
	for (size_t k = 0; k < 8; k++)
		array_fini(&arrays[k]);
}

/* ---- rows ---- */

/* Rows in arrays: the columns that are stored, and for recipients due_at and lane behind them. */
struct arrays {
	struct array at[40];
	struct db_value values[41];
	size_t n;
	struct str names, types; /* "id,token", "$1::int8[],$2::int8[]" */
};

static void add_column(struct arrays *x, struct arena *a, const char *name, char type)
{
	x->values[x->n + 1] = array_value(&x->at[x->n], type);
	x->n++;
	x->names = arena_printf(a, "%.*s%s%s", STR_ARG(x->names), x->n > 1 ? "," : "", name);
	x->types = arena_printf(a, "%.*s%s$%zu::%s[]", STR_ARG(x->types), x->n > 1 ? "," : "", x->n, type_name(type));
}

static void fill(struct arrays *x, struct arena *a, const struct page *p)
{
	const struct table *t = p->table;
	bool recipients = t == table_of(TABLE_recipient);

	*x = (struct arrays){ .values[0] = { .kind = DB_NULL }, .names = S(""), .types = S("") };
	for (size_t i = 0; i < p->n; i++) {
		const struct value *row = page_row(p, i), *made = row + t->stored_n;
		struct db_value v;

		for (size_t k = 0; k < t->stored_n; k++) {
			v = value_of(t->columns[k].type, &row[k]);
			array_add(&x->at[k], t->columns[k].type, &v);
		}
		if (!recipients)
			continue;
		array_add_number(&x->at[t->stored_n], made[DUE_AT].u64);
		array_add_number(&x->at[t->stored_n + 1], row[RECIPIENT_STATE].u64 == 1 ? lane_of(a, made) : 0);
	}
	for (size_t k = 0; k < t->stored_n; k++)
		add_column(x, a, t->columns[k].name, t->columns[k].type);
	if (recipients) {
		add_column(x, a, "due_at", 'i');
		add_column(x, a, "lane", 'i');
	}
}

static void empty(struct arrays *x)
{
	for (size_t i = 0; i < x->n; i++)
		array_fini(&x->at[i]);
}

bool base_insert(struct side *s, const struct page *p)
{
	struct base *b = base_of(s);
	struct arena *a = &b->words;
	const struct table *t = p->table;
	bool recipients = t == table_of(TABLE_recipient);
	struct str stored = side_stored_list(a, t);
	const char *more = follows[t - table_of(0)];
	struct arrays x;

	if (s->failed)
		return false;
	if (recipients)
		stored = arena_printf(a, "%.*s,lane", STR_ARG(stored));
	fill(&x, a, p);
	(void)db_query_words(&b->db,
			     arena_cstr(a, arena_printf(a,
							"WITH u AS MATERIALIZED (SELECT * FROM unnest(%.*s) AS u(%.*s)),"
							"i AS (INSERT INTO %s(%.*s) SELECT %.*s FROM u)%s SELECT 1 LIMIT 0",
							STR_ARG(x.types), STR_ARG(x.names), t->name, STR_ARG(stored),
							STR_ARG(stored), more ? more : "")),
			     x.values, x.n + 1); /* the error stays in db */
	empty(&x);
	if (recipients)
		wake_lanes(b, p);
	return base_well(s);
}

bool base_merge(struct side *s, const struct page *p)
{
	struct base *b = base_of(s);
	struct arena *a = &b->words;
	const struct table *t = p->table;
	struct str key = side_key(a, t, ""), stored = side_stored_list(a, t);
	struct arrays x;

	if (s->failed || p->n == 0 || !t->merge[0])
		return !s->failed;
	fill(&x, a, p);
	(void)db_query_words(
		&b->db,
		arena_cstr(a, arena_printf(a,
					   "INSERT INTO %s AS t(%.*s) SELECT %.*s FROM unnest(%.*s) AS u(%.*s) ORDER BY"
					   " %.*s ON CONFLICT%.*s DO UPDATE SET %s",
					   t->name, STR_ARG(stored), STR_ARG(stored), STR_ARG(x.types), STR_ARG(x.names),
					   STR_ARG(str_head(str_from(key, 1), key.n - 2)), STR_ARG(key), t->merge)),
		x.values, x.n + 1); /* the error stays in db */
	empty(&x);
	return base_well(s);
}
