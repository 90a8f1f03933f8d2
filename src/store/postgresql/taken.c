/* taken.c - which recipients this node has taken. A take without a row in memory was committed, and its answer was lost. */
#include "postgresql.h"

#include "posthouse/clock.h"

#include <stdlib.h>

void taken_fini(struct taken *t)
{
	HASHTABLE_EACH_OF (struct take, k, &t->takes, node)
		free(k);
	hashtable_fini(&t->takes);
}

static struct take *find(const struct taken *t, uint64_t take_no)
{
	return hashtable_owner(hashtable_find(&t->takes, take_no, NULL), offsetof(struct take, node));
}

bool taken_has(const struct taken *t, uint64_t take_no)
{
	return find(t, take_no) != NULL;
}

void taken_add(struct taken *t, uint64_t take_no)
{
	struct take *k = NEW(struct take);

	hashtable_add(&t->takes, &k->node, take_no);
	k->next_added = t->added;
	t->added = k;
}

void taken_end(struct taken *t, uint64_t take_no)
{
	struct take *k = find(t, take_no);

	if (!k || k->ended)
		return;
	k->ended = true;
	k->next_ended = t->ended;
	t->ended = k;
}

static void drop(struct taken *t, struct take *k)
{
	hashtable_remove(&t->takes, &k->node);
	free(k);
}

void taken_commit(struct taken *t)
{
	t->added = NULL;
	for (struct take *k; (k = t->ended);) {
		t->ended = k->next_ended;
		drop(t, k);
	}
}

/* A take whose answer was lost is not known then: see taken_reconcile(). */
void taken_rollback(struct taken *t)
{
	for (; t->ended; t->ended = t->ended->next_ended)
		t->ended->ended = false;
	for (struct take *k; (k = t->added);) {
		t->added = k->next_added;
		drop(t, k);
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
 * since. A result without a take counts unless a delivery is under way. */
bool lease_end(struct engine *e, const struct outcome *o)
{
	if (o->take_no == 0) {
		if (lease_has(e, o->id, o->n))
			return false;
		db_run(&e->db, Q_due_drop, INT(o->id), INT(o->n));
		return true;
	}
	taken_end(&postgresql_of(e)->taken, o->take_no);
	for (int i = 0; i < 2; i++) /* the row can just have moved from `taken` to `due` */
		if (db_exists(&e->db, db_query(&e->db, Q_lease_end, INT(o->id), INT(o->n), INT(o->take_no))))
			return true;
	return false;
}
