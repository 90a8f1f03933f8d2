/* find_row.c - does a recipient fit what is looked for? */
#include "finding.h"

enum { TLS = 16, MEANING, RECEIVED_AT = FOUND_MESSAGE + 1, SIZE, KIND, LOGIN, DEVICE, SENDER, SUBJECT, MESSAGE_ID, HELD, ORIGIN };

/* The columns are views until the row ends. */
static void judge_message(struct finding *f, struct db_rows *q)
{
	struct envelope e = { .login = db_str(q, LOGIN),
			      .sender = db_str(q, SENDER),
			      .subject = db_str(q, SUBJECT),
			      .message_id = db_str(q, MESSAGE_ID) };

	f->message = (struct found_recipient){ .id = db_u64(q, FOUND_MESSAGE), .received_at = db_u64(q, RECEIVED_AT) };
	f->message_fits = message_fits(&f->m, &f->scratch, &e, f->message.received_at);
	if (!f->message_fits)
		return;
	f->message.size = db_u64(q, SIZE);
	f->message.kind = (enum message_kind)db_u64(q, KIND);
	f->message.login = arena_str(f->arena, e.login);
	f->message.device = db_keep(f->arena, q, DEVICE);
	f->message.sender = arena_str(f->arena, e.sender);
	f->message.subject = arena_str(f->arena, e.subject);
	f->message.message_id = arena_str(f->arena, e.message_id);
	f->message.held = db_keep(f->arena, q, HELD);
	f->message.origin = db_keep(f->arena, q, ORIGIN);
}

static bool state_fits(const struct finding *f, uint64_t state)
{
	unsigned wanted = f->m.find->states;

	return wanted == 0 || (state < 32 && (wanted & 1u << state));
}

bool find_row(struct finding *f, struct db_rows *q)
{
	struct found_recipient *found = &f->rows[f->n];

	if (f->n == f->max || f->budget <= 0)
		return false;
	f->budget--;
	f->at.n = db_u64(q, 0);
	arena_reset(&f->scratch);
	if (f->message.id != db_u64(q, FOUND_MESSAGE))
		judge_message(f, q);
	if (!f->message_fits || !state_fits(f, db_u64(q, 4)) || !recipient_fits(&f->m, &f->scratch, db_str(q, 1), db_str(q, 12)))
		return true;
	*found = f->message;
	found->recipient = read_recipient_row(f->e, f->arena, q, found->id);
	found->tls = db_keep(f->arena, q, TLS);
	found->meaning = db_u64(q, MEANING);
	f->n++;
	return true;
}
