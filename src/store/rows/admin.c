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

/* Does the message have an open recipient that matches the selector? */
static bool recipient_matches(struct engine *e, uint64_t id, const struct selector *s)
{
	struct db_rows *q;

	if (s->recipient.n == 0 && s->destination.n == 0)
		return true;
	q = db_query(&e->db, Q_open_addresses, INT(id));
	while (db_row(&e->db, q)) {
		if (selector_takes(s, db_str(q, 0))) {
			db_end(q);
			return true;
		}
	}
	return false;
}

struct recipient_row read_recipient_row(struct engine *e, struct arena *a, struct db_rows *q, uint64_t id)
{
	return (struct recipient_row){ .n = db_u64(q, 0),
				       .address = db_keep(a, q, 1),
				       .remote = db_keep(a, q, 2),
				       .route = db_keep(a, q, 3),
				       .state = (enum recipient_state)db_u64(q, 4),
				       .leased = lease_has(e, id, db_u64(q, 0)),
				       .due_at = db_u64(q, 5),
				       .attempts = db_u64(q, 6),
				       .last_at = db_u64(q, 7),
				       .verdict = stored_verdict(a, q, 8),
				       .orcpt = db_keep(a, q, 12),
				       .notify = (unsigned)db_u64(q, 13),
				       .via = db_keep(a, q, 14),
				       .node = db_u64(q, 15) };
}

/* Does a row of select_open, select_login or select_id fit the selector? */
static bool row_matches(struct engine *e, const struct selector *s, struct db_rows *q, uint64_t now)
{
	uint64_t received_at = db_u64(q, 1);

	if (s->older_than_ms && (received_at > now || now - received_at < s->older_than_ms))
		return false;
	if (s->sender.n && !str_ieq(db_str(q, 2), s->sender))
		return false;
	return recipient_matches(e, db_u64(q, 0), s);
}

/* Does the message that the selector names match the rest of the selector? */
static bool select_one(struct engine *e, const struct selector *s, uint64_t id, bool finished_too, uint64_t now)
{
	struct db_rows *q = db_query(&e->db, Q_select_id, INT(id));
	bool fits;

	if (!db_row(&e->db, q))
		return false;
	fits = row_matches(e, s, q, now) && (s->user.n == 0 || str_eq(db_str(q, 3), s->user));
	db_end(q);
	if (!fits || finished_too)
		return fits;
	return db_exists(&e->db, db_query(&e->db, Q_message_open, INT(id)));
}

/* The messages that the selector names by their id or Message-ID. */
static size_t select_named(struct engine *e, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
			   struct arena *a, uint64_t *ids, uint64_t *next_out)
{
	uint64_t one = s->id, *named = &one, now = clock_now_ms();
	size_t named_n = 1, n = 0;

	if (s->message_id.n)
		named_n = find_message_id(e, s->message_id, a, NAMED_MAX, &named);
	for (size_t i = 0; i < named_n; i++) {
		if (cursor >= named[i] || (s->id && s->id != named[i]) || !select_one(e, s, named[i], finished_too, now))
			continue;
		if (n == max) {
			*next_out = n ? ids[n - 1] : cursor;
			break;
		}
		ids[n++] = named[i];
	}
	return n;
}

size_t select_messages(struct engine *e, const struct selector *s, uint64_t cursor, size_t max, bool finished_too,
		       struct arena *a, uint64_t **ids_out, uint64_t *next_out)
{
	uint64_t *ids = ARENA_ARRAY(a, uint64_t, max + 1), now = clock_now_ms();
	size_t n = 0, seen = 0;
	struct db_rows *q;
	bool more = true;

	*ids_out = ids;
	*next_out = 0;
	if (s->id || s->message_id.n)
		return select_named(e, s, cursor, max, finished_too, a, ids, next_out);
	/* Mostly all messages fit: then a page is enough. */
	for (size_t asked = max + 1; more; asked = SCAN_MAX + 1) {
		size_t rows_n = 0;

		q = s->user.n ? db_query(&e->db, Q_select_login, INT(cursor), TEXT(s->user), INT(asked))
			      : db_query(&e->db, Q_select_open, INT(cursor), INT(asked));
		for (; db_row(&e->db, q); rows_n++) {
			if (n == max || seen++ == SCAN_MAX) { /* the next call continues from here */
				*next_out = cursor;
				db_end(q);
				break;
			}
			cursor = db_u64(q, 0);
			if (row_matches(e, s, q, now))
				ids[n++] = cursor;
		}
		more = rows_n == asked && *next_out == 0;
	}
	return n;
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
static struct str held_recipients(struct engine *e, uint64_t id, struct arena *a, uint64_t open)
{
	uint64_t n = db_number(&e->db, db_query(&e->db, Q_message_held_count, INT(id)));

	if (n == 0)
		return S("");
	return arena_printf(a, "%llu of %llu open recipients", (unsigned long long)n, (unsigned long long)open);
}

/* The row of one message; false when there is none. */
static bool read_message_row(struct engine *e, uint64_t id, struct arena *a, struct message_row *m)
{
	struct db_rows *q = db_query(&e->db, Q_message_row, INT(id));

	if (!db_row(&e->db, q))
		return false;
	*m = (struct message_row){ .id = id,
				   .received_at = db_u64(q, 0),
				   .expires_at = db_u64(q, 1),
				   .finished_at = db_u64(q, 2),
				   .size = db_u64(q, 3),
				   .parent = db_u64(q, 4),
				   .kind = (enum message_kind)db_u64(q, 5),
				   .device = db_keep(a, q, 6),
				   .origin = db_keep(a, q, 7),
				   .held = db_keep(a, q, 8),
				   .prefix = db_keep(a, q, 9),
				   .recipients = db_u64(q, 10),
				   .open = db_u64(q, 11),
				   .token = db_u64(q, 12),
				   .warn_at = db_u64(q, 13),
				   .header_size = db_u64(q, 14),
				   .envelope = stored_envelope(a, q, 15) };
	db_end(q);
	m->is_held = m->held.n > 0;
	if (m->open == 0)
		return true;
	if (m->held.n == 0)
		m->held = held_recipients(e, id, a, m->open);
	m->due_at = db_number(&e->db, db_query(&e->db, Q_message_due, INT(id)));
	q = db_query(&e->db, Q_message_first_open, INT(id));
	if (db_row(&e->db, q)) {
		m->recipient = db_keep(a, q, 0);
		m->reply = stored_reply(a, q, 1);
		db_end(q);
	}
	return true;
}

void run_select(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX;
	struct message_row *rows = ARENA_ARRAY(&r->arena, struct message_row, max + 1);
	uint64_t *ids;
	size_t n = select_messages(e, r->in.selector, r->cursor, max, true, &r->arena, &ids, &r->out.next), rows_n = 0;

	for (size_t i = 0; i < n; i++)
		rows_n += read_message_row(e, ids[i], &r->arena, &rows[rows_n]);
	r->out.rows = rows;
	r->out.n = rows_n;
}

void run_show(struct engine *e, struct request *r)
{
	size_t max = r->max < ROWS_MAX ? r->max : ROWS_MAX, n = 0;
	struct message_row *m = ARENA_NEW(&r->arena, struct message_row);
	struct recipient_row *rows = ARENA_ARRAY(&r->arena, struct recipient_row, max + 1);
	struct arena *a = &r->arena;
	struct db_rows *q;

	if (!read_message_row(e, r->id, a, m)) {
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
