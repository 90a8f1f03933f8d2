/* control.c - what a queue does with its control connection: claim a number, beat, declare others dead, move shards, drain. */
#include "model.h"

#include <string.h>

static void begin_claim(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	struct tx *t = queue_begin(w, machine, CONTROL, &tx_claim);

	if (!t)
		return;
	t->number = t->victim = number_for(w->servers[t->server].rows, m->instance);
	t->victim_epoch = t->number == NO_NUMBER ? 0 : w->servers[t->server].rows[NODE(t->number)].epoch;
	t->epoch = NO_NUMBER;
	t->instance = m->instance;
	t->delay = m->fresh ? 0 : UNKNOWN_WAIT;
}

static void begin_beat(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	struct tx *t = queue_begin(w, machine, CONTROL, &tx_beat);
	us own = w->now + m->wall;

	if (!t)
		return;
	t->floor = (own > m->last_id ? own : m->last_id) + SECOND(10);
	m->next_beat = w->now + BEAT;
}

/* A node whose counter has not moved for 20 s, seen by one that is itself in time. They are tried in turn: the lock that keeps
 * one from being declared dead can be that of another dead node, which froze while it did the same. */
static int dead_node(const struct world *w, const struct machine *m)
{
	for (int i = 1; i <= NUMBERS; i++) {
		int n = (m->last_victim + i) % NUMBERS;

		if (n != m->number && m->view[n].works && w->now - m->view[n].seen_at >= NODE_TIMEOUT &&
		    w->now - m->beat_done <= OWN_BEAT_AGE)
			return n;
	}
	return NO_NUMBER;
}

static void begin_declare(struct world *w, int machine, int victim)
{
	struct machine *m = &w->machines[machine];
	bool afterwards = BREAKS(w, GIVE_BACK_AFTERWARDS);
	struct tx *t = queue_begin(w, machine, CONTROL, afterwards ? &tx_declare_only : &tx_declare);

	if (!t)
		return;
	m->last_victim = t->victim = victim;
	t->victim_epoch = m->view[victim].epoch;
	t->victim_beat = m->view[victim].beat;
	trace(w, "machine %d: declares number %d epoch %d dead", machine, victim, t->victim_epoch);
	check_declaration(w, victim, t->victim_epoch);
	if (chance(w, 40))
		misfortune_freeze(w, machine);
}

static void begin_left_over(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	struct tx *t = queue_begin(w, machine, CONTROL, &tx_give_back);

	if (!t)
		return;
	t->victim = m->left_over;
	t->victim_epoch = m->left_over_epoch;
	t->delay = UNKNOWN_WAIT;
	m->left_over = NO_NUMBER;
}

/* Give up a shard when it has more than its share, take a free one when it has less. */
static bool move_shard(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	int have = __builtin_popcount(m->shards), share = m->draining ? 0 : m->share;
	struct tx *t;

	for (int s = 0; s < LANES; s++) {
		if (have > share && m->shards & BIT(s)) {
			t = queue_begin(w, machine, CONTROL, &tx_shard_leave);
			m->shards &= t ? ~BIT(s) : UINT32_MAX;
		} else if (have < share && m->free_shards & BIT(s)) {
			t = queue_begin(w, machine, CONTROL, &tx_shard_take);
			m->free_shards &= ~BIT(s);
		} else {
			continue;
		}
		if (t)
			t->shard = s;
		return true;
	}
	return false;
}

static bool has_deliveries(const struct machine *m)
{
	for (int i = 0; i < DELIVERIES; i++)
		if (m->deliveries[i].stage != NOTHING)
			return true;
	return m->tx[TAKES] != NO_TX;
}

static void begin_drained(struct world *w, int machine, bool drained)
{
	struct tx *t = queue_begin(w, machine, CONTROL, &tx_drain);

	if (t)
		t->again = drained;
}

void control_task(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	int victim = m->member ? dead_node(w, m) : NO_NUMBER;

	if (!m->member) {
		begin_claim(w, machine);
	} else if (victim != NO_NUMBER) {
		begin_declare(w, machine, victim);
	} else if (m->left_over != NO_NUMBER) {
		begin_left_over(w, machine);
	} else if (w->now >= m->next_beat) {
		begin_beat(w, machine);
	} else if (m->leaving && !m->draining) {
		begin_drained(w, machine, false);
	} else if (move_shard(w, machine)) {
		return;
	} else if (m->draining && !m->shards && !has_deliveries(m) && m->tx[COMMITS] == NO_TX) {
		begin_drained(w, machine, true);
	} else {
		m->task_at[CONTROL] = m->next_beat;
	}
}

