/* admin_nodes.c - the nodes that share the store, for the console, and what it orders them. */
#include "admin.h"

#include "posthouse/clock.h"

/* ---- list ---- */

static void on_nodes(void *ctx, struct verdict v, const struct store_node_row *rows, size_t n)
{
	struct admin_call *c = ctx;
	struct msg_nodes_are answer = { .call = c->call, .verdict = v };
	struct rec_node_row *list = ARENA_ARRAY(&c->arena, struct rec_node_row, n + 1);

	for (size_t i = 0; v.class == OK && i < n; i++)
		list[i] = (struct rec_node_row){ .number = rows[i].number,
						 .epoch = rows[i].epoch,
						 .state = str_of(store_node_state_name(rows[i].state)),
						 .host = admin_cut(rows[i].host),
						 .since = rows[i].since,
						 .silent_ms = rows[i].silent_ms,
						 .taken = rows[i].taken,
						 .shards = rows[i].shards,
						 .self = rows[i].self,
						 .differs = nodes_config_differs(c->queue, &rows[i]) };
	answer.rows.at = list;
	answer.rows.n = v.class == OK ? n : 0;
	ipc_send_nodes_are(c->channel, &answer, -1);
	admin_end(c);
}

void handle_node_list(void *ctx, struct channel *ch, const struct msg_node_list *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	if (c->refusal.class == OK)
		store_nodes(c->queue->store, on_nodes, c);
	else
		on_nodes(c, c->refusal, NULL, 0);
}

/* ---- order ---- */

static const char *const orders[] = {
	[STORE_NODE_DRAIN] = "drain",
	[STORE_NODE_RESUME] = "resume",
	[STORE_NODE_REMOVE] = "remove",
};

static void on_ordered(void *ctx, struct verdict v)
{
	struct admin_call *c = ctx;

	if (v.class == OK && v.text.n == 0)
		log_info(NULL, "node.ordered", kv("order", orders[c->order]), kv("node", c->id));
	ipc_send_node_ordered(c->channel, &(struct msg_node_ordered){ .call = c->call, .verdict = v, .number = c->id }, -1);
	admin_end(c);
}

void handle_node_order(void *ctx, struct channel *ch, const struct msg_node_order *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct store_node now = { .number = 0 };

	if (m->order > STORE_NODE_REMOVE)
		c->refusal = perm(501, S("5.5.4"), S("the queue does not know this order"));
	else
		c->order = (enum store_node_order)m->order;
	if (c->refusal.class == OK)
		store_node(c->queue->store, &now);
	c->id = m->number != 0 ? m->number : now.number;
	if (c->refusal.class == OK)
		store_node_order(c->queue->store, c->order, c->id, on_ordered, c);
	else
		on_ordered(c, c->refusal);
}
