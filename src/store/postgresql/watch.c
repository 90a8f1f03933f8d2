/* watch.c - what the server says of the tables whose rows come and go: an old snapshot, of a long query or pg_dump, shows as dead
 * rows that no vacuum removes. How old the snapshots of others are, and how far a standby is behind, an ordinary role is not
 * told. */
#include "node.h"

#define EACH_MS 15000

void node_watch(struct node *n)
{
	uint64_t now = n->boottime(), dead;

	if (n->watched_at != 0 && now - n->watched_at < EACH_MS)
		return;
	dead = db_number(&n->db, db_query(&n->db, Q_node_dead_rows));
	if (db_error(&n->db) != DB_WELL)
		return;
	n->watched_at = now;
	uv_mutex_lock(&n->lock);
	n->dead_rows = dead;
	uv_mutex_unlock(&n->lock);
}
