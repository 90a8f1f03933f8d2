/* writer.c - the thread that owns the engine. It takes what the loop has issued since the last commit, orders it, commits it as
 * one transaction, hands the answers back; meanwhile the loop gathers the next batch. */
#include "writer.h"

#include "posthouse/clock.h"

#include <unistd.h>

#define RETRY_MS    1000
#define PASSING_MAX 10           /* how often an error that passes is met before it counts */
#define LOOK_NS     400000000ull /* how long an idle store waits before it looks whether all is well */

/* ---- taking a batch ---- */

/* Wait for operations; false when there will be none any more. */
static bool take_batch(struct writer *w)
{
	struct store *st = w->st;
	bool more;

	arena_reset(&w->host.arena);
	hashtable_clear(&w->named);
	uv_mutex_lock(&st->lock);
	if (list_empty(&st->pending) && !st->stop && (w->recovery == RECOVERED || w->presence.lost))
		(void)uv_cond_timedwait(&st->wake, &st->lock, LOOK_NS); /* either way we look */
	more = !st->stop || !list_empty(&st->pending);
	w->host.min_free = st->min_free;
	w->host.max_messages = st->max_messages;
	batch_fill(w, &st->pending);
	uv_mutex_unlock(&st->lock);
	return more;
}

/* ---- answers ---- */

/* Hand operations back to the loop, with the counters as they are now. */
static void publish(struct writer *w, struct list *ops)
{
	struct store *st = w->st;
	bool news;

	uv_mutex_lock(&st->lock);
	news = !list_empty(ops) || st->shared_stats.full != w->host.space.full || st->shared_stats.lost != w->presence.lost;
	list_move_all(ops, &st->done);
	st->shared_stats = writer_stats(w);
	uv_mutex_unlock(&st->lock);
	if (news)
		(void)uv_async_send(&st->async); /* fails only on a handle that is closing, and that one waits for us */
}

/* Answer without having done anything. */
static void refuse_all(struct list *ops, struct verdict v)
{
	LIST_EACH (i, ops)
		CONTAINER_OF(i, struct op, link)->request.verdict = v;
}

/* ---- running ---- */

static void run_op(struct writer *w, struct op *op)
{
	struct request *r = &op->request;

	r->verdict = ok();
	memset(&r->out, 0, sizeof(r->out));
	r->out.fd = -1;
	if (r->kind == REQUEST_SPOOL_CREATE)
		run_spool_create(w, r);
	else if (r->kind == REQUEST_SPOOL_DROP)
		run_spool_drop(w, r);
	else if (r->kind == REQUEST_BACKUP_BEGIN)
		run_backup_begin(w, r);
	else if (r->kind == REQUEST_BACKUP_END)
		run_backup_end(w, r);
	else
		w->engine->run[r->kind](w->e, r);
	w->operations += op->kind->rank < RANK_READ;
}

/* Neither the engine nor the store has met an error. */
static bool is_well(const struct writer *w)
{
	return w->engine->error(w->e) == ENGINE_WELL && !w->host.failed;
}

/* Can another transaction succeed, now or later? */
static bool can_repeat(enum engine_error error)
{
	return error == ENGINE_PRIVATE || error == ENGINE_PASSING || error == ENGINE_DENIED || error == ENGINE_AWAY;
}

/* The transaction failed: roll back, and say what that means. False: for one operation alone it means its own refusal. */
static bool recover_from_error(struct writer *w)
{
	enum engine_error error;

	w->engine->rollback(w->e);
	if (w->host.failed)
		return false;
	error = w->engine->error(w->e);
	if (error == ENGINE_FULL)
		disk_space_refused(&w->host);
	else if (!can_repeat(error))
		host_fail(&w->host, "transaction", w->engine->error_text(w->e));
	return !w->host.failed;
}

static void tell_refusal(struct writer *w, enum engine_error error, uint64_t id)
{
	if (error == ENGINE_DENIED) /* all operations are: once is enough */
		store_note_change(w->st, LOG_ERROR, "store.denied", w->engine->error_text(w->e));
	else if (error != ENGINE_FULL)
		store_note(w->st, LOG_ERROR, "store.refused", id, w->engine->error_text(w->e));
}

/* One operation in a transaction of its own; its verdict tells. False: it found no room, or no database. What fails in the same
 * way when the database is back is refused when the operation waits no longer: somebody holds what it needs. */
