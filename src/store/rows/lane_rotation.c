/* lane_rotation.c - which of the lanes that are due come next.
 *
 * A round goes through the lanes in the order (next_at, id), and ends after the lanes that were due when the round began. So a
 * lane that was given waits until all others have had their turn, and new lanes cannot delay the end of the round. Each
 * priority has a round of its own, and a higher priority comes first. One more round goes through the lanes of all priorities
 * by time alone: it gets every fourth place of a page, so that a flood of urgent mail does not stop the other mail. */
#include "rows.h"

#define LANES_MAX  1000
#define TIME_SHARE 4 /* every fourth place goes to the lane that has waited longest */

/* Lanes chosen for a page. */
struct choice {
	struct due_lane *at;
	size_t n, max;
	bool more; /* further lanes are due */
};

struct page {
	struct engine *e;
	struct request *r;
	uint64_t now;
	struct hashtable taken; /* lanes that are in the page already */
};

/* Take lanes from the rows of the query as long as there is room. */
static void take_lanes(struct page *page, struct choice *choice, struct turn *turn, struct db_rows *q)
{
	struct arena *a = &page->r->arena;
	struct hashtable_item *node;

	while (db_row(&page->e->db, q)) {
		uint64_t lane = db_u64(q, 0);

		if (lane_is_quiet(page->e, lane, page->now) || hashtable_find(&page->taken, lane, NULL))
			continue;
		if (choice->n == choice->max) {
			choice->more = true;
			db_end(q);
			return;
		}
		choice->at[choice->n++] = (struct due_lane){ .lane = lane,
							     .domain = db_keep(a, q, 1),
							     .login = db_keep(a, q, 2),
							     .priority = stored_priority(q, 4),
							     .via = db_keep(a, q, 5),
							     .wish = (enum tls_wish)db_u64(q, 6) };
		node = ARENA_NEW(a, struct hashtable_item);
		hashtable_add(&page->taken, node, lane);
		turn->next_at = db_u64(q, 3);
		turn->lane = lane;
	}
}

/* So many rows are enough: one more than there is room for, besides those that are in the page already. */
static struct db_value enough(const struct page *page, const struct choice *choice)
{
	return INT(choice->max - choice->n + page->taken.n + 1);
}

/* Continue behind the last lane given, up to the time `end`: first with the other lanes that are due at the same time as that
 * lane. */
static void go_by_time(struct page *page, struct choice *choice, struct turn *turn, uint64_t end)
{
	uint64_t at = turn->next_at, lane = turn->lane;

	take_lanes(page, choice, turn,
		   db_query(&page->e->db, Q_lanes_due_with, INT(at), INT(lane), INT(end), enough(page, choice)));
	if (!choice->more)
		take_lanes(page, choice, turn, db_query(&page->e->db, Q_lanes_due, INT(at), INT(end), enough(page, choice)));
}

/* The same for the lanes of one priority. */
static void go_by_priority(struct page *page, struct choice *choice, unsigned priority, uint64_t end)
{
	struct turn *turn = &page->e->turns[priority];
	uint64_t at = turn->next_at, lane = turn->lane;

	take_lanes(
		page, choice, turn,
		db_query(&page->e->db, Q_lanes_of_with, PRIORITY(priority), INT(at), INT(lane), INT(end), enough(page, choice)));
	if (!choice->more)
		take_lanes(page, choice, turn,
			   db_query(&page->e->db, Q_lanes_of, PRIORITY(priority), INT(at), INT(end), enough(page, choice)));
}

/* Where the current round ends. */
static uint64_t end_of(const struct turn *turn, uint64_t now)
{
	return turn->end < now ? turn->end : now;
}

static void choose_by_time(struct page *page, struct choice *choice)
{
	struct turn *turn = &page->e->turn_by_time;

	go_by_time(page, choice, turn, end_of(turn, page->now));
	if (choice->more)
		return;
	*turn = (struct turn){ .end = page->now }; /* the round has ended: begin the next one */
	go_by_time(page, choice, turn, page->now);
}

static void choose_by_priority(struct page *page, struct choice *choice, unsigned priority)
{
	struct turn *turn = &page->e->turns[priority];

	go_by_priority(page, choice, priority, end_of(turn, page->now));
	if (choice->more)
		return;
	*turn = (struct turn){ .end = page->now };
	go_by_priority(page, choice, priority, page->now);
}

/* The highest priority below this one of which there are lanes, due or not; false when there is none. */
static bool next_priority(struct engine *e, unsigned below, unsigned *priority_out)
{
	struct db_rows *q = db_query(&e->db, Q_lanes_priority, PRIORITY(below));

	if (!db_row(&e->db, q))
		return false;
	*priority_out = stored_priority(q, 0);
	db_end(q);
	return *priority_out < below;
}

/* Both choices as one list. Each beginning of this list, however long, has about the right share of both. */
static struct due_lane *merge(struct arena *a, const struct choice *urgent, const struct choice *oldest)
{
	struct due_lane *all = ARENA_ARRAY(a, struct due_lane, urgent->n + oldest->n + 1);
	size_t u = 0, o = 0;

	for (size_t i = 0; i < urgent->n + oldest->n; i++) {
		bool turn_of_oldest = u == urgent->n || i % TIME_SHARE == TIME_SHARE - 1;

		all[i] = turn_of_oldest && o < oldest->n ? oldest->at[o++] : urgent->at[u++];
	}
	return all;
}

/* When the next lane will be due; 0 = none waits. */
static uint64_t next_lane_at(struct engine *e, uint64_t now)
{
	return lanes_quiet_until(e, now, db_number(&e->db, db_query(&e->db, Q_lanes_next, INT(now))));
}

void run_lanes(struct engine *e, struct request *r)
{
	struct page page = { .e = e, .r = r, .now = r->cursor };
	size_t max = r->max < LANES_MAX ? r->max : LANES_MAX;
	struct choice urgent = { 0 }, oldest = { 0 };
	unsigned priority = PRIORITY_MAX + 1, lower;
	bool any, several;

	if (e->host->results_wait) { /* no delivery is begun whose result could not be stored */
		r->verdict = why_results_wait(e->host);
		return;
	}
	any = next_priority(e, priority, &priority);
	several = any && next_priority(e, priority, &lower); /* else by time and by priority is the same */
	urgent.max = several ? max - ((e->lanes_given + max) / TIME_SHARE - e->lanes_given / TIME_SHARE) : max;
	urgent.at = ARENA_ARRAY(&r->arena, struct due_lane, urgent.max + 1);
	for (; any && !urgent.more; any = next_priority(e, priority, &priority))
		choose_by_priority(&page, &urgent, priority);
	/* The lanes that have waited longest get the places that are left: a fourth if there are more lanes than places, else
	 * none. */
	oldest.max = several && urgent.more ? max - urgent.n : 0;
	oldest.at = ARENA_ARRAY(&r->arena, struct due_lane, oldest.max + 1);
	if (oldest.max > 0)
		choose_by_time(&page, &oldest);
	hashtable_fini(&page.taken);
	r->out.n = urgent.n + oldest.n;
	r->out.rows = merge(&r->arena, &urgent, &oldest);
	r->out.next = (oldest.max > 0 ? oldest.more : urgent.more) ? page.now : next_lane_at(e, page.now);
	e->lanes_given += r->out.n;
}
