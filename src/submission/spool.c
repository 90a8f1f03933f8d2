/* spool.c - write-behind to a descriptor on the thread pool: one write at a time, what comes meanwhile waits in memory. */
#include "spool.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define WAITING_MAX (4 * SPOOL_BACKLOG_MAX) /* backlog, a header section, one text event: far below */

enum spool_state { SPOOL_OPENING, SPOOL_IDLE, SPOOL_WRITING, SPOOL_SYNCING, SPOOL_SYNCED, SPOOL_FAILED, SPOOL_STATES };

struct spool {
	struct submission *sub;
	const struct spool_ops *ops; /* NULL: closed */
	void *ctx;
	enum spool_state state;
	uint64_t transaction;
	uint64_t call;
	int fd;
	struct buf waiting, writing, head;
	uint64_t offset;
	bool sync_wanted;
	uv_fs_t request;
};

/* In the order they happen. */
static void on_opened(void *ctx, struct verdict v, const struct msg_spool_opened *m, int fd);
static void on_written(uv_fs_t *request);
static void on_data_synced(uv_fs_t *request);

static void spool_enter(struct spool *sp, enum spool_state state)
{
	static const unsigned legal[SPOOL_STATES] = {
		[SPOOL_IDLE] = 1u << SPOOL_OPENING | 1u << SPOOL_WRITING,
		[SPOOL_WRITING] = 1u << SPOOL_IDLE,
		[SPOOL_SYNCING] = 1u << SPOOL_IDLE,
		[SPOOL_SYNCED] = 1u << SPOOL_SYNCING,
		[SPOOL_FAILED] = ~0u,
	};

	assert((legal[state] & 1u << sp->state) != 0);
	sp->state = state;
}

struct spool *spool_new(struct submission *sub, uint64_t transaction, uint64_t id, size_t head_n, uint64_t size_hint,
			const struct spool_ops *ops, void *ctx)
{
	struct spool *sp = NEW(struct spool);
	struct msg_spool_open m = { .transaction = transaction, .id = id, .size_hint = size_hint };

	sp->sub = sub;
	sp->ops = ops;
	sp->ctx = ctx;
	sp->transaction = transaction;
	sp->fd = -1;
	sp->offset = head_n;
	sp->request.data = sp;
	buf_init(&sp->waiting, WAITING_MAX);
	buf_init(&sp->writing, WAITING_MAX);
	buf_init(&sp->head, head_n);
	sp->call = ipc_call_spool_open(submission_queue(sub), &m, -1, on_opened, sp);
	return sp;
}

static void spool_free(struct spool *sp)
{
	if (sp->fd >= 0)
		close(sp->fd);
	buf_fini(&sp->waiting);
	buf_fini(&sp->writing);
	buf_fini(&sp->head);
	free(sp);
}

/* The file cannot be written. What was written is useless, and what still comes is dropped. */
static void spool_fail(struct spool *sp, struct verdict v)
{
	spool_enter(sp, SPOOL_FAILED);
	buf_release(&sp->waiting);
	buf_release(&sp->writing);
	buf_release(&sp->head);
	sp->ops->on_synced(sp->ctx, v);
}

/* A write or sync has failed: a full disk and a broken one get different replies. The error text of the system goes to the
 * log, not to the client. */
static void fail_with(struct spool *sp, const char *operation, int error)
{
	log_error(NULL, "spool.failed", kv("operation", operation), kv("error", uv_strerror(error)));
	if (error == UV_ENOSPC || error == UV_EFBIG)
		spool_fail(sp, temp(452, S("4.3.1"), S("Insufficient storage, try again later")));
	else
		spool_fail(sp, temp(451, S("4.3.0"), S("Storage failure, try again later")));
}

/* What is written next: what waits, and at last the head, in front of all that. */
static void take_next(struct spool *sp)
{
	struct buf *from = sp->waiting.n > 0 ? &sp->waiting : &sp->head, empty = sp->writing;

	if (sp->writing.n > 0 || from->n == 0)
		return;
	if (from == &sp->head)
		sp->offset = 0;
	sp->writing = *from;
	*from = empty;
}

