/* marked.c - recipients that an administrator has removed or returned while they were in flight, and whose result never came. */
#include "rows.h"

#include "posthouse/clock.h"

#include <stdlib.h>

void end_marked(struct engine *e)
{
	struct db_rows *q = db_query(&e->db, Q_removing);
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
