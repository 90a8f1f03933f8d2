/* misfortune.c - what happens to machines, database and network, and what the administrator does. */
#include "model.h"

#include <string.h>

/* A machine's queue, relay or both stop for a while (SIGSTOP, a hypervisor), and go on as if nothing had been. */
void misfortune_freeze(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	uint64_t what = dice(w, 4);
	us until;

	if (w->calm || !w->freezes || !m->running)
		return;
	w->freezes--;
	switch (dice(w, 6)) {
	case 0: until = w->now + between(w, SECOND(1), SECOND(8)); break;
	case 1:
	case 2: until = w->now + between(w, SECOND(8), SECOND(30)); break;
	case 3:
	case 4: until = w->now + between(w, SECOND(30), SECOND(90)); break;
	default: until = w->now + between(w, SECOND(200), SECOND(420)); break;
	}
	if (what != 0 && until > m->queue_frozen)
		m->queue_frozen = until;
	if (what != 1 && until > m->relay_frozen)
		m->relay_frozen = until;
	trace(w, "machine %d: %s for %lld s", machine,
	      what == 0   ? "relay freezes"
	      : what == 1 ? "queue freezes"
			  : "freezes",
	      (long long)((until - w->now) / SECOND(1)));
}

/* A disk is lost only while there are numbers for all instances: where there are none, the administrator has to remove one. */
static void kill_machine(struct world *w, int machine, bool with_disk)
{
	struct machine *m = &w->machines[machine];

	if (!m->running)
		return;
	queue_kill(w, machine);
	m->starts_at = w->now + (chance(w, 2) ? between(w, MS(200), SECOND(3)) : between(w, SECOND(10), SECOND(60)));
	if (with_disk && w->instances < NUMBERS) {
		m->instance = w->instances++;
		trace(w, "machine %d: has lost its disk", machine);
	}
}

/* A clock that is wrong while one id is given, and a machine that dies before it can tell anyone. */
void misfortune_clock_ahead(struct world *w, int machine, bool (*give_id)(struct world *w, int machine))
{
	struct machine *m = &w->machines[machine];
	us by = between(w, SECOND(12), SECOND(400));

	m->wall += by;
	trace(w, "machine %d: its clock is ahead by %lld s, %s", machine, (long long)(by / SECOND(1)),
	      give_id(w, machine) ? "an id is given" : "no id is given");
	m->wall -= by;
	kill_machine(w, machine, chance(w, 4));
}

static void cut_off(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];

	m->cut_off = w->now + (chance(w, 4) ? between(w, SECOND(200), SECOND(420)) : between(w, SECOND(2), SECOND(60)));
	for (int c = 0; c < CONNECTIONS; c++)
		if (m->running && m->task_at[c] > w->now)
			m->task_at[c] = w->now + soon(w);
	trace(w, "machine %d: is cut off from the database for %lld s", machine, (long long)((m->cut_off - w->now) / SECOND(1)));
}

static void lose_connection(struct world *w, int machine, enum connection c)
{
	if (w->machines[machine].running && w->machines[machine].tx[c] != NO_TX)
		queue_lose(w, machine, c, chance(w, 2));
}

static void stall_standby(struct world *w)
{
	us until = w->now + between(w, SECOND(1), SECOND(chance(w, 3) ? 60 : 15));

	w->servers[w->current].standby.stalled_until = until;
	trace(w, "the standby receives nothing for %lld s", (long long)((until - w->now) / SECOND(1)));
}

/* The primary dies now, its standby is promoted a little later; or it lives on, seen by those who are connected to it. */
static void fail_over(struct world *w, bool keep_old)
{
	if (w->current + 1 >= SERVERS || w->promotion_at != NEVER)
		return;
	w->keep_old_primary = keep_old;
	w->promotion_at = w->now + (keep_old ? 0 : between(w, MS(100), SECOND(20)));
	if (!keep_old)
		db_crash(w, w->current, false);
}

/* The database crashes while commits wait for the standby, comes back at once, and is lost for good somewhat later. */
static void crash_then_fail_over(struct world *w)
{
	stall_standby(w);
	w->misfortune_at = w->now + between(w, MS(1), SECOND(3));
	w->misfortunes += 2;
}

static void administrator(struct world *w, const struct transaction *kind, int mail, int number)
{
	struct tx *t = w->servers[w->current].alive ? db_begin(w, kind, w->current, NO_ONE) : NULL;

	if (!t)
		return;
	t->number = t->epoch = NO_NUMBER;
	t->mail = mail;
	t->victim = number;
	trace(w, "administrator: %s, mail %d, number %d", kind->name, mail, number);
}

static void jump(struct world *w, us *clock, const char *whose)
{
	us by = (chance(w, 2) ? 1 : -1) * (chance(w, 2) ? SECOND(3600) : between(w, SECOND(1), SECOND(400)));

	*clock += by;
	trace(w, "clock of %s jumps by %lld s", whose, (long long)(by / SECOND(1)));
	if (by > 0 && clock == &w->servers[w->current].clock)
		w->truth.clock_jumped = true;
}

