/* admin_history.c - what became of mail, for the console: find and trace. */
#include "admin.h"

#include "posthouse/clock.h"

#define EMPTY_PAGES_MS 200 /* as long an answer waits for the first row that is found */

/* ---- find ---- */

static void look(struct admin_call *c);

static struct rec_found_row found_row(const struct found_recipient *f)
{
	const struct recipient_row *r = &f->recipient;
	struct verdict last = r->verdict;

	last.text = admin_cut(last.text);
	return (struct rec_found_row){ .id = f->id,
				       .received_at = f->received_at,
				       .kind = f->kind,
				       .size = f->size,
				       .login = admin_cut(f->login),
				       .device = admin_cut(f->device),
				       .sender = admin_cut(f->sender),
				       .subject = admin_cut(f->subject),
				       .message_id = admin_cut(f->message_id),
				       .held = admin_cut(f->held),
				       .n = r->n,
				       .recipient = admin_cut(r->address),
				       .state = r->state,
				       .due_at = r->due_at,
				       .attempts = r->attempts,
				       .last_at = r->last_at,
				       .verdict = last,
				       .meaning = f->meaning,
				       .remote = admin_cut(r->remote),
				       .route = admin_cut(r->route),
				       .tls = admin_cut(f->tls),
				       .origin = admin_cut(f->origin),
				       .node = r->node };
}

static size_t row_bytes(const struct rec_found_row *r)
{
	return 192 + r->login.n + r->device.n + r->sender.n + r->subject.n + r->message_id.n + r->held.n + r->recipient.n +
	       r->verdict.enhanced.n + r->verdict.text.n + r->remote.n + r->route.n + r->tls.n + r->origin.n;
}

static void on_found(void *ctx, struct verdict v, const struct found_recipient *rows, size_t n, const struct find_place *next)
{
	struct admin_call *c = ctx;
	struct msg_found answer = { .call = c->call, .verdict = v };
	struct rec_found_row *list = ARENA_ARRAY(&c->arena, struct rec_found_row, n + 1);
	size_t bytes = 0;

	for (size_t i = 0; v.class == OK && i < n; i++) {
		list[i] = found_row(&rows[i]);
		bytes += row_bytes(&list[i]);
	}
	if (admin_too_large(c, bytes, n)) {
		look(c);
		return;
	}
	if (v.class == OK && n == 0 && next->phase && queue_may_store(c->queue) &&
	    clock_mono_ms() < c->began_ms + EMPTY_PAGES_MS) {
		c->place = *next;
		look(c);
		return;
	}
	if (v.class == OK) {
		answer.rows.at = list;
		answer.rows.n = n;
		answer.phase = next->phase;
		answer.at = next->at;
		answer.position = next->position;
		answer.n = next->n;
	}
	ipc_send_found(c->channel, &answer, -1);
	admin_end(c);
}

static void look(struct admin_call *c)
{
	store_find(c->queue->store, &c->find, &c->place, c->max, on_found, c);
}

void handle_find(void *ctx, struct channel *ch, const struct msg_find *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);
	struct arena *a = &c->arena;

	c->find = (struct find){ .user = arena_str(a, m->user),
				 .message_id = arena_str(a, m->message_id),
				 .sender = arena_str(a, m->sender),
				 .recipient = arena_str(a, m->recipient),
				 .subject = arena_str(a, m->subject),
				 .since = m->since,
				 .until = m->until,
				 .states = (unsigned)m->states };
	c->place = (struct find_place){ m->phase, m->at, m->position, m->n };
	c->began_ms = clock_mono_ms();
	if (m->max > 0 && m->max < c->max)
		c->max = (size_t)m->max;
	if (c->refusal.class == OK)
		look(c);
	else
		on_found(c, c->refusal, NULL, 0, &c->place);
}

/* ---- trace ---- */

static void on_trace(void *ctx, struct verdict v, const struct event_row *rows, size_t n, struct str transcript,
		     uint64_t next_cursor)
{
	struct admin_call *c = ctx;
	struct msg_traced answer = {
		.call = c->call, .verdict = v, .cursor = next_cursor, .transcript = str_head(transcript, 16 * 1024)
	};
	struct rec_event_row *list = ARENA_ARRAY(&c->arena, struct rec_event_row, n + 1);
	size_t bytes = 0;

	for (size_t i = 0; v.class == OK && i < n; i++) {
		list[i] = (struct rec_event_row){
			.at = rows[i].at,
			.n = rows[i].n,
			.name = admin_cut(rows[i].name),
			.fields = str_head(rows[i].fields, 16 * 1024),
		};
		bytes += 64 + list[i].name.n + list[i].fields.n;
	}
	if (admin_too_large(c, bytes, n)) {
		store_trace(c->queue->store, c->id, c->cursor, c->max, on_trace, c);
		return;
	}
	answer.rows.at = list;
	answer.rows.n = v.class == OK ? n : 0;
	ipc_send_traced(c->channel, &answer, -1);
	admin_end(c);
}

void handle_trace(void *ctx, struct channel *ch, const struct msg_trace *m, int fd)
{
	struct admin_call *c = admin_begin(ctx, ch, m->call);

	c->id = m->id;
	c->cursor = m->cursor;
	if (c->refusal.class == OK)
		store_trace(c->queue->store, c->id, c->cursor, c->max, on_trace, c);
	else
		on_trace(c, c->refusal, NULL, 0, S(""), 0);
}