static bool run_alone(struct writer *w, struct op *op)
{
	enum engine_error error;
	unsigned passing = 0;
	bool was_back = false;

	w->host.alone = true;
	for (;;) {
		if (transaction_begin(w))
			run_op(w, op);
		if (is_well(w) && transaction_commit(w))
			return true;
		error = w->engine->error(w->e);
		if (!recover_from_error(w))
			return true;
		if (error == ENGINE_PASSING && ++passing < PASSING_MAX)
			w->engine->forget_error(w->e);
		else if (error != ENGINE_AWAY || (was_back && !outage_is_patient(w, op)))
			break;
		else if (!outage_wait(w, outage_patience(w, op))) {
			op->request.verdict = store_away;
			return false;
		} else
			was_back = true;
	}
	tell_refusal(w, error, op->request.id);
	w->engine->forget_error(w->e);
	op->request.verdict = error == ENGINE_FULL ? store_full : store_away;
	w->denied = w->denied || (error == ENGINE_DENIED && op->request.kind == REQUEST_SETTLE);
	return error != ENGINE_FULL && error != ENGINE_AWAY && !(w->denied && op->request.kind == REQUEST_SETTLE);
}

/* The same; *away: a try to reach the database was in vain, so who has no patience is not tried. Nor are results of deliveries
 * when one of them was denied. */
static bool try_alone(struct writer *w, struct op *op, bool *away)
{
	bool done;

	if ((*away && !outage_is_patient(w, op)) || (w->denied && op->request.kind == REQUEST_SETTLE)) {
		op->request.verdict = store_away;
		return false;
	}
	done = run_alone(w, op);
	*away = w->engine->error(w->e) == ENGINE_AWAY;
	return done;
}

/* The batch failed: each operation by itself, so that one cannot fail its neighbours. Results without room wait, and results of
 * deliveries that are denied. */
static void replay(struct writer *w)
{
	bool away = false;

	w->denied = false;
	for (enum rank rank = RANK_RESULT; rank < RANK_READ && !w->host.failed; rank++) {
		LIST_EACH (i, &w->batch[rank]) {
			struct op *op = CONTAINER_OF(i, struct op, link);

			if (w->host.failed)
				return;
			if (try_alone(w, op, &away) || rank != RANK_RESULT || (!away && try_alone(w, op, &away)))
				continue; /* the second try has the reserve */
			list_remove(i);
			list_append(&w->stalled, i);
			w->retry_at_ms = clock_mono_ms() + RETRY_MS;
		}
	}
}

/* All writing operations in one transaction. */
static bool try_writes(struct writer *w)
{
	bool good = transaction_begin(w);

	for (enum rank rank = RANK_RESULT; rank < RANK_READ && good; rank++) {
		LIST_EACH (i, &w->batch[rank]) {
			run_op(w, CONTAINER_OF(i, struct op, link));
			good = is_well(w);
			if (!good)
				break;
		}
	}
	return good && transaction_commit(w);
}

static void run_writes(struct writer *w)
{
	bool again;

	w->host.alone = false;
	do {
		if (try_writes(w)) {
			w->st->noted[0] = 0; /* what comes again is told again */
			return;
		}
		if (!recover_from_error(w))
			return;
		transaction_count_failure(w);
		again = w->engine->error(w->e) != ENGINE_FULL && w->engine->again && w->engine->again(w->e);
		if (w->engine->error(w->e) != ENGINE_AWAY) /* else it lasts until the database is back */
			w->engine->forget_error(w->e);
	} while (again);
	replay(w);
}

/* Results that wait come first; while they wait, later ones queue up behind them and nothing else is changed. */
static void order_stalled(struct writer *w)
{
	struct list *results = &w->batch[RANK_RESULT];

	if (list_empty(&w->stalled))
		return;
	list_move_all(results, &w->stalled);
	if (clock_mono_ms() >= w->retry_at_ms) {
		list_move_all(&w->stalled, results);
		return;
	}
	refuse_all(&w->batch[RANK_ADMIN], why_results_wait(&w->host));
	publish(w, &w->batch[RANK_ADMIN]);
}

/* What was read cannot be relied on. */
static void refuse_reads(struct writer *w)
{
	enum engine_error error = w->engine->error(w->e);

	if (error == ENGINE_FULL) /* takes are among them */
		disk_space_refused(&w->host);
	else if (error != ENGINE_AWAY)
		tell_refusal(w, error, 0);
	if (error != ENGINE_AWAY)
		w->engine->forget_error(w->e);
	refuse_all(&w->batch[RANK_READ], error == ENGINE_FULL ? store_full : store_away);
}

static void forget_answers(struct writer *w)
{
	LIST_EACH_OF (struct op, op, &w->batch[RANK_READ], link) {
		struct request *r = &op->request;

		if (r->out.fd >= 0)
			(void)close(r->out.fd); /* only read from */
		memset(&r->out, 0, sizeof r->out);
		r->out.fd = -1;
	}
}

/* One snapshot, locked once. */
static enum engine_error try_reads(struct writer *w)
{
	enum engine_error error;

