/* messages.c - a page of messages: their rows in all tables, and their large texts, in one transaction. */
#include "copy.h"

#include "posthouse/clock.h"
#include "posthouse/hash.h"
#include "posthouse/id.h"

#include <stdlib.h>

enum { MESSAGES_MAX = 200, RECIPIENTS_MAX = 5000, TABLES_N = TABLE_transcript + 1, ID_TRIES = 1000 };

static const uint64_t node_bits = (uint64_t)15 << 17, low_bits = (1 << 17) - 1;

/* The messages of a page in all tables; their ids in the source, and where they are copied to. */
struct batch {
	struct page pages[TABLES_N];
	uint64_t *ids, *new_ids;
	size_t n;
};

/* Columns of message by their names, so that columns.def alone knows the order. */
static size_t column(const char *name)
{
	const struct table *t = table_of(TABLE_message);

	for (size_t i = 0; i < t->columns_n; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return i;
	abort();
}

static uint64_t field(const struct page *messages, size_t row, const char *name)
{
	return page_row(messages, row)[column(name)].u64;
}

/* ---- reading ---- */

/* A page ends where it has recipients enough; one message always fits. */
static void cut(struct page *messages)
{
	uint64_t recipients = 0;
	size_t n = 0;

	while (n < messages->n && (n == 0 || recipients + field(messages, n, "recipients") <= RECIPIENTS_MAX))
		recipients += field(messages, n++, "recipients");
	messages->n = n;
}

static bool read_batch(struct copy *c, struct batch *b)
{
	struct page *messages = &b->pages[TABLE_message];
	bool done;

	for (size_t i = 0; i < TABLES_N; i++)
		b->pages[i] = page_of((enum table_number)i, &c->page);
	done = c->from->ops->read_after(c->from, c->progress.has_after ? c->progress.after : NULL, MESSAGES_MAX, messages);
	cut(messages);
	b->n = messages->n;
	b->ids = ARENA_ARRAY(&c->page, uint64_t, b->n + 1);
	b->new_ids = ARENA_ARRAY(&c->page, uint64_t, b->n + 1);
	for (size_t i = 0; i < b->n; i++)
		b->ids[i] = b->new_ids[i] = page_row(messages, i)->u64;
	for (size_t i = 1; i < TABLES_N && b->n > 0; i++)
		done = done && c->from->ops->read_messages(c->from, b->ids, b->n, &b->pages[i]);
	return done;
}

/* ---- ids that are there already ---- */

static bool has_message(struct copy *c, struct side *s, uint64_t id, bool *has_out, uint64_t *token_out)
{
	struct page p = page_of(TABLE_message, &c->page);
	bool done = s->ops->read_messages(s, &id, 1, &p);

	*has_out = p.n > 0;
	*token_out = p.n > 0 ? field(&p, 0, "token") : 0;
	return done;
}

static bool is_given(const struct batch *b, uint64_t id)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->new_ids[i] == id)
			return true;
	return false;
}

/* An id of the same time, of node 0, which makes none where a database is shared. */
static uint64_t candidate_of(uint64_t id, uint64_t i)
{
	return (id & ~(node_bits | low_bits)) | ((id + i) & low_bits);
}

/* The first one that no message has. */
static bool free_id(struct copy *c, const struct batch *b, uint64_t id, uint64_t *id_out)
{
	uint64_t candidate = 0, token;
	bool has = true, done = true;

	for (uint64_t i = 0; i < ID_TRIES && has && done; i++) {
		candidate = candidate_of(id, i);
		has = is_given(b, candidate);
		if (!has)
			done = has_message(c, c->to, candidate, &has, &token);
		if (done && !has)
			done = has_message(c, c->from, candidate, &has, &token);
	}
	*id_out = candidate;
	return done && (!has || side_fail(c->to, "there is no free id for message %llu", (unsigned long long)id));
}

/* Its history says that the message had another id. */
static void note_renumbered(struct copy *c, struct batch *b, uint64_t id)
{
	struct page *events = &b->pages[TABLE_event];
	char text[ID_TEXT_MAX];
	uint64_t seq = 0;
	struct value *row;

	for (size_t i = 0; i < events->n; i++)
		if (page_row(events, i)[0].u64 == id && page_row(events, i)[1].u64 > seq)
			seq = page_row(events, i)[1].u64;
	row = page_add(events);
	memset(row, 0, events->table->columns_n * sizeof *row);
	row[0].u64 = id;
	row[1].u64 = seq + 1;
	row[3].u64 = clock_now_ms();
	row[4].s = S("mail.renumbered");
	row[5].s = arena_printf(&c->page, "before=%s", id_format(id, text));
}

