/* recipient_state.c - the state of a recipient: read, judged, counted. */
#include "rows.h"

bool state_is_final(unsigned state)
{
	return state != RCPT_WAITING && state != RCPT_HELD && state != RCPT_FAILED;
}

void count_state(struct engine *e, unsigned from, unsigned to)
{
	e->counters.waiting += (uint64_t)(to == RCPT_WAITING) - (uint64_t)(from == RCPT_WAITING);
	e->counters.held += (uint64_t)(to == RCPT_HELD) - (uint64_t)(from == RCPT_HELD);
	e->counters.failed += (uint64_t)(to == RCPT_FAILED) - (uint64_t)(from == RCPT_FAILED);
}

bool recipient_read(struct engine *e, uint64_t id, uint64_t n, struct result *was_out)
{
	struct db_rows *q = db_query(&e->db, Q_recipient_get, INT(id), INT(n));

	was_out->state = 0;
	if (!db_row(&e->db, q))
		return false;
	was_out->state = (unsigned)db_u64(q, 0);
	was_out->lane = db_u64(q, 1);
	was_out->removing = (unsigned)db_u64(q, 3);
	was_out->last_at = db_u64(q, 5);
	db_end(q);
	return true;
}
