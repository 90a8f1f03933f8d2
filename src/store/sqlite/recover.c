/* recover.c - the start with the rows that an earlier process left: reads the counters, ends recipients that an administrator has
 * removed or returned while they were in flight, and mends lanes that would never have their turn. */
#include "sqlite.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"

#include <stdlib.h>

#define CLOCK_STEP_MS 1000 /* a smaller correction does not count as a clock that was set back */

void read_counters(struct engine *e)
{
	struct counters *c = &e->counters;

	if (!db_numbers(&e->db, db_query(&e->db, Q_counters), &c->open_messages, &c->waiting, &c->held, &c->failed, &c->lanes,
			&e->next_lane, &e->clock_at))
		return;
	e->next_lane++;
	e->rerouted = db_exists(&e->db, db_query(&e->db, Q_lanes_rerouted));
	e->set_back = clock_is_foreign(e->clock_at, clock_now_ms(), CLOCK_STEP_MS) || e->clock_at == 0;
}

/* End recipients that were in flight when an administrator removed or returned them, and whose result never came. */
static void remove_marked(struct engine *e)
{
	sqlite3_stmt *q = db_query(&e->db, Q_removing);
	struct id_array marked = { 0 };
	uint64_t now = clock_now_ms();

	while (db_row(&e->db, q)) {
		id_array_add(&marked, db_u64(q, 0));
		id_array_add(&marked, db_u64(q, 1));
		id_array_add(&marked, db_u64(q, 2));
	}
	for (size_t i = 0; i < marked.n; i += 3) {
		uint64_t id = marked.at[i], n = marked.at[i + 1], lane, state;
		enum removing removing = (enum removing)marked.at[i + 2];
		enum recipient_state next = removing == REMOVING_BOUNCED ? RCPT_FAILED : RCPT_REMOVED;

		if (!db_numbers(&e->db, db_query(&e->db, Q_recipient_get, INT(id), INT(n)), &state, &lane) ||
		    state_is_final((unsigned)state))
			continue;
		db_run(&e->db, Q_recipient_settle, INT(id), INT(n), INT(next), INT(0), INT(0), INT(0), TEXT(S("")), INT(now));
		count_state(e, (unsigned)state, next);
		add_event(e, id, n, now, removing_event(removing), S("when=\"after a restart\""));
		lane_refresh(e, lane);
		if (next == RCPT_REMOVED)
			message_reduce_open(e, id, 1, now);
	}
	free(marked.at);
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
	remove_marked(e);
	mend_lanes(e);
}
