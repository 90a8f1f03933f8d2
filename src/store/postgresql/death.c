/* death.c - other nodes that show no life: they are declared dead, and what they had taken is given back. Of several nodes that
 * see it one changes the epoch; each can give back. */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE        500 /* recipients in one transaction */
#define DEATHS_HELD 3   /* as in queue */

/* ---- declaring dead ---- */

void node_terminate(struct node *n, struct db *db, unsigned number, uint64_t epoch)
{
	char name[64];
	uint64_t ended;

	(void)snprintf(name, sizeof name, "posthouse/%u/%llu", number, (unsigned long long)epoch);
	ended = db_number(db, db_query(db, Q_node_terminate, TEXT(str_of(name)), INT(n->timing.lock)));
	if (ended > 0)
		node_note(n, LOG_WARNING, "node.terminated", "%llu connections of node %u were ended, because they held locks",
			  (unsigned long long)ended, number);
}

static bool fence(struct node *n)
{
	return db_exists(&n->db, db_query(&n->db, Q_node_fence, INT(node_number(n)), INT(node_epoch(n))));
}

enum declaring { DECLARED, REFUTED, LOCKED };

/* One try. REFUTED: it lives, another observer was faster, or we are no member ourselves. */
static enum declaring declare_once(struct node *n, const struct node_row *r)
{
	struct db *db = &n->db;
	bool changed = false, locked;

	if (db_begin(db) && fence(n)) {
		db_run(db, Q_node_declare_dead, INT(r->number), INT(r->epoch), INT(r->beat));
		changed = db_changes(db) > 0;
	}
	if (changed && db_commit(db))
		return DECLARED;
	locked = strcmp(db->sqlstate, "55P03") == 0;
	db_rollback(db);
	if (locked)
		db_forget_error(db);
	return locked ? LOCKED : REFUTED;
}

/* A stopped process can hold the locks of a transaction for as long as it is stopped: its connections are ended then. */
static void declare_dead(struct node *n, const struct node_row *r)
{
	enum declaring d = declare_once(n, r);
	uint32_t bit = (uint32_t)1 << r->number;

	if (d == LOCKED) {
		node_terminate(n, &n->db, r->number, r->epoch);
		d = declare_once(n, r);
	}
	if (d == DECLARED)
		node_note(n, LOG_ERROR, "node.dead",
			  "node %u (%s) has shown no life for %llu ms: what it had taken is due again in %llu s", r->number,
			  r->host, (unsigned long long)(n->read_at - r->seen_at), (unsigned long long)(n->timing.unknown / 1000));
	else if (d == LOCKED && !(n->locked_told & bit))
		node_note(n, LOG_WARNING, "node.locked", "node %u (%s) shows no life, and something holds its row", r->number,
			  r->host);
	n->locked_told = d == LOCKED ? n->locked_told | bit : n->locked_told & ~bit;
}

void node_judge(struct node *n)
{
	for (size_t i = 0; i < n->others_n; i++) {
		const struct node_row *r = &n->others[i];

		if (r->state != STORE_NODE_UP && r->state != STORE_NODE_DRAINING)
			continue;
		if (n->read_at < r->seen_at + n->timing.timeout || n->boottime() - n->beat_at > n->timing.fresh)
			continue;
		declare_dead(n, r);
		if (db_error(&n->db) != DB_WELL)
			return;
	}
}

/* ---- giving back ---- */

/* What one page has met. */
struct page {
	uint64_t lanes[PAGE], n, held;
};

/* A row "message, n, lane, state, before, removing, deaths". */
static void returned(struct node *n, struct db *db, const struct node_return *r, struct db_rows *q, struct page *p)
{
	uint64_t id = db_u64(q, 0), recipient = db_u64(q, 1), state = db_u64(q, 3), before = db_u64(q, 4), deaths = db_u64(q, 6);
	bool held = r->died && deaths >= DEATHS_HELD && state == RCPT_HELD;
	char why[120], fields[140];

	p->lanes[p->n++] = db_u64(q, 2);
	p->held += before == RCPT_WAITING && state == RCPT_HELD;
	(void)snprintf(why, sizeof why, "outcome unknown: node %llu %s%s", (unsigned long long)r->number,
		       r->died ? "was declared dead" : "ended before its result was stored",
		       held ? ", the third such end; release it with care" : "");
	(void)snprintf(fields, sizeof fields, "reason=\"%s\"", why);
	db_run(db, Q_event_add, INT(id), INT(recipient), INT(r->now), TEXT(held ? S("delivery.held") : S("delivery.unknown")),
	       TEXT(str_of(fields)));
	if (held)
		store_note(n->host->store, LOG_ERROR, "delivery.held", id, why);
	else
		store_note(n->host->store, LOG_WARNING, "delivery.unknown", id, why);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Wake the lanes, in the order in which everybody locks them. */
static void wake_lanes(struct db *db, struct page *p)
{
	qsort(p->lanes, p->n, sizeof p->lanes[0], compare_numbers);
	for (uint64_t i = 0; i < p->n; i++) {
		if (i > 0 && p->lanes[i] == p->lanes[i - 1])
			continue;
		db_run(db, Q_lane_lock, INT(p->lanes[i]));
		db_run(db, Q_lane_wake, INT(p->lanes[i]));
	}
}

/* The next page; *count_out: its rows. */
static bool give_back_page(struct node *n, struct db *db, const struct node_return *r, uint64_t *count_out)
{
	struct page *p = NEW(struct page);
	struct db_rows *q =
		db_query(db, Q_give_back, INT(r->number), INT(r->epoch), INT(r->due_at), INT(r->now), INT(r->died), INT(PAGE));

	while (db_row(db, q))
		returned(n, db, r, q, p);
	wake_lanes(db, p);
	if (p->held > 0)
		db_run(db, Q_node_count_held, INT(p->held));
	*count_out = p->n;
	free(p);
	return db_error(db) == DB_WELL;
}

bool node_give_back(struct node *n, struct db *db, const struct node_return *r)
{
	uint64_t count = 0;

	do {
		if (!give_back_page(n, db, r, &count))
			return false;
	} while (count > 0);
	return true;
}

/* A page in a transaction of its own; false: there is no more, or an error. */
static bool return_page(struct node *n, const struct node_return *r)
{
	struct db *db = &n->db;
	uint64_t count = 0;

	if (db_begin(db) && fence(n) && give_back_page(n, db, r, &count) && count > 0 && db_commit(db))
		return count > 0;
	db_rollback(db);
	return false;
}

void node_return_taken(struct node *n)
{
	struct db_rows *q = db_query(&n->db, Q_node_orphaned);
	struct node_return r[NODE_MAX];
	size_t r_n = 0;
	/* The time of the nodes, which due times are compared with: the database's, unless it is that which is wrong. */
	uint64_t now = (uint64_t)((int64_t)n->clock() + (n->clock_told == CLOCK_ALONE ? 0 : n->clock_ahead));

	while (db_row(&n->db, q))
		if (r_n < NODE_MAX)
			r[r_n++] = (struct node_return){ .number = db_u64(q, 0),
							 .epoch = db_u64(q, 1),
							 .now = now,
							 .due_at = now + n->timing.unknown,
							 .died = true };
	/* The next beat must not be late. */
	for (size_t i = 0; i < r_n && db_error(&n->db) == DB_WELL; i++)
		while (return_page(n, &r[i]) && n->boottime() - n->beat_at < n->timing.beat)
			;
}
