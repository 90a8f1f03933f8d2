/* operations.c - the door: each function makes an operation of its arguments; its kind says in which order it runs, and how
 * the answer reaches the caller. */
#include "writer.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <unistd.h>

/* ---- answers ---- */

#define CALLBACK(op, type) ((type)(op)->callback)

static void finish_done(struct op *op)
{
	if (op->callback)
		CALLBACK(op, store_done_fn)(op->ctx, op->request.verdict);
}

static void finish_accept(struct op *op)
{
	if (op->request.verdict.class == OK)
		crash_point("store.before_accept_callback");
	finish_done(op);
}

static void finish_fd(struct op *op)
{
	CALLBACK(op, store_fd_fn)(op->ctx, op->request.verdict, op->request.out.fd);
}

static void finish_lanes(struct op *op)
{
	CALLBACK(op, store_lanes_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n, op->request.out.next);
}

static void finish_due(struct op *op)
{
	CALLBACK(op, store_due_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_text(struct op *op)
{
	CALLBACK(op, store_text_fn)(op->ctx, op->request.verdict, op->request.out.text, op->request.out.fd);
}

static void finish_unreported(struct op *op)
{
	CALLBACK(op, store_unreported_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_rows(struct op *op)
{
	CALLBACK(op, store_rows_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n, op->request.out.next);
}

static void finish_show(struct op *op)
{
	CALLBACK(op, store_show_fn)
	(op->ctx, op->request.verdict, op->request.out.message, op->request.out.rows, op->request.out.n, op->request.out.next);
}

static void finish_trace(struct op *op)
{
	CALLBACK(op, store_trace_fn)
	(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n, op->request.out.text, op->request.out.next);
}

static void finish_alter(struct op *op)
{
	CALLBACK(op, store_alter_fn)
	(op->ctx, op->request.verdict, op->request.out.count, op->request.out.in_flight, op->request.out.next);
}

static void finish_gates(struct op *op)
{
	CALLBACK(op, store_gates_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_buckets(struct op *op)
{
	CALLBACK(op, store_buckets_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_known(struct op *op)
{
	CALLBACK(op, store_known_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_bans(struct op *op)
{
	CALLBACK(op, store_bans_fn)(op->ctx, op->request.verdict, op->request.out.rows, op->request.out.n);
}

static void finish_count(struct op *op)
{
	CALLBACK(op, store_count_fn)(op->ctx, op->request.verdict, op->request.out.count);
}

static void finish_mend(struct op *op)
{
	CALLBACK(op, store_mend_fn)(op->ctx, op->request.verdict, &op->request.out.mending);
}

/* What the store itself does with each kind of request. */
static const struct op_kind kinds[REQUEST_COUNT] = {
	[REQUEST_ACCEPT] = { RANK_ACCEPT, NAMES_ID, finish_accept },
	[REQUEST_LANES] = { RANK_READ, NAMES_ID, finish_lanes },
	[REQUEST_LEASE] = { RANK_READ, NAMES_NONE, finish_due }, /* its id is a lane */
	[REQUEST_LEASE_SIBLINGS] = { RANK_READ, NAMES_ID, finish_due },
	[REQUEST_TEXT] = { RANK_READ, NAMES_ID, finish_text },
	[REQUEST_SETTLE] = { RANK_RESULT, NAMES_OUTCOMES, finish_done },
	[REQUEST_UNREPORTED] = { RANK_READ, NAMES_ID, finish_unreported },
	[REQUEST_REPORT] = { RANK_RESULT, NAMES_ID_AND_PARENT, finish_done },
	[REQUEST_SELECT] = { RANK_READ, NAMES_ID, finish_rows },
	[REQUEST_SHOW] = { RANK_READ, NAMES_ID, finish_show },
	[REQUEST_TRACE] = { RANK_READ, NAMES_ID, finish_trace },
	[REQUEST_ALTER] = { RANK_ADMIN, NAMES_ID, finish_alter },
	[REQUEST_GATES] = { RANK_READ, NAMES_ID, finish_gates },
	[REQUEST_GATE_PUT] = { RANK_RESULT, NAMES_ID, finish_done },
	[REQUEST_BUCKETS] = { RANK_READ, NAMES_ID, finish_buckets },
	/* With the accepts, whose charges are states of the same buckets: the last one issued is to stay. */
	[REQUEST_BUCKET_PUT] = { RANK_ACCEPT, NAMES_ID, finish_done },
	[REQUEST_KNOWN] = { RANK_READ, NAMES_ID, finish_known },
	[REQUEST_BANS] = { RANK_READ, NAMES_ID, finish_bans },
	[REQUEST_BAN_PUT] = { RANK_ACCEPT, NAMES_ID, finish_done },
	[REQUEST_PRUNE] = { RANK_ADMIN, NAMES_ID, finish_count },
	[REQUEST_MEND] = { RANK_ADMIN, NAMES_ID, finish_mend },
	[REQUEST_SPOOL_CREATE] = { RANK_READ, NAMES_ID, finish_fd }, /* no row is written */
	[REQUEST_SPOOL_DROP] = { RANK_READ, NAMES_ID, finish_done },
};

/* ---- the door ---- */

#define OP(kind, done, ctx) op_new(&kinds[REQUEST_##kind], REQUEST_##kind, (void (*)(void))(done), (ctx))

void store_accept(struct store *st, const struct accepted *m, store_done_fn done, void *ctx)
{
	struct op *op = OP(ACCEPT, done, ctx);

	op->request.in.accepted = m;
	op->request.id = m->id;
	op->bytes = m->text.n + m->prefix.n;
	store_issue(st, op);
}

void store_spool_create(struct store *st, uint64_t id, uint64_t size_hint, store_fd_fn done, void *ctx)
{
	struct op *op = OP(SPOOL_CREATE, done, ctx);

	op->request.id = id;
	op->request.cursor = size_hint;
	store_issue(st, op);
}

void store_spool_drop(struct store *st, uint64_t id)
{
	struct op *op = OP(SPOOL_DROP, NULL, NULL);

	op->request.id = id;
	store_issue(st, op);
}

void store_lanes(struct store *st, uint64_t now, size_t max, store_lanes_fn done, void *ctx)
{
	struct op *op = OP(LANES, done, ctx);

	op->request.cursor = now;
	op->request.max = max;
	store_issue(st, op);
}

void store_lease(struct store *st, uint64_t lane, uint64_t now, size_t max, bool with_text, store_due_fn done, void *ctx)
{
	struct op *op = OP(LEASE, done, ctx);

	op->request.id = lane;
	op->request.cursor = now;
	op->request.max = max;
	op->request.in.with_text = with_text;
	store_issue(st, op);
}

void store_lease_siblings(struct store *st, uint64_t id, uint64_t now, size_t max, store_due_fn done, void *ctx)
{
	struct op *op = OP(LEASE_SIBLINGS, done, ctx);

	op->request.id = id;
	op->request.cursor = now;
	op->request.max = max;
	store_issue(st, op);
}

void store_text(struct store *st, uint64_t id, store_text_fn done, void *ctx)
{
	struct op *op = OP(TEXT, done, ctx);

	op->request.id = id;
	store_issue(st, op);
}

void store_settle(struct store *st, const struct outcome *outcomes, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(SETTLE, done, ctx);

	op->request.in.outcomes = outcomes;
	op->request.max = n;
	store_issue(st, op);
}

void store_unreported(struct store *st, enum message_kind kind, uint64_t now, size_t max, store_unreported_fn done, void *ctx)
{
	struct op *op = OP(UNREPORTED, done, ctx);

	op->request.report_kind = kind;
	op->request.cursor = now;
	op->request.max = max;
	store_issue(st, op);
}

void store_report(struct store *st, enum message_kind kind, const struct accepted *report, uint64_t parent,
		  const uint64_t *n_list, size_t n, struct str event_fields, store_done_fn done, void *ctx)
{
	struct op *op = OP(REPORT, done, ctx);

	op->request.report_kind = kind;
	op->request.in.accepted = report;
	op->request.id = report ? report->id : parent;
	op->bytes = report ? report->text.n + report->prefix.n : 0;
	op->request.parent = parent;
	op->request.n_list = n_list;
	op->request.max = n;
	op->request.text = event_fields;
	op->request.cursor = clock_now_ms();
	store_issue(st, op);
}

void store_select(struct store *st, const struct selector *s, uint64_t cursor, size_t max, store_rows_fn done, void *ctx)
{
	struct op *op = OP(SELECT, done, ctx);

	op->request.in.selector = s;
	op->request.id = s->id;
	op->request.cursor = cursor;
	op->request.max = max;
	store_issue(st, op);
}

void store_show(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_show_fn done, void *ctx)
{
	struct op *op = OP(SHOW, done, ctx);

	op->request.id = id;
	op->request.cursor = cursor;
	op->request.max = max;
	store_issue(st, op);
}

void store_trace(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_trace_fn done, void *ctx)
{
	struct op *op = OP(TRACE, done, ctx);

	op->request.id = id;
	op->request.cursor = cursor;
	op->request.max = max;
	store_issue(st, op);
}

void store_alter(struct store *st, const struct selector *s, enum alter operation, struct str reason, uint64_t cursor,
		 store_alter_fn done, void *ctx)
{
	struct op *op = OP(ALTER, done, ctx);

	op->request.in.selector = s;
	op->request.id = s->id;
	op->request.alter = operation;
	op->request.text = reason;
	op->request.cursor = cursor;
	store_issue(st, op);
}

void store_gates(struct store *st, store_gates_fn done, void *ctx)
{
	store_issue(st, OP(GATES, done, ctx));
}

void store_gate_put(struct store *st, const struct gate_state *g, store_done_fn done, void *ctx)
{
	struct op *op = OP(GATE_PUT, done, ctx);

	op->request.in.gate = g;
	store_issue(st, op);
}

void store_buckets(struct store *st, struct str key, struct str rule, size_t max, store_buckets_fn done, void *ctx)
{
	struct op *op = OP(BUCKETS, done, ctx);

	op->request.in.after = key;
	op->request.text = rule;
	op->request.max = max;
	store_issue(st, op);
}

void store_bucket_put(struct store *st, const struct bucket_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(BUCKET_PUT, done, ctx);

	op->request.in.buckets = rows;
	op->request.max = n;
	store_issue(st, op);
}

void store_known(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done, void *ctx)
{
	struct op *op = OP(KNOWN, done, ctx);

	op->request.text = login;
	op->request.in.addresses = addresses;
	op->request.max = n;
	op->request.cursor = clock_now_ms();
	store_issue(st, op);
}

void store_bans(struct store *st, store_bans_fn done, void *ctx)
{
	store_issue(st, OP(BANS, done, ctx));
}

void store_ban_put(struct store *st, const struct ban_row *rows, size_t n, store_done_fn done, void *ctx)
{
	struct op *op = OP(BAN_PUT, done, ctx);

	op->request.in.bans = rows;
	op->request.max = n;
	store_issue(st, op);
}

void store_prune(struct store *st, uint64_t before, size_t max, store_count_fn done, void *ctx)
{
	struct op *op = OP(PRUNE, done, ctx);

	op->request.cursor = before;
	op->request.max = max;
	store_issue(st, op);
}

void store_mend(struct store *st, const struct mending *m, store_mend_fn done, void *ctx)
{
	struct op *op = OP(MEND, done, ctx);

	op->request.in.mending = m;
	store_issue(st, op);
}
