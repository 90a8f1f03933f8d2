/* mend.c - after the clock was set back: times in the future become times of the present clock, one page in each
 * transaction. The queries do not find a page again that was mended, so after a crash the work can begin again from the
 * start; only the last page marks it as done. */
#include "rows.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"
#include "posthouse/units.h"

#define PAGE_MAX   500
#define UNTRIED_MS MINUTE_MS /* the longest delay of a recipient that was never tried */

enum { MEND_MESSAGES, MEND_LANES, MEND_REST };

/* Read by a transaction before it writes. */
struct found {
	uint64_t id, n, at;
};

/* Messages that were received later than now. Their ids begin with that time. */
static void mend_messages(struct engine *e, struct mending *m)
{
	uint64_t first = id_first_of(m->now), after = m->cursor > first ? m->cursor : first;
	struct found *found = ARENA_ARRAY(&e->host->arena, struct found, PAGE_MAX);
	struct db_rows *q = db_query(&e->db, Q_ahead_messages, INT(after), INT(m->now), INT(PAGE_MAX));
	size_t n = 0;

	while (n < PAGE_MAX && db_row(&e->db, q))
		found[n++] = (struct found){ .id = db_u64(q, 0), .at = db_u64(q, 1) };
	db_end(q);
	for (size_t i = 0; i < n; i++)
		db_run(&e->db, Q_ahead_message, INT(found[i].id), INT(m->now), INT(found[i].at - m->now),
		       INT(m->now + m->release_ms));
	m->messages += n;
	m->cursor = n == PAGE_MAX ? found[n - 1].id : 0;
	m->step += n < PAGE_MAX;
}

/* Mend recipients of a lane whose next attempt is later than any interval allows; true when there can be more. */
static bool mend_recipients(struct engine *e, struct mending *m, uint64_t lane, bool tried)
{
	uint64_t latest = m->now + (tried ? m->retry_ms : UNTRIED_MS);
	struct found *found = ARENA_ARRAY(&e->host->arena, struct found, PAGE_MAX);
	struct db_rows *q = db_query(&e->db, Q_ahead_recipients, INT(lane), INT(tried), INT(m->now), INT(latest), INT(PAGE_MAX));
	size_t n = 0;

	while (n < PAGE_MAX && db_row(&e->db, q))
		found[n++] = (struct found){ .id = db_u64(q, 0), .n = db_u64(q, 1), .at = db_u64(q, 2) };
	db_end(q);
	for (size_t i = 0; i < n; i++) {
		db_run(&e->db, Q_ahead_recipient, INT(found[i].id), INT(found[i].n), INT(found[i].at), INT(m->now));
		lane_note_due(e, lane, found[i].at);
	}
	m->recipients += n;
	if (n > 0)
		lane_refresh(e, lane);
	return n == PAGE_MAX;
}

static void mend_lanes(struct engine *e, struct mending *m)
{
	uint64_t *lanes = ARENA_ARRAY(&e->host->arena, uint64_t, PAGE_MAX), before = m->recipients;
	struct db_rows *q = db_query(&e->db, Q_lanes_after, INT(m->cursor), INT(PAGE_MAX));
	size_t n = 0;

	while (n < PAGE_MAX && db_row(&e->db, q))
		lanes[n++] = db_u64(q, 0);
	db_end(q);
	for (size_t i = 0; i < n; i++) {
		if (mend_recipients(e, m, lanes[i], false) || mend_recipients(e, m, lanes[i], true))
			return; /* the same lane again */
		m->cursor = lanes[i];
		if (m->recipients - before >= PAGE_MAX)
			return;
	}
	if (n == PAGE_MAX)
		return;
	m->cursor = 0;
	m->step++;
}

/* Mend finished messages, which would be kept for too long, and the recipients known to logins; then note that all is mended. */
static void mend_rest(struct engine *e, struct mending *m)
{
	size_t finished;

	db_run(&e->db, Q_ahead_finished, INT(m->now), INT(PAGE_MAX));
	finished = db_changes(&e->db);
	db_run(&e->db, Q_ahead_known, INT(m->now), INT(PAGE_MAX));
	if (finished >= PAGE_MAX || db_changes(&e->db) >= PAGE_MAX)
		return;
	db_run(&e->db, Q_clock_put, INT(m->now));
	e->clock_at = m->now;
	e->set_back = false;
	m->step++;
}

void run_mend(struct engine *e, struct request *r)
{
	struct mending *m = &r->out.mending;

	*m = *r->in.mending;
	switch (m->step) {
	case MEND_MESSAGES: mend_messages(e, m); break;
	case MEND_LANES: mend_lanes(e, m); break;
	case MEND_REST: mend_rest(e, m); break;
	default: m->step = MENDED;
	}
}
