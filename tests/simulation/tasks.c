/* tasks.c - what a queue does with its other connections when they are free, and with the answers: accept and settle on one;
 * take, give back, sleep on the other. */
#include "model.h"

#include <string.h>

/* ---- commits: accept and settle ---- */

static void begin_settle(struct world *w, int machine, int delivery)
{
	struct delivery *d = &w->machines[machine].deliveries[delivery];
	struct tx *t = queue_begin(w, machine, COMMITS, &tx_settle);

	if (!t)
		return;
	d->settling = true;
	t->delivery = delivery;
	t->mail = d->mail;
	t->take_no = d->take_no;
	t->result = d->result;
	if (chance(w, 60))
		misfortune_freeze(w, machine);
}

static void begin_accept(struct world *w, int machine, int mail)
{
	struct tx *t = queue_begin(w, machine, COMMITS, &tx_accept);

	if (!t)
		return;
	t->mail = mail;
	t->again = w->machines[machine].accepts[mail].again;
	trace(w, "machine %d: accepts mail %d%s", machine, mail, t->again ? " again" : "");
}

void commits_task(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	int start = (int)dice(w, DELIVERIES + MAILS);

	m->task_at[COMMITS] = NEVER;
	if (!m->member) {
		m->task_at[COMMITS] = w->now + SECOND(1);
		return;
	}
	for (int i = 0; i < DELIVERIES + MAILS; i++) {
		int k = (start + i) % (DELIVERIES + MAILS);

		if (k < DELIVERIES && m->deliveries[k].stage == ANSWERED) {
			begin_settle(w, machine, k);
			return;
		}
		if (k >= DELIVERIES && m->accepts[k - DELIVERIES].wanted) {
			begin_accept(w, machine, k - DELIVERIES);
			return;
		}
	}
}

static void accept_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	if (t->outcome != COMMITTED) {
		m->accepts[t->mail].again = true; /* the careful path */
		m->next_beat = w->now;
		m->task_at[COMMITS] = w->now + MS(200);
		return;
	}
	m->accepts[t->mail].wanted = false;
	if (w->clients[t->mail].state != HAS_ID || w->clients[t->mail].machine != machine)
		return; /* the client has gone to another node */
	w->clients[t->mail].state = ACKNOWLEDGED;
	w->clients[t->mail].at = NEVER;
	trace(w, "machine %d: 250 for mail %d", machine, t->mail);
}

static void settle_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];
	struct delivery *d = &m->deliveries[t->delivery];

	d->settling = false;
	if (t->outcome == COMMITTED) {
		d->stage = NOTHING;
	} else {
		m->next_beat = w->now;
		m->task_at[COMMITS] = w->now + MS(500);
	}
}

/* ---- takes: take, give back what is ours and unknown to us, sleep, janitor ---- */

static bool give_back_unknown(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	bool any = false;
	struct tx *t;

	for (int i = 0; i < MAILS; i++)
		any |= m->unknown[i] != 0;
	if (!any || !(t = queue_begin(w, machine, TAKES, &tx_give_back)))
		return any;
	memcpy(t->listed, m->unknown, sizeof t->listed);
	return true;
}

static void begin_take(struct world *w, int machine)
{
	bool asynchronous = BREAKS(w, ASYNCHRONOUS_TAKES);
	struct tx *t = queue_begin(w, machine, TAKES, asynchronous ? &tx_take_asynchronous : &tx_take);

	if (t)
		t->looks_at = w->machines[machine].shards;
}

static int free_deliveries(const struct machine *m)
{
	int n = 0;

	for (int i = 0; i < DELIVERIES; i++)
		n += m->deliveries[i].stage == NOTHING;
	return n;
}

/* Whether a take can find something. A queue tries anyway; here it saves steps. */
static bool something_is_due(const struct world *w, const struct machine *m)
{
	const struct server *s = &w->servers[w->current];

	for (int i = 0; i < MAILS; i++)
		if (s->rows[DUE(i)].there && m->shards & BIT(LANE_OF(i)) && s->rows[DUE(i)].at <= database_time(w, m))
			return true;
	return false;
}