/* Start the next step: write what waits, else sync if that was asked for. */
static void step(struct spool *sp)
{
	uv_buf_t b;
	int error;

	if (sp->state != SPOOL_IDLE || (sp->waiting.n == 0 && sp->writing.n == 0 && !sp->sync_wanted))
		return;
	take_next(sp);
	if (sp->writing.n > 0) {
		spool_enter(sp, SPOOL_WRITING);
		b = uv_buf_init(sp->writing.p + sp->writing.from, (unsigned)sp->writing.n);
		error = uv_fs_write(sp->sub->loop, &sp->request, sp->fd, &b, 1, (int64_t)sp->offset, on_written);
	} else {
		spool_enter(sp, SPOOL_SYNCING);
		error = uv_fs_fdatasync(sp->sub->loop, &sp->request, sp->fd, on_data_synced);
	}
	assert(error == 0); /* with a callback libuv only queues: it can fail for want of arguments alone */
}

static void on_opened(void *ctx, struct verdict v, const struct msg_spool_opened *m, int fd)
{
	struct spool *sp = ctx;

	sp->call = 0;
	sp->fd = fd;
	if (m == NULL || (m->verdict.class == OK && fd < 0))
		v = temp(451, S("4.3.0"), S("Queue unavailable, try again later"));
	else
		v = m->verdict;
	if (v.class != OK) {
		spool_fail(sp, v);
		return;
	}
	spool_enter(sp, SPOOL_IDLE);
	step(sp);
}

void spool_write(struct spool *sp, struct str bytes)
{
	bool fits;

	if (sp->state == SPOOL_FAILED || bytes.n == 0)
		return;
	fits = buf_add(&sp->waiting, bytes);
	assert(fits); /* the caller asks spool_full() after each event */
	step(sp);
}

bool spool_full(const struct spool *sp)
{
	return sp->waiting.n + sp->writing.n > SPOOL_BACKLOG_MAX;
}

void spool_sync(struct spool *sp, struct str head)
{
	bool fits = sp->state == SPOOL_FAILED || (head.n == sp->head.max && buf_add(&sp->head, head));

	assert(fits); /* as long as spool_new() was told */
	sp->sync_wanted = true;
	step(sp);
}

static void on_written(uv_fs_t *request)
{
	struct spool *sp = request->data;
	ssize_t n = request->result;
	bool was_full = spool_full(sp);

	uv_fs_req_cleanup(request);
	if (sp->ops == NULL) {
		spool_free(sp);
		return;
	}
	if (n <= 0 && n != UV_EINTR) {
		fail_with(sp, "write", n == 0 ? UV_ENOSPC : (int)n);
		return;
	}
	if (n > 0) {
		sp->offset += (uint64_t)n;
		buf_consume(&sp->writing, (size_t)n); /* a short write is finished by the next */
	}
	spool_enter(sp, SPOOL_IDLE);
	step(sp);
	if (was_full && !spool_full(sp))
		sp->ops->on_room(sp->ctx);
}

static void on_data_synced(uv_fs_t *request)
{
	struct spool *sp = request->data;
	int error = (int)request->result;

	uv_fs_req_cleanup(request);
	if (sp->ops == NULL) {
		spool_free(sp);
		return;
	}
	if (error < 0) { /* never tried again: the kernel can have dropped the pages, and would say OK */
		fail_with(sp, "fdatasync", error);
		return;
	}
	close(sp->fd); /* queue takes only what nobody can write any more */
	sp->fd = -1;
	spool_enter(sp, SPOOL_SYNCED);
	sp->ops->on_synced(sp->ctx, ok());
}

void spool_close(struct spool *sp, bool drop)
{
	struct channel *queue = submission_queue(sp->sub);

	sp->ops = NULL;
	ipc_cancel(sp->call);
	if (drop) /* to a new queue the number says nothing, and the old one's transactions died with it */
		ipc_send_abandon_transaction(queue, &(struct msg_abandon_transaction){ .transaction = sp->transaction }, -1);
	if (sp->state != SPOOL_WRITING && sp->state != SPOOL_SYNCING)
		spool_free(sp);
}