	w->engine->begin_read(w->e);
	transaction_expect(w, RANK_READ);
	LIST_EACH (i, &w->batch[RANK_READ])
		run_op(w, CONTAINER_OF(i, struct op, link));
	w->engine->end_read(w->e);
	error = w->engine->error(w->e);
	if (can_repeat(error) || error == ENGINE_FULL) {
		w->engine->rollback(w->e);
		forget_answers(w);
	}
	return error;
}

/* The database is away. Reads with patience wait for it, the others are answered. False: none is left to repeat. */
static bool await_reads(struct writer *w)
{
	struct list *reads = &w->batch[RANK_READ], impatient;

	for (;;) {
		uint64_t until;

		list_init(&impatient);
		until = outage_split(w, reads, &impatient);
		publish(w, &impatient);
		if (list_empty(reads))
			return false;
		if (outage_wait(w, until))
			return true;
		if (store_is_stopping(w->st))
			return false;
	}
}

static void run_reads(struct writer *w)
{
	unsigned passing;
	enum engine_error error;

	if (list_empty(&w->batch[RANK_READ]))
		return;
	outage_look_at_results(w);
	if (w->engine->error(w->e) == ENGINE_AWAY)
		(void)outage_wait(w, 0); /* no: then each of them meets the same error */
	do {
		passing = 0;
		while ((error = try_reads(w)) == ENGINE_PASSING && ++passing < PASSING_MAX)
			w->engine->forget_error(w->e);
		switch (error) {
		case ENGINE_WELL: return;
		case ENGINE_AWAY: refuse_reads(w); break;
		case ENGINE_FULL:
		case ENGINE_PASSING:
		case ENGINE_DENIED:
		case ENGINE_PRIVATE: refuse_reads(w); return;
		default: host_fail(&w->host, "reading", w->engine->error_text(w->e)); return;
		}
	} while (await_reads(w));
}

/* The database is not where it was: nothing that is written would last, so everything is refused. The callers keep their
 * results. */
static void refuse_batch(struct writer *w)
{
	for (enum rank rank = RANK_RESULT; rank < RANK_COUNT; rank++) {
		LIST_EACH_OF (struct op, op, &w->batch[rank], link) {
			op->request.verdict = store_away;
			op->request.out.fd = -1;
		}
		publish(w, &w->batch[rank]);
	}
}

static bool is_idle(const struct writer *w)
{
	for (enum rank rank = RANK_RESULT; rank < RANK_COUNT; rank++)
		if (!list_empty(&w->batch[rank]))
			return false;
	return true;
}

static void run_batch(struct writer *w)
{
	bool writes = false, waited = !list_empty(&w->stalled);

	presence_check(w);
	if (w->presence.lost) {
		refuse_batch(w);
		return;
	}
	outage_look_at_results(w);
	disk_space_check(&w->host);
	order_stalled(w);
	for (enum rank rank = RANK_RESULT; rank < RANK_READ; rank++)
		writes = writes || !list_empty(&w->batch[rank]);
	if (writes)
		run_writes(w);
	if (waited && list_empty(&w->stalled) && w->engine->error(w->e) == ENGINE_WELL)
		disk_space_found(&w->host);
	for (enum rank rank = RANK_RESULT; rank < RANK_READ && !w->host.failed; rank++)
		publish(w, &w->batch[rank]);
	if (!w->host.failed)
		run_reads(w);
	if (!w->host.failed)
		publish(w, &w->batch[RANK_READ]);
	if (!w->host.failed)
		large_hold_missing(w);
}

/* The store is closed: results that wait have a last try, unless the database is away. */
static void end(struct writer *w)
{
	if (!list_empty(&w->stalled) && w->engine->error(w->e) != ENGINE_AWAY) {
		w->retry_at_ms = 0;
		run_batch(w);
	}
	outage_end(w);
	publish(w, &w->stalled);
}

void writer_main(struct writer *w)
{
	while (!w->host.failed && take_batch(w)) {
		bool idle = is_idle(w);

		run_batch(w);
		if (!w->host.failed && !w->presence.lost)
			w->engine->after_batch(w->e);
		if (!w->host.failed && !w->presence.lost)
			large_step(w);
		if (!w->host.failed && !w->presence.lost)
			w->engine->idle(w->e, idle);
		if (!w->host.failed && w->engine->error(w->e) == ENGINE_AWAY)
			(void)outage_wait(w, 0); /* one try; the next round is the next */
	}
	if (w->host.failed)
		return; /* the loop ends the process: nothing of this batch is acknowledged */
	end(w);
	if (w->host.failed)
		return;
	uv_mutex_lock(&w->st->lock);
	w->st->ended = true;
	uv_mutex_unlock(&w->st->lock);
	(void)uv_async_send(&w->st->async); /* as in publish */
}
