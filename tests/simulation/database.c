/* database.c - what the rules need of PostgreSQL: rows, row locks, a snapshot for each statement (READ COMMITTED), a commit that
 * is visible only when the standby has it, crashes and promotions. A statement that waits for a lock keeps its snapshot; only the
 * row that it gets then is read again. That is where hasty rules fail. */
#include "model.h"

#include <string.h>

static bool conflicts(enum lock a, enum lock b)
{
	return a == FOR_UPDATE || b == FOR_UPDATE || (a == NO_KEY_UPDATE && b == NO_KEY_UPDATE);
}

static unsigned index_of(const struct world *w, const struct tx *t)
{
	return (unsigned)(t - w->txs);
}

void db_init(struct world *w)
{
	struct server *s = &w->servers[0];

	s->alive = true;
	s->standby.attached = true;
	s->receives_at = NEVER;
	for (int i = 0; i < LANES; i++) {
		s->rows[SHARD(i)] = (struct row){ .there = true, .node = NO_NUMBER };
		s->standby.rows[SHARD(i)] = s->rows[SHARD(i)];
	}
}

/* Begin a transaction; NULL: the server takes no more. */
struct tx *db_begin(struct world *w, const struct transaction *kind, int server, int machine)
{
	for (int i = 0; i < TXS; i++) {
		struct tx *t = &w->txs[i];

		if (t->state != TX_FREE)
			continue;
		if (server != w->current)
			met(OLD_PRIMARY);
		memset(t, 0, sizeof *t);
		t->state = TX_RUNS;
		t->kind = kind;
		t->server = server;
		t->machine = machine;
		t->sent = INT32_MAX;
		t->victim = NO_NUMBER;
		t->wakes_at = w->now + soon(w);
		return t;
	}
	return NULL;
}

static void take_snapshot(struct world *w, struct tx *t)
{
	const struct row *rows = w->servers[t->server].rows;

	for (int i = 0; i < ROWS; i++)
		if (!(t->written & BIT(i)))
			t->rows[i] = rows[i];
	t->has_snapshot = true;
}

/* Take a lock on a key, whose row can be there or be inserted, and read it again; false: another transaction's lock conflicts. */
bool db_lock_key(struct world *w, struct tx *t, int row, enum lock lock)
{
	struct server *s = &w->servers[t->server];
	uint32_t me = BIT(index_of(w, t));

	for (enum lock held = KEY_SHARE; held < LOCKS; held++)
		if (conflicts(held, lock) && s->locks[row][held] & ~me)
			return false;
	s->locks[row][lock] |= me;
	t->locked |= BIT(row);
	if (!(t->written & BIT(row)))
		t->rows[row] = s->rows[row];
	return true;
}

/* The row, to be changed by this transaction, which must hold its lock. */
struct row *db_write(struct tx *t, int row)
{
	t->written |= BIT(row);
	return &t->rows[row];
}

/* Take a lock on a row. One that was deleted while this waited is not locked; its caller sees that it is not there. */
bool db_lock(struct world *w, struct tx *t, int row, enum lock lock)
{
	const struct server *s = &w->servers[t->server];
	uint32_t me = BIT(index_of(w, t));

	if (t->written & BIT(row) || s->rows[row].there)
		return db_lock_key(w, t, row, lock);
	for (enum lock held = KEY_SHARE; held < LOCKS; held++)
		if (conflicts(held, lock) && s->locks[row][held] & ~me)
			return false;
	t->rows[row] = s->rows[row];
	return true;
}

static void release_locks(struct world *w, struct tx *t)
{
	struct server *s = &w->servers[t->server];

	for (int n = 0; n < NUMBERS; n++)
		if (s->locks[NODE(n)][FOR_UPDATE] & BIT(index_of(w, t)))
			w->truth.row_locked[n] = w->now;
	for (int i = 0; i < ROWS; i++)
		if (t->locked & BIT(i))
			for (enum lock held = KEY_SHARE; held < LOCKS; held++)
				s->locks[i][held] &= ~BIT(index_of(w, t));
	for (int i = 0; i < TXS; i++)
		if (t->locked && w->txs[i].state == TX_RUNS && w->txs[i].blocked && w->txs[i].server == t->server)
			w->txs[i].wakes_at = w->now + soon(w);
	t->locked = 0;
}

