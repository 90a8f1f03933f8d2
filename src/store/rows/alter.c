/* alter.c - what an administrator can do to mail: retry, remove, hold, release, bounce, reroute. */
#include "rows.h"

#include "posthouse/clock.h"

#define ALTER_MAX 500 /* messages at a time */

/* One recipient that is waiting or held. */
struct candidate {
	uint64_t n, lane;
	unsigned state;
	struct str address, via;
	bool leased;
};

/* What one call does to one message. */
struct alteration {
	struct engine *e;
	uint64_t id, now;
	struct str reason;
	struct str via;      /* of a reroute */
	struct lane_key key; /* of the message's lanes, without `via` */
	uint64_t due_at;     /* of recipients that become due: now, or the time of release (RFC 4865) */
	uint64_t *in_flight;
	uint64_t closed_n;
	bool changed;
	bool done;       /* this call has done it, and its answer was lost */
	bool whole;      /* the operation is for all recipients: the message itself is marked too */
	uint64_t *lanes; /* to be refreshed; room for all candidates */
	size_t lanes_n;
};

/* All rows are read before the first change: a walk over rows that change is not defined. */
static size_t read_candidates(struct engine *e, uint64_t id, const struct selector *only, bool leased_too,
			      struct candidate **rows_out)
{
	struct db_rows *q = db_query(&e->db, Q_recipient_states, INT(id));
	struct candidate *rows = NULL;
	size_t n = 0, capacity = 0;

	while (db_row(&e->db, q)) {
		if (only && !selector_takes(only, db_str(q, 3)))
			continue;
		ARENA_GROW(&e->host->arena, rows, n, capacity);
		rows[n++] = (struct candidate){ .n = db_u64(q, 0),
						.state = (unsigned)db_u64(q, 1),
						.lane = db_u64(q, 2),
						.address = db_keep(&e->host->arena, q, 3),
						.via = db_keep(&e->host->arena, q, 4),
						.leased = !leased_too && lease_has(e, id, db_u64(q, 0)) };
	}
	*rows_out = rows;
	return n;
}

/* Write a recipient's new state, and note its old lane for a refresh. */
static void change(struct alteration *c, const struct candidate *r, enum recipient_state state, uint64_t lane, uint64_t due_at)
{
	db_run(&c->e->db, Q_recipient_alter, INT(c->id), INT(r->n), INT(state), INT(lane), INT(due_at));
	count_state(c->e, r->state, state);
	c->closed_n += state_is_final(state);
	c->changed = true;
	lanes_note(c->lanes, &c->lanes_n, r->lane);
}

/* The lane of a recipient that goes by `via`. */
static uint64_t lane_by(struct alteration *c, const struct candidate *r, struct str via)
{
	c->key.via = via;
	return lane_for(c->e, r->address, &c->key, c->due_at);
}

static void retry(struct alteration *c, const struct candidate *r)
{
	if (r->state != RCPT_WAITING)
		return;
	change(c, r, RCPT_WAITING, r->lane, c->due_at);
	lane_note_due(c->e, r->lane, c->due_at);
}

static void hold(struct alteration *c, const struct candidate *r)
{
	if (r->state == RCPT_WAITING)
		change(c, r, RCPT_HELD, r->lane, 0);
}

static void release(struct alteration *c, const struct candidate *r)
{
	if (r->state == RCPT_HELD) /* its lane can have been deleted */
		change(c, r, RCPT_WAITING, lane_by(c, r, r->via), c->due_at);
}

static void remove_recipient(struct alteration *c, const struct candidate *r)
{
	change(c, r, RCPT_REMOVED, r->lane, 0);
}

/* The reply that the report shows: who has returned the mail, why, and the last answer of a next hop. */
static void note_bounce(struct alteration *c, const struct candidate *r)
{
	struct arena *a = &c->e->host->arena;
	struct db_rows *q = db_query(&c->e->db, Q_recipient_last, INT(c->id), INT(r->n));
	struct str last = S("");

	if (db_row(&c->e->db, q)) {
		last = stored_reply(a, q, 0);
		db_end(q);
	}
	db_run(&c->e->db, Q_recipient_bounce, INT(c->id), INT(r->n), INT(PERM), INT(554), TEXT(S("5.3.0")),
	       TEXT(arena_printf(a, "returned by the administrator%s%.*s%s%.*s", c->reason.n ? ": " : "", STR_ARG(c->reason),
				 last.n ? "; last answer: " : "", STR_ARG(last))));
}

static void bounce(struct alteration *c, const struct candidate *r)
{
	note_bounce(c, r);
	change(c, r, RCPT_FAILED, r->lane, 0);
}

static void reroute(struct alteration *c, const struct candidate *r)
{
	if (str_eq(r->via, c->via))
		return;
	db_run(&c->e->db, Q_recipient_via, INT(c->id), INT(r->n), TEXT(c->via));
	c->changed = true;
	if (r->state == RCPT_WAITING)
		change(c, r, RCPT_WAITING, lane_by(c, r, c->via), c->due_at);
}

/* For each operation: the step for a recipient that is not in flight, and the event. */
static const struct {
	void (*step)(struct alteration *c, const struct candidate *r);
	const char *event;
} operations[] = {
	[ALTER_RETRY] = { retry, "mail.retried" },   [ALTER_REMOVE] = { remove_recipient, "mail.removed" },
	[ALTER_HOLD] = { hold, "mail.held" },        [ALTER_RELEASE] = { release, "mail.released" },
	[ALTER_BOUNCE] = { bounce, "mail.bounced" }, [ALTER_REROUTE] = { reroute, "mail.rerouted" },
};

struct str removing_event(enum removing removing)
{
	return str_of(operations[removing == REMOVING_BOUNCED ? ALTER_BOUNCE : ALTER_REMOVE].event);
}

