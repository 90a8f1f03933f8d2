/* nodes_seen.c - all nodes that share the store, as they were lately: for figures, which must not wait for the database. */
#include "queue.h"

#include "posthouse/clock.h"

#define LOOK_MS 10000

/* ---- what nodes are to have the same ---- */

static struct str own_hash(const struct queue *q, struct arena *a)
{
	return arena_printf(a, "%llx", (unsigned long long)role_config(q->role)->store.agreement);
}

/* A node that has just joined has not said it yet. */
bool nodes_config_differs(const struct queue *q, const struct store_node_row *row)
{
	struct arena a = { 0 };
	bool works = row->state == STORE_NODE_UP || row->state == STORE_NODE_DRAINING;
	bool differs = works && !row->self && row->config_hash.n > 0 && !str_eq(row->config_hash, own_hash(q, &a));

	arena_fini(&a);
	return differs;
}

static void on_told(void *ctx, struct verdict v)
{
	struct queue *q = ctx;

	q->nodes.seen.telling = false; /* if it has failed, the next look tells again */
}

/* Tell the others our configuration when their row of us has another one: after a start, and after a reload. */
static void tell_config(struct queue *q, const struct store_node_row *row)
{
	struct arena a = { 0 };

	if (!q->nodes.seen.telling && !str_eq(row->config_hash, own_hash(q, &a))) {
		q->nodes.seen.telling = true;
		store_node_config(q->store, role_config(q->role)->store.agreement, on_told, q);
	}
	arena_fini(&a);
}

/* Log once that a node has another configuration. */
static void note_config(struct queue *q, const struct store_node_row *row)
{
	struct nodes_seen *s = &q->nodes.seen;
	uint32_t bit = 1u << row->number;
	bool differs = nodes_config_differs(q, row);

	if (differs && !(s->differing & bit))
		log_warning(NULL, "node.config_differs", kv("node", row->number), kv("host", row->host));
	s->differing = differs ? s->differing | bit : s->differing & ~bit;
}

/* ---- looking ---- */

static void on_nodes(void *ctx, struct verdict v, const struct store_node_row *rows, size_t n)
{
	struct queue *q = ctx;
	struct nodes_seen *s = &q->nodes.seen;
	struct store_node_row *copy;

	s->asking = false;
	if (v.class != OK)
		return;
	arena_reset(&s->arena);
	copy = ARENA_ARRAY(&s->arena, struct store_node_row, n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = rows[i];
		copy[i].host = arena_str(&s->arena, rows[i].host);
		copy[i].config_hash = arena_str(&s->arena, rows[i].config_hash);
		if (rows[i].self)
			tell_config(q, &rows[i]);
		note_config(q, &rows[i]);
	}
	s->rows = copy;
	s->n = n;
}

void nodes_seen_look(struct queue *q)
{
	struct nodes_seen *s = &q->nodes.seen;
	uint64_t now = clock_mono_ms();

	if (s->asking || now < s->look_at)
		return;
	s->look_at = now + LOOK_MS;
	s->asking = true;
	store_nodes(q->store, on_nodes, q);
}

uint64_t nodes_away_since(const struct nodes *n)
{
	return n->away_at != 0 ? clock_now_ms() - (clock_mono_ms() - n->away_at) : 0;
}

struct str nodes_fault(const struct nodes *n)
{
	if (n->now.state == STORE_NODE_AWAY)
		return str_of(n->now.fault);
	return n->silent ? S("the database cannot be reached, or ends no commit, as when no standby follows: "
			     "`posthouse store check` says which")
			 : S("");
}

struct verdict nodes_can_ask(struct queue *q, struct arena *a)
{
	struct nodes *n = &q->nodes;
	struct store_node now;

	if (!n->shared || !q->store || q->closing)
		return ok();
	store_node(q->store, &now);
	if (now.state != STORE_NODE_AWAY && !(n->silent && now.horizon_ms == n->now.horizon_ms))
		return ok();
	if (n->away_at == 0)
		n->away_at = clock_mono_ms();
	return format_away(a, now.number, nodes_away_since(n),
			   now.state == STORE_NODE_AWAY ? arena_str(a, str_of(now.fault)) : nodes_fault(n));
}

/* "3 (mx3), 4 (mx4)" */
static struct str add_name(struct arena *a, struct str names, const struct store_node_row *row)
{
	return arena_printf(a, "%.*s%s%llu (%.*s)", STR_ARG(names), names.n ? ", " : "", (unsigned long long)row->number,
			    STR_ARG(row->host));
}

/* The others in this state. */
static struct str names_of(struct arena *a, const struct nodes_seen *s, enum store_node_state state)
{
	struct str names = S("");

	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].state == state && !s->rows[i].self)
			names = add_name(a, names, &s->rows[i]);
	return names;
}

static void config_stats(const struct queue *q)
{
	const struct nodes_seen *s = &q->nodes.seen;
	struct arena a = { 0 };
	struct str names = S("");
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (!nodes_config_differs(q, &s->rows[i]))
			continue;
		names = add_name(&a, names, &s->rows[i]);
		n++;
	}
	role_stat_of(q->role, METRIC_QUEUE_NODES_DIFFER, S(""), n, names);
	arena_fini(&a);
}

static void states_stats(struct role *r, const struct nodes_seen *s)
{
	struct arena a = { 0 };

	for (unsigned state = STORE_NODE_UP; state <= STORE_NODE_DEAD; state++) {
		size_t n = 0;

		for (size_t i = 0; i < s->n; i++)
			n += s->rows[i].state == state;
		role_stat_of(r, METRIC_QUEUE_NODES, str_of(store_node_state_name((enum store_node_state)state)), n,
			     names_of(&a, s, (enum store_node_state)state));
	}
	arena_fini(&a);
}

static void rows_stats(struct role *r, const struct nodes_seen *s)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < s->n; i++) {
		const struct store_node_row *row = &s->rows[i];
		struct str number = arena_printf(&a, "%llu", (unsigned long long)row->number);

		if (row->self)
			role_stat(r, METRIC_QUEUE_NODE_SHARDS, row->shards);
		else
			role_stat_of(r, METRIC_QUEUE_NODE_SILENT, number, row->silent_ms, S(""));
		role_stat_of(r, METRIC_QUEUE_NODE_TAKEN, number, row->taken, S(""));
	}
	arena_fini(&a);
}

void nodes_stats(struct queue *q)
{
	const struct nodes *n = &q->nodes;
	uint64_t now = clock_boot_ms();
	struct store_stats stats;

	if (!n->shared)
		return;
	role_stat_of(q->role, METRIC_QUEUE_NODE, S(""), n->now.number, str_of(store_node_state_name(n->now.state)));
	role_stat(q->role, METRIC_QUEUE_NODE_EPOCH, n->now.epoch);
	role_stat(q->role, METRIC_QUEUE_NODE_HORIZON, n->now.horizon_ms > now ? n->now.horizon_ms - now : 0);
	rows_stats(q->role, &n->seen);
	states_stats(q->role, &n->seen);
	config_stats(q);
	if (n->now.timeline != 0)
		role_stat(q->role, METRIC_QUEUE_DATABASE_TIMELINE, n->now.timeline);
	role_stat(q->role, METRIC_QUEUE_DATABASE_DEAD_ROWS, n->now.dead_rows);
	store_stats(q->store, &stats);
	role_stat(q->role, METRIC_QUEUE_CHARGES_REFUSED, stats.over);
	role_stat_of(q->role, METRIC_QUEUE_DATABASE_AWAY, S(""), nodes_away_since(n), nodes_fault(n));
}