static void finish(struct world *w, struct tx *t, enum outcome outcome)
{
	release_locks(w, t);
	t->outcome = outcome;
	t->wakes_at = NEVER;
	t->state = t->machine == NO_ONE ? TX_FREE : TX_ANSWERED;
	if (t->machine != NO_ONE)
		for (int c = 0; c < CONNECTIONS; c++)
			if (w->machines[t->machine].tx[c] == (int)index_of(w, t))
				w->machines[t->machine].task_at[c] = w->now + soon(w);
}

static void become_visible(struct world *w, struct tx *t)
{
	struct server *s = &w->servers[t->server];

	for (int i = 0; i < ROWS; i++)
		if (t->written & BIT(i))
			s->rows[i] = t->rows[i];
	for (int i = 0; i < NUMBERS; i++)
		t->nodes[i] = s->rows[NODE(i)]; /* the statement after the commit */
	for (int i = 0; i < LANES; i++)
		t->shards[i] = s->rows[SHARD(i)];
	check_commit(w, t);
	finish(w, t, COMMITTED);
}

/* A lock is written to the log as well, so a transaction with one waits for the standby even if it changes nothing. */
static void commit(struct world *w, struct tx *t)
{
	struct server *s = &w->servers[t->server];
	struct record *r;

	if (!t->locked) {
		become_visible(w, t);
		return;
	}
	if (s->standby.attached && s->written - s->standby.received >= LOG - 1) {
		t->wakes_at = w->now + SECOND(1); /* more than this log can hold: the simulation's bound, not the database's */
		return;
	}
	r = &s->log[s->written++ % LOG];
	r->written = t->written;
	for (int i = 0; i < ROWS; i++)
		if (t->written & BIT(i))
			r->rows[i] = t->rows[i];
	t->record = s->written;
	if (s->standby.attached && s->receives_at == NEVER)
		s->receives_at = (w->now > s->standby.stalled_until ? w->now : s->standby.stalled_until) + soon(w);
	if (t->kind->asynchronous) {
		become_visible(w, t);
		return;
	}
	t->state = TX_AWAITS_STANDBY;
	t->wakes_at = NEVER;
	trace(w, "tx %u %s: commits, waits for the standby", index_of(w, t), t->kind->name);
}

static void block(struct world *w, struct tx *t)
{
	if (!t->blocked) {
		t->blocked = true;
		t->blocked_since = w->now;
		trace(w, "tx %u %s: waits for a lock at statement %d", index_of(w, t), t->kind->name, t->statement);
	} else if (t->kind->lock_timeout && w->now - t->blocked_since >= t->kind->lock_timeout) {
		finish(w, t, TIMED_OUT);
		return;
	}
	t->wakes_at = t->kind->lock_timeout ? t->blocked_since + t->kind->lock_timeout : NEVER;
}

/* One statement, or the commit; between a statement's snapshot and its work others can pass. */
void db_step(struct world *w, struct tx *t)
{
	enum after after;

	t->wakes_at = w->now + soon(w);
	if (t->statement >= t->sent) { /* "active, ClientRead": the rest of the pipeline has not come */
		t->wakes_at = NEVER;
		if (t->machine == NO_ONE && w->now >= t->keepalive_at)
			finish(w, t, LOST);
		else if (t->machine == NO_ONE)
			t->wakes_at = t->keepalive_at;
		return;
	}
	if (!t->kind->statements[t->statement]) {
		commit(w, t);
		return;
	}
	if (!t->has_snapshot) {
		take_snapshot(w, t);
		if (chance(w, 4))
			return;
	}
	after = t->kind->statements[t->statement](w, t);
	if (after == BLOCKED) {
		block(w, t);
		return;
	}
	t->blocked = t->has_snapshot = false;
	if (after == REFUSED) {
		trace(w, "tx %u %s: refused at statement %d", index_of(w, t), t->kind->name, t->statement);
		finish(w, t, ROLLED_BACK);
		return;
	}
	t->statement += after == DONE ? 1 : after == BACK ? -1 : 0;
	while (after == ENOUGH && t->kind->statements[t->statement])
		t->statement++;
}

