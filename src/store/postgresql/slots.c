/* slots.c - connections of next hops that nodes hold: reads the rows of all, and changes them as slot_rule.h says. */
#include "postgresql.h"
#include "slot_rule.h"

#define SLOTS_LOCK 0x706f737468736c74 /* "posthslt": one node changes rows at a time */

/* The rows of one gate, with a place for this node's. */
struct gate_rows {
	struct str gate;
	struct slot_row at[NODE_MAX + 1];
	size_t n;
};

struct all_rows {
	struct gate_rows *gates;
	size_t n, capacity;
};

static struct gate_rows *find_gate(struct all_rows *all, struct str gate)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->gates[i].gate, gate))
			return &all->gates[i];
	return NULL;
}

static struct gate_rows *add_gate(struct all_rows *all, struct arena *a, struct str gate)
{
	ARENA_GROW(a, all->gates, all->n, all->capacity);
	all->gates[all->n] = (struct gate_rows){ .gate = gate };
	return &all->gates[all->n++];
}

static struct all_rows read_all(struct engine *e, struct arena *a)
{
	struct db_rows *q = db_query(&e->db, Q_slots);
	struct all_rows all = { 0 };
	struct gate_rows *g = NULL;

	while (db_row(&e->db, q)) {
		if (!g || !str_eq(g->gate, db_str(q, 0)))
			g = add_gate(&all, a, db_keep(a, q, 0));
		if (g->n < NODE_MAX)
			g->at[g->n++] = (struct slot_row){
				.node = db_u64(q, 1), .n = db_u64(q, 2), .wanted = db_u64(q, 3), .turn = db_u64(q, 4)
			};
	}
	return all;
}

/* The row of this node, which is put in its place when there is none. */
static struct slot_row *own_row(struct gate_rows *g, uint64_t node)
{
	size_t i = 0;

	while (i < g->n && g->at[i].node < node)
		i++;
	if (i < g->n && g->at[i].node == node)
		return &g->at[i];
	memmove(g->at + i + 1, g->at + i, (g->n++ - i) * sizeof g->at[0]);
	g->at[i] = (struct slot_row){ .node = node };
	return &g->at[i];
}

/* What was not named is not used: a queue before had it. */
static void give_up_others(struct all_rows *all, uint64_t node, const struct slots_wish *wishes, size_t n)
{
	for (size_t i = 0; i < all->n; i++) {
		struct slots_wish none = { .gate = all->gates[i].gate };
		bool named = false;

		for (size_t k = 0; k < n && !named; k++)
			named = str_eq(wishes[k].gate, none.gate);
		if (!named)
			(void)slots_divide(all->gates[i].at, all->gates[i].n, own_row(&all->gates[i], node), &none);
	}
}

static void divide_all(struct all_rows *all, uint64_t node, struct request *r, struct slots_share *shares)
{
	for (size_t i = 0; i < r->max; i++) {
		const struct slots_wish *w = &r->in.slots[i];
		struct gate_rows *g = find_gate(all, w->gate);
		struct slot_row *own;

		g = g ? g : add_gate(all, &r->arena, w->gate);
		own = own_row(g, node);
		shares[i] = slots_divide(g->at, g->n, own, w);
	}
	give_up_others(all, node, r->in.slots, r->max);
}

static bool is_changed(const struct all_rows *all)
{
	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0; k < all->gates[i].n; k++)
			if (all->gates[i].at[k].changed)
				return true;
	return false;
}

static void write_gate(struct engine *e, uint64_t node, uint64_t epoch, const struct gate_rows *g)
{
	for (const struct slot_row *row = g->at; row < g->at + g->n; row++) {
		if (!row->changed)
			continue;
		if (row->node != node)
			db_run(&e->db, Q_slot_give, TEXT(g->gate), INT(row->node), INT(row->n));
		else if (row->n == 0 && row->wanted == 0)
			db_run(&e->db, Q_slot_forget, TEXT(g->gate), INT(node));
		else
			db_run(&e->db, Q_slot_put, TEXT(g->gate), INT(node), INT(epoch), INT(row->n), INT(row->wanted),
			       INT(row->turn));
	}
}

/* As it was before: nobody but this node makes it less. */
static void stay(struct all_rows *was, uint64_t node, const struct request *r, struct slots_share *shares)
{
	for (size_t i = 0; i < r->max; i++) {
		struct gate_rows *g = find_gate(was, r->in.slots[i].gate);
		uint64_t held = g ? own_row(g, node)->n : 0;

		shares[i].busy = true;
		shares[i].held = held;
		if (shares[i].keep > held)
			shares[i].keep = held;
	}
}

/* As long as nothing changes, rows are only read. Who changes them holds the lock until the commit, and reads them anew; the lock
 * is not waited for, so it cannot be in a circle of those who wait for locks. */
void run_slots(struct engine *e, struct request *r)
{
	struct postgresql *p = postgresql_of(e);
	uint64_t node = node_number(&p->node), epoch = node_epoch(&p->node);
	struct slots_share *shares = ARENA_ARRAY(&r->arena, struct slots_share, r->max + 1);
	struct all_rows all = read_all(e, &r->arena);

	r->out.rows = shares;
	r->out.n = r->max;
	divide_all(&all, node, r, shares);
	if (!is_changed(&all))
		return;
	fence(e);
	if (!db_exists(&e->db, db_query(&e->db, Q_slots_lock, INT(SLOTS_LOCK)))) {
		all = read_all(e, &r->arena);
		stay(&all, node, r, shares);
		return;
	}
	all = read_all(e, &r->arena);
	divide_all(&all, node, r, shares);
	for (size_t i = 0; i < all.n; i++)
		write_gate(e, node, epoch, &all.gates[i]);
}