void takes_task(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	uint64_t choice = dice(w, 16);
	struct tx *t;

	if (!m->member || w->now < m->beat_start) {
		m->task_at[TAKES] = w->now + SECOND(1);
	} else if (give_back_unknown(w, machine)) {
		return;
	} else if (w->now >= m->reread_at) {
		if (queue_begin(w, machine, TAKES, &tx_look))
			m->reread_at = BREAKS(w, REREAD_ONCE) || BREAKS(w, NO_REREAD) ? NEVER : w->now + REREAD;
	} else if (choice < 3 && m->shards) {
		t = queue_begin(w, machine, TAKES, choice ? &tx_sleep : &tx_janitor);
		if (t)
			t->shard = m->shards & BIT(choice & 1) ? (int)(choice & 1) : __builtin_ctz(m->shards);
	} else if (m->shards && !m->leaving && free_deliveries(m) >= 2 && something_is_due(w, m)) {
		begin_take(w, machine);
	} else {
		m->task_at[TAKES] = w->now + between(w, MS(50), MS(900));
	}
}

static void take_answered(struct world *w, int machine, const struct tx *t)
{
	if (t->outcome != COMMITTED)
		return;
	for (int i = 0; i < MAILS; i++)
		if (t->taken[i])
			relay_give(w, machine, i, t->taken[i], t->number, t->epoch);
	if (chance(w, 60))
		misfortune_freeze(w, machine);
}

/* Rows in our name of which we know nothing: the answer to their take was lost. No take is under way on this connection, but one
 * that was lost with an earlier connection can still commit; so this look is repeated. */
static void look_answered(struct world *w, int machine, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	memset(m->unknown, 0, sizeof m->unknown);
	if (t->outcome != COMMITTED || t->epoch != m->epoch)
		return;
	for (int i = 0; i < MAILS; i++) {
		m->unknown[i] = t->taken[i];
		for (int d = 0; d < DELIVERIES; d++)
			if (m->deliveries[d].stage != NOTHING && m->deliveries[d].mail == i &&
			    m->deliveries[d].take_no == t->taken[i])
				m->unknown[i] = 0;
		if (m->unknown[i])
			trace(w, "machine %d: take %d of mail %d is its own and unknown", machine, m->unknown[i], i);
	}
}

static void give_back_answered(struct world *w, int machine, const struct tx *t)
{
	for (int i = 0; i < MAILS; i++)
		if (t->outcome == COMMITTED && t->given_back[i])
			met(UNKNOWN_TAKE);
	memset(w->machines[machine].unknown, 0, sizeof t->listed);
}

void task_answered(struct world *w, int machine, enum connection c, struct tx *t)
{
	if (c == CONTROL)
		control_answered(w, machine, t);
	else if (t->kind == &tx_accept)
		accept_answered(w, machine, t);
	else if (t->kind == &tx_settle)
		settle_answered(w, machine, t);
	else if (t->kind == &tx_look)
		look_answered(w, machine, t);
	else if (t->kind == &tx_give_back)
		give_back_answered(w, machine, t);
	else if (t->kind != &tx_sleep && t->kind != &tx_janitor)
		take_answered(w, machine, t);
}

/* The answer is lost: an accept and a result are sent again, takes are looked for. */
void task_unknown(struct world *w, int machine, enum connection c, const struct tx *t)
{
	struct machine *m = &w->machines[machine];

	if (t->kind == &tx_accept)
		m->accepts[t->mail].again = true;
	else if (t->kind == &tx_settle)
		m->deliveries[t->delivery].settling = false;
	if (t->kind == &tx_take)
		met(TAKE_ANSWER_LOST);
	if (c == TAKES && !BREAKS(w, NO_REREAD))
		m->reread_at = w->now;
}
