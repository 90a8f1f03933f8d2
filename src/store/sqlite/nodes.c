/* nodes.c - there is one process, and no node. */
#include "sqlite.h"

uint64_t own_node(const struct engine *e)
{
	return 0;
}

void run_nodes(struct engine *e, struct request *r)
{
}

static struct verdict accounts_are_here(void)
{
	return perm(550, S("5.3.5"), S("the accounts are in state_dir: there are no nodes (store.engine)"));
}

void run_accounts(struct engine *e, struct request *r)
{
	r->verdict = accounts_are_here();
}

void run_accounts_commit(struct engine *e, struct request *r)
{
	r->verdict = accounts_are_here();
}

static struct verdict no_nodes(void)
{
	return perm(550, S("5.3.5"), S("the queue is in state_dir: there are no nodes (store.engine)"));
}

void run_node_order(struct engine *e, struct request *r)
{
	r->verdict = no_nodes();
}

void run_node_config(struct engine *e, struct request *r)
{
	r->verdict = no_nodes();
}
