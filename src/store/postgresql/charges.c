/* charges.c - buckets that several nodes share. The rows of a transaction are written last, in the order of their names, so that
 * they are locked for a short time and no two nodes wait for each other. Charges of one bucket are written as one. When they do
 * not fit, the transaction fails, and the batch is tried once more: then the buckets are held first, in the same order, and the
 * messages whose charges do not fit are refused before anything is written. Should that fail too, the messages are tried one by
 * one, each in this way. */
#include "postgresql.h"

#include <stdlib.h>
#include <string.h>

#define CLOCKS_DIFFER_US 120000000 /* as in Q_bucket_charge */

/* ---- writing ---- */

bool charges_add(struct engine *e, const struct bucket_row *rows, size_t n, struct request *r)
{
	struct charges *c = &postgresql_of(e)->charges;
	uint64_t *states = r && n > 0 ? ARENA_ARRAY(&r->arena, uint64_t, n) : NULL;

	for (size_t i = 0; i < n; i++) {
		ARENA_GROW(&e->host->arena, c->at, c->n, c->capacity);
		c->at[c->n] = (struct charge){ .row = &rows[i], .place = c->n, .state_out = states ? &states[i] : NULL };
		c->n++;
	}
	if (states)
		r->out.rows = states;
	return true;
}

static int compare_rows(const struct bucket_row *a, const struct bucket_row *b)
{
	int order = str_cmp(a->key, b->key);

	return order != 0 ? order : str_cmp(a->rule, b->rule);
}

static int compare(const void *a, const void *b)
{
	const struct charge *x = a, *y = b;
	int order = compare_rows(x->row, y->row);

	return order != 0 ? order : x->place < y->place ? -1 : 1;
}

static bool is_state(const struct bucket_row *row)
{
	return row->window_us == 0;
}

/* Add the charges of one bucket that follow each other; their number. */
static size_t add_up(struct charge *first, size_t n, struct bucket_row *sum_out)
{
	size_t i = 1;

	*sum_out = *first->row;
	for (; i < n && !is_state(first[i].row) && compare_rows(first->row, first[i].row) == 0; i++) {
		const struct bucket_row *row = first[i].row;

		if (row->window_us != sum_out->window_us)
			break;
		sum_out->cost_us += row->cost_us;
		sum_out->must_fit = sum_out->must_fit || row->must_fit;
		sum_out->now_us = row->now_us > sum_out->now_us ? row->now_us : sum_out->now_us;
		sum_out->warned_at = row->warned_at > sum_out->warned_at ? row->warned_at : sum_out->warned_at;
	}
	return i;
}

static void charge(struct engine *e, const struct bucket_row *row, uint64_t *state_out)
{
	int64_t window = (int64_t)row->window_us, cost = row->cost_us;

	if (cost == 0)
		return;
	if (cost > window && row->must_fit)
		db_fail(&e->db, DB_PRIVATE, "a charge is over its limit");
	db_run_for(&e->db, state_out, Q_bucket_charge, TEXT(row->key), TEXT(row->rule),
		   INT((uint64_t)(cost < window ? cost : window)), INT(row->window_us), INT(row->now_us), INT(row->warned_at),
		   INT(row->must_fit));
}

void charges_write(struct engine *e)
{
	struct charges *c = &postgresql_of(e)->charges;
	size_t n;

	if (c->n > 1)
		qsort(c->at, c->n, sizeof *c->at, compare);
	for (size_t i = 0; i < c->n; i += n) {
		struct bucket_row sum;
		uint64_t *state;

		n = 1;
		if (is_state(c->at[i].row)) {
			write_bucket(e, c->at[i].row);
			continue;
		}
		n = add_up(&c->at[i], c->n - i, &sum);
		state = ARENA_NEW(&e->host->arena, uint64_t);
		for (size_t k = 0; k < n; k++)
			c->at[i + k].state = state;
		charge(e, &sum, state);
	}
}

