/* fence.c - what an operation needs of the engine before it writes: that this node is still a member, and a partition for the day
 * of the message. */
#include "postgresql.h"

void fence(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);

	if (p->fenced)
		return;
	p->fenced = true;
	if (node_is_lost(&p->node))
		db_fail(&e->db, DB_AWAY, NO_MEMBER);
	if (!node_is_durable(&p->node))
		db_fail(&e->db, DB_AWAY, "the database would lose mail: see its settings of fsync and of standby servers");
	db_run(&e->db, Q_fence, INT(node_number(&p->node)), INT(node_epoch(&p->node)));
}

/* Mail is found by the indexes of the database. */
void search_add(struct engine *e, uint64_t id)
{
}

void search_forget(struct engine *e, const uint64_t *ids, size_t n)
{
}

void message_room(struct engine *e, uint64_t id)
{
	(void)schema_partition(&e->db, &postgresql_of(e)->days, id);
}
