/* due_page.c - the messages whose recipients are leased, with what a delivery has to know of them. */
#include "rows.h"

struct due_message *due_page_add(struct due_page *p, uint64_t id)
{
	ARENA_GROW(&p->r->arena, p->at, p->n, p->capacity);
	p->at[p->n] = (struct due_message){ .id = id };
	return &p->at[p->n++];
}

void due_recipient(struct arena *a, struct due_message *m, size_t *capacity, struct db_rows *q, int column)
{
	ARENA_GROW(a, m->recipients, m->recipients_n, *capacity);
	m->recipients[m->recipients_n++] = (struct due_recipient){ .n = db_u64(q, column),
								   .address = db_keep(a, q, column + 1),
								   .orcpt = db_keep(a, q, column + 2),
								   .notify = (unsigned)db_u64(q, column + 3),
								   .via = db_keep(a, q, column + 7),
								   .attempts = db_u64(q, column + 4),
								   .deaths = db_u64(q, column + 5) };
}

void due_envelope(struct arena *a, struct due_message *m, struct db_rows *q, int column)
{
	m->kind = (enum message_kind)db_u64(q, column);
	m->received_at = db_u64(q, column + 1);
	m->expires_at = db_u64(q, column + 2);
	m->prefix = db_keep(a, q, column + 3);
	m->size = db_u64(q, column + 4);
	m->place = (enum message_place)db_u64(q, column + 5);
	m->header_size = db_u64(q, column + 6);
	m->others_open = db_u64(q, column + 7) - m->recipients_n; /* all of these are open */
	m->envelope = stored_envelope(a, q, column + 8);
}

void due_page_envelope(struct due_page *p, struct due_message *m, bool with_text)
{
	struct arena *a = &p->r->arena;
	struct db_rows *q = db_query(&p->e->db, Q_envelope, INT(m->id));

	if (!db_row(&p->e->db, q))
		return;
	due_envelope(a, m, q, 0);
	db_end(q);
	if (with_text && m->place == PLACE_ROW)
		m->text = text_read(p->e, a, m->id);
}
