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

/* What is allowed is this process's alone. */
void run_slots(struct engine *e, struct request *r)
{
	struct slots_share *shares = ARENA_ARRAY(&r->arena, struct slots_share, r->max + 1);

	for (size_t i = 0; i < r->max; i++)
		shares[i] = (struct slots_share){ .held = r->in.slots[i].limit, .keep = r->in.slots[i].limit };
	r->out.rows = shares;
	r->out.n = r->max;
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