/* The beat also read all of node and shard. anew: this node was itself without a beat, so it cannot know how long others have
 * been. */
static void learn(struct world *w, struct machine *m, const struct tx *t, bool anew)
{
	int works = 0;

	m->shards = m->free_shards = 0;
	for (int n = 0; n < NUMBERS; n++) {
		const struct row *node = &t->nodes[n];

		if (anew || !node->there || node->epoch != m->view[n].epoch || node->beat != m->view[n].beat || !m->view[n].works)
			m->view[n].seen_at = w->now;
		m->view[n].epoch = node->epoch;
		m->view[n].beat = node->beat;
		m->view[n].works = A_NODE_WORKS(node);
		works += node->there && node->state == UP;
	}
	for (int s = 0; s < LANES; s++) {
		const struct row *shard = &t->shards[s], *node = shard->node == NO_NUMBER ? NULL : &t->nodes[shard->node];

		if (!node || !A_NODE_WORKS(node) || node->epoch != shard->epoch)
			m->free_shards |= BIT(s);
		else if (shard->node == m->number && shard->epoch == m->epoch)
			m->shards |= BIT(s);
	}
	m->share = works ? (LANES + works - 1) / works : LANES;
}

/* The horizon counts from the start of the beat, not from its answer. */
static void beat_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];
	bool anew = w->now - m->beat_done > OUTAGE && !BREAKS(w, COUNT_THROUGH_OUTAGE);

	if (t->outcome != COMMITTED) {
		trace(w, "machine %d: is not a member any more", machine);
		m->member = false;
		return;
	}
	m->beat_start = m->asked_at[CONTROL];
	m->beat_done = w->now;
	m->horizon = m->beat_start + HORIZON;
	m->horizon_number = m->number;
	m->horizon_epoch = m->epoch;
	m->floor = t->floor;
	m->database_time = t->clock;
	m->database_time_at = BREAKS(w, OFFSET_BY_WALL_CLOCK) ? w->now + m->wall : w->now;
	learn(w, m, t, anew);
}

static void claim_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	if (t->outcome == TIMED_OUT)
		db_terminate(w, t->server, t->victim, t->victim_epoch);
	if (t->outcome != COMMITTED) {
		m->task_at[CONTROL] = w->now + SECOND(1);
		return;
	}
	m->member = true;
	m->fresh = m->draining = false;
	m->number = t->number;
	m->epoch = t->epoch;
	m->last_id = t->floor > m->last_id ? t->floor : m->last_id;
	m->floor = 0; /* no id before the first beat has moved it */
	m->shards = 0;
	m->next_beat = w->now;
	m->reread_at = w->now + REREAD;
	memset(m->view, 0, sizeof m->view);
	trace(w, "machine %d: is number %d epoch %d", machine, m->number, m->epoch);
}

static void drain_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	if (t->outcome != COMMITTED)
		return;
	m->draining = true;
	if (!t->again)
		return;
	queue_kill(w, machine);
	m->starts_at = w->now + between(w, SECOND(1), SECOND(40));
}

void control_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	if (t->outcome == TIMED_OUT && t->kind != &tx_claim)
		check_timeout(w, machine);
	else if (t->kind == &tx_declare)
		m->timeouts = 0;
	if (t->kind == &tx_claim) {
		claim_answered(w, machine, t);
	} else if (t->kind == &tx_beat) {
		beat_answered(w, machine, t);
	} else if (t->kind == &tx_drain) {
		drain_answered(w, machine, t);
	} else if (t->kind == &tx_shard_take && t->outcome == COMMITTED) {
		m->shards |= BIT(t->shard);
	} else if (t->outcome == TIMED_OUT) {
		if (!BREAKS(w, NO_TERMINATE))
			db_terminate(w, t->server, t->victim, t->victim_epoch);
	} else if (t->kind == &tx_declare_only && t->outcome == COMMITTED) {
		m->left_over = t->victim;
		m->left_over_epoch = t->victim_epoch;
		if (chance(w, 4))
			misfortune_freeze(w, machine);
	} else if (t->outcome != COMMITTED) {
		if (t->kind == &tx_declare || t->kind == &tx_declare_only)
			m->view[t->victim].seen_at = w->now; /* it lives, or another was first */
		m->next_beat = w->now; /* the beat tells whether we are still a member, and how the others are */
	}
}
