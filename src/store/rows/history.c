/* history.c - reads events and transcripts, forgets old messages, and keeps the state of gates. */
#include "rows.h"

#define ROWS_MAX  1000
#define GATES_MAX 10000

/* The newest transcripts, each below a line with the number of its recipient. */
static struct str read_transcripts(struct engine *e, uint64_t id, struct arena *a)
{
	struct db_rows *q = db_query(&e->db, Q_transcripts, INT(id));
	struct str all = S("");

	while (db_row(&e->db, q)) {
		struct str lines = db_str(q, 1);

		all = arena_printf(a, "%.*s[recipient %u]\n%.*s%s", STR_ARG(all), (unsigned)db_u64(q, 0), STR_ARG(lines),
				   str_ends(lines, S("\n")) ? "" : "\n");
	}
	return all;
}

void run_trace(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX, n = 0;
	struct event_row *rows = ARENA_ARRAY(&r->arena, struct event_row, max + 1);
	struct db_rows *q = db_query(&e->db, Q_event_rows, INT(r->id), INT(r->cursor));
	uint64_t last = r->cursor;

	while (db_row(&e->db, q)) {
		if (n == max) {
			r->out.next = last;
			db_end(q);
			break;
		}
		last = db_u64(q, 0);
		rows[n++] = (struct event_row){ .at = db_u64(q, 1),
						.n = db_u64(q, 2),
						.name = db_keep(&r->arena, q, 3),
						.fields = db_keep(&r->arena, q, 4) };
	}
	if (n == 0 && r->cursor == 0 && max > 0) { /* each message has at least its first event */
		r->verdict = store_unknown;
		return;
	}
	r->out.rows = rows;
	r->out.n = n;
	r->out.text = r->out.next ? S("") : read_transcripts(e, r->id, &r->arena);
}

void run_prune(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX, n = 0;
	uint64_t *ids = ARENA_ARRAY(&e->host->arena, uint64_t, max + 1);
	struct db_rows *q = db_query(&e->db, Q_finished_before, INT(r->cursor), INT(max));

	while (n < max && db_row(&e->db, q))
		ids[n++] = db_u64(q, 0);
	db_end(q);
	for (size_t i = 0; i < n; i++) {
		db_run(&e->db, Q_events_forget, INT(ids[i]));
		db_run(&e->db, Q_transcripts_forget, INT(ids[i]));
		db_run(&e->db, Q_recipients_forget, INT(ids[i]));
		db_run(&e->db, Q_message_forget, INT(ids[i]));
	}
	search_forget(e, ids, n);
	history_prune(e, r->cursor);
	r->out.count = rate_store_prune(e, r->cursor, max);
	if (n > r->out.count)
		r->out.count = n;
}

void run_gate_put(struct engine *e, struct request *r)
{
	const struct gate_state *g = r->in.gate;

	/* No row for a domain without failures, or for a sender whose pause at a next hop ("… from …") is over: their number
	 * has no bound. */
	if (g->failures == 0 && (str_starts(g->name, S("mx:")) || str_find(g->name, ' ') < g->name.n)) {
		db_run(&e->db, Q_gate_forget, TEXT(g->name));
		return;
	}
	db_run(&e->db, Q_gate_put, TEXT(g->name), INT(g->down_until), INT(g->failures), TEXT(g->reason), INT(g->last_ok_at),
	       INT(g->pause_ms), INT(g->told));
}

void run_gate_claim(struct engine *e, struct request *r)
{
	const struct gate_state *g = r->in.gate;

	db_run(&e->db, Q_gate_claim, TEXT(g->name), INT(r->cursor), INT(g->down_until), INT(g->pause_ms));
	r->out.count = db_changes(&e->db);
}

void run_gates(struct engine *e, struct request *r)
{
	struct gate_state *gates = NULL;
	size_t n = 0, capacity = 0;
	struct db_rows *q = db_query(&e->db, Q_gates);

	while (n < GATES_MAX && db_row(&e->db, q)) {
		ARENA_GROW(&r->arena, gates, n, capacity);
		gates[n++] = (struct gate_state){ .name = db_keep(&r->arena, q, 0),
						  .down_until = db_u64(q, 1),
						  .failures = db_u64(q, 2),
						  .reason = db_keep(&r->arena, q, 3),
						  .last_ok_at = db_u64(q, 4),
						  .pause_ms = db_u64(q, 5),
						  .told = db_u64(q, 6) };
	}
	db_end(q);
	r->out.rows = gates;
	r->out.n = n;
}
