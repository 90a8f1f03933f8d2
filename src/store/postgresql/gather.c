#include "postgresql.h"

#include <endian.h>
#include <stdlib.h>

/* So much is gathered of messages before it is sent, so that the server has work while we gather more. What locks rows that
 * others use waits for the end of the transaction: then all of it is locked in one order, for a short time. */
enum { SEND_BYTES = 512 << 10, HEADER_BYTES = 20 };

/* ---- which statements ---- */

#define TEXT_COLUMN                                   "t"
#define INT_COLUMN                                    "i"
#define PRIORITY_COLUMN                               "i"
#define ENVELOPE_TYPE(type, name, stored, seen, most) stored##_COLUMN

/* The statement that sends all rows, and the types of its columns: i, t (text), b (bytes). A statement that is gathered can have
 * more parameters than there are columns. */
static const struct {
	enum statement sends;
	const char *types;
} tables[GATHER_TABLES] = {
	[GATHER_MESSAGES] = { Q_messages_add, "iiiiiiittbiiiit" ENVELOPE_FIELDS(ENVELOPE_TYPE) },
	[GATHER_TEXTS] = { Q_texts_add, "ib" },
	[GATHER_RECIPIENTS] = { Q_recipients_add, "iittiiiit" },
	[GATHER_EVENTS] = { Q_events_add, "iiitt" },
	[GATHER_LANES] = { Q_lanes_add, "ittitiii" },
	[GATHER_KNOWN] = { Q_known_put_all, "tii" },
	[GATHER_BUCKETS] = { Q_buckets_put, "ttii" },
};

/* What a statement has to do with rows that are gathered. SEES, which is also each statement that the table has not: it can see
 * them, so they are sent first. OF_MESSAGE: only those of the message that is its first parameter. BLIND: none of them, or what
 * it does about lanes is corrected when they are woken. */
enum role { SEES, ROW, LOCKS_LANE, LOWERS_LANE, OF_MESSAGE, BLIND };

static const struct {
	enum role role;
	enum gather_table table;
} roles[STATEMENT_COUNT + 1] = {
	[Q_message_add] = { ROW, GATHER_MESSAGES },
	[Q_text_add] = { ROW, GATHER_TEXTS },
	[Q_recipient_add] = { ROW, GATHER_RECIPIENTS },
	[Q_event_add] = { ROW, GATHER_EVENTS },
	[Q_lane_add] = { ROW, GATHER_LANES },
	[Q_known_put] = { ROW, GATHER_KNOWN },
	[Q_bucket_put] = { ROW, GATHER_BUCKETS },
	[Q_lane_lock] = { LOCKS_LANE, 0 },
	[Q_lane_lower] = { LOWERS_LANE, 0 },

	[Q_message_token] = { OF_MESSAGE, 0 },
	[Q_lease_end] = { OF_MESSAGE, 0 },
	[Q_taken_has] = { OF_MESSAGE, 0 },
	[Q_due_drop] = { OF_MESSAGE, 0 },
	[Q_recipient_get] = { OF_MESSAGE, 0 },
	[Q_recipient_settle] = { OF_MESSAGE, 0 },
	[Q_recipient_settle_reply] = { OF_MESSAGE, 0 },
	[Q_recipient_tell] = { OF_MESSAGE, 0 },
	[Q_recipient_report] = { OF_MESSAGE, 0 },
	[Q_transcript_put] = { OF_MESSAGE, 0 },
	[Q_message_open] = { OF_MESSAGE, 0 },
	[Q_message_reduce] = { OF_MESSAGE, 0 },
	[Q_message_finish] = { OF_MESSAGE, 0 },
	[Q_message_warn_at] = { OF_MESSAGE, 0 },
	[Q_message_warned] = { OF_MESSAGE, 0 },
	[Q_text_drop] = { OF_MESSAGE, 0 },

	[Q_fence] = { BLIND, 0 },
	[Q_counters_put] = { BLIND, 0 },
	[Q_lane_is_early] = { BLIND, 0 },
	[Q_lane_sleep_lock] = { BLIND, 0 },
	[Q_lane_sleep] = { BLIND, 0 },
};

struct message {
	struct hashtable_item node;
};

