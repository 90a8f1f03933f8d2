/* nodes.c - the nodes for the store: this one, the list, and what an administrator orders. */
#include "postgresql.h"

#include <assert.h>

static_assert((int)NODE_DRAIN == STORE_NODE_DRAIN && (int)NODE_REMOVE == STORE_NODE_REMOVE, "both lists of orders are the same");

void this_node(const struct engine *e, struct store_node *node_out)
{
	const struct node *n = &postgresql_of(e)->node;

	*node_out = (struct store_node){ .number = node_number(n),
					 .epoch = node_epoch(n),
					 .membership = node_membership(n),
					 .state = node_number(n) != 0 && !node_is_durable(n) ? STORE_NODE_AWAY : node_state(n),
					 .horizon_ms = node_horizon(n),
					 .id_floor_ms = node_id_floor(n),
					 .timeline = node_timeline(n),
					 .dead_rows = node_dead_rows(n) };
	node_fault(n, node_out->fault);
	node_out->accounts_known = node_accounts(n, &node_out->accounts);
}

uint64_t own_node(const struct engine *e)
{
	return node_number(&postgresql_of(e)->node);
}

static enum store_node_state state_of(struct str name)
{
	for (unsigned i = STORE_NODE_NONE; i < STORE_NODE_AWAY; i++)
		if (str_eq(name, str_of(store_node_state_name((enum store_node_state)i))))
			return (enum store_node_state)i;
	return STORE_NODE_NONE;
}

/* How long the beat has not moved, as the node's thread has seen it. */
static uint64_t silence(const struct node *n, const struct node_row *others, size_t others_n, uint64_t number)
{
	for (size_t i = 0; i < others_n; i++)
		if (others[i].number == number)
			return n->boottime() - others[i].seen_at;
	return 0;
}

void run_nodes(struct engine *e, struct request *r)
{
	struct node *n = &postgresql_of(e)->node;
	struct node_row others[NODE_MAX];
	struct node_counters counters;
	size_t others_n = node_others(n, others, &counters), capacity = 0;
	struct store_node_row *rows = NULL;
	struct db_rows *q = db_query(&e->db, Q_node_list);

	while (db_row(&e->db, q)) {
		ARENA_GROW(&r->arena, rows, r->out.n, capacity);
		rows[r->out.n++] = (struct store_node_row){ .number = db_u64(q, 0),
							    .epoch = db_u64(q, 1),
							    .schema = db_u64(q, 2),
							    .state = state_of(db_str(q, 3)),
							    .host = db_keep(&r->arena, q, 4),
							    .config_hash = db_keep(&r->arena, q, 5),
							    .since = db_u64(q, 6),
							    .silent_ms = silence(n, others, others_n, db_u64(q, 0)),
							    .taken = db_u64(q, 7),
							    .shards = db_u64(q, 8),
							    .self = db_u64(q, 0) == node_number(n) };
	}
	r->out.rows = rows;
}

void run_node_order(struct engine *e, struct request *r)
{
	struct postgresql *p = postgresql_of(e);

	r->verdict = node_order(&p->node, &e->db, &r->arena, (enum node_order)r->max, (unsigned)r->cursor);
}

void run_node_config(struct engine *e, struct request *r)
{
	struct str hash = arena_printf(&r->arena, "%llx", (unsigned long long)r->cursor);

	db_run(&e->db, Q_node_config, INT(node_number(&postgresql_of(e)->node)), TEXT(hash));
}