static bool is_returned(struct alteration *c, const struct candidate *r)
{
	struct result was;

	return recipient_read(c->e, c->id, r->n, &was) && was.removing == REMOVING_BOUNCED;
}

/* A recipient in flight is only counted; one to be removed or returned is marked, so that its result ends it. */
static void pass_by(struct alteration *c, const struct candidate *r, enum alter operation)
{
	*c->in_flight += operation != ALTER_RELEASE;
	if (c->done)
		return;
	if (operation == ALTER_RELEASE)
		release(c, r);
	if (operation == ALTER_REROUTE)
		reroute(c, r);
	if (operation == ALTER_BOUNCE && !is_returned(c, r)) /* that mark has no event */
		note_bounce(c, r);
	if (operation == ALTER_REMOVE || operation == ALTER_BOUNCE)
		db_run(&c->e->db, Q_recipient_removing, INT(c->id), INT(r->n),
		       INT(operation == ALTER_REMOVE ? REMOVING_REMOVED : REMOVING_BOUNCED));
	if (operation == ALTER_HOLD && c->whole)
		c->changed = true; /* the message is held, so recipients that come back are held */
	else if (operation == ALTER_HOLD)
		hold(c, r); /* its result finds it held */
}

/* The message's own mark: why it is held. */
static void mark_message(struct alteration *c, enum alter operation)
{
	if (!c->whole)
		return;
	if (operation == ALTER_HOLD)
		db_run(&c->e->db, Q_message_hold, INT(c->id), TEXT(c->reason.n ? c->reason : S("held")));
	if (operation == ALTER_RELEASE || operation == ALTER_BOUNCE)
		db_run(&c->e->db, Q_message_hold, INT(c->id), (struct db_value){ .kind = DB_NULL });
}

/* Read what names a lane together with the domain, and the time of release. True: the message itself is held. */
static bool read_mark(struct alteration *c)
{
	struct db_rows *q = db_query(&c->e->db, Q_message_mark, INT(c->id));
	bool held;

	c->key.login = S("");
	c->due_at = c->now;
	if (!db_row(&c->e->db, q))
		return false;
	c->key.login = db_keep(&c->e->host->arena, q, 0);
	held = !db_is_null(q, 1);
	c->key.priority = stored_priority(q, 2);
	if (db_u64(q, 3) > c->now)
		c->due_at = db_u64(q, 3);
	c->key.wish = tls_wish_of(db_u64(q, 4), db_str(q, 5));
	db_end(q);
	return held;
}

/* The fields of the event. */
static struct str event_fields(struct alteration *c, enum alter operation)
{
	struct arena *a = &c->e->host->arena;
	struct str reason = reason_field(a, c->reason);

	if (operation != ALTER_REROUTE)
		return reason;
	return arena_printf(a, "via=%.*s%s%.*s", STR_ARG(c->via.n ? c->via : S("default")), reason.n ? " " : "", STR_ARG(reason));
}

/* One message; false when nothing had to be changed. c: with engine, id, now, reason and `via`. only: NULL, or the selector whose
 * recipient and destination say which recipients are meant. `leased_too`: also recipients in flight. */
static bool alter_message(struct alteration c, enum alter operation, const struct selector *only, bool leased_too)
{
	struct engine *e = c.e;
	uint64_t id = c.id;
	struct candidate *rows;
	size_t n = read_candidates(e, id, only, leased_too, &rows);
	struct str event = str_of(operations[operation].event), fields = event_fields(&c, operation);

	c.done = e->host->alone && has_event(e, id, 0, c.now, event, fields);
	c.whole = !only || (only->recipient.n == 0 && only->destination.n == 0);
	/* The message was held while all recipients were in flight, and is released before they come back: only its mark goes. */
	c.changed = read_mark(&c) && operation == ALTER_RELEASE && c.whole;
	c.lanes = ARENA_ARRAY(&e->host->arena, uint64_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].leased)
			pass_by(&c, &rows[i], operation);
		else if (!c.done)
			operations[operation].step(&c, &rows[i]);
	}
	if (c.done)
		return true;
	for (size_t i = 0; i < c.lanes_n; i++)
		lane_refresh(e, c.lanes[i]);
	if (!c.changed)
		return false;
	mark_message(&c, operation);
	add_event(e, id, 0, c.now, event, fields);
	if (c.closed_n)
		message_reduce_open(e, id, c.closed_n, c.now);
	return true;
}

void run_alter(struct engine *e, struct request *r)
{
	uint64_t *ids;
	size_t n;

	if (r->alter < ALTER_RETRY || r->alter > ALTER_REROUTE) {
		r->verdict = perm(501, S("5.5.4"), S("no such operation"));
		return;
	}
	r->at = r->at > 0 ? r->at : clock_now_ms();
	/* A message that is named can have been finished by this very call. */
	n = select_messages(e, r->in.selector, r->cursor, ALTER_MAX, e->host->alone, &r->arena, &ids, &r->out.next);
	for (size_t i = 0; i < n; i++) {
		uint64_t before = r->out.in_flight;
		struct alteration c = {
			.e = e, .id = ids[i], .now = r->at, .reason = r->text, .via = r->via, .in_flight = &r->out.in_flight
		};

		r->out.count += alter_message(c, r->alter, r->in.selector, false);
		if (r->out.in_flight > before)
			ids[r->out.n++] = ids[i]; /* not behind i */
	}
	r->out.rows = ids;
}

bool hold_message(struct engine *e, uint64_t id, struct str reason)
{
	uint64_t in_flight = 0;
	struct alteration c = { .e = e, .id = id, .now = clock_now_ms(), .reason = reason, .in_flight = &in_flight };

	return alter_message(c, ALTER_HOLD, NULL, true);
}
