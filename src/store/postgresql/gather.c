#include "postgresql.h"

#include "posthouse/clock.h"

#include <stdlib.h>

/* So much is gathered of messages before it is sent, so that the server has work while we gather more. What locks rows that
 * others use waits for the end of the transaction: then all of it is locked in one order, for a short time. */
enum { SEND_BYTES = 512 << 10 };

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
	[GATHER_SETTLED] = { Q_recipients_settle, "iiiiiiti" },
	[GATHER_REPLIED] = { Q_recipients_settle_reply, "iiiiiitiiitttit" },
	[GATHER_TRANSCRIPTS] = { Q_transcripts_put, "iiit" },
	[GATHER_REDUCED] = { Q_messages_reduce, "ii" },
	[GATHER_FINISHED] = { Q_messages_finish, "ii" },
	[GATHER_TEXTS_GONE] = { Q_texts_drop, "i" },
	[GATHER_EVENTS] = { Q_events_add, "iiitt" },
	[GATHER_LANES] = { Q_lanes_add, "ittitiii" },
	[GATHER_KNOWN] = { Q_known_put_all, "tii" },
	[GATHER_BUCKETS] = { Q_buckets_put, "ttii" },
};

/* What a statement has to do with rows that are gathered. SEES, which is also each statement that the table has not: it can see
 * them, so they are sent first. OF_MESSAGE: only those of the message that is its first parameter. RESULT: a row when results.c
 * knows the recipient (message, n), else OF_MESSAGE; CLOSES: the same, of a message. BLIND: none of them, or what it does about
 * lanes is corrected when they are woken. */
enum role { SEES, ROW, RESULT, CLOSES, LOCKS_LANE, LOWERS_LANE, OF_MESSAGE, BLIND };

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
	[Q_recipient_settle] = { RESULT, GATHER_SETTLED },
	[Q_recipient_settle_reply] = { RESULT, GATHER_REPLIED },
	[Q_recipient_tell] = { OF_MESSAGE, 0 },
	[Q_recipient_report] = { OF_MESSAGE, 0 },
	[Q_transcript_put] = { RESULT, GATHER_TRANSCRIPTS },
	[Q_message_open] = { OF_MESSAGE, 0 },
	[Q_message_reduce] = { CLOSES, GATHER_REDUCED },
	[Q_message_finish] = { CLOSES, GATHER_FINISHED },
	[Q_message_warn_at] = { OF_MESSAGE, 0 },
	[Q_message_warned] = { OF_MESSAGE, 0 },
	[Q_text_drop] = { CLOSES, GATHER_TEXTS_GONE },

	[Q_take_lanes] = { BLIND, 0 },
	[Q_envelopes] = { BLIND, 0 },
	[Q_results_begin] = { BLIND, 0 },
	[Q_messages_open] = { BLIND, 0 },
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
	bool settled;
	uint64_t due_at;
};

/* ---- gathering ---- */

static void add_row(struct gather *g, enum gather_table table, const struct db_value *values)
{
	const char *types = tables[table].types;

	for (size_t i = 0; types[i]; i++) {
		array_add(&g->tables[table][i], types[i], &values[i]);
		g->bytes += table <= GATHER_EVENTS ? values[i].str.n + 8 : 0;
	}
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
	struct array *columns = g->tables[table];
	size_t n = 0;

	if (columns[0].n == 0)
		return;
	for (; types[n]; n++)
		values[n + 1] = array_value(&columns[n], types[n]);
	(void)db_run_values(db, tables[table].sends, values, n + 1);
	for (n = 0; types[n]; n++)
		array_clear(&columns[n]);
}

/* Rows that nobody else locks, or that this transaction has locked. */
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
	struct array ids = { 0 }, times = { 0 };
	size_t n = 0;

	HASHTABLE_EACH_OF (struct lane, l, &g->lanes, node)
		if (l->lowered)
			sorted[n++] = l;
	if (n == 0)
		return;
	qsort(sorted, n, sizeof(struct lane *), by_id);
	for (size_t i = 0; i < n; i++) {
		array_add_number(&ids, sorted[i]->node.hash);
		array_add_number(&times, sorted[i]->due_at);
	}
	db_run(db, Q_lanes_lock, array_value(&ids, 'i'), INT(n));
	db_run(db, Q_lanes_lower, array_value(&ids, 'i'), array_value(&times, 'i'));
	array_fini(&ids);
	array_fini(&times);
}

