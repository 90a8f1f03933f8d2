/* janitor.c - what has time: partitions for the days to come, history that is old, lanes in which nobody waits. All nodes do it;
 * who comes second finds nothing to do. */
#include "postgresql.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define PARTITIONS_MS HOUR_MS
#define HISTORY_MS    (10 * MINUTE_MS)
#define LANES_MS      MINUTE_MS
#define LANES_MAX     200 /* in one step */

/* Is it time? Then the next time is so much later. */
static bool is_time(uint64_t *at, uint64_t interval_ms)
{
	if (clock_mono_ms() < *at)
		return false;
	*at = clock_mono_ms() + interval_ms;
	return true;
}

void history_prune(struct engine *e, uint64_t before)
{
	postgresql_of(e)->janitor.history_before = before;
}

/* One that is needed again meanwhile stays, or its accept is repeated and makes it anew. */
void janitor_lanes(struct engine *e)
{
	struct janitor *j = &postgresql_of(e)->janitor;
	uint64_t lanes[LANES_MAX];
	struct db_rows *q;
	size_t n = 0;

	if (!is_time(&j->lanes_at, LANES_MS))
		return;
	q = db_query(&e->db, Q_lanes_asleep, INT(j->lane), INT(LANES_MAX));
	while (n < LANES_MAX && db_row(&e->db, q))
		lanes[n++] = db_u64(q, 0);
	db_end(q);
	for (size_t i = 0; i < n; i++)
		if (db_exists(&e->db, db_query(&e->db, Q_lane_sleep_lock, INT(lanes[i]))))
			db_run(&e->db, Q_lane_drop, INT(lanes[i]));
	j->lane = n == LANES_MAX ? lanes[n - 1] : 0;
	if (n == LANES_MAX) /* there are more */
		j->lanes_at = 0;
}

bool janitor_days(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);
	struct janitor *j = &p->janitor;

	if (is_time(&j->partitions_at, PARTITIONS_MS) && !schema_partitions_ahead(&e->db, &p->days, clock_now_ms()))
		return false;
	if (j->history_before == 0 || !is_time(&j->history_at, HISTORY_MS))
		return true;
	return schema_drop_before(&e->db, &p->days, j->history_before);
}
