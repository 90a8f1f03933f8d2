/* operations.c - the functions of store.h: each makes a request of its arguments. requests.def says in which order requests
 * run, and how their answers reach the caller. */
#include "writer.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/store_nodes.h"

#include <unistd.h>

/* ---- answers ---- */

/* A function that calls back with the verdict and these parts of the answer `r`. */
#define FINISH(name, ...)                                                                                                        \
	static void finish_##name(struct op *op)                                                                                 \
	{                                                                                                                        \
		const struct request *r = &op->request;                                                                          \
		((store_##name##_fn)op->callback)(op->ctx, r->verdict, __VA_ARGS__);                                             \
	}

FINISH(fd, r->out.fd)
FINISH(lanes, r->out.rows, r->out.n, r->out.next)
FINISH(due, r->out.rows, r->out.n)
FINISH(text, r->out.text, r->out.fd)
FINISH(unreported, r->out.rows, r->out.n)
FINISH(rows, r->out.rows, r->out.n, r->out.next)
FINISH(show, r->out.message, r->out.rows, r->out.n, r->out.next)
FINISH(found, r->out.rows, r->out.n, &r->out.place)
FINISH(trace, r->out.rows, r->out.n, r->out.text, r->out.next)
FINISH(alter, &(struct altered){ .count = r->out.count,
				 .in_flight = r->out.in_flight,
				 .leased = r->out.rows,
				 .leased_n = r->out.n,
				 .next_cursor = r->out.next })
FINISH(summary, r->out.rows, r->out.n, r->out.next)
FINISH(gates, r->out.rows, r->out.n)
FINISH(slots, r->out.rows, r->out.n)
FINISH(buckets, r->out.rows, r->out.n)
FINISH(known, r->out.rows, r->out.n)
FINISH(bans, r->out.rows, r->out.n)
FINISH(nodes, r->out.rows, r->out.n)
FINISH(count, r->out.count)
FINISH(accounts, r->out.count, r->out.fd)
FINISH(mend, &r->out.mending)

static void finish_done(struct op *op)
{
	if (op->callback)
		((store_done_fn)op->callback)(op->ctx, op->request.verdict);
}

/* What the buckets are now, where the engine tells it; else 0. */
static void tell_states(const struct request *r)
{
	size_t n = r->kind == REQUEST_ACCEPT ? r->in.accepted->charges_n : r->max;

	if (!r->states_out || n == 0)
		return;
	memset(r->states_out, 0, n * sizeof *r->states_out);
	if (r->out.rows && (r->verdict.class == OK || store_is_over(r->verdict)))
		memcpy(r->states_out, r->out.rows, n * sizeof *r->states_out);
}

static void finish_charge(struct op *op)
{
	tell_states(&op->request);
	finish_done(op);
}

static void finish_accept(struct op *op)
{
	tell_states(&op->request);
	if (op->request.verdict.class == OK)
		crash_point("store.before_accept_callback");
	finish_done(op);
}

#define REQUEST(name, run, rank, names, finish) [REQUEST_##name] = { rank, names, finish_##finish },
#define FILE_REQUEST(name, rank, names, finish) [REQUEST_##name] = { rank, names, finish_##finish },
static const struct op_kind kinds[REQUEST_COUNT] = {
#include "requests.def"
};
#undef REQUEST
#undef FILE_REQUEST

/* ---- the functions of store.h ---- */

/* Give the writer a request with these arguments. */
#define ISSUE(name, done, ctx, ...)                                                                                              \
	store_issue(st, &kinds[REQUEST_##name], &(struct request){ .kind = REQUEST_##name, ##__VA_ARGS__ },                      \
		    (void (*)(void))(done), (ctx))

void store_accept(struct store *st, const struct accepted *m, store_done_fn done, void *ctx)
{
	ISSUE(ACCEPT, done, ctx, .in.accepted = m, .id = m->id, .states_out = m->states_out);
}

void store_spool_create(struct store *st, uint64_t id, uint64_t size_hint, store_fd_fn done, void *ctx)
{
	ISSUE(SPOOL_CREATE, done, ctx, .id = id, .cursor = size_hint);
}

void store_spool_drop(struct store *st, uint64_t id)
{
	ISSUE(SPOOL_DROP, NULL, NULL, .id = id);
}

void store_backup_begin(struct store *st, store_done_fn done, void *ctx)
{
	ISSUE(BACKUP_BEGIN, done, ctx);
}

void store_backup_end(struct store *st, store_done_fn done, void *ctx)
{
	ISSUE(BACKUP_END, done, ctx);
}

void store_lanes(struct store *st, uint64_t now, size_t max, store_lanes_fn done, void *ctx)
{
	ISSUE(LANES, done, ctx, .cursor = now, .max = max);
}

void store_lease(struct store *st, uint64_t lane, uint64_t now, size_t max, bool with_text, store_due_fn done, void *ctx)
{
	ISSUE(LEASE, done, ctx, .id = lane, .cursor = now, .max = max, .in.with_text = with_text);
}

void store_lease_siblings(struct store *st, uint64_t id, uint64_t now, size_t max, store_due_fn done, void *ctx)
{
	ISSUE(LEASE_SIBLINGS, done, ctx, .id = id, .cursor = now, .max = max);
}

void store_text(struct store *st, uint64_t id, store_text_fn done, void *ctx)
{
	ISSUE(TEXT, done, ctx, .id = id);
}

void store_settle(struct store *st, const struct outcome *outcomes, size_t n, store_done_fn done, void *ctx)
{
	ISSUE(SETTLE, done, ctx, .in.outcomes = outcomes, .max = n);
}

void store_unreported(struct store *st, enum message_kind kind, uint64_t now, size_t max, store_unreported_fn done, void *ctx)
{
	ISSUE(UNREPORTED, done, ctx, .report_kind = kind, .cursor = now, .max = max);
}

void store_report(struct store *st, enum message_kind kind, const struct accepted *report, uint64_t parent,
		  const uint64_t *n_list, size_t n, struct str event_fields, store_done_fn done, void *ctx)
{
	ISSUE(REPORT, done, ctx, .report_kind = kind, .in.accepted = report, .id = report ? report->id : parent, .parent = parent,
	      .n_list = n_list, .max = n, .text = event_fields, .cursor = clock_now_ms());
}

void store_select(struct store *st, const struct selector *s, uint64_t cursor, size_t max, store_rows_fn done, void *ctx)
{
	ISSUE(SELECT, done, ctx, .in.selector = s, .id = s->id, .cursor = cursor, .max = max);
}

void store_show(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_show_fn done, void *ctx)
{
	ISSUE(SHOW, done, ctx, .id = id, .cursor = cursor, .max = max);
}

void store_show_patiently(struct store *st, uint64_t id, store_show_fn done, void *ctx)
{
	ISSUE(SHOW, done, ctx, .id = id, .max = 1, .patient = true);
}

void store_find(struct store *st, const struct find *f, const struct find_place *from, size_t max, store_found_fn done, void *ctx)
{
	ISSUE(FIND, done, ctx, .in.find = f, .place = *from, .max = max);
}

void store_trace(struct store *st, uint64_t id, uint64_t cursor, size_t max, store_trace_fn done, void *ctx)
{
	ISSUE(TRACE, done, ctx, .id = id, .cursor = cursor, .max = max);
}

void store_alter(struct store *st, const struct selector *s, enum alter operation, struct str reason, uint64_t cursor,
		 store_alter_fn done, void *ctx)
{
	ISSUE(ALTER, done, ctx, .in.selector = s, .id = s->id, .alter = operation, .text = reason, .cursor = cursor);
}

void store_reroute(struct store *st, const struct selector *s, struct str via, struct str reason, uint64_t cursor,
		   store_alter_fn done, void *ctx)
{
	ISSUE(ALTER, done, ctx, .in.selector = s, .id = s->id, .alter = ALTER_REROUTE, .via = via, .text = reason,
	      .cursor = cursor);
}

void store_summary(struct store *st, uint64_t cursor, size_t max, store_summary_fn done, void *ctx)
{
	ISSUE(SUMMARY, done, ctx, .cursor = cursor, .max = max);
}

void store_gates(struct store *st, store_gates_fn done, void *ctx)
{
	ISSUE(GATES, done, ctx);
}

void store_gate_put(struct store *st, const struct gate_state *g, store_done_fn done, void *ctx)
{
	ISSUE(GATE_PUT, done, ctx, .in.gate = g);
}

void store_gate_claim(struct store *st, const struct gate_state *g, uint64_t seen, store_count_fn done, void *ctx)
{
	ISSUE(GATE_CLAIM, done, ctx, .in.gate = g, .cursor = seen);
}

void store_slots(struct store *st, const struct slots_wish *wishes, size_t n, store_slots_fn done, void *ctx)
{
	ISSUE(SLOTS, done, ctx, .in.slots = wishes, .max = n);
}

void store_buckets(struct store *st, struct str key, struct str rule, size_t max, store_buckets_fn done, void *ctx)
{
	ISSUE(BUCKETS, done, ctx, .in.after = key, .text = rule, .max = max);
}

void store_bucket_put(struct store *st, const struct bucket_row *rows, size_t n, store_done_fn done, void *ctx)
{
	ISSUE(BUCKET_PUT, done, ctx, .in.buckets = rows, .max = n);
}

void store_bucket_charge(struct store *st, const struct bucket_row *rows, size_t n, uint64_t *states_out, store_done_fn done,
			 void *ctx)
{
	ISSUE(BUCKET_PUT, done, ctx, .in.buckets = rows, .max = n, .states_out = states_out);
}

void store_known(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done, void *ctx)
{
	ISSUE(KNOWN, done, ctx, .text = login, .in.addresses = addresses, .max = n, .cursor = clock_now_ms());
}

void store_known_patiently(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done,
			   void *ctx)
{
	ISSUE(KNOWN, done, ctx, .text = login, .in.addresses = addresses, .max = n, .cursor = clock_now_ms(), .patient = true);
}

void store_bans(struct store *st, store_bans_fn done, void *ctx)
{
	ISSUE(BANS, done, ctx);
}

void store_ban_put(struct store *st, const struct ban_row *rows, size_t n, store_done_fn done, void *ctx)
{
	ISSUE(BAN_PUT, done, ctx, .in.bans = rows, .max = n);
}

void store_prune(struct store *st, uint64_t before, size_t max, store_count_fn done, void *ctx)
{
	ISSUE(PRUNE, done, ctx, .cursor = before, .max = max);
}

void store_nodes(struct store *st, store_nodes_fn done, void *ctx)
{
	ISSUE(NODES, done, ctx);
}

void store_node_order(struct store *st, enum store_node_order order, uint64_t number, store_done_fn done, void *ctx)
{
	ISSUE(NODE_ORDER, done, ctx, .max = order, .cursor = number);
}

void store_node_config(struct store *st, uint64_t hash, store_done_fn done, void *ctx)
{
	ISSUE(NODE_CONFIG, done, ctx, .cursor = hash);
}

void store_accounts(struct store *st, store_accounts_fn done, void *ctx)
{
	ISSUE(ACCOUNTS, done, ctx);
}

void store_accounts_commit(struct store *st, uint64_t version, const struct store_account *rows, size_t n, store_count_fn done,
			   void *ctx)
{
	ISSUE(ACCOUNTS_COMMIT, done, ctx, .in.accounts = rows, .max = n, .cursor = version);
}

void store_mend(struct store *st, const struct mending *m, store_mend_fn done, void *ctx)
{
	ISSUE(MEND, done, ctx, .in.mending = m);
}
