/* settle.c - stores the results of deliveries, and closes messages whose last recipient is final and reported. */
#include "rows.h"

/* False: the message is finished, or was never there. */
static bool read_message(struct engine *e, uint64_t id, struct open_message *was_out)
{
	struct db_rows *q;

	if (message_known(e, id, was_out))
		return was_out->open > 0;
	q = db_query(&e->db, Q_message_open, INT(id));
	if (!db_row(&e->db, q))
		return false;
	*was_out = (struct open_message){ db_u64(q, 0), db_u64(q, 1), !db_is_null(q, 2) };
	db_end(q);
	return true;
}

void message_reduce_open(struct engine *e, uint64_t id, uint64_t closed_n, uint64_t at)
{
	struct open_message was;

	if (!read_message(e, id, &was))
		return;
	if (closed_n < was.open) {
		db_run(&e->db, Q_message_reduce, INT(id), INT(closed_n));
		return;
	}
	db_run(&e->db, Q_message_finish, INT(id), INT(at));
	if (was.place == PLACE_ROW)
		db_run(&e->db, Q_text_drop, INT(id));
	if (was.place == PLACE_FILE)
		large_drop(e, id);
	e->counters.open_messages--;
}

/* Is the message held? Then a recipient whose delivery must be tried again is held too. */
static bool is_held(struct engine *e, uint64_t id)
{
	struct open_message was;

	return read_message(e, id, &was) && was.held;
}

/* End the lease, and see what the recipient was; false when there is none. */
static bool begin_result(struct engine *e, const struct outcome *o, struct result *was_out)
{
	if (result_known(e, o, was_out))
		return true;
	was_out->counts = lease_end(e, o);
	return recipient_read(e, o->id, o->n, was_out);
}

/* The state after this result, which also depends on what an administrator has done since the delivery began. */
static enum recipient_state next_state(struct engine *e, const struct outcome *o, unsigned state, enum removing removing)
{
	if (o->state == RCPT_DELIVERED || o->state == RCPT_RELAYED)
		return o->state;
	if (removing == REMOVING_REMOVED)
		return RCPT_REMOVED;
	if (removing == REMOVING_BOUNCED)
		return RCPT_FAILED;
	if (o->state == RCPT_WAITING && (state == RCPT_HELD || is_held(e, o->id)))
		return RCPT_HELD;
	return o->state;
}

/* The values of SETTLED_COLUMNS. */
#define SETTLED(o, next)                                                                                                         \
	INT((o)->id), INT((o)->n), INT(next), INT((o)->due_at), INT((o)->attempted), INT((o)->died), TEXT((o)->route),           \
		INT((o)->at)

/* Store the new state, the last reply, the transcript and the event of an outcome. */
static void record(struct engine *e, const struct outcome *o, enum recipient_state next)
{
	const struct verdict *v = &o->verdict;
	bool bounced = next == RCPT_FAILED && o->state != RCPT_FAILED; /* the last reply is the administrator's */

	if (!bounced && (v->class != OK || v->code != 0)) /* one statement for the row, which is the work */
		db_run(&e->db, Q_recipient_settle_reply, SETTLED(o, next), INT(v->class), INT(v->code), TEXT(v->enhanced),
		       TEXT(v->text), TEXT(o->remote), INT(o->meaning), TEXT(o->tls));
	else
		db_run(&e->db, Q_recipient_settle, SETTLED(o, next));
	if (o->transcript.n)
		db_run(&e->db, Q_transcript_put, INT(o->id), INT(o->n), INT(o->at),
		       TEXT(str_head(o->transcript, TRANSCRIPT_MAX)));
	if (o->event.n)
		add_event(e, o->id, o->n, o->at, o->event, o->event_fields);
}

/* Settle one recipient; true when the recipient is closed by this. *lane_out: its lane, which must be refreshed; 0: none. */
static bool settle_one(struct engine *e, const struct outcome *o, uint64_t *lane_out)
{
	enum recipient_state next;
	enum removing removing;
	struct result was;

	*lane_out = 0;
	if (!begin_result(e, o, &was))
		return false;
	removing = (enum removing)was.removing;
	*lane_out = was.lane;
	if (was.state != RCPT_WAITING && was.state != RCPT_HELD)
		return false;
	if (!was.counts && (was.last_at == o->at || has_event(e, o->id, o->n, o->at, S("delivery.late"), o->event_fields)))
		return false; /* this result was stored before, and the answer was lost */
	if (!was.counts) {
		e->counters.late++;
		store_note(e->host->store, LOG_INFO, "delivery.late", o->id, "the result changes nothing");
		add_event(e, o->id, o->n, o->at, S("delivery.late"), o->event_fields);
		return false;
	}
	next = next_state(e, o, was.state, removing);
	record(e, o, next);
	if ((next == RCPT_REMOVED || next == RCPT_FAILED) && o->state != next)
		add_event(e, o->id, o->n, o->at, removing_event(removing), S("when=\"after the delivery that was in flight\""));
	count_state(e, was.state, next);
	if (next == RCPT_WAITING)
		lane_note_due(e, *lane_out, o->due_at);
	e->counters.settled++;
	if (!o->report_success || (next != RCPT_DELIVERED && next != RCPT_RELAYED))
		return state_is_final(next);
	db_run(&e->db, Q_recipient_tell, INT(o->id), INT(o->n)); /* store_report closes it */
	return false;
}

void run_settle(struct engine *e, struct request *r)
{
	const struct outcome *o = r->in.outcomes;
	uint64_t *lanes = ARENA_ARRAY(&e->host->arena, uint64_t, r->max + 1);
	size_t lanes_n = 0;
	uint64_t closed_n = 0;

	for (size_t i = 0; i < r->max; i++) {
		uint64_t lane;

		closed_n += settle_one(e, &o[i], &lane);
		lanes_note(lanes, &lanes_n, lane);
		if (closed_n && (i + 1 == r->max || o[i + 1].id != o[i].id)) {
			message_reduce_open(e, o[i].id, closed_n, o[i].at);
			closed_n = 0;
		}
	}
	for (size_t i = 0; i < lanes_n; i++)
		lane_settled(e, lanes[i]);
	e->tx_settles = true;
}
