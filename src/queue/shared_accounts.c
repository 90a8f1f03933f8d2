/* shared_accounts.c - the accounts of all nodes are in the database of the queue; login reads them here, and has them changed.
 * Only login understands them; queue looks whether they are what they are said to be (account_lines.c). */
#include "account_lines.h"
#include "admin.h"

#include <stdlib.h>
#include <unistd.h>

struct accounts_job {
	struct admin_call *call;
	uv_work_t work;
	int from; /* the file that came */
	uint64_t version;
	struct verdict verdict; /* of reading it */
	struct account_lines lines;
};

static void on_lines(uv_work_t *work, int status);
static void on_committed(void *ctx, struct verdict v, uint64_t version);

/* ---- reading ---- */

static void on_accounts(void *ctx, struct verdict v, uint64_t version, int fd)
{
	struct admin_call *c = ctx;
	struct msg_accounts_lines answer = { .call = c->call, .verdict = v, .version = v.class == OK ? version : 0 };

	ipc_send_accounts_lines(c->channel, &answer, v.class == OK ? fd : -1);
	if (fd >= 0)
		close(fd);
	admin_end(c);
}

void handle_accounts_read(void *ctx, struct channel *ch, const struct msg_accounts_read *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	if (c->refusal.class == OK)
		store_accounts(c->queue->store, on_accounts, c);
	else
		on_accounts(c, c->refusal, 0, -1);
}

/* ---- changing ---- */

static void answer(struct accounts_job *j, struct verdict v, uint64_t version)
{
	struct admin_call *c = j->call;

	c->queue->nodes.changing_accounts = false;
	ipc_send_accounts_committed(c->channel,
				    &(struct msg_accounts_committed){ .call = c->call, .verdict = v, .version = version }, -1);
	close(j->from);
	account_lines_free(&j->lines);
	free(j);
	admin_end(c);
}

static void read_lines(uv_work_t *work)
{
	struct accounts_job *j = work->data;

	j->verdict = account_lines_read(j->from, &j->lines);
}

static void on_lines(uv_work_t *work, int status)
{
	struct accounts_job *j = work->data;
	struct queue *q = j->call->queue;

	if (j->verdict.class != OK)
		answer(j, j->verdict, 0);
	else if (!queue_may_store(q))
		answer(j, temp(451, S("4.3.0"), S("queue unavailable, try again")), 0);
	else
		store_accounts_commit(q->store, j->version, j->lines.rows, j->lines.rows_n, on_committed, j);
	queue_part_ended(q);
}

static void on_committed(void *ctx, struct verdict v, uint64_t version)
{
	struct accounts_job *j = ctx;

	if (v.class == TEMP && !store_is_behind(v))
		v = temp(451, S("4.3.0"),
			 S("the database went away, and perhaps has the change: `posthouse user list` tells when it is back"));
	answer(j, v, v.class == OK || store_is_behind(v) ? version : 0);
}

void handle_accounts_commit(void *ctx, struct channel *ch, const struct msg_accounts_commit *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct accounts_job *j;

	if (c->refusal.class == OK && c->queue->nodes.changing_accounts)
		c->refusal = temp(451, S("4.3.0"), S("accounts are being changed, try again"));
	if (c->refusal.class != OK) {
		ipc_send_accounts_committed(ch, &(struct msg_accounts_committed){ .call = m->call, .verdict = c->refusal }, -1);
		close(fd);
		admin_end(c);
		return;
	}
	j = NEW(struct accounts_job);
	*j = (struct accounts_job){ .call = c, .from = fd, .version = m->version, .work.data = j };
	c->queue->nodes.changing_accounts = true;
	c->queue->open_parts++; /* its memory stays until the thread has ended */
	if (uv_queue_work(role_loop(ctx), &j->work, read_lines, on_lines) != 0)
		abort(); /* it can fail only without a callback */
}
