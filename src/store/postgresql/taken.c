/* taken.c - which recipients this node has taken. A take without a row in memory was committed, and its answer was lost. */
#include "postgresql.h"

#include "posthouse/clock.h"

#include <stdlib.h>

void taken_fini(struct taken *t)
{
	HASHTABLE_EACH (node, &t->by_message)
		free(CONTAINER_OF(node, struct taken_recipient, node));
	hashtable_fini(&t->by_message);
}

static struct taken_recipient *find(const struct taken *t, uint64_t id, uint64_t n)
{
	HASHTABLE_FIND_OF (struct taken_recipient, r, &t->by_message, id, node)
		if (r->n == n && !r->ended)
			return r;
	return NULL;
}

uint64_t taken_number(const struct taken *t, uint64_t id, uint64_t n)
{
	const struct taken_recipient *r = find(t, id, n);

	return r ? r->take_no : 0;
}

void taken_add(struct taken *t, uint64_t id, uint64_t n, uint64_t take_no)
{
	struct taken_recipient *r = find(t, id, n); /* given back by another node, and taken again */

	if (!r) {
		r = NEW(struct taken_recipient);
		r->n = n;
		hashtable_add(&t->by_message, &r->node, id);
	}
	if (!r->added) {
		r->added = true;
		r->take_before = r->take_no;
		r->next_added = t->added;
		t->added = r;
	}
	r->take_no = take_no;
}

void taken_end(struct taken *t, uint64_t id, uint64_t n)
{
	struct taken_recipient *r = find(t, id, n);

	if (!r)
		return;
	r->ended = true;
	r->next_ended = t->ended;
	t->ended = r;
}

static void drop(struct taken *t, struct taken_recipient *r)
{
	hashtable_remove(&t->by_message, &r->node);
	free(r);
}

void taken_commit(struct taken *t)
{
	struct taken_recipient *r;

	while ((r = t->added)) {
		t->added = r->next_added;
		r->added = false;
	}
	while ((r = t->ended)) {
		t->ended = r->next_ended;
		drop(t, r);
	}
}

/* A take whose answer was lost is not known then: see taken_reconcile(). */
void taken_rollback(struct taken *t)
{
	struct taken_recipient *r;

	while ((r = t->ended)) {
		t->ended = r->next_ended;
		r->ended = false;
	}
	while ((r = t->added)) {
		t->added = r->next_added;
		r->added = false;
		r->take_no = r->take_before;
		if (r->take_no == 0)
			drop(t, r);
	}
}

/* ---- for the operations ---- */

bool lease_has(struct engine *e, uint64_t id, uint64_t n)
{
	return db_exists(&e->db, db_query(&e->db, Q_taken_has, INT(id), INT(n)));
}

bool lease_has_any(struct engine *e, uint64_t id)
{
	return db_exists(&e->db, db_query(&e->db, Q_taken_any, INT(id)));
}

/* The result counts when its take is the recipient's last: the recipient is still taken by it, or was given back and not taken
 * since. A result without a known take is of a queue before this one: it counts unless another delivery is under way. */
bool lease_end(struct engine *e, uint64_t id, uint64_t n)
{
	struct taken *t = &postgresql_of(e)->taken;
	uint64_t take_no = taken_number(t, id, n);

	if (take_no == 0) {
		if (lease_has(e, id, n))
			return false;
		db_run(&e->db, Q_due_drop, INT(id), INT(n));
		return true;
	}
	taken_end(t, id, n);
	for (int i = 0; i < 2; i++) /* the row can just have moved from `taken` to `due` */
		if (db_exists(&e->db, db_query(&e->db, Q_lease_end, INT(id), INT(n), INT(take_no))))
			return true;
	return false;
}
