/* ops.c - the door: each function makes an operation of its arguments; its kind says in which order it runs, what runs, and how the
 * answer reaches the caller. */
#include "writer.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <unistd.h>

/* ---- answers ---- */

#define CALLBACK(op, type) ((type)(op)->callback)

static void finish_done(struct op *op)
{
	if (op->callback)
		CALLBACK(op, store_done_fn)(op->ctx, op->verdict);
}

static void finish_accept(struct op *op)
{
	if (op->verdict.class == OK)
		crash_point("store.before_accept_callback");
	finish_done(op);
}

static void finish_fd(struct op *op)
{
	CALLBACK(op, store_fd_fn)(op->ctx, op->verdict, op->out.fd);
}

static void finish_lanes(struct op *op)
{
	CALLBACK(op, store_lanes_fn)(op->ctx, op->verdict, op->out.rows, op->out.n, op->out.next);
}

static void finish_due(struct op *op)
{
	CALLBACK(op, store_due_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_text(struct op *op)
{
	CALLBACK(op, store_text_fn)(op->ctx, op->verdict, op->out.text, op->out.fd);
}

static void finish_unreported(struct op *op)
{
	CALLBACK(op, store_unreported_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_rows(struct op *op)
{
	CALLBACK(op, store_rows_fn)(op->ctx, op->verdict, op->out.rows, op->out.n, op->out.next);
}

static void finish_show(struct op *op)
{
	CALLBACK(op, store_show_fn)(op->ctx, op->verdict, op->out.message, op->out.rows, op->out.n, op->out.next);
}

static void finish_trace(struct op *op)
{
	CALLBACK(op, store_trace_fn)(op->ctx, op->verdict, op->out.rows, op->out.n, op->out.text, op->out.next);
}

static void finish_alter(struct op *op)
{
	CALLBACK(op, store_alter_fn)(op->ctx, op->verdict, op->out.count, op->out.in_flight, op->out.next);
}

static void finish_gates(struct op *op)
{
	CALLBACK(op, store_gates_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_buckets(struct op *op)
{
	CALLBACK(op, store_buckets_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_known(struct op *op)
{
	CALLBACK(op, store_known_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_bans(struct op *op)
{
	CALLBACK(op, store_bans_fn)(op->ctx, op->verdict, op->out.rows, op->out.n);
}

static void finish_count(struct op *op)
{
	CALLBACK(op, store_count_fn)(op->ctx, op->verdict, op->out.count);
}

static void finish_mend(struct op *op)
{
	CALLBACK(op, store_mend_fn)(op->ctx, op->verdict, &op->out.mending);
}

static const struct op_kind accept_kind = { RANK_ACCEPT, run_accept, finish_accept };
static const struct op_kind spool_create_kind = { RANK_READ, run_spool_create, finish_fd }; /* no row is written */
static const struct op_kind spool_drop_kind = { RANK_READ, run_spool_drop, finish_done };
static const struct op_kind lanes_kind = { RANK_READ, run_lanes, finish_lanes };
static const struct op_kind lease_kind = { RANK_READ, run_lease, finish_due };
static const struct op_kind siblings_kind = { RANK_READ, run_lease_siblings, finish_due };
static const struct op_kind text_kind = { RANK_READ, run_text, finish_text };
static const struct op_kind settle_kind = { RANK_RESULT, run_settle, finish_done };
static const struct op_kind unreported_kind = { RANK_READ, run_unreported, finish_unreported };
static const struct op_kind report_kind = { RANK_RESULT, run_report, finish_done };
static const struct op_kind select_kind = { RANK_READ, run_select, finish_rows };
static const struct op_kind show_kind = { RANK_READ, run_show, finish_show };
static const struct op_kind trace_kind = { RANK_READ, run_trace, finish_trace };
static const struct op_kind alter_kind = { RANK_ADMIN, run_alter, finish_alter };
static const struct op_kind gates_kind = { RANK_READ, run_gates, finish_gates };
static const struct op_kind gate_put_kind = { RANK_RESULT, run_gate_put, finish_done };
static const struct op_kind buckets_kind = { RANK_READ, run_buckets, finish_buckets };
/* With the accepts, whose charges are states of the same buckets: the last one issued is to stay. */
static const struct op_kind bucket_put_kind = { RANK_ACCEPT, run_bucket_put, finish_done };
static const struct op_kind known_kind = { RANK_READ, run_known, finish_known };
static const struct op_kind bans_kind = { RANK_READ, run_bans, finish_bans };
static const struct op_kind ban_put_kind = { RANK_ACCEPT, run_ban_put, finish_done };
static const struct op_kind prune_kind = { RANK_ADMIN, run_prune, finish_count };

static const struct op_kind mend_kind = { RANK_ADMIN, run_mend, finish_mend };

uint64_t op_named(const struct op *op, size_t i)
{
	if (op->kind == &settle_kind)
		return i < op->max ? op->in.outcomes[i].id : 0;
	if (op->kind == &report_kind && i == 1)
		return op->parent;
	if (op->kind == &lease_kind || i > 0)
		return 0;
	return op->id;
}

/* ---- the door ---- */

#define OP(kind, done, ctx) op_new(&kind##_kind, (void (*)(void))(done), (ctx))

void store_accept(struct store *st, const struct accepted *m, store_done_fn done, void *ctx)
{
	struct op *op = OP(accept, done, ctx);

	op->in.accepted = m;
	op->id = m->id;
	op->bytes = m->text.n + m->prefix.n;
	store_issue(st, op);
}

void store_spool_create(struct store *st, uint64_t id, uint64_t size_hint, store_fd_fn done, void *ctx)
{
	struct op *op = OP(spool_create, done, ctx);

	op->id = id;
	op->cursor = size_hint;
	store_issue(st, op);
}

void store_spool_drop(struct store *st, uint64_t id)
{
	struct op *op = OP(spool_drop, NULL, NULL);

	op->id = id;
	store_issue(st, op);
}

void store_lanes(struct store *st, uint64_t now, size_t max, store_lanes_fn done, void *ctx)
{
	struct op *op = OP(lanes, done, ctx);

	op->cursor = now;
	op->max = max;
	store_issue(st, op);
}

void store_lease(struct store *st, uint64_t lane, uint64_t now, size_t max, bool with_text, store_due_fn done, void *ctx)
{
	struct op *op = OP(lease, done, ctx);

	op->id = lane;
	op->cursor = now;
	op->max = max;
	op->in.with_text = with_text;
	store_issue(st, op);
}

void store_lease_siblings(struct store *st, uint64_t id, uint64_t now, size_t max, store_due_fn done, void *ctx)
{
	struct op *op = OP(siblings, done, ctx);

	op->id = id;
	op->cursor = now;
	op->max = max;
	store_issue(st, op);
}

void store_text(struct store *st, uint64_t id, store_text_fn done, void *ctx)
{
	struct op *op = OP(text, done, ctx);

	op->id = id;
	store_issue(st, op);
}

void store_settle(struct store *st, const struct outcome *outcomes, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(settle, done, ctx);

	op->in.outcomes = outcomes;
	op->max = n;
	store_issue(st, op);
}

void store_unreported(struct store *st, enum message_kind kind, uint64_t now, size_t max, store_unreported_fn done, void *ctx)
{
	struct op *op = OP(unreported, done, ctx);

	op->report_kind = kind;
	op->cursor = now;
	op->max = max;
	store_issue(st, op);
}

void store_report(struct store *st, enum message_kind kind, const struct accepted *report, uint64_t parent,
		  const uint64_t *n_list, size_t n, struct str event_fields, store_done_fn done, void *ctx)
{
	struct op *op = OP(report, done, ctx);

	op->report_kind = kind;
	op->in.accepted = report;
	op->id = report ? report->id : parent;
	op->bytes = report ? report->text.n + report->prefix.n : 0;
	op->parent = parent;
	op->n_list = n_list;
	op->max = n;
	op->text = event_fields;
	op->cursor = clock_now_ms();
	store_issue(st, op);
}

void store_select(struct store *st, const struct selector *s, uint64_t cursor, size_t max, store_rows_fn done, void *ctx)
{
	struct op *op = OP(select, done, ctx);

	op->in.selector = s;
	op->id = s->id;
	op->cursor = cursor;
	op->max = max;
	store_issue(st, op);
}

void store_show(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_show_fn done, void *ctx)
{
	struct op *op = OP(show, done, ctx);

	op->id = id;
	op->cursor = cursor;
	op->max = max;
	store_issue(st, op);
}

void store_trace(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_trace_fn done, void *ctx)
{
	struct op *op = OP(trace, done, ctx);

	op->id = id;
	op->cursor = cursor;
	op->max = max;
	store_issue(st, op);
}

void store_alter(struct store *st, const struct selector *s, enum alter operation, struct str reason, uint64_t cursor,
		 store_alter_fn done, void *ctx)
{
	struct op *op = OP(alter, done, ctx);

	op->in.selector = s;
	op->id = s->id;
	op->alter = operation;
	op->text = reason;
	op->cursor = cursor;
	store_issue(st, op);
}

void store_gates(struct store *st, store_gates_fn done, void *ctx)
{
	store_issue(st, OP(gates, done, ctx));
}

void store_gate_put(struct store *st, const struct gate_state *g, store_done_fn done, void *ctx)
{
	struct op *op = OP(gate_put, done, ctx);

	op->in.gate = g;
	store_issue(st, op);
}

void store_buckets(struct store *st, struct str key, struct str rule, size_t max, store_buckets_fn done, void *ctx)
{
	struct op *op = OP(buckets, done, ctx);

	op->in.after = key;
	op->text = rule;
	op->max = max;
	store_issue(st, op);
}

void store_bucket_put(struct store *st, const struct bucket_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(bucket_put, done, ctx);

	op->in.buckets = rows;
	op->max = n;
	store_issue(st, op);
}

void store_known(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done, void *ctx)
{
	struct op *op = OP(known, done, ctx);

	op->text = login;
	op->in.addresses = addresses;
	op->max = n;
	op->cursor = clock_now_ms();
	store_issue(st, op);
}

void store_bans(struct store *st, store_bans_fn done, void *ctx)
{
	store_issue(st, OP(bans, done, ctx));
}

void store_ban_put(struct store *st, const struct ban_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(ban_put, done, ctx);

	op->in.bans = rows;
	op->max = n;
	store_issue(st, op);
}

void store_prune(struct store *st, uint64_t before, size_t max, store_count_fn done, void *ctx)
{
	struct op *op = OP(prune, done, ctx);

	op->cursor = before;
	op->max = max;
	store_issue(st, op);
}

void store_mend(struct store *st, const struct mending *m, store_mend_fn done, void *ctx)
{
	struct op *op = OP(mend, done, ctx);

	op->in.mending = m;
	store_issue(st, op);
}