/* Which messages has the other side already? Those with our token are ours: 0 in new_ids. Others keep their id. */
static bool find_there(struct copy *c, struct batch *b)
{
	struct page there = page_of(TABLE_message, &c->page);
	size_t token = column("token");
	bool done = c->to->ops->read_messages(c->to, b->ids, b->n, &there);

	for (size_t i = 0; i < b->n && done; i++) {
		const struct value *row = page_row(&b->pages[TABLE_message], i), *other = page_find(&there, row);

		if (!other)
			continue;
		if (other[token].u64 == row[token].u64) {
			b->new_ids[i] = 0;
			copy_moved(c, TABLE_message)->there++;
			continue;
		}
		if (!c->renumbers)
			return copy_fail(c, &b->pages[TABLE_message], "an id is another message's there");
		done = free_id(c, b, b->ids[i], &b->new_ids[i]);
		note_renumbered(c, b, b->ids[i]);
		c->t->renumbered++;
	}
	return done;
}

static size_t place_of(const struct batch *b, uint64_t id)
{
	size_t low = 0, high = b->n;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (b->ids[middle] <= id)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* ---- the messages that reports are about ---- */

/* An earlier page has given this message another id, as free_id() does: *id_out; unchanged where there is none. */
static bool find_renumbered(struct copy *c, uint64_t token, uint64_t *id_out)
{
	uint64_t id = *id_out, other;
	bool has = true, done = true;

	for (uint64_t i = 0; i < ID_TRIES && has && done && *id_out == id; i++) {
		uint64_t candidate = candidate_of(id, i);

		done = has_message(c, c->to, candidate, &has, &other);
		if (has && other == token)
			*id_out = candidate;
		else if (done && !has)
			done = has_message(c, c->from, candidate, &has, &other);
	}
	return done;
}

/* here, there: the messages that reports of this page are about. */
static bool give_parent(struct copy *c, const struct batch *b, const struct page *here, const struct page *there,
			uint64_t *parent)
{
	struct value key = { .u64 = *parent };
	const struct value *ours = page_find(here, &key), *other = page_find(there, &key);
	size_t place = place_of(b, *parent), token = column("token");

	if (ours && b->ids[place] == *parent && b->new_ids[place] != 0)
		*parent = b->new_ids[place];
	else if (ours && b->ids[place] != *parent && other && other[token].u64 != ours[token].u64)
		return find_renumbered(c, ours[token].u64, parent);
	return true;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Reports name the messages that they are about by their new ids. */
static bool give_parents(struct copy *c, const struct batch *b)
{
	const struct page *messages = &b->pages[TABLE_message];
	struct page here = page_of(TABLE_message, &c->page), there = here;
	uint64_t *parents = ARENA_ARRAY(&c->page, uint64_t, messages->n + 1);
	size_t n = 0;
	bool done;

	for (size_t i = 0; i < messages->n; i++)
		if (field(messages, i, "parent") != 0)
			parents[n++] = field(messages, i, "parent");
	if (n == 0 || !c->renumbers)
		return true;
	qsort(parents, n, sizeof *parents, compare_ids);
	done = c->from->ops->read_messages(c->from, parents, n, &here) && c->to->ops->read_messages(c->to, parents, n, &there);
	for (size_t i = 0; i < messages->n && done; i++)
		done = give_parent(c, b, &here, &there, &page_row(messages, i)[column("parent")].u64);
	return done;
}

/* Rows of messages that are there leave their pages, and rows without a message; the others get the new ids. */
static void give_ids(struct copy *c, struct batch *b)
{
	for (size_t t = 0; t < TABLES_N; t++) {
		struct page *p = &b->pages[t];
		size_t kept = 0;

		for (size_t i = 0; i < p->n; i++) {
			struct value *row = page_row(p, i);
			size_t place = place_of(b, row->u64);
			uint64_t id = b->ids[place] == row->u64 ? b->new_ids[place] : 0;

			copy_moved(c, (enum table_number)t)->read++;
			row->u64 = id;
			if (id != 0)
				memmove(page_row(p, kept++), row, p->table->columns_n * sizeof *row);
		}
		p->n = kept;
		copy_moved(c, (enum table_number)t)->stored += kept;
	}
}

/* ---- large texts ---- */

/* How many bytes the source has of it. */
static bool measure_text(struct copy *c, uint64_t id, uint64_t *size_out)
{
	struct str piece = S("x");
	bool good = true;

	*size_out = 0;
	for (uint64_t seq = 1; piece.n > 0 && good; seq++) {
		struct arena a = { 0 };

		good = c->from->ops->read_piece(c->from, id, seq, &a, &piece);
		*size_out += piece.n;
		arena_fini(&a);
	}
	return good;
}

/* A piece, which is read again; *more_out: it was not the end. */
static bool copy_piece(struct copy *c, uint64_t from_id, uint64_t to_id, uint64_t seq, bool *more_out)
{
	struct arena a = { 0 };
	struct str piece, again;
	bool good = c->from->ops->read_piece(c->from, from_id, seq, &a, &piece);

	*more_out = good && piece.n > 0;
	if (*more_out)
		good = c->to->ops->write_piece(c->to, to_id, seq, piece) &&
		       c->to->ops->read_piece(c->to, to_id, seq, &a, &again) &&
		       (hash_fixed(0, piece) == hash_fixed(0, again) ||
			side_fail(c->to, "the text of message %llu: what was stored is not what was read",
				  (unsigned long long)to_id));
	arena_fini(&a);
	return good;
}

/* One of which a part is missing is left out as a whole: who finds none knows that it is lost. */
static bool copy_text(struct copy *c, uint64_t from_id, uint64_t to_id, uint64_t size)
{
	uint64_t there;
	bool good = measure_text(c, from_id, &there), more = true;

	copy_moved(c, TABLE_COUNT)->read++;
	if (good && there != size) {
		c->t->texts_missing++;
		return true;
	}
	for (uint64_t seq = 1; good && more; seq++)
		good = copy_piece(c, from_id, to_id, seq, &more);
	copy_moved(c, TABLE_COUNT)->stored++;
	return good && c->to->ops->end_text(c->to, to_id);
}

static bool copy_texts(struct copy *c, const struct batch *b)
{
	const struct page *messages = &b->pages[TABLE_message];

	for (size_t i = 0, row = 0; i < b->n; i++) {
		if (b->new_ids[i] == 0)
			continue;
		if (field(messages, row, "place") == PLACE_FILE &&
		    !copy_text(c, b->ids[i], b->new_ids[i], field(messages, row, "size")))
			return false;
		row++;
	}
	return true;
}

/* ---- storing ---- */

static struct counted_states count_states(const struct batch *b)
{
	const struct page *messages = &b->pages[TABLE_message], *recipients = &b->pages[TABLE_recipient];
	struct counted_states n = { 0 };

	for (size_t i = 0; i < messages->n; i++)
		n.open_messages += page_row(messages, i)[column("finished_at")].null;
	for (size_t i = 0; i < recipients->n; i++) {
		uint64_t state = page_row(recipients, i)[5].u64;

		n.waiting += state == RCPT_WAITING;
		n.held += state == RCPT_HELD;
		n.failed += state == RCPT_FAILED;
	}
	return n;
}

/* The ids of what is stored, sorted. */
static size_t stored_ids(const struct batch *b, uint64_t *ids)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		size_t at = n;

		if (b->new_ids[i] == 0)
			continue;
		for (; at > 0 && ids[at - 1] > b->new_ids[i]; at--)
			ids[at] = ids[at - 1];
		ids[at] = b->new_ids[i];
		n++;
	}
	return n;
}

