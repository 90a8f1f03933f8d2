/* accept.c - stores a message with its recipients, lanes, charges and first event: all or nothing; a repetition is OK. */
#include "rows.h"

/* Was this id stored before? Then *v_out is the answer: OK for the same token. */
static bool stored_before(struct engine *e, const struct accepted *m, struct verdict *v_out)
{
	uint64_t token;

	if (!db_numbers(&e->db, db_query(&e->db, Q_message_token, INT(m->id)), &token))
		return false;
	*v_out = token == m->token ? ok_text(250, S("2.0.0"), S("stored before"))
				   : perm(554, S("5.3.0"), S("this queue id belongs to another message"));
	return true;
}

/* Can the message be stored at all? Another process made it: a fault there must not end this process. */
static struct verdict well_formed(const struct accepted *m)
{
	if (m->id == 0 || m->id > INT64_MAX)
		return perm(554, S("5.3.0"), S("not a queue id"));
	if (m->recipients_n == 0)
		return perm(554, S("5.1.0"), S("a message without recipients"));
	if (m->envelope.priority > PRIORITY_MAX)
		return perm(554, S("5.3.0"), S("not a priority"));
	if (m->place == PLACE_ROW ? m->text.n != m->size : m->place != PLACE_FILE)
		return perm(554, S("5.3.0"), S("the text has not the announced size"));
	return ok();
}

/* Must the client keep the message for now? */
static struct verdict refuse_full(struct engine *e)
{
	if (e->host->space.full)
		return store_full;
	if (counted(e->counters.open_messages) >= e->host->max_messages)
		return temp(452, S("4.3.1"), S("too many messages are queued, try again later"));
	return ok();
}

/* The row of the message; false when the id is there already, or after an error. */
static bool add_message(struct engine *e, const struct accepted *m)
{
	const struct db_value held = m->held.n ? TEXT(m->held) : (struct db_value){ .kind = DB_NULL };

#define FIELD(type, name, stored, seen, most) , stored(m->envelope.name)
	return db_run(&e->db, Q_message_add, INT(m->id), INT(m->token), INT(m->kind), INT(m->parent), INT(m->received_at),
		      INT(m->expires_at), INT(m->warn_at), TEXT(m->device), TEXT(m->origin), BLOB(m->prefix), INT(m->size),
		      INT(m->header_size), INT(m->place), INT(m->recipients_n), held ENVELOPE_FIELDS(FIELD)) &&
	       db_changes(&e->db) == 1;
#undef FIELD
}

/* Add the recipients, numbered from 1, due at once or at the time of release. Held recipients get their lane on release. */
static void add_recipients(struct engine *e, const struct accepted *m)
{
	uint64_t lane = 0, due_at = m->envelope.release_at > m->received_at ? m->envelope.release_at : m->received_at;
	struct lane_key key = { .login = m->envelope.login,
				.priority = m->envelope.priority,
				.wish = tls_wish_of(m->envelope.options, m->envelope.sender) };
	struct str domain = S(""), previous = S("\n");

	for (size_t i = 0; i < m->recipients_n; i++) {
		const struct new_recipient *r = &m->recipients[i];
		bool held = r->held || m->held.n > 0;

		domain = str_from(r->address, str_rfind(r->address, '@'));
		if (!held && (lane == 0 || domain.n == 0 || !str_ieq(domain, previous) || !str_eq(r->via, key.via))) {
			key.via = r->via;
			lane = lane_for(e, r->address, &key, due_at); /* lists are often sorted by domain */
			previous = domain;
		}
		db_run(&e->db, Q_recipient_add, INT(m->id), INT(i + 1), TEXT(r->address), TEXT(r->orcpt), INT(r->notify),
		       INT(held ? 0 : lane), INT(held ? RCPT_HELD : RCPT_WAITING), INT(held ? 0 : due_at), TEXT(r->via));
		count_state(e, 0, held ? RCPT_HELD : RCPT_WAITING);
	}
}

/* All that is refused before anything is written: false, with the answer. */
static bool may_be_stored(struct engine *e, const struct accepted *m, struct request *r, struct verdict *v_out)
{
	bool judged = r && charges_are_judged(e, m);

	*v_out = r ? refuse_full(e) : ok();
	/* In the common case a failed insert shows that the id exists. */
	if ((v_out->class != OK || m->place == PLACE_FILE || judged) && stored_before(e, m, v_out))
		return false;
	if (v_out->class == OK && judged && !charges_fit(e, m, r)) {
		*v_out = store_over;
		e->counters.over++;
	}
	if (v_out->class == OK && m->place == PLACE_FILE)
		*v_out = large_check(e, m);
	return v_out->class == OK;
}

struct verdict accept_message(struct engine *e, const struct accepted *m, struct request *r)
{
	struct verdict v = well_formed(m);

	if (v.class != OK || !may_be_stored(e, m, r, &v))
		return v;
	message_room(e, m->id);
	if (!add_message(e, m)) {
		stored_before(e, m, &v);
		return v;
	}
	if (m->place == PLACE_ROW)
		db_run(&e->db, Q_text_add, INT(m->id), BLOB(m->text));
	else
		large_keep(e, m->id);
	add_recipients(e, m);
	put_buckets(e, m->charges, m->charges_n, r);
	if (m->remember)
		remember_recipients(e, m);
	add_event(e, m->id, 0, m->received_at, S("mail.accepted"), m->event);
	if (m->held.n)
		add_event(e, m->id, 0, m->received_at, S("mail.held"), reason_field(&e->host->arena, m->held));
	search_add(e, m->id);
	e->counters.open_messages++;
	e->counters.accepted++;
	return v;
}

void run_accept(struct engine *e, struct request *r)
{
	r->verdict = accept_message(e, r->in.accepted, r);
}
