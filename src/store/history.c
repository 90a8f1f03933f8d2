/* history.c - events and transcripts, the end of their keeping, and what the queue remembers of gates. */
#include "writer.h"

#define ROWS_MAX  1000
#define GATES_MAX 10000

/* The newest transcripts one after another, each under a line with its recipient's number. */
static struct str read_transcripts(struct writer *w, uint64_t id, struct arena *a)
{
	sqlite3_stmt *q = db_query(&w->db, Q_transcripts, INT(id));
	struct str all = S("");

	while (db_row(&w->db, q)) {
		struct str lines = db_str(q, 1);

		all = arena_printf(a, "%.*s[recipient %u]\n%.*s%s", STR_ARG(all), (unsigned)db_u64(q, 0), STR_ARG(lines),
				   str_ends(lines, S("\n")) ? "" : "\n");
	}
	return all;
}

void run_trace(struct writer *w, struct op *op)
{
	size_t max = op->max < ROWS_MAX ? op->max : ROWS_MAX, n = 0;
	struct event_row *rows = ARENA_ARRAY(&op->arena, struct event_row, max + 1);
	sqlite3_stmt *q = db_query(&w->db, Q_event_rows, INT(op->id), INT(op->cursor));
	uint64_t last = op->cursor;

	while (db_row(&w->db, q)) {
		if (n == max) {
			op->out.next = last;
			db_end(q);
			break;
		}
		last = db_u64(q, 0);
		rows[n++] = (struct event_row){ .at = db_u64(q, 1),
						.n = db_u64(q, 2),
						.name = db_keep(&op->arena, q, 3),
						.fields = db_keep(&op->arena, q, 4) };
	}
	if (n == 0 && op->cursor == 0 && max > 0) { /* each message has at least its first event */
		op->verdict = store_unknown;
		return;
	}
	op->out.rows = rows;
	op->out.n = n;
	op->out.text = op->out.next ? S("") : read_transcripts(w, op->id, &op->arena);
}

void run_prune(struct writer *w, struct op *op)
{
	size_t max = op->max < ROWS_MAX ? op->max : ROWS_MAX, n = 0;
	uint64_t *ids = ARENA_ARRAY(&w->arena, uint64_t, max + 1);
	sqlite3_stmt *q = db_query(&w->db, Q_finished_before, INT(op->cursor), INT(max));

	while (n < max && db_row(&w->db, q))
		ids[n++] = db_u64(q, 0);
	db_end(q);
	for (size_t i = 0; i < n; i++) {
		db_run(&w->db, Q_events_forget, INT(ids[i]));
		db_run(&w->db, Q_transcripts_forget, INT(ids[i]));
		db_run(&w->db, Q_recipients_forget, INT(ids[i]));
		db_run(&w->db, Q_message_forget, INT(ids[i]));
	}
	op->out.count = prune_ledger(w, op->cursor, max);
	if (n > op->out.count)
		op->out.count = n;
}

void run_gate_put(struct writer *w, struct op *op)
{
	const struct gate_state *g = op->in.gate;

	/* a domain in good health needs no row, nor a sender whose pause at a next hop ("… from …") is over: there may be any number of them */
	if (g->failures == 0 && (str_starts(g->name, S("mx:")) || str_find(g->name, ' ') < g->name.n)) {
		db_run(&w->db, Q_gate_forget, TEXT(g->name));
		return;
	}
	db_run(&w->db, Q_gate_put, TEXT(g->name), INT(g->down_until), INT(g->failures), TEXT(g->reason), INT(g->last_ok_at),
	       INT(g->pause_ms));
}

void run_gates(struct writer *w, struct op *op)
{
	struct gate_state *gates = NULL;
	size_t n = 0, capacity = 0;
	sqlite3_stmt *q = db_query(&w->db, Q_gates);

	while (n < GATES_MAX && db_row(&w->db, q)) {
		if (n == capacity) {
			struct gate_state *more =
				ARENA_ARRAY(&op->arena, struct gate_state, capacity = capacity ? capacity * 2 : 16);

			if (n)
				memcpy(more, gates, n * sizeof(*more));
			gates = more;
		}
		gates[n++] = (struct gate_state){ .name = db_keep(&op->arena, q, 0),
						  .down_until = db_u64(q, 1),
						  .failures = db_u64(q, 2),
						  .reason = db_keep(&op->arena, q, 3),
						  .last_ok_at = db_u64(q, 4),
						  .pause_ms = db_u64(q, 5) };
	}
	db_end(q);
	op->out.rows = gates;
	op->out.n = n;
}
