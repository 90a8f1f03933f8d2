/* text.c - finds and reads the texts of messages: small ones are in a row, large ones in a file (spool.c). */
#include "rows.h"

/* Place and size; false when there is no such message, or after an error. */
static bool find(struct engine *e, uint64_t id, enum message_place *place_out, uint64_t *size_out)
{
	uint64_t place;
	bool found = db_numbers(&e->db, db_query(&e->db, Q_message_place, INT(id)), &place, size_out);

	*place_out = found ? (enum message_place)place : PLACE_NONE;
	return found;
}

bool text_place(struct engine *e, uint64_t id, enum message_place *place_out)
{
	uint64_t size;

	return find(e, id, place_out, &size);
}

bool text_next_large(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out)
{
	return db_numbers(&e->db, db_query(&e->db, Q_large_after, INT(after)), id_out, size_out);
}

struct str text_read(struct engine *e, struct arena *a, uint64_t id)
{
	struct db_rows *q = db_query(&e->db, Q_text_get, INT(id));
	struct str text = db_row(&e->db, q) ? db_keep(a, q, 0) : S("");

	db_end(q);
	return text;
}

/* Does the message have recipients that wait for a delivery and are not held? */
static bool is_waiting(struct engine *e, uint64_t id)
{
	struct db_rows *q = db_query(&e->db, Q_message_due, INT(id));
	bool waiting = db_row(&e->db, q) && !db_is_null(q, 0);

	db_end(q);
	return waiting;
}

/* A delivery needs the file, so the answer is temporary; a report about failures is made without it. */
static struct verdict damaged(bool waiting)
{
	struct str text = S("the message's large file is missing or damaged");

	return waiting ? temp(451, S("4.3.0"), text) : perm(554, S("5.3.0"), text);
}

void run_text(struct engine *e, struct request *r)
{
	enum message_place place;
	uint64_t size;

	if (!find(e, r->id, &place, &size) || place == PLACE_NONE) {
		r->verdict = store_unknown;
		return;
	}
	if (place == PLACE_FILE) {
		if (!large_read(e, r, size))
			r->verdict = damaged(is_waiting(e, r->id));
		return;
	}
	r->out.text = text_read(e, &r->arena, r->id);
}
