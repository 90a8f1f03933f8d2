/* lanes.c - keeps the rows of lanes up to date, and leases recipients from a lane. The order of lanes: lane_rotation.c. */
#include "sqlite.h"

#define GROUP_MAX  100        /* recipients of one message in one lease */
#define EVERY_TIME UINT64_MAX /* -1 in SQLite: later than this is any time */

struct str lane_domain(struct arena *a, struct str address)
{
	size_t at = str_rfind(address, '@');

	return arena_lower(a, at < address.n ? str_from(address, at + 1) : address);
}

uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at)
{
	struct str domain = lane_domain(&e->host->arena, address);
	sqlite3_stmt *q = db_query(&e->db, Q_lane_find, TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
				   INT(key->wish));
	uint64_t lane, next_at;

	if (!db_numbers(&e->db, q, &lane, &next_at)) {
		lane = e->next_lane++;
		db_run(&e->db, Q_lane_add, INT(lane), TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
		       INT(key->wish), INT(due_at));
		e->counters.lanes++;
		e->rerouted = e->rerouted || key->via.n > 0;
		return lane;
	}
	if (due_at < next_at)
		db_run(&e->db, Q_lane_set, INT(lane), INT(due_at));
	leased_note_due(&e->leased, lane, due_at);
	return lane;
}

/* The earliest time after `after` at which a recipient of the lane is due; false when there is none. */
static bool lane_earliest(struct engine *e, uint64_t lane, uint64_t after, uint64_t *due_at_out)
{
	sqlite3_stmt *q = db_query(&e->db, Q_lane_earliest, INT(lane), INT(after));
	bool found = false;

	if (!db_row(&e->db, q))
		return false;
	for (int i = 0; i < 2; i++) {
		if (sqlite3_column_type(q, i) == SQLITE_NULL)
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

void lanes_note(uint64_t *lanes, size_t *lanes_n, uint64_t lane)
{
	for (size_t i = 0; i < *lanes_n; i++)
		if (lanes[i] == lane)
			return;
	if (lane)
		lanes[(*lanes_n)++] = lane;
}

/* ---- leases ---- */

struct lease_page {
	struct engine *e;
	struct request *r;
	struct due_message *at;
	size_t n, capacity, max;
	uint64_t now;
	bool with_text;
};

/* Lease at most `max` recipients of one message that are due and not leased: rows of due_in_lane or due_anywhere. */
static void lease_recipients(struct lease_page *p, uint64_t id, sqlite3_stmt *q, size_t max, struct due_message *m)
{
	size_t capacity = 0;

	while (db_row(&p->e->db, q)) {
		uint64_t n = db_u64(q, 0);

		if (leased_has(&p->e->leased, id, n))
			continue;
		if (m->recipients_n == max) {
			db_end(q);
			break;
		}
		ARENA_GROW(&p->r->arena, m->recipients, m->recipients_n, capacity);
		m->recipients[m->recipients_n++] = (struct due_recipient){ .n = n,
									   .address = db_keep(&p->r->arena, q, 1),
									   .orcpt = db_keep(&p->r->arena, q, 2),
									   .notify = (unsigned)db_u64(q, 3),
									   .via = db_keep(&p->r->arena, q, 7),
									   .attempts = db_u64(q, 4),
									   .deaths = db_u64(q, 5) };
		leased_add(&p->e->leased, id, n, db_u64(q, 6));
	}
}

/* Read the message's envelope, and its text if that is wanted and in the database. */
static void read_envelope(struct lease_page *p, struct due_message *m)
{
	struct arena *a = &p->r->arena;
	sqlite3_stmt *q = db_query(&p->e->db, Q_envelope, INT(m->id));

	if (!db_row(&p->e->db, q))
		return;
	m->kind = (enum message_kind)db_u64(q, 0);
	m->received_at = db_u64(q, 1);
	m->expires_at = db_u64(q, 2);
	m->prefix = db_keep(a, q, 3);
	m->size = db_u64(q, 4);
	m->place = (enum message_place)db_u64(q, 5);
	m->header_size = db_u64(q, 6);
	m->others_open = db_u64(q, 7) - m->recipients_n; /* all of these are open */
	m->envelope = stored_envelope(a, q, 8);
	db_end(q);
	if (p->with_text && m->place == PLACE_ROW)
		m->text = text_read(p->e, a, m->id);
}

static struct due_message *page_add(struct lease_page *p, uint64_t id)
{
	ARENA_GROW(&p->r->arena, p->at, p->n, p->capacity);
	p->at[p->n] = (struct due_message){ .id = id };
	return &p->at[p->n++];
}

/* Lease due recipients of the lane: those never tried, or those tried before. */
static void lease_walk(struct lease_page *p, uint64_t lane, bool tried)
{
	sqlite3_stmt *q = db_query(&p->e->db, Q_due_walk, INT(lane), INT(tried), INT(p->now));

	while (p->n < p->max && db_row(&p->e->db, q)) {
		uint64_t id = db_u64(q, 0), n = db_u64(q, 1);
		struct due_message *m;

		if (leased_has(&p->e->leased, id, n))
			continue;
		m = page_add(p, id);
		lease_recipients(p, id, db_query(&p->e->db, Q_due_in_lane, INT(id), INT(lane), INT(p->now)), GROUP_MAX, m);
		read_envelope(p, m);
	}
	if (p->n >= p->max)
		db_end(q);
}

void run_lease(struct engine *e, struct request *r)
{
	struct lease_page p = { .e = e, .r = r, .now = r->cursor, .max = r->max, .with_text = r->in.with_text };
	struct lane_cache *cache;
	uint64_t next_at = 0;

	if (e->host->results_wait) {
		r->verdict = store_full;
		return;
	}
	lease_walk(&p, r->id, false);
	lease_walk(&p, r->id, true);
	cache = leased_lane(&e->leased, r->id);
	if (p.n < p.max && cache) { /* the walk met all that is due: the lane has nothing to give until then */
		(void)lane_earliest(e, r->id, p.now, &next_at);
		cache->quiet = true;
		cache->next_at = next_at;
	}
	r->out.rows = p.at;
	r->out.n = p.n;
}

void run_lease_siblings(struct engine *e, struct request *r)
{
	struct lease_page p = { .e = e, .r = r, .now = r->cursor, .max = r->max };
	struct due_message *m;

	if (e->host->results_wait) {
		r->verdict = store_full;
		return;
	}
	m = page_add(&p, r->id);
	lease_recipients(&p, r->id, db_query(&e->db, Q_due_anywhere, INT(r->id), INT(p.now)),
			 r->max < GROUP_MAX ? r->max : GROUP_MAX, m);
	read_envelope(&p, m);
	r->out.rows = p.at;
	r->out.n = m->recipients_n ? 1 : 0;
}
