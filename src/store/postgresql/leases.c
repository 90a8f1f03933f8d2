/* leases.c - how recipients are taken from lanes. The leases of a batch are taken by one statement, and another one reads the
 * envelopes and texts of all their messages. */
#include "postgresql.h"

#include "posthouse/clock.h"

#define READ_AT_ONCE 200 /* messages with their texts */

void leases_expect(struct engine *e, struct request *r)
{
	struct leases *l = &postgresql_of(e)->leases;

	ARENA_GROW(&e->host->arena, l->at, l->n, l->capacity);
	l->at[l->n++] = (struct expected_lease){ .request = r };
}

void leases_forget(struct leases *l)
{
	*l = (struct leases){ 0 };
}

/* ---- taking ---- */

/* The leases that one statement takes: each lane once. */
struct taking {
	struct engine *e;
	struct expected_lease **leases;
	size_t n;
};

static bool can_take(struct engine *e, struct request *r)
{
	if (e->host->results_wait) {
		r->verdict = why_results_wait(e->host);
		return false;
	}
	if (!node_may_take(&postgresql_of(e)->node)) {
		r->verdict = store_away;
		return false;
	}
	fence(e);
	return true;
}

static struct db_rows *ask(const struct taking *t)
{
	const struct postgresql *p = postgresql_of(t->e);
	struct array columns[5] = { 0 };
	struct db_rows *q;

	for (size_t i = 0; i < t->n; i++) {
		const struct expected_lease *l = t->leases[i];
		struct lane_cursor from = cursor_of(&p->cursors, l->request->id);

		array_add_number(&columns[0], l->request->id);
		array_add_number(&columns[1], from.fresh);
		array_add_number(&columns[2], from.tried);
		array_add_number(&columns[3], l->request->cursor);
		array_add_number(&columns[4], l->request->max - l->messages_n);
	}
	q = db_query(&t->e->db, Q_take_lanes, array_value(&columns[0], 'i'), array_value(&columns[1], 'i'),
		     array_value(&columns[2], 'i'), array_value(&columns[3], 'i'), array_value(&columns[4], 'i'),
		     INT(node_number(&p->node)), INT(node_epoch(&p->node)));
	for (size_t i = 0; i < 5; i++)
		array_fini(&columns[i]);
	return q;
}

/* A row of TAKEN_ROWS, from `column` on. */
static void take_recipient(struct engine *e, struct arena *a, struct due_message *m, size_t *capacity, struct db_rows *q,
			   int column)
{
	uint64_t take_no = db_u64(q, column + 8);

	due_recipient(a, m, capacity, q, column);
	m->recipients[m->recipients_n - 1].take_no = take_no;
	taken_add(&postgresql_of(e)->taken, take_no);
}

/* A row of Q_take_lanes: a recipient. */
static void take_row(const struct taking *t, struct db_rows *q)
{
	struct expected_lease *l = t->leases[db_u64(q, 0) - 1];
	uint64_t id = db_u64(q, 3), due_at = db_u64(q, 2);
	struct due_message *m = l->messages_n > l->round_begin ? &l->messages[l->messages_n - 1] : NULL;
	struct arena *a = &l->request->arena;

	if (!m || m->id != id) {
		ARENA_GROW(a, l->messages, l->messages_n, l->capacity);
		m = &l->messages[l->messages_n++];
		*m = (struct due_message){ .id = id, .membership = node_membership(&postgresql_of(t->e)->node) };
		l->recipients_capacity = 0;
	}
	take_recipient(t->e, a, m, &l->recipients_capacity, q, 4);
	l->taken_n++;
	l->full_group = l->full_group || m->recipients_n == GROUP_MAX;
	if (!db_u64(q, 1) && due_at > l->reached.fresh)
		l->reached.fresh = due_at;
}

/* Which leases could get more? The recipients of one message use up several places of its lease. What a lane has given tells how
 * far it was emptied. */
static void look_at_rest(struct taking *t)
{
	size_t rest = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct expected_lease *l = t->leases[i];
		uint64_t now = l->request->cursor;
		bool all = l->taken_n < l->asked_n && !l->full_group;

		cursor_set(&postgresql_of(t->e)->cursors, l->request->id, all ? (struct lane_cursor){ now, now } : l->reached,
			   now);
		if (!all && l->messages_n < l->request->max)
			t->leases[rest++] = l;
		else if (all)
			lane_settled(t->e, l->request->id);
	}
	t->n = rest;
}

static void take_round(struct taking *t)
{
	struct db_rows *q;

	for (size_t i = 0; i < t->n; i++) {
		struct expected_lease *l = t->leases[i];

		l->taken_n = 0;
		l->full_group = false;
		l->round_begin = l->messages_n;
		l->asked_n = l->request->max - l->messages_n;
	}
	q = ask(t);
	while (db_row(&t->e->db, q))
		take_row(t, q);
	if (db_error(&t->e->db) != DB_WELL)
		t->n = 0;
	look_at_rest(t);
}

/* ---- reading ---- */

/* What is read at once. */
struct reading {
	struct engine *e;
	struct array ids, with_text;
	struct due_message *messages[READ_AT_ONCE];
	struct arena *arenas[READ_AT_ONCE];
};

