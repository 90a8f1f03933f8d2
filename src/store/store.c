/* store.c - the loop's side of the store: it gives operations to the writer and takes the answers back. Callbacks, log lines
 * and the end of the process happen here, since only the loop is allowed to do them. */
#include "writer.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void on_answers(uv_async_t *async);
static void on_async_closed(uv_handle_t *handle);

/* ---- opening ---- */

static void keep_database(struct store *st, const struct store_database *d)
{
	secret_set(&st->connection, d->connection);
	secret_set(&st->password, d->password);
	st->database = *d;
	st->database.connection = secret_view(&st->connection);
	st->database.password = secret_view(&st->password);
	st->has_database = true;
}

struct store *store_open(uv_loop_t *loop, const struct store_options *options, store_opened_fn opened, void *ctx)
{
	struct store *st = NEW(struct store);

	st->loop = loop;
	st->engine = options->engine;
	st->min_free = options->min_free;
	st->max_messages = options->max_messages;
	st->on_opened = opened;
	st->on_opened_ctx = ctx;
	st->state_dir = strdup(options->state_dir);
	if (options->database)
		keep_database(st, options->database);
	list_init(&st->pending);
	list_init(&st->done);
	list_init(&st->notes);
	list_init(&st->refused);
	if (!st->state_dir || uv_mutex_init(&st->lock) != 0 || uv_cond_init(&st->wake) != 0 ||
	    uv_async_init(loop, &st->async, on_answers) != 0)
		abort(); /* no memory, or no descriptors at all */
	st->async.data = st;
	if (uv_thread_create(&st->thread, store_main, st) != 0)
		abort();
	return st;
}

/* Say how far the opening is, when that is news. */
static void tell_opening(struct store *st, enum opening now)
{
	if (now == st->told || st->closing)
		return;
	st->told = now;
	if (now == OPEN_WITHOUT_ROOM || now == OPEN_BUSY)
		st->on_opened(st->on_opened_ctx, now == OPEN_BUSY ? store_busy : store_full);
	else
		st->on_opened(st->on_opened_ctx, now == OPEN_DONE ? ok() : st->refused_why);
}

void store_set_limits(struct store *st, uint64_t min_free, uint64_t max_messages)
{
	uv_mutex_lock(&st->lock);
	st->min_free = min_free;
	st->max_messages = max_messages;
	uv_mutex_unlock(&st->lock);
}

bool store_is_shared(const struct store *st)
{
	return st->has_database;
}

void store_stats(const struct store *st, struct store_stats *stats_out)
{
	*stats_out = st->stats;
}

void store_node(struct store *st, struct store_node *node_out)
{
	*node_out = (struct store_node){ .state = st->has_database ? STORE_NODE_AWAY : STORE_NODE_NONE };
	uv_mutex_lock(&st->lock);
	if (st->engine->node && st->writer)
		st->engine->node(st->writer->e, node_out);
	uv_mutex_unlock(&st->lock);
}

const char *store_node_state_name(enum store_node_state state)
{
	static const char *const names[] = { "none", "up", "draining", "drained", "dead", "removed", "away" };

	return names[state];
}

/* ---- issuing ---- */

/* The bytes of text that the writer has to store for the request, or has to make durable in a file. */
static size_t text_bytes(const struct request *r)
{
	const struct accepted *m = r->kind == REQUEST_ACCEPT || r->kind == REQUEST_REPORT ? r->in.accepted : NULL;

	return !m ? 0 : m->place == PLACE_FILE ? m->size : m->text.n + m->prefix.n;
}

void store_issue(struct store *st, const struct op_kind *kind, const struct request *request, void (*callback)(void), void *ctx)
{
	struct op *op = NEW(struct op);

	*op = (struct op){ .kind = kind,
			   .callback = callback,
			   .ctx = ctx,
			   .bytes = text_bytes(request),
			   .issued_at_ms = clock_mono_ms(),
			   .request = *request };
	assert(!uv_is_closing((uv_handle_t *)&st->async)); /* after store_close's callback: a bug of the caller */
	if (st->threads_joined) {
		op->request.verdict = store_away;
		op->request.out.fd = -1;
		list_append(&st->refused, &op->link);
		(void)uv_async_send(&st->async); /* not closing, so it cannot fail */
		return;
	}
	uv_mutex_lock(&st->lock);
	list_append(&st->pending, &op->link);
	uv_cond_signal(&st->wake);
	uv_mutex_unlock(&st->lock);
}

