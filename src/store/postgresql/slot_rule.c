/* slot_rule.c - see slot_rule.h. */
#include "slot_rule.h"

/* What all nodes have together. */
struct division {
	struct slot_row *rows, *own;
	size_t n;
	uint64_t limit, held, wanting; /* connections; nodes that have work */
	uint64_t level, rest;          /* see divide_fairly() */
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void count(struct division *d)
{
	d->held = d->wanting = 0;
	for (size_t i = 0; i < d->n; i++) {
		d->held += d->rows[i].n;
		d->wanting += d->rows[i].wanted > 0;
	}
}

static uint64_t sum_up_to(const struct division *d, uint64_t level)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->n; i++)
		sum += smaller(d->rows[i].wanted, level);
	return sum;
}

/* Each node has what it wants up to the level; some of those that want more have one more of the rest. */
static void divide_fairly(struct division *d)
{
	for (d->level = 0; d->level < d->limit && sum_up_to(d, d->level + 1) <= d->limit;)
		d->level++;
	d->rest = d->limit - sum_up_to(d, d->level);
}

static uint64_t fair_part(const struct division *d, const struct slot_row *row)
{
	uint64_t before = 0;

	if (row->wanted <= d->level)
		return row->wanted;
	for (const struct slot_row *r = d->rows; r < row; r++)
		before += r->wanted > d->level;
	return d->level + (before < d->rest);
}

/* It has nothing, or less than its part. */
static bool waits(const struct division *d, const struct slot_row *row)
{
	return row->n < fair_part(d, row) || (row->n == 0 && row->wanted > 0);
}

/* The other node that is next; NULL: none waits. */
static struct slot_row *next_waiting(const struct division *d)
{
	struct slot_row *next = NULL;

	for (struct slot_row *r = d->rows; r < d->rows + d->n; r++)
		if (r != d->own && waits(d, r) && (!next || r->n < next->n || (r->n == next->n && r->turn < next->turn)))
			next = r;
	return next;
}

/* More than this a node does not hold now. */
static uint64_t most(const struct division *d, const struct slots_wish *wish, const struct slot_row *waiting)
{
	if (d->held > d->limit) /* the limit was lowered, or that of another node is higher */
		return fair_part(d, d->own);
	if (!waiting)
		return d->limit;
	if (d->wanting > d->limit && waiting->n == 0 && wish->had_turn && d->own->n > 0)
		return 0;
	return larger(fair_part(d, d->own), 1);
}

/* Some of what is not used goes to those who wait; the rest is free. */
static void give(struct division *d, uint64_t n)
{
	for (; n > 0; n--) {
		struct slot_row *next = d->held > d->limit ? NULL : next_waiting(d);

		d->own->n--;
		if (next) {
			next->n++;
			next->changed = true;
		} else {
			d->held--;
		}
	}
}

/* Behind all who wait. */
static uint64_t last_turn(const struct division *d)
{
	uint64_t last = 0;

	for (size_t i = 0; i < d->n; i++)
		last = larger(last, d->rows[i].turn);
	return last + 1;
}

/* What others are to see of the wish. Where they have a higher limit, a node waits for no more than its part by its own. */
static uint64_t shown(const struct division *d)
{
	uint64_t wanted = smaller(d->own->wanted, d->limit);

	if (wanted <= d->own->n || d->held <= d->limit)
		return wanted;
	return larger(larger(d->own->n, fair_part(d, d->own)), 1);
}

struct slots_share slots_divide(struct slot_row *rows, size_t n, struct slot_row *own, const struct slots_wish *wish)
{
	struct division d = { .rows = rows, .own = own, .n = n, .limit = wish->limit };
	struct slot_row before = *own;
	const struct slot_row *waiting;
	uint64_t keep, used = smaller(wish->used, own->n);

	own->wanted = wish->limit > 0 ? wish->wanted : 0;
	count(&d);
	divide_fairly(&d);
	waiting = next_waiting(&d);
	keep = smaller(own->wanted, most(&d, wish, waiting));
	if (keep > own->n) {
		own->n += smaller(keep - own->n, d.limit > d.held ? d.limit - d.held : 0);
		count(&d);
	} else if (own->n > larger(keep, used)) {
		give(&d, own->n - larger(keep, used));
	}
	own->wanted = shown(&d);
	if (own->n == 0 && own->wanted > 0 && (before.n > 0 || before.wanted == 0))
		own->turn = last_turn(&d);
	own->changed = own->n != before.n || own->wanted != before.wanted || own->turn != before.turn;
	return (struct slots_share){ .held = own->n, .keep = smaller(keep, own->n), .pressed = waiting != NULL };
}
