/* node.c - this process as one of several nodes that share the store: what the other roles have to know of that, and that mail
 * which another node has accepted is noticed here. */
#include "queue.h"

#include "posthouse/clock.h"

#define LOOK_MS   200
#define AWAY_MS   2000  /* clients are refused when the database is away for longer … */
#define SILENT_MS 4000  /* … or when no beat has ended for so long: a server that says nothing is given up later, see db.h */
#define WAKE_MS   1000  /* so long the mail of others waits at most before it is noticed */
#define REPORT_MS 10000 /* the same for what they leave unreported */

static void on_look(uv_timer_t *t);

/* Each beat moves the horizon, once a second. */
static void look_at_beats(struct nodes *n, uint64_t horizon_before, uint64_t now)
{
	if (n->now.horizon_ms != horizon_before || n->beat_at == 0)
		n->beat_at = now;
	n->silent = n->now.horizon_ms != 0 && now >= n->beat_at + SILENT_MS;
}

/* What clients hear of the node: a short outage nothing. */
static enum node_state state_for_clients(struct nodes *n)
{
	uint64_t now = clock_mono_ms();

	if (n->now.state != STORE_NODE_AWAY && !n->silent)
		n->away_at = 0;
	else if (n->away_at == 0)
		n->away_at = n->silent ? n->beat_at : now;
	if (n->now.state == STORE_NODE_DRAINING || n->now.state == STORE_NODE_DRAINED)
		return NODE_DRAINING;
	return n->away_at != 0 && now >= n->away_at + AWAY_MS ? NODE_AWAY : NODE_UP;
}

static void tell_channel(struct channel *ch, const struct nodes *n)
{
	const struct msg_node_is m = { .number = n->now.number, .id_floor_ms = n->now.id_floor_ms, .state = n->told_state };

	if (ch)
		ipc_send_node_is(ch, &m, -1);
}

static void tell_horizon(struct queue *q)
{
	const struct msg_horizon m = { .epoch = q->nodes.now.membership, .boottime_ms = q->nodes.now.horizon_ms };

	if (q->dispatch.relay)
		ipc_send_horizon(q->dispatch.relay, &m, -1);
}

/* login asks for the accounts when their version is new to it (shared_accounts.c). */
static void tell_accounts(struct channel *ch, const struct nodes *n)
{
	if (ch && n->now.accounts_known)
		ipc_send_accounts_version(ch, &(struct msg_accounts_version){ .version = n->now.accounts }, -1);
}

static void tell_all(struct queue *q, const struct nodes *n)
{
	if (n->now.number != 0)
		id_source_join(&q->reports.ids, (unsigned)n->now.number, n->now.id_floor_ms);
	for (unsigned i = 0; i < ROLE_PEERS_MAX; i++)
		tell_channel(role_peer(q->role, ROLE_SUBMISSION, i), n);
	tell_channel(role_peer(q->role, ROLE_PICKUP, 0), n);
	tell_channel(role_peer(q->role, ROLE_TLSPOLICY, 0), n);
}

/* Is it time again? *at: the next time, monotonic. */
static bool is_time(uint64_t *at, uint64_t each_ms)
{
	uint64_t now = clock_mono_ms();

	if (now < *at)
		return false;
	*at = now + each_ms;
	return true;
}

static void look(struct queue *q)
{
	struct nodes *n = &q->nodes;
	struct store_node before = n->now;
	enum node_state state;

	store_node(q->store, &n->now);
	look_at_beats(n, before.horizon_ms, clock_mono_ms());
	state = state_for_clients(n);
	q->intake.node_state = state;
	q->intake.node_fault = q->accounting.away_fault = nodes_fault(n);
	q->accounting.node = n->now.number;
	q->accounting.away_since = nodes_away_since(n);
	dispatch_pause(&q->dispatch, n->now.state != STORE_NODE_UP);
	if (n->now.horizon_ms != before.horizon_ms || n->now.membership != before.membership)
		tell_horizon(q);
	if (!n->told || state != n->told_state || n->now.number != before.number || n->now.epoch != before.epoch) {
		n->told = true;
		n->told_state = state;
		tell_all(q, n);
	}
	if (!before.accounts_known || before.accounts != n->now.accounts)
		tell_accounts(role_peer(q->role, ROLE_LOGIN, 0), n);
	if (q->open && is_time(&n->wake_at, WAKE_MS))
		scheduler_wake(&q->dispatch);
	allowances_look(&q->dispatch);
	if (q->open && is_time(&n->report_at, REPORT_MS))
		dsns_wake(&q->reports);
	if (q->open && n->now.state != STORE_NODE_AWAY)
		nodes_seen_look(q);
}

static void on_look(uv_timer_t *t)
{
	struct queue *q = t->data;

	if (!q->store || q->closing)
		return;
	look(q);
	uv_timer_start(&q->nodes.look, on_look, LOOK_MS, 0);
}

void nodes_init(struct queue *q)
{
	timers_add(&q->timers, &q->nodes.look, q);
}

void nodes_start(struct queue *q)
{
	q->nodes.shared = role_config(q->role)->store.engine == ENGINE_POSTGRESQL;
	if (!q->nodes.shared)
		return;
	look(q);
	uv_timer_start(&q->nodes.look, on_look, LOOK_MS, 0);
}

/* As it is now: since the last look the store can have been opened. */
static struct nodes nodes_now(const struct queue *q)
{
	struct nodes n = q->nodes;

	if (q->store && !q->closing)
		store_node(q->store, &n.now);
	return n;
}

/* All roles that make ids hear of the number before mail is taken; the rest follows with the next look. */
void nodes_opened(struct queue *q)
{
	struct nodes n = nodes_now(q);

	if (q->nodes.shared)
		tell_all(q, &n);
}

void nodes_peer_up(struct queue *q, struct channel *ch)
{
	enum role_id peer = channel_peer(ch);
	struct nodes n;

	if (!q->nodes.shared)
		return;
	n = nodes_now(q);
	if (peer == ROLE_RELAY)
		tell_horizon(q);
	else if (peer == ROLE_LOGIN)
		tell_accounts(ch, &q->nodes);
	else if (peer == ROLE_SUBMISSION || peer == ROLE_PICKUP || peer == ROLE_TLSPOLICY)
		tell_channel(ch, &n);
}