/* ---- answering ---- */

/* Log what the threads have noted. */
static void log_notes(struct list *notes)
{
	struct list *first;

	while ((first = list_first(notes))) {
		struct note *note = CONTAINER_OF(first, struct note, link);

		list_remove(first);
		log_at(note->level, (&(struct log){ .message = note->id }), note->event,
		       kv("reason", (const char *)note->reason));
		free(note);
	}
}

/* A store that cannot keep its promise must not continue: master starts a new process, which reads what is really on the disk. */
static void end_process(const char *failure)
{
	log_error(NULL, "store.failed", kv("reason", failure));
	_exit(EX_SOFTWARE);
}

/* Call back, in the order in which the writer was done with them. */
static void finish_all(struct list *ops)
{
	struct list *first;

	while ((first = list_first(ops))) {
		struct op *op = CONTAINER_OF(first, struct op, link);

		list_remove(first);
		op->kind->finish(op);
		arena_fini(&op->request.arena);
		free(op);
	}
}

/* The writer has ended: answer the operations that came too late for it, then close. */
static void finish_closing(struct store *st)
{
	struct list late;

	if (!st->threads_joined) {
		(void)uv_thread_join(&st->thread); /* it was created, and has said that it ends */
		if (st->writer)
			writer_free(st->writer);
		st->writer = NULL;
		st->threads_joined = true;
		list_init(&late);
		list_move_all(&st->pending, &late); /* the writer is gone: no lock needed */
		LIST_EACH_OF (struct op, op, &late, link) {
			op->request.verdict = store_away;
			op->request.out.fd = -1;
		}
		finish_all(&late);
	}
	list_init(&late);
	list_move_all(&st->refused, &late); /* what is refused in these callbacks comes in the next round */
	if (!list_empty(&late))
		finish_all(&late);
	if (list_empty(&st->refused))
		uv_close((uv_handle_t *)&st->async, on_async_closed);
}

static void on_answers(uv_async_t *async)
{
	struct store *st = async->data;
	struct list done, notes;
	char failure[sizeof(st->failure)];
	enum opening opening;
	bool ended;

	list_init(&done);
	list_init(&notes);
	uv_mutex_lock(&st->lock);
	list_move_all(&st->done, &done);
	list_move_all(&st->notes, &notes);
	st->notes_n = 0;
	st->stats = st->shared_stats;
	ended = st->ended;
	opening = st->opening;
	memcpy(failure, st->failure, sizeof(failure));
	uv_mutex_unlock(&st->lock);
	log_notes(&notes);
	if (failure[0])
		end_process(failure);
	tell_opening(st, opening);
	finish_all(&done);
	if (ended && st->closing && !st->backup)
		finish_closing(st);
}

/* ---- closing ---- */

void store_close(struct store *st, store_done_fn done, void *ctx)
{
	if (st->closing)
		return;
	st->closing = true;
	st->on_closed = done;
	st->on_closed_ctx = ctx;
	store_stop_backup(st);
	uv_mutex_lock(&st->lock);
	st->stop = true;
	uv_cond_signal(&st->wake);
	uv_mutex_unlock(&st->lock);
	(void)uv_async_send(&st->async); /* the thread has ended already when it could not open; not closing, so it cannot fail */
}

static void on_async_closed(uv_handle_t *handle)
{
	struct store *st = handle->data;
	store_done_fn done = st->on_closed;
	void *ctx = st->on_closed_ctx;

	log_notes(&st->notes);
	uv_mutex_destroy(&st->lock);
	uv_cond_destroy(&st->wake);
	arena_fini(&st->why_arena);
	secret_fini(&st->connection);
	secret_fini(&st->password);
	free(st->state_dir);
	free(st);
	if (done)
		done(ctx, ok());
}
