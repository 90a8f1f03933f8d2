/* lanes.c - the transactions about lanes: an accept wakes one without writing to it while it is awake, its owner puts it to
 * sleep, the janitor removes it. What keeps mail from waiting in a sleeping lane for ever: who wakes holds FOR KEY SHARE and
 * looks in the *next* statement, who puts to sleep holds FOR UPDATE and looks in the *next* statement. */
#include "model.h"

/* INSERT ... ON CONFLICT DO NOTHING, in order. */
enum after lane_insert(struct world *w, struct tx *t)
{
	for (int l = 0; l < LANES; l++) {
		if (!(t->lanes & BIT(l)) || t->rows[LANE(l)].there)
			continue;
		if (!db_lock_key(w, t, LANE(l), FOR_UPDATE))
			return BLOCKED; /* another transaction inserts it: the key decides when that has ended */
		if (!t->rows[LANE(l)].there)
			*db_write(t, LANE(l)) = (struct row){ .there = true, .at = t->wake_at };
	}
	return DONE;
}

/* SELECT ... ORDER BY id FOR KEY SHARE. Fewer rows than lanes: the janitor removed one. */
enum after lane_share(struct world *w, struct tx *t)
{
	for (int l = 0; l < LANES; l++) {
		if (!(t->lanes & BIT(l)))
			continue;
		if (!db_lock(w, t, LANE(l), KEY_SHARE))
			return BLOCKED;
		if (!t->rows[LANE(l)].there) {
			met(LANE_GONE);
			return BACK;
		}
	}
	return DONE;
}

/* Lock and change those that would sleep too long. This statement's snapshot is younger than the share lock. */
enum after lane_wake(struct world *w, struct tx *t)
{
	for (int l = 0; l < LANES; l++) {
		if (!(t->lanes & BIT(l)) || t->rows[LANE(l)].at <= t->wake_at)
			continue;
		if (!db_lock(w, t, LANE(l), NO_KEY_UPDATE))
			return BLOCKED;
		if (t->rows[LANE(l)].at > t->wake_at)
			db_write(t, LANE(l))->at = t->wake_at;
	}
	return DONE;
}

/* FOR UPDATE SKIP LOCKED: a lane that somebody wakes stays awake. */
static enum after lock_to_sleep(struct world *w, struct tx *t)
{
	if (!t->rows[LANE(t->shard)].there)
		return REFUSED;
	if (db_lock(w, t, LANE(t->shard), FOR_UPDATE))
		return t->rows[LANE(t->shard)].there ? DONE : REFUSED;
	met(SLEEP_SKIPS);
	return REFUSED;
}

/* The earliest due row of the lane; what is taken wakes the lane itself when it comes back. */
static enum after sleep_until_due(struct world *w, struct tx *t)
{
	us earliest = NEVER;

	for (int m = 0; m < MAILS; m++)
		if (LANE_OF(m) == t->shard && t->rows[DUE(m)].there && t->rows[DUE(m)].at < earliest)
			earliest = t->rows[DUE(m)].at;
	if (t->rows[LANE(t->shard)].at == earliest)
		return REFUSED;
	db_write(t, LANE(t->shard))->at = earliest;
	return DONE;
}

static enum after remove_if_empty(struct world *w, struct tx *t)
{
	if (!t->rows[LANE(t->shard)].there || t->rows[LANE(t->shard)].at != NEVER)
		return REFUSED;
	for (int m = 0; m < MAILS; m++)
		if (LANE_OF(m) == t->shard && (t->rows[DUE(m)].there || t->rows[TAKEN(m)].there))
			return REFUSED;
	db_write(t, LANE(t->shard))->there = false;
	return DONE;
}

/* The broken variant locks and looks in one statement, whose snapshot is from before the lock. */
static enum after sleep_lock(struct world *w, struct tx *t)
{
	return BREAKS(w, SLEEP_IN_ONE_STATEMENT) ? DONE : lock_to_sleep(w, t);
}

static enum after sleep_look(struct world *w, struct tx *t)
{
	if (BREAKS(w, SLEEP_IN_ONE_STATEMENT) && lock_to_sleep(w, t) != DONE)
		return REFUSED;
	return sleep_until_due(w, t);
}

const struct transaction tx_sleep = { "sleep", { fence, sleep_lock, sleep_look }, .asynchronous = true };
const struct transaction tx_janitor = { "janitor", { fence, lock_to_sleep, remove_if_empty }, .asynchronous = true };
