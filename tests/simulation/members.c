/* members.c - the transactions about nodes: who is a member, under which epoch, and which shards it looks at. */
#include "model.h"

/* First statement of every transaction: SELECT ... FROM node WHERE number AND epoch AND state FOR KEY SHARE. It holds off the
 * change of the epoch until this transaction has ended, and not the beat. */
enum after fence(struct world *w, struct tx *t)
{
	const struct row *node = &t->rows[NODE(t->number)];

	bool repeats = t->kind == &tx_accept && t->again; /* here it is also what makes the commit wait for the standby */

	if (repeats ? BREAKS(w, REPEAT_WITHOUT_FENCE) : BREAKS(w, NO_FENCE))
		return DONE;
	if (!A_NODE_WORKS(node) || node->epoch != t->epoch)
		return REFUSED;
	if (!db_lock(w, t, NODE(t->number), KEY_SHARE))
		return BLOCKED;
	return A_NODE_WORKS(node) && node->epoch == t->epoch ? DONE : REFUSED;
}

/* The number of this instance, else the lowest that is free or removed; read before the claim, with its epoch. */
int number_for(const struct row *rows, int instance)
{
	for (int n = 0; n < NUMBERS; n++)
		if (rows[NODE(n)].there && rows[NODE(n)].state != REMOVED && rows[NODE(n)].node == instance)
			return n;
	for (int n = 0; n < NUMBERS; n++)
		if (!rows[NODE(n)].there || rows[NODE(n)].state == REMOVED)
			return n;
	return NO_NUMBER;
}

/* UPDATE node SET epoch = epoch + 1, instance, state = 'up' WHERE number AND epoch: the epoch that was read. Else a claim of
 * which the answer was lost could commit after a later one of the same process, and give back at once what that has taken since.
 * What the former epochs had taken is given back in this transaction: at once when the process is new, for then nothing of the
 * old one is left. */
static enum after claim_number(struct world *w, struct tx *t)
{
	struct row *node;

	if (t->number == NO_NUMBER)
		return REFUSED; /* none is free */
	if (!db_lock_key(w, t, NODE(t->number), FOR_UPDATE))
		return BLOCKED;
	node = &t->rows[NODE(t->number)];
	if (node->there && node->state != REMOVED && node->node != t->instance)
		return REFUSED; /* another one was first */
	if (node->epoch != t->victim_epoch && !BREAKS(w, CLAIM_OF_ANY_EPOCH))
		return REFUSED;
	if (node->there)
		met(node->node == t->instance ? SAME_INSTANCE : NUMBER_REUSED);
	node = db_write(t, NODE(t->number));
	node->there = true;
	node->state = UP;
	node->node = t->instance;
	t->victim = BREAKS(w, CLAIM_WITHOUT_GIVING_BACK) ? NO_NUMBER : t->number;
	t->victim_epoch = node->epoch;
	t->epoch = ++node->epoch;
	t->floor = node->at;
	return DONE;
}

/* UPDATE node SET beat = beat + 1, id_floor = ... WHERE number AND epoch. */
static enum after beat_once(struct world *w, struct tx *t)
{
	struct row *node = &t->rows[NODE(t->number)];

	if (node->epoch != t->epoch || !A_NODE_WORKS(node))
		return REFUSED;
	if (!db_lock(w, t, NODE(t->number), NO_KEY_UPDATE))
		return BLOCKED;
	if (node->epoch != t->epoch || !A_NODE_WORKS(node))
		return REFUSED;
	t->clock = w->now + w->servers[t->server].clock;
	node = db_write(t, NODE(t->number));
	node->beat++;
	if (node->at < t->floor)
		node->at = t->floor;
	return DONE;
}

/* UPDATE node SET epoch = epoch + 1, state = 'dead' WHERE number AND epoch AND beat: as they were for 20 s. The new epoch needs
 * the lock that every transaction of the old one excludes, so what the old one took is either visible afterwards or not taken. */
