/* queue.c - start, peers, configuration and end of the role. */
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>
#include <sysexits.h>

#define HOUSEKEEPING_MS      (3 * MINUTE_MS)
#define HOUSEKEEPING_MORE_MS 50 /* when there was more to forget than one batch takes: ten thousand messages a second */
#define PRUNE_MAX            500

/* ---- housekeeping ---- */

static void on_housekeeping(uv_timer_t *t);

static void on_pruned(void *ctx, struct verdict v, uint64_t count)
{
	struct queue *q = ctx;

	if (v.class != OK)
		log_warning(NULL, "history.kept", kv("reply", v.text));
	else if (count > 0)
		log_debug(NULL, "history.pruned", kv("messages", count));
	if (queue_may_store(q))
		uv_timer_start(&q->housekeeping, on_housekeeping, count >= PRUNE_MAX ? HOUSEKEEPING_MORE_MS : HOUSEKEEPING_MS, 0);
}

static void on_housekeeping(uv_timer_t *t)
{
	struct queue *q = t->data;
	uint64_t now = clock_now_ms();
	uint64_t keep = role_config(q->role)->queue.keep_history_ms;

	if (q->collect_at <= clock_mono_ms()) {
		q->collect_at = clock_mono_ms() + HOUSEKEEPING_MS;
		accounting_collect(&q->accounting, now);
	}
	if (queue_may_store(q))
		store_prune(q->store, now > keep ? now - keep : 0, PRUNE_MAX, on_pruned, q);
}

/* ---- start ---- */

static void on_opened(void *ctx, struct verdict v);

static const struct store_engine *engine;
static enum cfg_engine engine_kind;

void queue_use_engine(const struct store_engine *chosen, enum cfg_engine kind)
{
	engine = chosen;
	engine_kind = kind;
}

static void open_store(struct queue *q)
{
	struct arena a = { 0 };
	const struct config *c = role_config(q->role);
	struct store_database database = { .connection = c->store.connection,
					   .password = c->store.password,
					   .standby = c->store.durability == DURABILITY_STANDBY,
					   .node_timeout_ms = c->store.node_timeout_ms,
					   .patience_ms = c->store.patience_ms };
	struct store_options options = {
		.engine = engine,
		.database = engine_kind == ENGINE_POSTGRESQL ? &database : NULL,
		.state_dir = arena_cstr(&a, c->state_dir),
		.min_free = c->queue.min_free,
		.max_messages = c->queue.max_messages,
	};

	q->store = store_open(role_loop(q->role), &options, on_opened, q);
	arena_fini(&a);
	nodes_start(q);
}

static struct verdict queue_start(struct role *r)
{
	struct queue *q;

	if (role_config(r)->store.engine != engine_kind)
		return perm(
			554, S("5.3.5"),
			S("this program keeps the queue in another place than store.engine says: master starts the wrong one"));
	q = NEW(struct queue);
	q->role = r;
	q->open_parts = 1;
	q->timers.loop = role_loop(r);
	rooms_init(q);
	setback_init(q);
	nodes_init(q);
	admin_init(q, queue_check_idle);
	timers_add(&q->timers, &q->housekeeping, q);
	timers_add(&q->timers, &q->grace, q);
	role_set_data(r, q);
	role_start_later(r);
	open_store(q);
	return ok();
}

/* An older queue on a slow disk is waited for. One that finds no room to open, or no database, is not: clients hear that, rather
 * than nothing. The role has started when limits and bans have been read too, see on_limits_loaded(): before that, a login would
 * be refused. */
static void on_opened(void *ctx, struct verdict v)
{
	struct queue *q = ctx;
	struct store_stats stats;

	if (v.class == TEMP && (v.code == 452 || v.code == 450)) {
		q->intake.without_room = v.code == 452;
		q->opens_later = true;
		role_started(q->role, ok());
		return;
	}
	if (v.class != OK && q->opens_later) /* we have said that all is well: the next life says why not */
		die(EX_TEMPFAIL, "the queue cannot be opened: %.*s", STR_ARG(v.text));
	if (v.class != OK) {
		role_started(q->role, v);
		return;
	}
	q->open = true;
	q->intake.without_room = false;
	q->intake.store = q->store;
	store_set_limits(q->store, role_config(q->role)->queue.min_free, role_config(q->role)->queue.max_messages);
	store_stats(q->store, &stats);
	log_info(NULL, "queue.opened", kv("messages", stats.open_messages), kv("waiting", stats.waiting), kv("held", stats.held));
	setback_start(q);
	nodes_opened(q); /* before a report is written, which has an id */
	dispatch_open(&q->dispatch, q->store);
	accounting_open(&q->accounting, q->store);
	reports_open(&q->reports, q->store);
	uv_timer_start(&q->housekeeping, on_housekeeping, HOUSEKEEPING_MORE_MS, 0);
}

/* ---- configuration and peers ---- */

/* Routes apply to queued mail at once: what waits here for its turn is decided again. */
static void queue_apply(struct role *r)
{
	struct queue *q = role_data(r);
	const struct config *c = role_config(r);

	if (!q || !queue_may_store(q) || !q->applied) { /* what we started with is in force: pauses of next hops go on */
		if (q)
			q->applied = true;
		return;
	}
	store_set_limits(q->store, c->queue.min_free, c->queue.max_messages);
	accounting_apply(&q->accounting);
	dispatch_apply(&q->dispatch);
	reports_retry(&q->reports);
}

static void queue_peer_up(struct role *r, struct channel *ch)
{
	struct queue *q = role_data(r);

	if (!q) /* before the start, which looks for them itself */
		return;
	nodes_peer_up(q, ch);
	dispatch_peer_up(&q->dispatch, ch);
	reports_peer_up(&q->reports, ch);
}