/* Two statements, as put_to_sleep() has them in lanes.c. */
static void sleep_lanes(struct db *db, struct gather *g)
{
	const struct hashtable *cursors = &postgresql_of(CONTAINER_OF(db, struct engine, db))->cursors;
	struct array columns[4] = { 0 };
	uint64_t now = clock_now_ms();

	HASHTABLE_EACH_OF (struct lane, l, &g->lanes, node) {
		struct lane_cursor from = cursor_of(cursors, l->node.hash);

		if (!l->settled)
			continue;
		array_add_number(&columns[0], l->node.hash);
		array_add_number(&columns[1], from.fresh);
		array_add_number(&columns[2], from.tried);
		array_add_number(&columns[3], cursor_sleep_until(from, now));
	}
	if (columns[0].n > 0) {
#define COLUMNS                                                                                                                  \
	array_value(&columns[0], 'i'), array_value(&columns[1], 'i'), array_value(&columns[2], 'i'), array_value(&columns[3], 'i')
		db_run(db, Q_lanes_early, COLUMNS);
		db_run(db, Q_lanes_sleep, COLUMNS);
	}
	for (size_t i = 0; i < 4; i++)
		array_fini(&columns[i]);
}

static void send_all(struct db *db, struct gather *g)
{
	if (!g->any)
		return;
	send_messages(db, g);
	g->sending = true;
	send_table(db, g, GATHER_LANES);
	wake_lanes(db, g);
	sleep_lanes(db, g);
	send_table(db, g, GATHER_KNOWN);
	send_table(db, g, GATHER_BUCKETS);
	g->sending = false;
	gather_forget(g);
}

/* Keep a row for later. */
static bool keep_row(struct db *db, struct gather *g, enum gather_table table, const struct db_value *v)
{
	g->any = true;
	if (table == GATHER_LANES) {
		add_lane(g, v);
		return true;
	}
	add_row(g, table, v);
	if (table < GATHER_EVENTS && table != GATHER_TEXTS && !hashtable_find(&g->messages, v[0].u64, NULL))
		note_message(g, v[0].u64);
	if (g->bytes >= SEND_BYTES)
		send_messages(db, g);
	return true;
}

/* A statement about one message is about to run. */
static bool run_of_message(struct db *db, struct postgresql *p, uint64_t id)
{
	if (hashtable_find(&p->gather.messages, id, NULL))
		send_all(db, &p->gather);
	results_changed(&p->results, id);
	return false;
}

bool gather_collect(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	struct postgresql *p = postgresql_of(CONTAINER_OF(db, struct engine, db));
	static const struct db_value none;
	const struct db_value *v = n > 0 ? values + 1 : &none; /* values[0] is the macro's placeholder */
	enum gather_table table = roles[statement].table;
	struct gather *g = &p->gather;

	if (g->careful || g->sending)
		return false;
	switch (roles[statement].role) {
	case BLIND: return false;
	case OF_MESSAGE: return run_of_message(db, p, v[0].u64);
	case SEES:
		send_all(db, g);
		results_changed(&p->results, 0);
		return false;
	case LOCKS_LANE: g->any = true; return true; /* when it is woken */
	case LOWERS_LANE: lower_lane(g, v[0].u64, v[1].u64); return true;
	case ROW: return keep_row(db, g, table, v);
	case RESULT:
		return results_has(&p->results, v[0].u64, v[1].u64) ? keep_row(db, g, table, v) : run_of_message(db, p, v[0].u64);
	case CLOSES:
		return results_close(&p->results, v[0].u64, table == GATHER_REDUCED ? v[1].u64 : UINT64_MAX)
			       ? keep_row(db, g, table, v)
			       : run_of_message(db, p, v[0].u64);
	}
	return false;
}

bool gather_settled(struct gather *g, uint64_t lane)
{
	if (g->careful)
		return false;
	lane_item(g, lane)->settled = true;
	return g->any = true;
}

void gather_forget(struct gather *g)
{
	for (size_t i = 0; i < GATHER_TABLES; i++)
		for (size_t j = 0; j < GATHER_COLUMNS; j++)
			array_clear(&g->tables[i][j]);
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
			array_fini(&g->tables[i][j]);
	hashtable_fini(&g->messages);
	hashtable_fini(&g->lanes);
	arena_fini(&g->arena);
}
