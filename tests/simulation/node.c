/* node.c - the queue of a machine: its start and death, and its connections to the database. A connection has one transaction at
 * a time; one that was lost leaves the transaction to the server, its outcome unknown. What is done with a connection: tasks.c.
 */
#include "model.h"

#include <string.h>

void queue_start(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];

	m->running = m->fresh = true;
	m->member = m->draining = m->leaving = false;
	m->number = m->left_over = NO_NUMBER;
	m->shards = m->free_shards = 0;
	m->starts_at = NEVER;
	m->horizon = m->horizon_epoch = 0;
	m->last_id = m->floor = 0;
	m->queue_frozen = m->relay_frozen = 0;
	memset(m->view, 0, sizeof m->view);
	memset(m->unknown, 0, sizeof m->unknown);
	for (int c = 0; c < CONNECTIONS; c++) {
		m->tx[c] = NO_TX;
		m->server[c] = NO_ONE;
		m->loses[c] = false;
		m->task_at[c] = w->now + soon(w);
	}
	trace(w, "machine %d: starts as instance %d", machine, m->instance);
}

/* All processes of the machine die. Its deliveries after the dot are what RFC 1047 speaks of. */
void queue_kill(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	bool noticed = chance(w, 2);

	trace(w, "machine %d: dies%s", machine, noticed ? "" : ", which the database does not notice");
	for (int c = 0; c < CONNECTIONS; c++) {
		if (m->tx[c] != NO_TX)
			db_let_go(w, &w->txs[m->tx[c]], noticed);
		m->tx[c] = NO_TX;
		m->task_at[c] = NEVER;
	}
	for (int i = 0; i < DELIVERIES; i++) {
		if (m->deliveries[i].stage >= DOTTED && m->deliveries[i].dot != NO_DOT)
			w->truth.dot[m->deliveries[i].dot].lost = true;
		m->deliveries[i].stage = NOTHING;
	}
	memset(m->accepts, 0, sizeof m->accepts);
	m->running = m->member = false;
}

/* What the node takes for the database's time: as it was with the last beat, and what has passed since then on its own
 * CLOCK_BOOTTIME. */
us database_time(const struct world *w, const struct machine *m)
{
	if (BREAKS(w, OFFSET_BY_WALL_CLOCK))
		return m->database_time + (w->now + m->wall) - m->database_time_at;
	return m->database_time + w->now - m->database_time_at;
}

/* The server with the highest timeline of those that live; never one below the highest seen. */
static int choose_server(struct world *w, struct machine *m)
{
	for (int s = w->current; s >= m->timeline; s--)
		if (w->servers[s].alive)
			return m->timeline = s;
	return NO_ONE;
}

/* Send a whole transaction as one pipeline. NULL: there is no server; the task waits. */
struct tx *queue_begin(struct world *w, int machine, enum connection c, const struct transaction *kind)
{
	struct machine *m = &w->machines[machine];
	struct tx *t;

	if (m->server[c] == NO_ONE || !w->servers[m->server[c]].alive) {
		m->server[c] = choose_server(w, m);
		if (m->member && m->server[c] != NO_ONE && !BREAKS(w, NO_TERMINATE))
			db_terminate_lost(w, m->server[c], m->number);
	}
	t = m->server[c] == NO_ONE ? NULL : db_begin(w, kind, m->server[c], machine);
	if (!t) {
		m->task_at[c] = w->now + SECOND(1);
		return NULL;
	}
	t->number = m->number;
	t->epoch = m->epoch;
	t->now = database_time(w, m);
	m->tx[c] = (int)(t - w->txs);
	m->asked_at[c] = w->now;
	m->task_at[c] = w->now + ANSWER_WAIT;
	if (!w->calm && chance(w, kind == &tx_claim ? 4 : 300)) {
		m->loses[c] = true;
		m->task_at[c] = w->now + soon(w);
		t->wakes_at = w->now + between(w, MS(1), SECOND(10));
	}
	if (chance(w, 150) && !w->calm && w->freezes) { /* half of the pipeline is sent, perhaps nothing */
		misfortune_freeze(w, machine);
		if (w->now < m->queue_frozen) {
			t->sent = (int)dice(w, 5);
			trace(w, "machine %d: has sent %d statements of tx %d %s", machine, t->sent, m->tx[c], kind->name);
		}
	}
	return t;
}

/* The connection is lost, and with it the answer. */
void queue_lose(struct world *w, int machine, enum connection c, bool noticed)
{
	struct machine *m = &w->machines[machine];

	if (m->tx[c] != NO_TX) {
		struct tx *t = &w->txs[m->tx[c]];

		trace(w, "machine %d: gets no answer from tx %d %s", machine, m->tx[c], t->kind->name);
		task_unknown(w, machine, c, t);
		db_let_go(w, t, noticed);
	}
	m->tx[c] = NO_TX;
	m->server[c] = NO_ONE;
	m->loses[c] = false;
	m->task_at[c] = w->now + soon(w);
}

/* There is an answer, or one has not come for too long, or a frozen queue goes on. */
static void await(struct world *w, int machine, enum connection c)
{
	struct machine *m = &w->machines[machine];
	struct tx *t = &w->txs[m->tx[c]];

	if (t->sent != INT32_MAX) { /* thawed: the rest of the pipeline follows */
		t->sent = INT32_MAX;
		if (t->state == TX_RUNS && !t->blocked)
			t->wakes_at = w->now + soon(w);
	}
	if (m->loses[c]) {
		queue_lose(w, machine, c, false);
	} else if (t->state == TX_ANSWERED && t->outcome != LOST) {
		m->tx[c] = NO_TX;
		m->task_at[c] = w->now + soon(w);
		task_answered(w, machine, c, t);
		t->state = TX_FREE;
	} else if (t->state == TX_ANSWERED || w->now - m->asked_at[c] >= ANSWER_WAIT) {
		queue_lose(w, machine, c, true);
	} else {
		m->task_at[c] = m->asked_at[c] + ANSWER_WAIT;
	}
}

void queue_step(struct world *w, int machine, enum connection c)
{
	struct machine *m = &w->machines[machine];

	if (w->now < m->queue_frozen) {
		m->task_at[c] = m->queue_frozen + soon(w);
	} else if (w->now < m->cut_off) {
		if (m->tx[c] != NO_TX)
			queue_lose(w, machine, c, false);
		m->task_at[c] = m->cut_off + soon(w);
	} else if (m->tx[c] != NO_TX) {
		await(w, machine, c);
	} else if (c == CONTROL) {
		control_task(w, machine);
	} else if (c == COMMITS) {
		commits_task(w, machine);
	} else {
		takes_task(w, machine);
	}
}
