/* admin.c - selects messages for an administrator, and reads the rows of one message. */
#include "finding.h"

#include "posthouse/clock.h"

#define ROWS_MAX  1000
#define NAMED_MAX 200 /* messages with one Message-ID */

struct verdict stored_verdict(struct arena *a, struct db_rows *q, int class_column)
{
	uint64_t class = db_u64(q, class_column);

	return (struct verdict){ .class = class <= PERM ? (enum verdict_class) class : TEMP, /* others are damage */
				 .code = (uint16_t)db_u64(q, class_column + 1),
				 .enhanced = db_keep(a, q, class_column + 2),
				 .text = db_keep(a, q, class_column + 3) };
}

bool selector_takes(const struct selector *s, struct str address)
{
	size_t at = str_rfind(address, '@');

	if (s->recipient.n > 0 && !str_ieq(address, s->recipient))
		return false;
	return s->destination.n == 0 || str_ieq(str_from(address, at + 1), s->destination);
}

struct recipient_row read_recipient_row(struct engine *e, struct arena *a, struct db_rows *q, uint64_t id)
{
	return (struct recipient_row){ .n = db_u64(q, 0),
				       .address = db_keep(a, q, 1),
				       .remote = db_keep(a, q, 2),
				       .route = db_keep(a, q, 3),
				       .state = (enum recipient_state)db_u64(q, 4),
				       .leased = own_node(e) ? db_u64(q, 15) > 0 : lease_has(e, id, db_u64(q, 0)),
				       .due_at = db_u64(q, 5),
				       .attempts = db_u64(q, 6),
				       .last_at = db_u64(q, 7),
				       .verdict = stored_verdict(a, q, 8),
				       .orcpt = db_keep(a, q, 12),
				       .notify = (unsigned)db_u64(q, 13),
				       .via = db_keep(a, q, 14),
				       .node = db_u64(q, 15) };
}

/* Does a row of select_open, select_login or select_ids fit the selector, as far as it is not about recipients? */
static bool row_matches(const struct selector *s, struct db_rows *q, uint64_t now)
{
	uint64_t received_at = db_u64(q, 1);

	if (s->older_than_ms && (received_at > now || now - received_at < s->older_than_ms))
		return false;
	return s->sender.n == 0 || str_ieq(db_str(q, 2), s->sender);
}

/* Keep those of the messages that have an open recipient which matches the selector; returns their number. */
static size_t keep_matching(struct engine *e, const struct selector *s, uint64_t *ids, size_t n)
{
	struct many m = { .e = e,
			  .statement = Q_recipient_matching,
			  .ids = ids,
			  .n = n,
			  .values = { TEXT(s->recipient), TEXT(s->destination) },
			  .values_n = 2 };
	struct db_rows *q;
	size_t kept = 0;

	if (s->recipient.n == 0 && s->destination.n == 0)
		return n;
	while ((q = many_row(&m)))
		if (selector_takes(s, db_str(q, 1)))
			ids[kept++] = db_u64(q, 0); /* there is one row of a message, so this one has been asked already */
	return kept;
}

/* The messages that the selector names by their id or Message-ID. */
static size_t select_named(struct engine *e, const struct selector *s, uint64_t cursor, bool finished_too, struct arena *a,
			   uint64_t *ids)
{
	uint64_t one = s->id, now = clock_now_ms();
	struct many m = { .e = e, .statement = Q_select_ids, .ids = &one, .n = 1 };
	struct db_rows *q;
	size_t n = 0;

	if (s->message_id.n) {
		uint64_t *named;

		m.n = find_message_id(e, s->message_id, a, NAMED_MAX, &named);
		m.ids = named;
	}
	while ((q = many_row(&m))) {
		uint64_t id = db_u64(q, 0);

		if (id > cursor && (s->id == 0 || s->id == id) && row_matches(s, q, now) &&
		    (s->user.n == 0 || str_eq(db_str(q, 3), s->user)) && (finished_too || db_u64(q, 4)))
			ids[n++] = id;
	}
	return keep_matching(e, s, ids, n);
}

/* Look at so many open messages from *cursor on, which is moved. *ended_out: there are no more. */
static size_t select_walk(struct engine *e, const struct selector *s, uint64_t *cursor, size_t look_at, uint64_t *ids,
			  bool *ended_out)
{
	struct db_rows *q = s->user.n ? db_query(&e->db, Q_select_login, INT(*cursor), TEXT(s->user), INT(look_at))
				      : db_query(&e->db, Q_select_open, INT(*cursor), INT(look_at));
	uint64_t now = clock_now_ms();
	size_t seen = 0, n = 0;

	for (; seen < look_at && db_row(&e->db, q); seen++) {
		*cursor = db_u64(q, 0);
		if (row_matches(s, q, now))
			ids[n++] = *cursor;
	}
	db_end(q);
	*ended_out = seen < look_at;
	return keep_matching(e, s, ids, n);
}

