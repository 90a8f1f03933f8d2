/* find.c - finds mail for people: walks from the newest message to the oldest, a bounded piece at each call. */
#include "search.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define ROWS_MAX     200
#define BUDGET       4000 /* rows that one call reads: some milliseconds */
#define BLOCK_COST   2    /* a block that is passed by */
#define SEARCH_COST  8    /* a block whose words are looked up */
#define FEW_MESSAGES 2000 /* so many are read rather than looked up */
#define WAITING      (1u << RCPT_WAITING)
#define USUAL        (WAITING | 1u << RCPT_DELIVERED) /* what the index recipient_unusual leaves out */

enum phase {
	PHASE_BEGIN, /* also: the end */
	PHASE_UNUSUAL,
	PHASE_OPEN,
	PHASE_UNSEARCHED,
	PHASE_BLOCKS,
	PHASE_OLDER,
};

/* A walk by the index. */
struct walk {
	struct finding f;
	struct search search;
};

static void enter(struct finding *f, enum phase phase)
{
	f->at = (struct find_place){ .phase = phase, .at = INT64_MAX, .position = BLOCK_MESSAGES };
}

/* The walk that has the fewest messages to read. */
static enum phase first_phase(struct walk *w)
{
	struct finding *f = &w->f;
	unsigned states = f->m.find->states;

	if (states && !(states & USUAL) &&
	    (w->search.n == 0 || db_number(&f->e->db, db_query(&f->e->db, Q_unusual_count, INT(FEW_MESSAGES))) < FEW_MESSAGES))
		return PHASE_UNUSUAL;
	if (states == WAITING && (w->search.n == 0 || f->e->counters.open_messages < FEW_MESSAGES))
		return PHASE_OPEN;
	return PHASE_UNSEARCHED;
}

/* Add the message's recipients behind f->at.n that fit. False: the page is full or the budget is used up, and f->at.n says where
 * to go on in this message. */
static bool find_in_message(struct finding *f, uint64_t id)
{
	struct db_rows *q = db_query(&f->e->db, Q_find_rows, INT(id), INT(f->at.n));
	bool all = true;

	f->budget -= 2;
	while (db_row(&f->e->db, q)) {
		all = find_row(f, q);
		if (!all || !f->message_fits) {
			db_end(q);
			break;
		}
	}
	f->at.n = all ? 0 : f->at.n;
	return all;
}

/* Walk through the ids that the statement gives from f->at.at downwards. False: the page ends here. */
static bool walk_ids(struct finding *f, enum statement statement)
{
	struct db_rows *q = db_query(&f->e->db, statement, INT(f->at.at));

	while (db_row(&f->e->db, q)) {
		uint64_t id = db_u64(q, 0);

		f->at.n = id == f->at.at ? f->at.n : 0;
		f->at.at = id;
		if (f->n == f->max || f->budget <= 0 || !find_in_message(f, id)) {
			db_end(q);
			return false;
		}
		f->at.at = id - 1;
	}
	return true;
}

/* The candidates of one block, from f->at.position downwards. `ids`: bytes of a row. */
static bool walk_block(struct walk *w, struct str ids)
{
	struct finding *f = &w->f;
	size_t n = ids.n / sizeof(uint64_t);
	struct places places;

	f->budget -= SEARCH_COST;
	if (!block_search(f->e, f->at.at, n < BLOCK_MESSAGES ? n : BLOCK_MESSAGES, &w->search, &places))
		return true;
	while (f->at.position > 0) {
		uint64_t place = f->at.position - 1, id;

		if (place < n && places.bits[place / 64] & 1ull << place % 64) {
			memcpy(&id, ids.p + place * sizeof id, sizeof id);
			if (f->n == f->max || f->budget <= 0 || !find_in_message(f, id))
				return false;
		}
		f->at.position--;
	}
	return true;
}

static bool is_outside(const struct finding *f, uint64_t first_at, uint64_t last_at)
{
	const struct find *wanted = f->m.find;

	return (wanted->since && last_at < wanted->since) || (wanted->until && first_at >= wanted->until);
}

