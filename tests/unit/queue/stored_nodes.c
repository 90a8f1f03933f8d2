/* stored_nodes.c - the store of the tests as one that several nodes share. */
#include "stored.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

/* ---- takes ---- */

_Atomic uint64_t store_settled_take;

void stored_number_takes(struct request *r)
{
	static uint64_t last;
	const struct due_message *m = r->out.rows;

	if (r->kind == REQUEST_SETTLE)
		store_settled_take = r->in.outcomes[r->max - 1].take_no;
	if (r->kind != REQUEST_LEASE && r->kind != REQUEST_LEASE_SIBLINGS)
		return;
	for (size_t i = 0; i < r->out.n; i++)
		for (size_t k = 0; k < m[i].recipients_n; k++)
			m[i].recipients[k].take_no = ++last;
}

/* ---- connections ---- */

static bool slots_fixed;
static struct slots_share slots_share;
static struct slots_wish slots_wish;

void store_give_slots(bool fixed, struct slots_share share)
{
	pthread_mutex_lock(&lock);
	slots_fixed = fixed;
	slots_share = share;
	pthread_mutex_unlock(&lock);
}

struct slots_wish store_slots_wish(void)
{
	struct slots_wish w;

	pthread_mutex_lock(&lock);
	w = slots_wish;
	w.gate = S("");
	pthread_mutex_unlock(&lock);
	return w;
}

void stored_run_slots(struct engine *e, struct request *r)
{
	struct slots_share *shares = ARENA_ARRAY(&r->arena, struct slots_share, r->max + 1);

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < r->max; i++)
		shares[i] = (struct slots_share){ .held = r->in.slots[i].wanted, .keep = r->in.slots[i].wanted };
	if (slots_fixed)
		shares[0] = slots_share;
	slots_wish = r->in.slots[0];
	pthread_mutex_unlock(&lock);
	r->out.rows = shares;
	r->out.n = r->max;
}

char store_accounts_noted[200];

void stored_run_accounts(struct engine *e, struct request *r)
{
	r->out.count = 7;
	r->out.fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(write(r->out.fd, "alice\n", 6), 6);
}

void stored_run_accounts_commit(struct engine *e, struct request *r)
{
	size_t at = 0;

	r->out.count = r->cursor == 7 ? 8 : 7;
	if (r->cursor != 7) {
		r->verdict = store_behind;
		return;
	}
	for (size_t i = 0; i < r->max; i++)
		at += (size_t)snprintf(store_accounts_noted + at, sizeof store_accounts_noted - at, "%s %.*s/%.*s;",
				       r->in.accounts[i].line.n ? "put" : "remove", STR_ARG(r->in.accounts[i].name),
				       STR_ARG(r->in.accounts[i].device));
}