void charges_tell(struct engine *e)
{
	struct charges *c = &postgresql_of(e)->charges;

	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].state && c->at[i].state_out)
			*c->at[i].state_out = *c->at[i].state;
}

/* ---- judging ---- */

bool charges_are_judged(const struct engine *e, const struct accepted *m)
{
	return (e->host->alone || postgresql_of(e)->held.n > 0) && m->charges_n > 0;
}

/* Buckets are locked in the order in which all transactions lock them. */
void charges_hold(struct engine *e)
{
	struct charges *held = &postgresql_of(e)->held;

	for (size_t i = 0; i < held->n; i++) {
		bool same = i > 0 && compare_rows(held->at[i - 1].row, held->at[i].row) == 0;

		held->at[i].state = same ? held->at[i - 1].state : ARENA_NEW(&e->host->arena, uint64_t);
		if (!same)
			db_run_for(&e->db, held->at[i].state, Q_bucket_hold, TEXT(held->at[i].row->key),
				   TEXT(held->at[i].row->rule));
	}
	if (held->n > 0)
		(void)db_changes(&e->db); /* waits for all of them; an error stays */
}

static int compare_bucket(const void *row, const void *held)
{
	return compare_rows(row, ((const struct charge *)held)->row);
}

/* The state of a bucket that this transaction holds, with what it has charged; NULL: it does not hold it. */
static uint64_t *held_state(const struct engine *e, const struct bucket_row *row)
{
	const struct charges *held = &postgresql_of(e)->held;
	const struct charge *c = held->n > 0 ? bsearch(row, held->at, held->n, sizeof *held->at, compare_bucket) : NULL;

	return c ? c->state : NULL;
}

/* The state of a bucket, which is held from now on. */
static uint64_t hold_bucket(struct engine *e, const struct bucket_row *row)
{
	uint64_t state = 0;

	if (db_numbers(&e->db, db_query(&e->db, Q_bucket_lock, TEXT(row->key), TEXT(row->rule)), &state))
		return state;
	db_run(&e->db, Q_bucket_make, TEXT(row->key), TEXT(row->rule));
	(void)db_numbers(&e->db, db_query(&e->db, Q_bucket_lock, TEXT(row->key), TEXT(row->rule)), &state);
	return state;
}

/* The state with the charge, as Q_bucket_charge computes it. False: it does not fit. */
static bool fits(const struct bucket_row *row, uint64_t state, uint64_t *after_out)
{
	int64_t now = (int64_t)row->now_us, window = (int64_t)row->window_us, from = (int64_t)state, after;

	if (from < now || from > now + window + CLOCKS_DIFFER_US)
		from = now;
	after = from + row->cost_us;
	*after_out = (uint64_t)(after > now ? after : now);
	if (after > now + window)
		*after_out = (uint64_t)(from > now + window ? from : now + window);
	return after <= now + window;
}

bool charges_fit(struct engine *e, const struct accepted *m, struct request *r)
{
	uint64_t *states = ARENA_ARRAY(&r->arena, uint64_t, m->charges_n);
	struct charge *order = ARENA_ARRAY(&e->host->arena, struct charge, m->charges_n);
	uint64_t *after = ARENA_ARRAY(&e->host->arena, uint64_t, m->charges_n);
	bool all = true;

	for (size_t i = 0; i < m->charges_n; i++)
		order[i] = (struct charge){ .row = &m->charges[i], .place = i };
	qsort(order, m->charges_n, sizeof *order, compare);
	for (size_t i = 0; i < m->charges_n; i++) {
		const struct bucket_row *row = order[i].row;
		bool fit;

		order[i].state = held_state(e, row);
		states[order[i].place] = order[i].state ? *order[i].state : hold_bucket(e, row);
		fit = fits(row, states[order[i].place], &after[i]);
		all = all && (fit || !row->must_fit);
	}
	for (size_t i = 0; all && i < m->charges_n; i++)
		if (order[i].state)
			*order[i].state = after[i];
	r->out.rows = states;
	return all || db_error(&e->db) != DB_WELL;
}