/* The standby receives and applies what there is; who waited for it is answered. */
void db_receive(struct world *w, struct server *s)
{
	struct standby *standby = &s->standby;

	s->receives_at = NEVER;
	if (!standby->attached || !s->alive)
		return;
	if (standby->stalled_until > w->now) {
		s->receives_at = standby->stalled_until + soon(w);
		return;
	}
	for (; standby->received < s->written; standby->received++) {
		const struct record *r = &s->log[standby->received % LOG];

		for (int i = 0; i < ROWS; i++)
			if (r->written & BIT(i))
				standby->rows[i] = r->rows[i];
	}
	for (int i = 0; i < TXS; i++)
		if (w->txs[i].state == TX_AWAITS_STANDBY && &w->servers[w->txs[i].server] == s)
			become_visible(w, &w->txs[i]);
}

/* pg_terminate_backend on what a node still has open, but for what waits for the standby: ending that would show its rows early.
 */
void db_terminate(struct world *w, int server, int number, int epoch)
{
	for (int i = 0; i < TXS; i++) {
		struct tx *t = &w->txs[i];

		if (t->state == TX_RUNS && t->server == server && t->number == number &&
		    (t->epoch == epoch || t->kind == &tx_claim)) {
			trace(w, "tx %d %s: is terminated", i, t->kind->name);
			if (t->statement >= t->sent)
				met(HALF_ENDED);
			finish(w, t, LOST);
		}
	}
}

/* The same after a reconnect, on what the node itself lost: half a pipeline would hold its locks until the server notices. */
void db_terminate_lost(struct world *w, int server, int number)
{
	for (int i = 0; i < TXS; i++) {
		struct tx *t = &w->txs[i];

		if (t->state == TX_RUNS && t->server == server && t->number == number && t->machine == NO_ONE)
			finish(w, t, LOST);
	}
}

/* The client does not wait any more. noticed: the server knows, and ends what has not come completely; else it is as if frozen.
 */
void db_let_go(struct world *w, struct tx *t, bool noticed)
{
	int statements = 0;

	while (t->kind->statements[statements])
		statements++;
	t->machine = NO_ONE;
	t->keepalive_at = w->now + SECOND(60);
	if (t->state == TX_RUNS && t->statement >= t->sent)
		t->wakes_at = t->keepalive_at;
	if (t->state == TX_ANSWERED)
		t->state = TX_FREE;
	else if (noticed && t->state == TX_RUNS && t->sent <= statements)
		finish(w, t, LOST);
}

/* The server dies. restarts: it comes back at once, and what was in its log is visible then, whether the standby has it or not.
 */
void db_crash(struct world *w, int server, bool restarts)
{
	struct server *s = &w->servers[server];

	for (int i = 0; i < TXS; i++) {
		struct tx *t = &w->txs[i];

		if (t->server != server || (t->state != TX_RUNS && t->state != TX_AWAITS_STANDBY))
			continue;
		if (restarts && t->state == TX_AWAITS_STANDBY) {
			met(SHOWN_BY_CRASH);
			become_visible(w, t);
			if (t->machine != NO_ONE)
				t->outcome = LOST;
		} else {
			finish(w, t, LOST);
		}
	}
	s->alive = restarts;
	trace(w, "server %d %s", server, restarts ? "crashes and restarts" : "dies");
}

/* The standby becomes the primary of the next timeline. The operator adds a new standby to it; until then no commit returns. */
void db_promote(struct world *w, bool keep_old)
{
	struct server *old = &w->servers[w->current], *s = &w->servers[w->current + 1];

	if (!keep_old && old->alive)
		db_crash(w, w->current, false);
	old->standby.attached = false;
	w->current++;
	memcpy(s->rows, old->standby.rows, sizeof s->rows);
	memcpy(s->standby.rows, s->rows, sizeof s->rows);
	s->alive = s->standby.attached = true;
	w->truth.clock_jumped |= s->clock > old->clock;
	s->standby.stalled_until = w->now + between(w, MS(10), SECOND(chance(w, 5) ? 40 : 5));
	s->receives_at = NEVER;
	trace(w, "server %d is promoted, %llu of %llu records have come%s", w->current, (unsigned long long)old->standby.received,
	      (unsigned long long)old->written, keep_old ? "; the old primary lives on" : "");
	check_rows(w, s->rows);
}
