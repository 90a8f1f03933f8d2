/* find.c - finds mail for people: walks from the newest message to the oldest, a bounded piece at each call. The index of the
 * database knows Message-IDs. */
#include "finding.h"
#include "postgresql.h"

#include <stdlib.h>

#define ROWS_MAX  200
#define BUDGET    4000 /* rows that one call reads */
#define WALK      1000 /* messages in one question */
#define NAMED_MAX 1000 /* messages with one Message-ID */

enum phase { PHASE_BEGIN /* also: the end */, PHASE_ALL, PHASE_OPEN };

/* The columns of Q_find_walk, which are views. Most messages do not fit: their recipients are not read. */
static bool row_fits(struct finding *f, struct db_rows *q)
{
	struct envelope e = {
		.login = db_str(q, 4), .sender = db_str(q, 6), .subject = db_str(q, 7), .message_id = db_str(q, 8)
	};

	arena_reset(&f->scratch);
	return message_fits(&f->m, &f->scratch, &e, db_u64(q, 1));
}

/* Walk downwards from f->at.at; false: the page ends here. */
static bool walk(struct finding *f, enum statement statement)
{
	struct db_rows *q = db_query(&f->e->db, statement, INT(f->at.at), INT(WALK));
	size_t n = 0;

	for (; db_row(&f->e->db, q); n++) {
		uint64_t id = db_u64(q, 0);

		f->at.n = id == f->at.at ? f->at.n : 0;
		f->at.at = id;
		f->budget--;
		if (f->n == f->max || f->budget <= 0 || (row_fits(f, q) && !find_in_message(f, id))) {
			db_end(q);
			return false;
		}
		f->at = (struct find_place){ .phase = f->at.phase, .at = id - 1 };
	}
	return n < WALK;
}

static void finding_init(struct finding *f, struct engine *e, struct arena *a, const struct find *find, size_t max)
{
	*f = (struct finding){ .e = e, .arena = a, .max = max, .budget = BUDGET };
	f->rows = ARENA_ARRAY(a, struct found_recipient, max + 1);
	matcher_init(&f->m, a, find);
}

void run_find(struct engine *e, struct request *r)
{
	struct finding f;
	bool done = false;

	finding_init(&f, e, &r->arena, r->in.find, r->max < ROWS_MAX ? r->max : ROWS_MAX);
	f.at = r->place;
	if (f.at.phase == PHASE_BEGIN)
		f.at = (struct find_place){ .phase = r->in.find->states == 1u << RCPT_WAITING ? PHASE_OPEN : PHASE_ALL,
					    .at = INT64_MAX };
	while (!done && f.budget > 0 && f.n < f.max)
		done = walk(&f, f.at.phase == PHASE_OPEN ? Q_find_walk_open : Q_find_walk);
	if (done)
		f.at = (struct find_place){ 0 };
	r->out.rows = f.rows;
	r->out.n = f.n;
	r->out.place = f.at;
	arena_fini(&f.scratch);
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

/* The index has the field as it was in the message: with angle brackets, or without. */
size_t find_message_id(struct engine *e, struct str message_id, struct arena *a, size_t max, uint64_t **ids_out)
{
	struct str plain = match_id(a, message_id), forms[] = { plain, arena_printf(a, "<%.*s>", STR_ARG(plain)) };
	size_t n = 0, different = 0;

	max = max < NAMED_MAX ? max : NAMED_MAX;
	*ids_out = ARENA_ARRAY(a, uint64_t, max + 1);
	for (size_t i = 0; i < 2; i++) {
		struct db_rows *q = db_query(&e->db, Q_find_message_id, TEXT(forms[i]), INT(INT64_MAX), INT(max));

		while (n < max && db_row(&e->db, q))
			(*ids_out)[n++] = db_u64(q, 0);
		db_end(q);
	}
	qsort(*ids_out, n, sizeof **ids_out, compare_ids);
	for (size_t i = 0; i < n; i++)
		if (different == 0 || (*ids_out)[different - 1] != (*ids_out)[i])
			(*ids_out)[different++] = (*ids_out)[i];
	return different;
}
