/* stored_nodes.c - the store of the tests as one that several nodes share. */
#include "stored.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
atomic_bool store_has_nodes;
atomic_uint store_node_looks, store_ordered;
static struct store_node this_node;
static struct store_node_row node_rows[4];
static size_t node_rows_n;

void store_be_node(const struct store_node *node)
{
	pthread_mutex_lock(&lock);
	this_node = *node;
	pthread_mutex_unlock(&lock);
}

void store_set_nodes(const struct store_node_row *rows, size_t n)
{
	pthread_mutex_lock(&lock);
	if (n > 0)
		memcpy(node_rows, rows, n * sizeof *rows);
	node_rows_n = n;
	pthread_mutex_unlock(&lock);
}

void stored_tell_node(const struct engine *e, struct store_node *node_out)
{
	store_node_looks++;
	pthread_mutex_lock(&lock);
	*node_out = this_node;
	pthread_mutex_unlock(&lock);
}

void stored_run_nodes(struct engine *e, struct request *r)
{
	struct store_node_row *rows = ARENA_ARRAY(&r->arena, struct store_node_row, sizeof node_rows / sizeof node_rows[0]);

	pthread_mutex_lock(&lock);
	memcpy(rows, node_rows, node_rows_n * sizeof *rows);
	r->out.rows = rows;
	r->out.n = node_rows_n;
	pthread_mutex_unlock(&lock);
}

void stored_run_order(struct engine *e, struct request *r)
{
	store_ordered = (unsigned)(r->max * 100 + r->cursor);
	if (r->cursor > node_rows_n)
		r->verdict = perm(550, S("5.3.5"), S("there is no such node"));
}