static void queue_peer_down(struct role *r, struct channel *ch)
{
	struct queue *q = role_data(r);

	if (!q)
		return;
	intake_peer_gone(&q->intake, ch);
	accounting_peer_gone(&q->accounting, ch);
	admin_peer_gone(q, ch);
	dispatch_peer_gone(&q->dispatch, ch);
	reports_peer_gone(&q->reports, ch);
}

/* ---- figures ---- */

static void queue_stats(struct role *r)
{
	struct queue *q = role_data(r);
	struct store_stats s = { 0 };
	struct verdict takes;
	bool many;

	if (!q || !q->store)
		return;
	takes = intake_takes_mail(&q->intake);
	role_stat_of(r, METRIC_QUEUE_TAKES_MAIL, S(""), takes.class == OK, takes.text);
	store_stats(q->store, &s);
	many = s.open_messages >= role_config(r)->queue.max_messages;
	role_stat(r, METRIC_QUEUE_MESSAGES, s.open_messages);
	role_stat(r, METRIC_QUEUE_WAITING, s.waiting);
	role_stat(r, METRIC_QUEUE_HELD, s.held);
	role_stat(r, METRIC_QUEUE_FAILED, s.failed);
	role_stat(r, METRIC_QUEUE_LANES, s.lanes);
	role_stat(r, METRIC_QUEUE_ACCEPTED, s.accepted);
	role_stat(r, METRIC_QUEUE_SETTLED, s.settled);
	role_stat(r, METRIC_QUEUE_COMMITS, s.commits);
	role_stat(r, METRIC_QUEUE_OPERATIONS, s.operations);
	role_histogram(r, METRIC_QUEUE_COMMIT_TIME, &s.commit_time);
	for (unsigned i = 0; i < REPEATS; i++)
		if (s.repeated[i] > 0)
			role_stat_of(r, METRIC_QUEUE_REPEATED, str_of(store_repeat_name((enum store_repeat)i)), s.repeated[i],
				     S(""));
	role_stat(r, METRIC_QUEUE_RESULTS_LATE, s.late);
	role_stat(r, METRIC_QUEUE_FILE_BYTES, s.file_bytes);
	if (s.free_bytes != UINT64_MAX)
		role_stat(r, METRIC_QUEUE_FREE_BYTES, s.free_bytes);
	role_stat_of(r, METRIC_QUEUE_FULL, S(""), s.full || many,
		     s.full ? S("accepts are refused: no space")
		     : many ? S("accepts are refused: there are queue.max_messages messages")
			    : S(""));
	nodes_stats(q);
	dispatch_stats(&q->dispatch);
	accounting_stats(&q->accounting);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
	queue_part_ended(h->data);
}

void queue_part_ended(void *queue)
{
	struct queue *q = queue;
	struct role *r = q->role;

	assert(q->open_parts > 0);
	if (--q->open_parts > 0)
		return;
	dispatch_fini(&q->dispatch);
	intake_fini(&q->intake);
	reports_fini(&q->reports);
	accounting_fini(&q->accounting);
	arena_fini(&q->nodes.seen.arena);
	free(q);
	role_stopped(r);
}

static void on_store_closed(void *ctx, struct verdict v)
{
	struct queue *q = ctx;

	if (v.class != OK)
		log_error(NULL, "queue.unclean", kv("reply", v.text));
	log_info(NULL, "queue.closed", kv("deliveries", q->dispatch.leases.count));
	q->store = NULL;
	q->open = false;
	role_set_data(q->role, NULL);
	q->open_parts += q->timers.n;
	timers_close(&q->timers, on_timer_closed, q);
	queue_part_ended(q);
}

static void close_store(struct queue *q)
{
	if (q->closing)
		return;
	reports_close(&q->reports);
	dispatch_close(&q->dispatch);
	intake_close(&q->intake);
	q->closing = true;
	accounting_close(&q->accounting);
	timers_stop(&q->timers);
	store_close(q->store, on_store_closed, q);
}

void queue_check_idle(void *queue)
{
	struct queue *q = queue;

	if (q->stopping && !dispatch_is_busy(&q->dispatch) && q->intake.accepting == 0 && q->admin.n == 0 &&
	    list_empty(&q->accounting.resets) && list_empty(&q->accounting.shows) && !reports_are_busy(&q->reports))
		close_store(q);
}

static void on_grace(uv_timer_t *t)
{
	close_store(t->data);
}

static void queue_stop(struct role *r, uint64_t grace_ms)
{
	struct queue *q = role_data(r);

	if (!q) {
		role_stopped(r);
		return;
	}
	q->stopping = q->intake.stopping = q->reports.stopping = true;
	dispatch_stop(&q->dispatch);
	store_stop_backup(q->store);
	/* A database that does not answer gets the other half. */
	uv_timer_start(&q->grace, on_grace, q->nodes.shared ? grace_ms / 2 : grace_ms, 0);
	queue_check_idle(q);
}

/* Nothing is counted by the frame, which asks once. Without this function the role would end before its store. */
static void queue_idle(struct role *r)
{
	struct queue *q = role_data(r);

	if (q && q->stopping)
		queue_check_idle(q);
	else
		role_stopped(r); /* the store could not be opened */
}

const struct role_ops queue_ops = {
	.id = ROLE_QUEUE,
	.start = queue_start,
	.apply = queue_apply,
	.peer_up = queue_peer_up,
	.peer_down = queue_peer_down,
	.stop = queue_stop,
	.idle = queue_idle,
	.stats = queue_stats,
	.handlers = &queue_handlers,
};