static void of_machines(struct world *w, int machine)
{
	switch (dice(w, 6)) {
	case 0: misfortune_freeze(w, machine); break;
	case 1: kill_machine(w, machine, chance(w, 4)); break;
	case 2: cut_off(w, machine); break;
	case 3: lose_connection(w, machine, (enum connection)dice(w, CONNECTIONS)); break;
	case 4: jump(w, &w->machines[machine].wall, "a machine"); break;
	default: w->machines[machine].leaving = true; trace(w, "administrator: drains machine %d", machine);
	}
}

static void of_database(struct world *w)
{
	switch (dice(w, 8)) {
	case 0: fail_over(w, false); break;
	case 1: fail_over(w, true); break;
	case 2:
	case 3:
		if (w->servers[w->current].alive)
			db_crash(w, w->current, true);
		break;
	case 4: stall_standby(w); break;
	case 5: crash_then_fail_over(w); break;
	case 6: stall_standby(w); break;
	default:
		if (chance(w, 3))
			jump(w, &w->servers[w->current].clock, "the database");
	}
}

/* Remove a dead node's number, and perhaps start a new machine in its place: here one of the others, with an empty disk. */
static void replace_node(struct world *w)
{
	int number = (int)dice(w, NUMBERS), machine = (int)dice(w, MACHINES);

	for (int i = 0; i < NUMBERS; i++)
		if (w->servers[w->current].rows[NODE((number + i) % NUMBERS)].state == DEAD)
			number = (number + i) % NUMBERS;
	administrator(w, &tx_remove_node, 0, number);
	if (w->servers[w->current].rows[NODE(number)].state == DEAD && w->machines[machine].number != number)
		kill_machine(w, machine, true);
}

static void of_administrator(struct world *w)
{
	int mail = (int)dice(w, MAILS);

	switch (dice(w, 6)) {
	case 0:
	case 1: administrator(w, &tx_hold, mail, NO_NUMBER); break;
	case 2: administrator(w, &tx_release, mail, NO_NUMBER); break;
	case 3: administrator(w, &tx_delete, mail, NO_NUMBER); break;
	default: replace_node(w);
	}
}

void misfortune_step(struct world *w)
{
	if (w->promotion_at <= w->now) {
		w->promotion_at = NEVER;
		db_promote(w, w->keep_old_primary);
		return;
	}
	if (w->misfortunes-- <= 0) {
		misfortunes_end(w);
		return;
	}
	w->misfortune_at = w->now + (chance(w, 3) ? between(w, 0, MS(300)) : between(w, MS(100), SECOND(25)));
	switch (dice(w, 4)) {
	case 0:
	case 1: of_machines(w, (int)dice(w, MACHINES)); break;
	case 2: of_database(w); break;
	default: of_administrator(w);
	}
}

/* All runs and is connected again, clocks go evenly, what is held is released. What still waits must be done now. Repeated. */
void misfortunes_end(struct world *w)
{
	if (!w->calm)
		trace(w, "no more misfortunes");
	w->misfortune_at = w->now + SECOND(5);
	w->calm = true;
	for (int i = 0; i < MACHINES; i++) {
		struct machine *m = &w->machines[i];

		m->cut_off = m->cut_off > w->now ? w->now : m->cut_off;
		m->queue_frozen = m->queue_frozen > w->now ? w->now : m->queue_frozen;
		m->relay_frozen = m->relay_frozen > w->now ? w->now : m->relay_frozen;
		for (int c = 0; c < CONNECTIONS && m->running; c++)
			m->task_at[c] = m->task_at[c] == NEVER ? NEVER : w->now + soon(w);
		for (int d = 0; d < DELIVERIES; d++)
			if (m->deliveries[d].stage != NOTHING && m->deliveries[d].at != NEVER)
				m->deliveries[d].at = w->now + soon(w);
		if (!m->running && m->starts_at > w->now + SECOND(1))
			m->starts_at = w->now + SECOND(1);
	}
	for (int s = 0; s < w->current; s++)
		if (w->servers[s].alive)
			db_crash(w, s, false);
	w->servers[w->current].standby.stalled_until = 0;
	if (w->servers[w->current].standby.attached)
		w->servers[w->current].receives_at = w->now + soon(w);
	for (int m = 0; m < MAILS; m++)
		if (w->servers[w->current].rows[MAIL(m)].state == HELD)
			administrator(w, &tx_release, m, NO_NUMBER);
	for (int n = 0; n < NUMBERS; n++) /* a machine that lost its disk can need one */
		if (w->servers[w->current].rows[NODE(n)].state == DEAD)
			administrator(w, &tx_remove_node, 0, n);
}
