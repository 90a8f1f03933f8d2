/* nodes.c - there is one process, and no node. */
#include "sqlite.h"

uint64_t own_node(const struct engine *e)
{
	return 0;
}

void run_nodes(struct engine *e, struct request *r)
{
}

void run_node_order(struct engine *e, struct request *r)
{
	r->verdict = perm(550, S("5.3.5"), S("the queue is in state_dir: there are no nodes (store.engine)"));
}
