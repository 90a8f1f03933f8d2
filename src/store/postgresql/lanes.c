/* lanes.c - lanes of a database that several nodes write to, and how recipients are taken from them. A lane that is busy is not
 * written: accepts only make sure that the lane is awake at the time at which they need it. */
#include "lane_name.h"
#include "postgresql.h"

#include "posthouse/clock.h"

/* Three statements, and not one: the last has to see what was committed while the second one waited for its lock. A lane that was
 * removed in between fails the transaction, which is then repeated. */
static void wake(struct engine *e, uint64_t lane, uint64_t due_at)
{
	cursor_lower(&postgresql_of(e)->cursors, lane, due_at);
	db_run(&e->db, Q_lane_lock, INT(lane));
	db_run(&e->db, Q_lane_lower, INT(lane), INT(due_at));
}

uint64_t lane_for(struct engine *e, struct str address, const struct lane_key *key, uint64_t due_at)
{
	struct str domain = lane_domain(&e->host->arena, address);
	uint64_t lane = lane_number(&e->host->arena, domain, key);

	db_run(&e->db, Q_lane_add, INT(lane), TEXT(domain), TEXT(key->login), PRIORITY(key->priority), TEXT(key->via),
	       INT(key->wish), INT(due_at), INT(lane_shard(domain)));
	wake(e, lane, due_at);
	e->rerouted = e->rerouted || key->via.n > 0;
	return lane;
}

void lane_note_due(struct engine *e, uint64_t lane, uint64_t due_at)
{
	wake(e, lane, due_at);
}

/* Nothing (more) is due: the lane sleeps until the next recipient is, unless somebody is waking it just now. */
static void put_to_sleep(struct engine *e, uint64_t lane)
{
	if (db_exists(&e->db, db_query(&e->db, Q_lane_sleep_lock, INT(lane))))
		db_run(&e->db, Q_lane_sleep, INT(lane));
}

/* Recipients have changed: is the lane awake too early? Mostly not, and then it is not locked. */
void lane_refresh(struct engine *e, uint64_t lane)
{
	if (db_exists(&e->db, db_query(&e->db, Q_lane_is_early, INT(lane))))
		put_to_sleep(e, lane);
}

/* The same at the end of the transaction, without waiting. */
void lane_settled(struct engine *e, uint64_t lane)
{
	if (!gather_settled(&postgresql_of(e)->gather, lane))
		lane_refresh(e, lane);
}

bool lane_is_quiet(const struct engine *e, uint64_t lane, uint64_t now)
{
	return false;
}

uint64_t lanes_quiet_until(const struct engine *e, uint64_t now, uint64_t next_at)
{
	return next_at;
}
