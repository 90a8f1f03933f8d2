/* find.c - finds mail for people: walks from the newest message to the oldest. A statement looks at a bounded number of messages,
 * and another one reads the recipients of those that can fit; a call, some of these. */
#include "array.h"
#include "find_patterns.h"
#include "finding.h"
#include "postgresql.h"

#include "posthouse/id.h"

#define ROWS_MAX     200
#define BUDGET       4000 /* messages and recipients that one call looks at: some milliseconds of the server */
#define WALK         1000 /* messages that one statement looks at */
#define READ_AT_ONCE 500  /* recipients that one statement gives */
#define GAP_MAX      100  /* recipients of messages that do not fit: more than these cost less in a statement of their own */
#define NAMED_MAX    1000 /* messages with one Message-ID */
#define OPEN         (1u << RCPT_WAITING | 1u << RCPT_HELD | 1u << RCPT_FAILED)

/* The time in an id is that of the beginning of the transaction in which its message was accepted. */
#define ID_AGE_MAX (2 * DAY_MS)
/* Before the year 2000: such an id says nothing about the time. */
#define ID_TIMES_FROM 946684800000

enum phase { PHASE_BEGIN /* also: the end */, PHASE_ALL, PHASE_OPEN, PHASE_NAMED };

struct seen_message {
	uint64_t id, recipients;
	bool can_fit;
};

struct walk {
	struct finding f;
	struct find_patterns patterns;
	struct array words;        /* patterns.subject */
	struct seen_message *seen; /* by one statement, from the newest on */
	size_t n;
};

/* ---- messages ---- */

/* Look at what is below w->f.at.at. */
static void look(struct walk *w)
{
	static const enum statement statements[] = {
		[PHASE_ALL] = Q_find_walk, [PHASE_OPEN] = Q_find_walk_open, [PHASE_NAMED] = Q_find_walk_named
	};
	const struct find *find = w->f.m.find;
	const struct db_value values[] = { { .kind = DB_NULL },
					   INT(w->f.at.at),
					   INT(WALK),
					   TEXT(find->user),
					   INT(find->since),
					   INT(find->until),
					   TEXT(w->patterns.sender[0]),
					   TEXT(w->patterns.sender[1]),
					   array_value(&w->words, 't'),
					   TEXT(w->f.m.message_id) };
	bool named = w->f.at.phase == PHASE_NAMED;
	struct db_rows *q = db_query_values(&w->f.e->db, statements[w->f.at.phase], values, named ? 10 : 9);

	for (w->n = 0; w->n < WALK && db_row(&w->f.e->db, q); w->n++)
		w->seen[w->n] = (struct seen_message){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2) != 0 };
	db_end(q);
	w->f.budget -= (long)w->n;
}

/* Older messages were not accepted late enough. What ids without a time name is looked at all the same. */
static void pass_by_older(struct finding *f)
{
	uint64_t since = f->m.find->since, first = id_first_of(ID_TIMES_FROM);

	if (since > ID_TIMES_FROM + ID_AGE_MAX && f->at.at < id_first_of(since - ID_AGE_MAX) && f->at.at >= first)
		f->at = (struct find_place){ .phase = f->at.phase, .at = first - 1 };
}

/* ---- recipients ---- */

/* The last of the messages whose recipients are read together with those of the message `from`, as far as the budget goes. */
static size_t group_end(const struct walk *w, size_t from, long *recipients_out)
{
	bool all = w->f.at.phase == PHASE_ALL; /* also what lies between those that can fit */
	long gap = 0, recipients = (long)w->seen[from].recipients;
	size_t last = from;

	for (size_t i = from + 1; i < w->n && gap <= GAP_MAX; i++) {
		if (all || w->seen[i].can_fit)
			gap += (long)w->seen[i].recipients;
		if (!w->seen[i].can_fit)
			continue;
		if (recipients + gap > w->f.budget)
			break;
		recipients += gap;
		gap = 0;
		last = i;
	}
	*recipients_out = recipients;
	return last;
}

/* Ask for those of the messages from..last. Only of all messages it is known that there are none between them. */
static struct db_rows *ask_recipients(struct walk *w, size_t from, size_t last)
{
	const struct finding *f = &w->f;
	bool all = f->at.phase == PHASE_ALL;
	struct array ids = { 0 };
	struct db_rows *q;

