/* node.c - what is known of this node and of the others, for any thread; and what an administrator orders. */
#include "node.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const state_names[] = { "none", "up", "draining", "drained", "dead", "removed", "away" };

const char *node_state_name(enum store_node_state state)
{
	return state_names[state];
}

static uint64_t boottime_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void node_init(struct node *n, struct engine_host *host)
{
	*n = (struct node){ .host = host,
			    .boottime = boottime_ms,
			    .clock = clock_now_ms,
			    .schema = NODE_SCHEMA,
			    .durable = true,
			    .timing = { .beat = 1000,
					.timeout = host->database->node_timeout_ms,
					.margin = 5000,
					.fresh = 2000,
					.lock = 1000,
					.retry = 200,
					.unknown = 300000,
					.durability = 60000,
					.id_ahead = 10000 } };
	assert(n->timing.timeout > n->timing.margin);
	if (uv_mutex_init(&n->lock) != 0 || uv_mutex_init(&n->file_lock) != 0 || uv_cond_init(&n->wake) != 0)
		abort();
}

void node_fini(struct node *n)
{
	assert(!n->started);
	uv_cond_destroy(&n->wake);
	uv_mutex_destroy(&n->file_lock);
	uv_mutex_destroy(&n->lock);
}

void node_note(struct node *n, enum log_level level, const char *event, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	store_note(n->host->store, level, event, 0, text);
}

/* ---- asking ---- */

/* A lock changes nothing that its user sees. */
static struct node *locked(const struct node *n)
{
	struct node *m = (struct node *)n;

	uv_mutex_lock(&m->lock);
	return m;
}

/* One member, as it is now. */
#define GETTER(type, name, value)                                                                                                \
	type name(const struct node *n)                                                                                          \
	{                                                                                                                        \
		struct node *m = locked(n);                                                                                      \
		type v = (value);                                                                                                \
                                                                                                                                 \
		uv_mutex_unlock(&m->lock);                                                                                       \
		return v;                                                                                                        \
	}
GETTER(unsigned, node_number, m->number)
GETTER(uint64_t, node_epoch, m->epoch)
GETTER(uint64_t, node_membership, m->epoch << 4 | m->number)
GETTER(enum store_node_state, node_state, m->number != 0 && (m->lost || !m->connected) ? STORE_NODE_AWAY : m->state)
GETTER(bool, node_is_lost, m->lost)
GETTER(bool, node_is_durable, m->durable)
GETTER(bool, node_may_take, m->state == STORE_NODE_UP && !m->lost && m->boottime() < m->horizon)
GETTER(uint64_t, node_horizon, m->lost ? 0 : m->horizon)
GETTER(uint64_t, node_id_floor, m->id_floor)
GETTER(uint64_t, node_shards, m->shards)
GETTER(int64_t, node_clock_ahead, m->clock_ahead)
GETTER(uint32_t, node_timeline, m->timeline)
GETTER(uint64_t, node_dead_rows, m->dead_rows)

void node_fault(const struct node *n, char text_out[static STORE_NODE_FAULT])
{
	struct node *m = locked(n);
	const char *why = "";

	if (m->excluded[0] && (m->lost || m->connected))
		why = m->excluded;
	else if (m->lost)
		why = "another node has declared this one dead, because it was silent, or it was removed: it tries to join again";
	(void)snprintf(text_out, STORE_NODE_FAULT, "%s", why);
	uv_mutex_unlock(&m->lock);
}

void node_exclude(struct node *n, struct str why)
{
	char text[STORE_NODE_FAULT];
	bool is_new;

	(void)snprintf(text, sizeof text, "%.*s", STR_ARG(why));
	uv_mutex_lock(&n->lock);
	is_new = strcmp(text, n->excluded) != 0;
	(void)snprintf(n->excluded, sizeof n->excluded, "%s", text);
	uv_mutex_unlock(&n->lock);
	if (is_new && text[0])
		node_note(n, LOG_ERROR, "node.excluded", "%s", text);
}

struct str node_name(const struct node *n, struct arena *a)
{
	struct node *m = locked(n);
	struct str name = arena_printf(a, "posthouse/%u/%llu", m->number, (unsigned long long)m->epoch);

	uv_mutex_unlock(&m->lock);
	return name;
}

bool node_accounts(const struct node *n, uint64_t *version_out)
{
	struct node *m = locked(n);
	bool known = m->accounts_known;

	*version_out = m->accounts;
	uv_mutex_unlock(&m->lock);
	return known;
}

size_t node_others(const struct node *n, struct node_row others_out[static NODE_MAX], struct node_counters *count_out)
{
	struct node *m = locked(n);
	size_t others_n = m->others_n;

	memcpy(others_out, m->others, others_n * sizeof m->others[0]);
	*count_out = m->others_count;
	uv_mutex_unlock(&m->lock);
	return others_n;
}

/* ---- orders ---- */

static const struct {
	enum statement statement;
	const char *what, *when;
	const char *done[2]; /* the states to which it leads */
} orders[] = {
	[NODE_DRAIN] = { Q_node_drain, "drained", "up", { "draining", "drained" } },
	[NODE_RESUME] = { Q_node_resume, "resumed", "draining or drained", { "up" } },
	[NODE_REMOVE] = { Q_node_remove,
			  "removed",
			  "drained or dead: drain it first, or stop it and wait until the others have seen that",
			  { "removed" } },
};

/* Does the node have a state already that the order leads to? The answer to the same order before can have been lost. */
static bool is_done(enum node_order order, struct str state)
{
	for (size_t i = 0; i < 2 && orders[order].done[i]; i++)
		if (str_eq(state, str_of(orders[order].done[i])))
			return true;
	return false;
}

struct verdict node_order(struct node *n, struct db *db, struct arena *a, enum node_order order, unsigned number)
{
	struct db_rows *q;
	struct str state;

	if (number == 0)
		number = node_number(n);
	db_run(db, orders[order].statement, INT(number));
	if (db_changes(db) > 0)
		return ok();
	q = db_query(db, Q_node_state, INT(number));
	state = db_row(db, q) ? db_keep(a, q, 0) : S("");
	db_end(q);
	if (db_error(db) != DB_WELL)
		return store_away;
	if (state.n == 0)
		return perm(550, S("5.3.5"), arena_printf(a, "there is no node %u", number));
	if (is_done(order, state))
		return ok_text(250, S("2.0.0"), arena_printf(a, "node %u is %.*s already", number, STR_ARG(state)));
	return perm(550, S("5.3.5"),
		    arena_printf(a, "node %u is %.*s; it can only be %s when it is %s", number, STR_ARG(state),
				 orders[order].what, orders[order].when));
}