static bool verify(struct copy *c, const struct batch *b, const uint64_t *ids, size_t n)
{
	bool done = true;

	for (size_t t = 0; t < TABLES_N && n > 0 && done; t++) {
		struct page again = page_of((enum table_number)t, &c->page);

		done = c->to->ops->read_messages(c->to, ids, n, &again) && copy_verify(c, &b->pages[t], &again);
	}
	return done;
}

static bool store_batch(struct copy *c, struct batch *b)
{
	struct side *to = c->to;
	uint64_t *ids = ARENA_ARRAY(&c->page, uint64_t, b->n + 1);
	size_t n = stored_ids(b, ids);
	const struct counted_states counts = count_states(b);
	bool done = to->ops->make_room(to, ids, n) && to->ops->begin(to);

	for (size_t t = 0; t < TABLES_N && done; t++)
		done = b->pages[t].n == 0 || to->ops->insert(to, &b->pages[t]);
	return copy_commit(c, done && copy_texts(c, b) && to->ops->count(to, &counts) && copy_save(c) && verify(c, b, ids, n));
}

bool copy_messages(struct copy *c, size_t *n_out)
{
	struct batch b;

	*n_out = 0;
	if (!read_batch(c, &b))
		return false;
	*n_out = b.n;
	if (b.n == 0)
		return true;
	if (!find_there(c, &b) || !give_parents(c, &b))
		return false;
	give_ids(c, &b);
	c->progress.has_after = true;
	c->progress.after[0] = (struct value){ .u64 = b.ids[b.n - 1] };
	return store_batch(c, &b);
}
