/* scheduler.c - one schedule: whose turn comes first, which is chance within latencies, and the clients. While nothing is under
 * way and all nodes that are members are well, time goes on without them: their beats of that while are taken as given. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_AT_MOST = 60000 };

/* splitmix64 */
uint64_t dice(struct world *w, uint64_t sides)
{
	uint64_t z = w->dice += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return ((z ^ (z >> 31)) >> 16) % sides;
}

bool chance(struct world *w, uint64_t one_in)
{
	return dice(w, one_in) == 0;
}

us between(struct world *w, us least, us most)
{
	return least + (us)dice(w, (uint64_t)(most - least) + 1);
}

/* A latency: mostly short. */
us soon(struct world *w)
{
	uint64_t kind = dice(w, 100);

	return kind < 90              ? between(w, 50, MS(2))
	       : kind < 99 || w->calm ? between(w, MS(2), MS(100))
				      : between(w, MS(100), SECOND(3));
}

void trace(struct world *w, const char *format, ...)
{
	va_list arguments;

	if (!w->tracing)
		return;
	printf("%4lld.%06lld  ", (long long)(w->now / SECOND(1)), (long long)(w->now % SECOND(1)));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* ---- clients ---- */

static bool takes_mail(const struct world *w, int machine)
{
	const struct machine *m = &w->machines[machine];

	return m->running && m->member && !m->leaving && w->now >= m->queue_frozen;
}

/* An id above all of this number: no higher than the floor that the database has, or a later owner of the number could give it
 * too. */
static bool give_id(struct world *w, int machine)
{
	struct machine *m = &w->machines[machine];
	us id = (w->now + m->wall) / SECOND(1) * SECOND(1); /* coarse, so that equal ones can happen */

	if (id <= m->last_id)
		id = (m->last_id / SECOND(1) + 1) * SECOND(1);
	if (id > m->floor && !BREAKS(w, IDS_ABOVE_FLOOR))
		return false;
	m->last_id = id;
	check_id(w, m->number, m->epoch, id);
	return true;
}

/* Hand the mail to a node, and after a while without an answer the same id and token to another. */
static void client_step(struct world *w, int mail)
{
	struct client *c = &w->clients[mail];
	int machine = (int)dice(w, MACHINES);

	c->at = w->now + between(w, MS(100), SECOND(1));
	if (!takes_mail(w, machine))
		return;
	if (!w->calm && c->state == NOT_YET && chance(w, 30)) {
		misfortune_clock_ahead(w, machine, give_id);
		return;
	}
	if (c->state == NOT_YET && !give_id(w, machine))
		return;
	c->at = w->now + between(w, SECOND(1), SECOND(15));
	w->machines[machine].accepts[mail].wanted = true;
	w->machines[machine].accepts[mail].again |= c->state == HAS_ID;
	if (c->state == HAS_ID && c->machine != machine)
		met(ACCEPT_ELSEWHERE);
	c->machine = machine;
	c->state = HAS_ID;
	if (w->machines[machine].tx[COMMITS] == NO_TX)
		w->machines[machine].task_at[COMMITS] = w->now + soon(w);
	trace(w, "client: mail %d to machine %d", mail, machine);
}

/* ---- time ---- */

static us earlier(us a, us b)
{
	return a < b ? a : b;
}

static bool is_well(const struct world *w, const struct machine *m)
{
	if (!m->running || !m->member || m->leaving || m->server[CONTROL] != w->current || w->now < m->queue_frozen ||
	    w->now < m->relay_frozen || w->now < m->cut_off || w->now - m->beat_done > OWN_BEAT_AGE)
		return false;
	for (int c = 0; c < CONNECTIONS; c++)
		if (m->tx[c] != NO_TX)
			return false;
	for (int i = 0; i < MAILS; i++)
		if (m->accepts[i].wanted || m->unknown[i])
			return false;
	return m->left_over == NO_NUMBER && __builtin_popcount(m->shards) <= m->share && !m->free_shards;
}

/* Every number that counts as working is that of a machine which is well; so nobody is about to be declared dead. */
static bool all_are_well(const struct world *w)
{
	for (int i = 0; i < TXS; i++)
		if (w->txs[i].state != TX_FREE)
			return false;
	for (int n = 0; n < NUMBERS; n++) {
		const struct row *node = &w->servers[w->current].rows[NODE(n)];
		bool well = !A_NODE_WORKS(node);

		for (int i = 0; i < MACHINES; i++) {
			const struct machine *m = &w->machines[i];

			well |= m->number == n && m->epoch == node->epoch && is_well(w, m);
		}
		if (!well)
			return false;
	}
	return w->servers[w->current].alive && w->promotion_at == NEVER;
}

/* When the next thing happens that is not a beat. */
static us next_of_importance(const struct world *w)
{
	const struct server *s = &w->servers[w->current];
	us next = w->misfortune_at;

	for (int i = 0; i < MACHINES; i++) {
		const struct machine *m = &w->machines[i];

		for (int d = 0; d < DELIVERIES; d++)
			if (m->deliveries[d].stage != NOTHING)
				next = earlier(next, m->deliveries[d].stage == ANSWERED && m->member ? 0 : m->deliveries[d].at);
		if (!m->running)
			next = earlier(next, m->starts_at);
		else if (!is_well(w, m))
			next = earlier(next, w->now < m->queue_frozen ? m->queue_frozen : w->now < m->cut_off ? m->cut_off : 0);
	}
	for (int m = 0; m < MAILS; m++) {
		next = earlier(next, w->clients[m].at);
		if (s->rows[DUE(m)].there)
			next = earlier(next, s->rows[DUE(m)].at - s->clock);
	}
	return next;
}

static void go_on_without_beats(struct world *w)
{
	us by = next_of_importance(w) - w->now - SECOND(2);

	if (w->calm && w->misfortune_at - w->now <= SECOND(5)) { /* only looks for what is held */
		w->misfortune_at = NEVER;
		by = next_of_importance(w) - w->now - SECOND(2);
		w->misfortune_at = w->now + SECOND(5);
	}
	if (by < SECOND(3) || by > SECOND(100000))
		return;
	w->now += by;
	w->misfortune_at += w->calm ? by : 0;
	trace(w, "(%lld s pass)", (long long)(by / SECOND(1)));
	for (int i = 0; i < MACHINES; i++) {
		struct machine *m = &w->machines[i];

		if (!is_well(w, m) || m->starts_at != NEVER)
			continue;
		for (int c = 0; c < CONNECTIONS; c++)
			m->task_at[c] += m->task_at[c] == NEVER ? 0 : by;
		for (int n = 0; n < NUMBERS; n++)
			m->view[n].seen_at += by;
		m->beat_start += by;
		m->beat_done += by;
		m->next_beat += by;
		m->horizon += by;
		m->reread_at += m->reread_at == NEVER ? 0 : by;
	}
}

/* ---- steps ---- */

struct turn {
	us at;
	enum { OF_TX, OF_CONNECTION, OF_START, OF_DELIVERY, OF_STANDBY, OF_CLIENT, OF_MISFORTUNE } of;
	int which, what;
};

static void consider(struct turn *turn, us at, int of, int which, int what)
{
	if (at < turn->at)
		*turn = (struct turn){ at, of, which, what };
}

static struct turn next_turn(const struct world *w)
{
	struct turn turn = { .at = NEVER };

	for (int i = 0; i < TXS; i++)
		if (w->txs[i].state == TX_RUNS)
			consider(&turn, w->txs[i].wakes_at, OF_TX, i, 0);
	for (int i = 0; i < MACHINES; i++) {
		const struct machine *m = &w->machines[i];

		for (int c = 0; c < CONNECTIONS && m->running; c++)
			consider(&turn, m->task_at[c], OF_CONNECTION, i, c);
		for (int d = 0; d < DELIVERIES; d++)
			if (m->deliveries[d].stage != NOTHING)
				consider(&turn, m->deliveries[d].at, OF_DELIVERY, i, d);
		consider(&turn, m->starts_at, OF_START, i, 0);
	}
	consider(&turn, w->servers[w->current].receives_at, OF_STANDBY, w->current, 0);
	for (int m = 0; m < MAILS; m++)
		consider(&turn, w->clients[m].at, OF_CLIENT, m, 0);
	consider(&turn, earlier(w->misfortune_at, w->promotion_at), OF_MISFORTUNE, 0, 0);
	return turn;
}

static void step(struct world *w)
{
	struct turn turn = next_turn(w);

	w->now = turn.at > w->now ? turn.at : w->now;
	switch (turn.of) {
	case OF_TX: db_step(w, &w->txs[turn.which]); break;
	case OF_CONNECTION: queue_step(w, turn.which, (enum connection)turn.what); break;
	case OF_START: queue_start(w, turn.which); break;
	case OF_DELIVERY: relay_step(w, turn.which, &w->machines[turn.which].deliveries[turn.what]); break;
	case OF_STANDBY: db_receive(w, &w->servers[turn.which]); break;
	case OF_CLIENT: client_step(w, turn.which); break;
	case OF_MISFORTUNE: misfortune_step(w); break;
	}
}

void schedule_run(struct world *w, uint64_t seed, uint64_t broken, bool tracing)
{
	memset(w, 0, sizeof *w);
	w->dice = seed;
	w->broken = broken;
	w->tracing = tracing;
	w->promotion_at = NEVER;
	w->instances = MACHINES;
	w->freezes = (int)dice(w, 4);
	w->misfortunes = 2 + (int)dice(w, 9);
	w->misfortune_at = between(w, MS(100), SECOND(20));
	db_init(w);
	for (int i = 0; i < MACHINES; i++) {
		w->machines[i].instance = i;
		w->machines[i].starts_at = between(w, 0, SECOND(2));
	}
	for (int m = 0; m < MAILS; m++)
		w->clients[m].at = between(w, SECOND(1), SECOND(m < MAILS / 2 ? 5 : 60));
	while (!w->fault[0] && !(w->calm && check_settled(w)) && w->steps++ < STEPS_AT_MOST) {
		step(w);
		if (w->steps % 16 == 0 && all_are_well(w))
			go_on_without_beats(w);
	}
	if (!w->fault[0])
		check_end(w);
}
