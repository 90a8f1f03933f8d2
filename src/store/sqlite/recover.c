/* recover.c - the start with the rows that an earlier process left: reads the counters, and mends lanes that would never have
 * their turn. */
#include "sqlite.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"

#define CLOCK_STEP_MS 1000 /* a smaller correction does not count as a clock that was set back */

void read_counters(struct engine *e)
{
	struct counters *c = &e->counters;

	if (!db_numbers(&e->db, db_query(&e->db, Q_counters), &c->open_messages, &c->waiting, &c->held, &c->failed, &c->lanes,
			&sqlite_of(e)->next_lane, &e->clock_at))
		return;
	sqlite_of(e)->next_lane++;
	e->rerouted = db_exists(&e->db, db_query(&e->db, Q_lanes_rerouted));
	e->set_back = clock_is_foreign(e->clock_at, clock_now_ms(), CLOCK_STEP_MS) || e->clock_at == 0;
}

/* A lane whose priority no message has is damage: no round looks for it, and its mail would wait for ever. */
static void mend_lanes(struct engine *e)
{
	size_t n;

	if (!db_run(&e->db, Q_lanes_mend))
		return;
	n = db_changes(&e->db);
	if (n > 0)
		log_warning(NULL, "store.lanes_mended", kv("count", n));
}

void recover_rows(struct engine *e)
{
	end_marked(e);
	mend_lanes(e);
}
