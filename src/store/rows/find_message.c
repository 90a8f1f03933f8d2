/* find_message.c - the recipients of one message that fit what is looked for. */
#include "finding.h"

/* The columns of Q_find_message, which are views until the row ends. */
static bool read_message(struct finding *f, uint64_t id, struct found_recipient *found)
{
	struct db_rows *q = db_query(&f->e->db, Q_find_message, INT(id));
	struct envelope e = { 0 };
	bool fits;

	f->budget -= 2;
	if (!db_row(&f->e->db, q))
		return false;
	e.login = db_str(q, 3);
	e.sender = db_str(q, 5);
	e.subject = db_str(q, 6);
	e.message_id = db_str(q, 7);
	fits = message_fits(&f->m, &f->scratch, &e, db_u64(q, 0));
	if (fits)
		*found = (struct found_recipient){ .id = id,
						   .received_at = db_u64(q, 0),
						   .size = db_u64(q, 1),
						   .kind = (enum message_kind)db_u64(q, 2),
						   .login = arena_str(f->arena, e.login),
						   .device = db_keep(f->arena, q, 4),
						   .sender = arena_str(f->arena, e.sender),
						   .subject = arena_str(f->arena, e.subject),
						   .message_id = arena_str(f->arena, e.message_id),
						   .held = db_keep(f->arena, q, 8),
						   .origin = db_keep(f->arena, q, 9) };
	db_end(q);
	return fits;
}

static bool state_fits(const struct finding *f, uint64_t state)
{
	unsigned wanted = f->m.find->states;

	return wanted == 0 || (state < 32 && (wanted & 1u << state));
}

bool find_in_message(struct finding *f, uint64_t id)
{
	struct found_recipient found;
	struct db_rows *q;

	arena_reset(&f->scratch);
	if (!read_message(f, id, &found)) {
		f->at.n = 0;
		return true;
	}
	q = db_query(&f->e->db, Q_find_recipients, INT(id), INT(f->at.n));
	while (db_row(&f->e->db, q)) {
		if (f->n == f->max || f->budget <= 0) {
			db_end(q);
			return false;
		}
		f->budget--;
		f->at.n = db_u64(q, 0);
		if (!state_fits(f, db_u64(q, 4)) || !recipient_fits(&f->m, &f->scratch, db_str(q, 1), db_str(q, 12)))
			continue;
		found.recipient = read_recipient_row(f->e, f->arena, q, id);
		found.tls = db_keep(f->arena, q, 16);
		found.meaning = db_u64(q, 17);
		f->rows[f->n++] = found;
	}
	f->at.n = 0;
	return true;
}