struct lane {
	struct hashtable_item node;
	bool added;
	bool lowered;
	uint64_t due_at;
};

/* ---- columns ---- */

static char *room(struct gather_column *c, size_t n)
{
	char *p;

	if (c->n == 0)
		c->n = HEADER_BYTES;
	if (c->n + n > c->capacity) {
		c->capacity = (c->n + n) * 2;
		c->p = xrealloc(c->p, c->capacity);
	}
	p = c->p + c->n;
	c->n += n;
	return p;
}

static void put_number(char *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

/* Append a value of this type. A text cannot have a NUL: a space stands for it. */
static void add_value(struct gather_column *c, char type, const struct db_value *v)
{
	struct str s = v->str;
	uint64_t number = htobe64(v->u64);
	char *p;

	if (v->kind == DB_NULL) {
		c->nulls = true;
		put_number(room(c, 4), UINT32_MAX);
		return;
	}
	if (type == 'i')
		s = str_make(&number, sizeof(number));
	p = room(c, 4 + s.n);
	put_number(p, (uint32_t)s.n);
	for (p += 4; s.n > 0;) {
		const char *nul = type == 't' ? memchr(s.p, 0, s.n) : NULL;
		size_t n = nul ? (size_t)(nul - s.p) : s.n;

		memcpy(p, s.p, n);
		p += n;
		if (nul)
			*p++ = ' ';
		s = str_from(s, n + (nul != NULL));
	}
}

/* The array as a parameter. */
static struct db_value array_of(struct gather_column *c, char type, size_t rows)
{
	const uint32_t element = type == 'i' ? 20 : type == 't' ? 25 : 17;
	char *p;

	if (c->n == 0)
		(void)room(c, 0);
	p = c->p;
	put_number(p, 1);
	put_number(p + 4, c->nulls);
	put_number(p + 8, element);
	put_number(p + 12, (uint32_t)rows);
	put_number(p + 16, 1);
	return (struct db_value){ .kind = type == 'i' ? DB_INTS : type == 't' ? DB_TEXTS : DB_BLOBS, .str = str_make(p, c->n) };
}

static void clear_column(struct gather_column *c)
{
	c->n = 0;
	c->nulls = false;
}

/* ---- gathering ---- */

static void add_row(struct gather *g, enum gather_table table, const struct db_value *values)
{
	const char *types = tables[table].types;

	for (size_t i = 0; types[i]; i++) {
		add_value(&g->tables[table].columns[i], types[i], &values[i]);
		g->bytes += table <= GATHER_EVENTS ? values[i].str.n + 8 : 0;
	}
	g->tables[table].rows++;
}

static struct lane *lane_item(struct gather *g, uint64_t id)
{
	struct hashtable_item *node = hashtable_find(&g->lanes, id, NULL);
	struct lane *l = node ? CONTAINER_OF(node, struct lane, node) : ARENA_NEW(&g->arena, struct lane);

	if (node)
		return l;
	*l = (struct lane){ .due_at = UINT64_MAX };
	hashtable_add(&g->lanes, &l->node, id);
	return l;
}

/* Lanes are named by many messages: one row each. */
static void add_lane(struct gather *g, const struct db_value *values)
{
	struct lane *l = lane_item(g, values[0].u64);

	if (!l->added)
		add_row(g, GATHER_LANES, values);
	l->added = true;
}

static void lower_lane(struct gather *g, uint64_t id, uint64_t due_at)
{
	struct lane *l = lane_item(g, id);

	l->due_at = due_at < l->due_at ? due_at : l->due_at;
	l->lowered = true;
}

static void note_message(struct gather *g, uint64_t id)
{
	struct message *m = ARENA_NEW(&g->arena, struct message);

	hashtable_add(&g->messages, &m->node, id);
}

/* ---- sending ---- */

static void send_table(struct db *db, struct gather *g, enum gather_table table)
{
	struct db_value values[GATHER_COLUMNS + 1] = { { .kind = DB_NULL } };
	const char *types = tables[table].types;
	size_t n = 0, rows = g->tables[table].rows;

	if (rows == 0)
		return;
	for (; types[n]; n++)
		values[n + 1] = array_of(&g->tables[table].columns[n], types[n], rows);
	(void)db_run_values(db, tables[table].sends, values, n + 1);
	for (n = 0; types[n]; n++)
		clear_column(&g->tables[table].columns[n]);
	g->tables[table].rows = 0;
}

/* Rows that nobody else locks. */
static void send_messages(struct db *db, struct gather *g)
{
	g->sending = true;
	for (enum gather_table i = GATHER_MESSAGES; i <= GATHER_EVENTS; i++)
		send_table(db, g, i);
	g->sending = false;
	g->bytes = 0;
	hashtable_clear(&g->messages);
}

static int by_id(const void *a, const void *b)
{
	const struct lane *const *x = a, *const *y = b;

	return (*x)->node.hash < (*y)->node.hash ? -1 : (*x)->node.hash > (*y)->node.hash;
}

/* Lock the lanes and then wake them: as wake() does in lanes.c. */
static void wake_lanes(struct db *db, struct gather *g)
{
	struct lane **sorted = ARENA_ARRAY(&g->arena, struct lane *, g->lanes.n + 1);
	struct gather_column ids = { 0 }, times = { 0 };
	size_t n = 0;

	HASHTABLE_EACH_OF (struct lane, l, &g->lanes, node)
		if (l->lowered)
			sorted[n++] = l;
	if (n == 0)
		return;
	qsort(sorted, n, sizeof(struct lane *), by_id);
	for (size_t i = 0; i < n; i++) {
		const struct db_value id = INT(sorted[i]->node.hash), at = INT(sorted[i]->due_at);

		add_value(&ids, 'i', &id);
		add_value(&times, 'i', &at);
	}
	db_run(db, Q_lanes_lock, array_of(&ids, 'i', n), INT(n));
	db_run(db, Q_lanes_lower, array_of(&ids, 'i', n), array_of(&times, 'i', n));
	free(ids.p);
	free(times.p);
}

static void send_all(struct db *db, struct gather *g)
{
	if (!g->any)
		return;
	send_messages(db, g);
	g->sending = true;
	send_table(db, g, GATHER_LANES);
	wake_lanes(db, g);
	send_table(db, g, GATHER_KNOWN);
	send_table(db, g, GATHER_BUCKETS);
	g->sending = false;
	gather_forget(g);
}

bool gather_collect(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	struct gather *g = &postgresql_of(CONTAINER_OF(db, struct engine, db))->gather;
	const struct db_value *v = n > 0 ? values + 1 : NULL; /* values[0] is the macro's placeholder */

	if (g->careful || g->sending)
		return false;
	switch (roles[statement].role) {
	case BLIND: return false;
	case OF_MESSAGE:
		if (hashtable_find(&g->messages, v[0].u64, NULL))
			send_all(db, g);
		return false;
	case SEES: send_all(db, g); return false;
	case LOCKS_LANE: g->any = true; return true; /* when it is woken */
	case LOWERS_LANE: lower_lane(g, v[0].u64, v[1].u64); return true;
	case ROW: break;
	}
	g->any = true;
	if (roles[statement].table == GATHER_LANES) {
		add_lane(g, v);
		return true;
	}
	add_row(g, roles[statement].table, v);
	if (roles[statement].table == GATHER_MESSAGES)
		note_message(g, v[0].u64);
	if (g->bytes >= SEND_BYTES)
		send_messages(db, g);
	return true;
}

void gather_forget(struct gather *g)
{
	for (size_t i = 0; i < GATHER_TABLES; i++) {
		for (size_t j = 0; j < GATHER_COLUMNS; j++)
			clear_column(&g->tables[i].columns[j]);
		g->tables[i].rows = 0;
	}
	hashtable_clear(&g->messages);
	hashtable_clear(&g->lanes);
	arena_reset(&g->arena);
	g->bytes = 0;
	g->any = false;
}

void gather_fini(struct gather *g)
{
	for (size_t i = 0; i < GATHER_TABLES; i++)
		for (size_t j = 0; j < GATHER_COLUMNS; j++)
			free(g->tables[i].columns[j].p);
	hashtable_fini(&g->messages);
	hashtable_fini(&g->lanes);
	arena_fini(&g->arena);
}
