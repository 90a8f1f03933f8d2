/* shards.c - which node looks after which lanes. Each takes its part of what nobody living has, and gives up what is more than
 * its part; nobody is asked. */
#include "node.h"

/* The numbers of nodes that take new work, and this one's part. */
static uint64_t part_of(const struct node *n)
{
	uint64_t up = node_state(n) == STORE_NODE_UP;

	if (up == 0)
		return 0;
	for (size_t i = 0; i < n->others_n; i++)
		up += n->others[i].state == STORE_NODE_UP;
	return (NODE_SHARDS + up - 1) / up;
}

/* The shards that are ours, and their number. */
static uint64_t read_shards(struct node *n, uint64_t *count_out)
{
	struct db_rows *q = db_query(&n->db, Q_shards_of, INT(node_number(n)), INT(node_epoch(n)));
	uint64_t shards = 0;

	*count_out = 0;
	while (db_row(&n->db, q)) {
		uint64_t shard = db_u64(q, 0);

		if (shard < NODE_SHARDS)
			shards |= (uint64_t)1 << shard;
		++*count_out;
	}
	return shards;
}

/* A change, guarded by the fence. */
static bool change(struct node *n, enum statement statement, uint64_t how_many)
{
	struct db *db = &n->db;
	uint64_t number = node_number(n), epoch = node_epoch(n);

	if (db_begin(db) && db_exists(db, db_query(db, Q_node_fence, INT(number), INT(epoch))) &&
	    db_run(db, statement, INT(number), INT(epoch), INT(how_many)) && db_commit(db))
		return true;
	db_rollback(db);
	return false;
}

/* Nobody has taken anything of ours, and we look after nothing. */
static void end_draining(struct node *n)
{
	db_run(&n->db, Q_node_drained, INT(node_number(n)), INT(node_epoch(n)));
}

void node_balance(struct node *n)
{
	uint64_t part = part_of(n), count, epoch = node_epoch(n), shards = read_shards(n, &count);
	bool changed = false;

	if (db_error(&n->db) != DB_WELL)
		return;
	if (count > part)
		changed = change(n, Q_shards_give_up, count - part);
	else if (count < part && db_exists(&n->db, db_query(&n->db, Q_shards_free)))
		changed = change(n, Q_shards_take, part - count);
	if (changed)
		shards = read_shards(n, &count);
	if (db_error(&n->db) != DB_WELL)
		return;
	uv_mutex_lock(&n->lock);
	if (n->epoch == epoch && !n->lost)
		n->shards = shards;
	uv_mutex_unlock(&n->lock);
	if (node_state(n) == STORE_NODE_DRAINING && count == 0)
		end_draining(n);
}

/* If this fails, the others will see that we are gone. */
void node_leave(struct node *n)
{
	if (change(n, Q_shards_give_up, NODE_SHARDS))
		db_run(&n->db, Q_node_leave, INT(node_number(n)), INT(node_epoch(n)));
}