static enum after end_epoch(struct world *w, struct tx *t)
{
	struct row *node = &t->rows[NODE(t->victim)];

	if (node->epoch != t->victim_epoch || node->beat != t->victim_beat || !A_NODE_WORKS(node))
		return REFUSED;
	if (!db_lock(w, t, NODE(t->victim), FOR_UPDATE))
		return BLOCKED;
	if (node->epoch != t->victim_epoch)
		met(TWO_OBSERVERS);
	else if (node->beat != t->victim_beat)
		met(BEAT_BEAT_DECLARE);
	if (node->epoch != t->victim_epoch || node->beat != t->victim_beat || !A_NODE_WORKS(node))
		return REFUSED;
	node = db_write(t, NODE(t->victim));
	node->epoch++;
	node->state = DEAD;
	t->delay = BREAKS(w, NO_UNKNOWN_WAIT) ? 0 : UNKNOWN_WAIT;
	return DONE;
}

static bool owner_lives(const struct tx *t, const struct row *shard)
{
	const struct row *node = shard->node == NO_NUMBER ? NULL : &t->rows[NODE(shard->node)];

	return node && A_NODE_WORKS(node) && node->epoch == shard->epoch;
}

/* A shard that is free or of a dead epoch: FOR UPDATE SKIP LOCKED. */
static enum after shard_take(struct world *w, struct tx *t)
{
	struct row *shard = &t->rows[SHARD(t->shard)];

	if (owner_lives(t, shard) || !db_lock(w, t, SHARD(t->shard), FOR_UPDATE) || owner_lives(t, shard))
		return REFUSED;
	shard = db_write(t, SHARD(t->shard));
	shard->node = t->number;
	shard->epoch = t->epoch;
	return DONE;
}

static enum after shard_leave(struct world *w, struct tx *t)
{
	struct row *shard = &t->rows[SHARD(t->shard)];

	if (!db_lock(w, t, SHARD(t->shard), FOR_UPDATE) || shard->node != t->number || shard->epoch != t->epoch)
		return REFUSED;
	db_write(t, SHARD(t->shard))->node = NO_NUMBER;
	return DONE;
}

/* First to 'draining', and when nothing is in flight any more to 'drained'. The state is not part of the key. */
static enum after drain(struct world *w, struct tx *t)
{
	if (!db_lock(w, t, NODE(t->number), NO_KEY_UPDATE))
		return BLOCKED;
	db_write(t, NODE(t->number))->state = t->again ? DRAINED : DRAINING;
	return DONE;
}

/* The number becomes free; the row stays, so that its epochs and ids go on. */
static enum after remove_node(struct world *w, struct tx *t)
{
	struct row *node = &t->rows[NODE(t->victim)];

	if (!node->there || !db_lock(w, t, NODE(t->victim), FOR_UPDATE))
		return REFUSED;
	if (node->state != DEAD && node->state != DRAINED)
		return REFUSED;
	db_write(t, NODE(t->victim))->state = REMOVED;
	return DONE;
}

#define GIVE_BACK give_back_lock, give_back_move, lane_insert, lane_share, lane_wake

const struct transaction tx_claim = { "claim", { claim_number, GIVE_BACK }, .lock_timeout = LOCK_TIMEOUT };
const struct transaction tx_beat = { "beat", { beat_once } };
const struct transaction tx_declare = { "declare dead", { fence, end_epoch, GIVE_BACK }, .lock_timeout = LOCK_TIMEOUT };
const struct transaction tx_declare_only = { "declare dead", { fence, end_epoch }, .lock_timeout = LOCK_TIMEOUT };
const struct transaction tx_shard_take = { "take shard", { fence, shard_take } };
const struct transaction tx_shard_leave = { "leave shard", { fence, shard_leave } };
const struct transaction tx_drain = { "drain", { fence, drain } };
const struct transaction tx_remove_node = { "remove node", { remove_node } };