static bool walk_blocks(struct walk *w)
{
	struct finding *f = &w->f;
	struct db_rows *q = db_query(&f->e->db, Q_blocks, INT(f->at.at));

	while (db_row(&f->e->db, q)) {
		uint64_t block = db_u64(q, 0);

		if (block != f->at.at)
			f->at = (struct find_place){ .phase = PHASE_BLOCKS, .at = block, .position = BLOCK_MESSAGES };
		f->budget -= BLOCK_COST;
		if (f->budget <= 0 || (!is_outside(f, db_u64(q, 1), db_u64(q, 2)) && !walk_block(w, db_str(q, 3)))) {
			db_end(q);
			return false;
		}
		f->at = (struct find_place){ .phase = PHASE_BLOCKS, .at = block - 1, .position = BLOCK_MESSAGES };
	}
	return true;
}

/* Mail of before the index has neither subject nor Message-ID. */
static bool older_can_fit(const struct finding *f)
{
	return f->e->counters.older_than > 0 && f->m.words.n == 0 && f->m.message_id.n == 0;
}

/* On from f->at. At the end f->at.phase is PHASE_BEGIN. */
static void search(struct walk *w)
{
	struct finding *f = &w->f;

	if (f->at.phase == PHASE_BEGIN)
		enter(f, first_phase(w));
	if (f->at.phase == PHASE_UNUSUAL || f->at.phase == PHASE_OPEN) {
		if (walk_ids(f, f->at.phase == PHASE_OPEN ? Q_open_before : Q_unusual_before))
			f->at = (struct find_place){ 0 };
		return;
	}
	if (f->at.phase == PHASE_UNSEARCHED) {
		if (!walk_ids(f, Q_unsearched_before))
			return;
		enter(f, PHASE_BLOCKS);
	}
	if (f->at.phase == PHASE_BLOCKS) {
		if (!walk_blocks(w))
			return;
		enter(f, PHASE_OLDER);
		f->at.at = f->e->counters.older_than ? f->e->counters.older_than - 1 : 0;
	}
	if (!older_can_fit(f) || walk_ids(f, Q_older_before))
		f->at = (struct find_place){ 0 };
}

static void walk_init(struct walk *w, struct engine *e, struct arena *a, const struct find *find, size_t max)
{
	*w = (struct walk){ .f = { .e = e, .arena = a, .max = max, .budget = BUDGET } };
	w->f.rows = ARENA_ARRAY(a, struct found_recipient, max + 1);
	matcher_init(&w->f.m, a, find);
	search_of(&w->search, a, &w->f.m);
	sqlite_of(e)->search.asked_at_ms = clock_mono_ms();
}

void run_find(struct engine *e, struct request *r)
{
	struct walk w;

	walk_init(&w, e, &r->arena, r->in.find, r->max < ROWS_MAX ? r->max : ROWS_MAX);
	w.f.at = r->place;
	if (w.f.at.position > BLOCK_MESSAGES)
		w.f.at.position = BLOCK_MESSAGES;
	search(&w);
	r->out.rows = w.f.rows;
	r->out.n = w.f.n;
	r->out.place = w.f.at;
	arena_fini(&w.f.scratch);
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

/* A Message-ID names few messages, so this looks through all of the index at once. */
size_t find_message_id(struct engine *e, struct str message_id, struct arena *a, size_t max, uint64_t **ids_out)
{
	struct find find = { .message_id = message_id };
	struct walk w;
	size_t n = 0;

	walk_init(&w, e, a, &find, max);
	*ids_out = ARENA_ARRAY(a, uint64_t, max + 1);
	do {
		w.f.budget = BUDGET;
		search(&w);
	} while (w.f.at.phase != PHASE_BEGIN && w.f.n < w.f.max);
	for (size_t i = 0; i < w.f.n; i++)
		if (n == 0 || (*ids_out)[n - 1] != w.f.rows[i].id)
			(*ids_out)[n++] = w.f.rows[i].id;
	qsort(*ids_out, n, sizeof **ids_out, compare_ids);
	arena_fini(&w.f.scratch);
	return n;
}
