/* node.c - which node of a cluster this is: for the ids that pickup makes. */
#include "pickup.h"

void node_use(struct pickup *p)
{
	if (p->node == 0)
		return;
	id_source_join(&p->ids, p->node, p->id_floor_ms);
	id_source_join(&p->part_ids, p->node, p->id_floor_ms);
}

bool node_heard(struct pickup *p, const struct msg_node_is *m)
{
	if (m->number > ID_CLUSTER_NODES_MAX)
		return false;
	if (m->number == 0) /* queue does not know it, so far or again: what it was still holds */
		return true;
	p->node = (unsigned)m->number;
	p->id_floor_ms = m->id_floor_ms;
	if (!p->looking) /* else a thread makes ids */
		node_use(p);
	return true;
}