size_t select_messages(struct engine *e, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
		       struct arena *a, uint64_t **ids_out, uint64_t *next_out)
{
	uint64_t *ids = ARENA_ARRAY(a, uint64_t, max + 1 + SCAN_MAX);
	bool ended = true;
	size_t n;

	*ids_out = ids;
	*next_out = 0;
	if (s->id || s->message_id.n) {
		n = select_named(e, s, cursor, finished_too, a, ids);
	} else {
		n = select_walk(e, s, &cursor, max + 1, ids, &ended); /* mostly all messages fit: then a page is enough */
		if (n <= max && !ended)
			n += select_walk(e, s, &cursor, SCAN_MAX, ids + n, &ended);
	}
	if (n > max)
		*next_out = max ? ids[max - 1] : cursor; /* the next call continues from here */
	else if (!ended)
		*next_out = cursor;
	return n < max ? n : max;
}

/* "451 4.7.1 text", without the parts that are not known. */
struct str stored_reply(struct arena *a, struct db_rows *q, int code_column)
{
	struct str enhanced = db_str(q, code_column + 1), text = db_str(q, code_column + 2);

	if (db_is_null(q, code_column))
		return S("");
	if (db_u64(q, code_column) == 0)
		return arena_str(a, text);
	return arena_printf(a, "%u%s%.*s %.*s", (unsigned)db_u64(q, code_column), enhanced.n ? " " : "", STR_ARG(enhanced),
			    STR_ARG(text));
}

/* Recipients can be held when their message is not: an administrator named them, or relay died with them three times. */
static struct str held_recipients(struct arena *a, uint64_t n, uint64_t open)
{
	if (n == 0)
		return S("");
	return arena_printf(a, "%llu of %llu open recipients", (unsigned long long)n, (unsigned long long)open);
}

/* A row of Q_message_rows. */
static struct message_row read_message_row(struct arena *a, struct db_rows *q)
{
	struct message_row m = { .id = db_u64(q, 0),
				 .received_at = db_u64(q, 1),
				 .expires_at = db_u64(q, 2),
				 .finished_at = db_u64(q, 3),
				 .size = db_u64(q, 4),
				 .parent = db_u64(q, 5),
				 .kind = (enum message_kind)db_u64(q, 6),
				 .device = db_keep(a, q, 7),
				 .origin = db_keep(a, q, 8),
				 .held = db_keep(a, q, 9),
				 .prefix = db_keep(a, q, 10),
				 .recipients = db_u64(q, 11),
				 .open = db_u64(q, 12),
				 .token = db_u64(q, 13),
				 .warn_at = db_u64(q, 14),
				 .header_size = db_u64(q, 15),
				 .due_at = db_u64(q, 17),
				 .recipient = db_keep(a, q, 18),
				 .reply = stored_reply(a, q, 19),
				 .envelope = stored_envelope(a, q, 22) };

	m.is_held = m.held.n > 0;
	if (!m.is_held)
		m.held = held_recipients(a, db_u64(q, 16), m.open);
	return m;
}

/* The rows of these messages, as far as there are such; returns their number. */
static size_t read_message_rows(struct engine *e, const uint64_t *ids, size_t n, struct arena *a, struct message_row *rows)
{
	struct many m = { .e = e, .statement = Q_message_rows, .ids = ids, .n = n };
	struct db_rows *q;
	size_t rows_n = 0;

	while ((q = many_row(&m)))
		rows[rows_n++] = read_message_row(a, q);
	return rows_n;
}

void run_select(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX;
	struct message_row *rows = ARENA_ARRAY(&r->arena, struct message_row, max + 1);
	uint64_t *ids;
	size_t n = select_messages(e, r->in.selector, r->cursor, max, true, &r->arena, &ids, &r->out.next);

	r->out.n = read_message_rows(e, ids, n, &r->arena, rows);
	r->out.rows = rows;
}

void run_show(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX, n = 0;
	struct message_row *m = ARENA_NEW(&r->arena, struct message_row);
	struct recipient_row *rows = ARENA_ARRAY(&r->arena, struct recipient_row, max + 1);
	struct arena *a = &r->arena;
	struct db_rows *q;

	if (read_message_rows(e, &r->id, 1, a, m) == 0) {
		r->verdict = store_unknown;
		return;
	}
	q = db_query(&e->db, Q_recipient_rows, INT(r->id), INT(r->cursor));
	while (db_row(&e->db, q)) {
		if (n == max) {
			r->out.next = n ? rows[n - 1].n : 0;
			db_end(q);
			break;
		}
		rows[n++] = read_recipient_row(e, a, q, r->id);
	}
	r->out.message = m;
	r->out.rows = rows;
	r->out.n = n;
}
