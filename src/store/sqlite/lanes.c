/* lanes.c - keeps the rows of lanes up to date, and leases recipients from a lane. The order of lanes: rows/lane_rotation.c. */
#include "sqlite.h"

#define EVERY_TIME UINT64_MAX /* -1 in SQLite: later than this is any time */

uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at)
{
	struct str domain = lane_domain(&e->host->arena, address);
	struct db_rows *q = db_query(&e->db, Q_lane_find, TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
				     INT(key->wish));
	uint64_t lane, next_at;

	if (!db_numbers(&e->db, q, &lane, &next_at)) {
		lane = sqlite_of(e)->next_lane++;
		db_run(&e->db, Q_lane_add, INT(lane), TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
		       INT(key->wish), INT(due_at));
		e->counters.lanes++;
		e->rerouted = e->rerouted || key->via.n > 0;
		return lane;
	}
	if (due_at < next_at)
		db_run(&e->db, Q_lane_set, INT(lane), INT(due_at));
	lane_note_due(e, lane, due_at);
	return lane;
}

/* The earliest time after `after` at which a recipient of the lane is due; false when there is none. */
static bool lane_earliest(struct engine *e, uint64_t lane, uint64_t after, uint64_t *due_at_out)
{
	struct db_rows *q = db_query(&e->db, Q_lane_earliest, INT(lane), INT(after));
	bool found = false;

	if (!db_row(&e->db, q))
		return false;
	for (int i = 0; i < 2; i++) {
		if (db_is_null(q, i))
			continue;
		if (!found || db_u64(q, i) < *due_at_out)
			*due_at_out = db_u64(q, i);
		found = true;
	}
	db_end(q);
	return found;
}

/* Called after recipients of the lane have changed: set the row to the time when the next of them is due, or delete it. */
void lane_refresh(struct engine *e, uint64_t lane)
{
	uint64_t next_at = 0;

	if (lane_earliest(e, lane, EVERY_TIME, &next_at)) {
		db_run(&e->db, Q_lane_set, INT(lane), INT(next_at));
		return;
	}
	if (db_run(&e->db, Q_lane_drop, INT(lane)))
		e->counters.lanes -= db_changes(&e->db);
}

void lane_settled(struct engine *e, uint64_t lane)
{
	lane_refresh(e, lane);
}

/* ---- leases ---- */

/* Lease at most `max` recipients of one message that are due and not leased: rows of due_in_lane or due_anywhere. */
static void lease_recipients(struct due_page *p, struct due_message *m, struct db_rows *q, size_t max)
{
	struct leased *leased = &sqlite_of(p->e)->leased;
	size_t capacity = 0;

	while (db_row(&p->e->db, q)) {
		uint64_t n = db_u64(q, 0);

		if (leased_has(leased, m->id, n))
			continue;
		if (m->recipients_n == max) {
			db_end(q);
			break;
		}
		due_recipient(&p->r->arena, m, &capacity, q, 0);
		leased_add(leased, m->id, n, db_u64(q, 6));
	}
}

/* Lease due recipients of the lane: those never tried, or those tried before. */
static void lease_walk(struct due_page *p, bool tried)
{
	const struct request *r = p->r;
	struct engine *e = p->e;
	struct db_rows *q = db_query(&e->db, Q_due_walk, INT(r->id), INT(tried), INT(r->cursor));

	while (p->n < r->max && db_row(&e->db, q)) {
		uint64_t id = db_u64(q, 0), n = db_u64(q, 1);
		struct due_message *m;

		if (leased_has(&sqlite_of(e)->leased, id, n))
			continue;
		m = due_page_add(p, id);
		lease_recipients(p, m, db_query(&e->db, Q_due_in_lane, INT(id), INT(r->id), INT(r->cursor)), GROUP_MAX);
		due_page_envelope(p, m, r->in.with_text);
	}
	if (p->n >= r->max)
		db_end(q);
}

void run_lease(struct engine *e, struct request *r)
{
	struct due_page p = { .e = e, .r = r };
	struct lane_cache *cache;
	uint64_t next_at = 0;

	if (e->host->results_wait) {
		r->verdict = why_results_wait(e->host);
		return;
	}
	lease_walk(&p, false);
	lease_walk(&p, true);
	cache = leased_lane(&sqlite_of(e)->leased, r->id);
	if (p.n < r->max && cache) { /* the walk met all that is due: the lane has nothing to give until then */
		(void)lane_earliest(e, r->id, r->cursor, &next_at);
		cache->quiet = true;
		cache->next_at = next_at;
	}
	r->out.rows = p.at;
	r->out.n = p.n;
}

void run_lease_siblings(struct engine *e, struct request *r)
{
	struct due_page p = { .e = e, .r = r };
	struct due_message *m;

	if (e->host->results_wait) {
		r->verdict = why_results_wait(e->host);
		return;
	}
	m = due_page_add(&p, r->id);
	lease_recipients(&p, m, db_query(&e->db, Q_due_anywhere, INT(r->id), INT(r->cursor)),
			 r->max < GROUP_MAX ? r->max : GROUP_MAX);
	due_page_envelope(&p, m, false);
	r->out.rows = p.at;
	r->out.n = m->recipients_n ? 1 : 0;
}