static void read_envelopes(struct reading *r)
{
	struct db_rows *q;

	if (r->ids.n == 0)
		return;
	q = db_query(&r->e->db, Q_envelopes, array_value(&r->ids, 'i'), array_value(&r->with_text, 'i'));
	while (db_row(&r->e->db, q)) {
		uint64_t i = db_u64(q, 0) - 1;

		r->messages[i]->text = db_keep(r->arenas[i], q, 1);
		due_envelope(r->arenas[i], r->messages[i], q, 2);
	}
	array_clear(&r->ids);
	array_clear(&r->with_text);
}

static void read_all(const struct taking *t)
{
	struct reading r = { .e = t->e };

	for (size_t i = 0; i < t->n; i++) {
		struct expected_lease *l = t->leases[i];

		for (size_t k = 0; k < l->messages_n; k++) {
			if (r.ids.n == READ_AT_ONCE)
				read_envelopes(&r);
			r.messages[r.ids.n] = &l->messages[k];
			r.arenas[r.ids.n] = &l->request->arena;
			array_add_number(&r.ids, l->messages[k].id);
			array_add_number(&r.with_text, l->request->in.with_text);
		}
	}
	read_envelopes(&r);
	array_fini(&r.ids);
	array_fini(&r.with_text);
}

/* ---- for the batch ---- */

/* Is the lane among these already? */
static bool has_lane(const struct taking *t, uint64_t lane)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->leases[i]->request->id == lane)
			return true;
	return false;
}

/* Take all that is expected; of two leases of one lane the second comes later. */
static void take_expected(struct engine *e)
{
	struct leases *l = &postgresql_of(e)->leases;
	struct taking t = { .e = e, .leases = ARENA_ARRAY(&e->host->arena, struct expected_lease *, l->n + 1) }, rounds = t;

	rounds.leases = ARENA_ARRAY(&e->host->arena, struct expected_lease *, l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		if (l->at[i].done || has_lane(&t, l->at[i].request->id))
			continue;
		l->at[i].done = true;
		t.leases[t.n++] = &l->at[i];
	}
	memcpy(rounds.leases, t.leases, t.n * sizeof *t.leases);
	rounds.n = t.n;
	while (rounds.n > 0)
		take_round(&rounds);
	read_all(&t);
}

static struct expected_lease *find(struct leases *l, const struct request *r)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].request == r)
			return &l->at[i];
	return NULL;
}

void run_lease(struct engine *e, struct request *r)
{
	struct leases *leases = &postgresql_of(e)->leases;
	struct expected_lease *l = find(leases, r);

	if (!can_take(e, r))
		return;
	if (!l) {
		leases_expect(e, r);
		l = &leases->at[leases->n - 1];
	}
	if (!l->done)
		take_expected(e);
	r->out.rows = l->messages;
	r->out.n = l->messages_n;
}

/* ---- the other recipients of a message ---- */

/* Rows "message, n, address, orcpt, notify, attempts, deaths, lane, via, take_no", those of one message together. lanes: room for
 * those of as many as are taken. */
static void take_siblings(struct due_page *p, struct db_rows *q, uint64_t *lanes, size_t *lanes_n)
{
	struct due_message *m = NULL;
	size_t capacity = 0;

	while (db_row(&p->e->db, q)) {
		uint64_t id = db_u64(q, 0);

		if (!m || m->id != id) {
			m = due_page_add(p, id);
			m->membership = node_membership(&postgresql_of(p->e)->node);
			capacity = 0;
		}
		take_recipient(p->e, &p->r->arena, m, &capacity, q, 1);
		lanes_note(lanes, lanes_n, db_u64(q, 7));
	}
}

void run_lease_siblings(struct engine *e, struct request *r)
{
	const struct node *node = &postgresql_of(e)->node;
	struct due_page p = { .e = e, .r = r };
	size_t max = r->max < GROUP_MAX ? r->max : GROUP_MAX, lanes_n = 0;
	uint64_t *lanes = ARENA_ARRAY(&r->arena, uint64_t, max + 1);

	if (!can_take(e, r))
		return;
	take_siblings(&p,
		      db_query(&e->db, Q_take_siblings, INT(r->id), INT(r->cursor), INT(max), INT(node_number(node)),
			       INT(node_epoch(node))),
		      lanes, &lanes_n);
	for (size_t i = 0; i < lanes_n; i++)
		lane_settled(e, lanes[i]);
	if (p.n > 0)
		due_page_envelope(&p, &p.at[0], false);
	r->out.rows = p.at;
	r->out.n = p.n;
}

/* ---- takes whose answer was lost ---- */

void taken_reconcile(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);
	struct db_rows *q = db_query(&e->db, Q_taken_of, INT(node_number(&p->node)), INT(node_epoch(&p->node)));
	uint64_t now = clock_now_ms();

	while (db_row(&e->db, q)) {
		uint64_t take_no = db_u64(q, 2);

		if (taken_has(&p->taken, take_no))
			continue;
		db_run(&e->db, Q_take_undo, INT(db_u64(q, 0)), INT(db_u64(q, 1)), INT(take_no), INT(now));
		lane_note_due(e, db_u64(q, 3), now);
	}
}