	for (size_t i = from; i <= last && !all; i++)
		if (w->seen[i].can_fit)
			array_add_number(&ids, w->seen[i].id);
	q = db_query(&f->e->db, all ? Q_find_rows : Q_find_rows_of, all ? INT(w->seen[from].id) : array_value(&ids, 'i'),
		     INT(w->seen[last].id), INT(w->seen[from].id == f->at.at ? f->at.n : 0), TEXT(w->patterns.recipient[0]),
		     TEXT(w->patterns.recipient[1]), INT(f->m.find->states), INT(READ_AT_ONCE));
	array_fini(&ids);
	return q;
}

/* Add those that fit. False: the page ends here. */
static bool read_recipients(struct walk *w, size_t from, size_t last)
{
	struct finding *f = &w->f;
	size_t rows;

	do {
		struct db_rows *q = ask_recipients(w, from, last);

		for (rows = 0; db_row(&f->e->db, q); rows++) {
			uint64_t id = db_u64(q, FOUND_MESSAGE);

			if (id != f->at.at)
				f->at = (struct find_place){ .phase = f->at.phase, .at = id };
			if (!find_row(f, q)) {
				db_end(q);
				return false;
			}
		}
		for (; from < last && w->seen[from].id > f->at.at; from++)
			;
	} while (rows == READ_AT_ONCE);
	return true;
}

/* The recipients of all messages that can fit. False: the page ends here. */
static bool read_seen(struct walk *w)
{
	struct finding *f = &w->f;

	for (size_t from = 0, last; from < w->n; from = last + 1) {
		long recipients;

		last = from;
		if (!w->seen[from].can_fit)
			continue;
		if (f->n == f->max || f->budget <= 0) {
			if (w->seen[from].id != f->at.at)
				f->at = (struct find_place){ .phase = f->at.phase, .at = w->seen[from].id };
			return false;
		}
		last = group_end(w, from, &recipients);
		if (!read_recipients(w, from, last))
			return false;
		f->budget -= recipients;
	}
	return true;
}

/* ---- the search ---- */

/* On from f->at. False: there is nothing more. */
static bool step(struct walk *w)
{
	pass_by_older(&w->f);
	look(w);
	if (!read_seen(w))
		return true;
	if (w->n > 0)
		w->f.at = (struct find_place){ .phase = w->f.at.phase, .at = w->seen[w->n - 1].id - 1 };
	return w->n == WALK;
}

static enum phase first_phase(const struct matcher *m)
{
	if (m->message_id.n > 0)
		return PHASE_NAMED;
	return m->find->states && !(m->find->states & ~OPEN) ? PHASE_OPEN : PHASE_ALL;
}

static void walk_init(struct walk *w, struct engine *e, struct request *r, size_t max)
{
	struct arena *a = &r->arena;

	*w = (struct walk){ .f = { .e = e, .arena = a, .max = max, .budget = BUDGET, .at = r->place } };
	w->f.rows = ARENA_ARRAY(a, struct found_recipient, max + 1);
	w->seen = ARENA_ARRAY(a, struct seen_message, WALK);
	matcher_init(&w->f.m, a, r->in.find);
	find_patterns_init(&w->patterns, a, &w->f.m);
	for (size_t i = 0; i < w->patterns.subject.n; i++)
		array_add(&w->words, 't', &(const struct db_value){ .kind = DB_TEXT, .str = w->patterns.subject.at[i] });
	if (w->f.at.phase == PHASE_BEGIN || w->f.at.phase > PHASE_NAMED)
		w->f.at = (struct find_place){ .phase = first_phase(&w->f.m), .at = INT64_MAX };
}

void run_find(struct engine *e, struct request *r)
{
	struct walk w;
	bool more = true;

	walk_init(&w, e, r, r->max < ROWS_MAX ? r->max : ROWS_MAX);
	while (more && w.f.budget >= WALK && w.f.n < w.f.max && db_error(&e->db) == DB_WELL)
		more = step(&w);
	r->out.rows = w.f.rows;
	r->out.n = w.f.n;
	r->out.place = more ? w.f.at : (struct find_place){ 0 };
	arena_fini(&w.f.scratch);
	array_fini(&w.words);
}

size_t find_message_id(struct engine *e, struct str message_id, struct arena *a, size_t max, uint64_t **ids_out)
{
	struct db_rows *q;
	size_t n = 0;

	max = max < NAMED_MAX ? max : NAMED_MAX;
	*ids_out = ARENA_ARRAY(a, uint64_t, max + 1);
	q = db_query(&e->db, Q_find_message_id, TEXT(match_id(a, message_id)), INT(max));
	for (; n < max && db_row(&e->db, q); n++)
		(*ids_out)[n] = db_u64(q, 0);
	db_end(q);
	return n;
}
