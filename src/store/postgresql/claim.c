/* claim.c - how this process becomes a node: its number belongs to state_dir, its epoch to this process. */
#include "identity.h"
#include "node.h"

#include "posthouse/id.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define TRIES_MAX 20 /* each try fails only because another node was faster */

/* ---- versions side by side ---- */

/* "1 (alpha, schema 2), 3 (beta, schema 1)" */
static struct str members(struct db *db, struct arena *a)
{
	struct db_rows *q = db_query(db, Q_node_rows);
	struct str list = S("");

	while (db_row(db, q))
		list = arena_printf(a, "%.*s%s%llu (%.*s, schema %llu)", STR_ARG(list), list.n > 0 ? ", " : "",
				    (unsigned long long)db_u64(q, 0), STR_ARG(db_str(q, 6)), (unsigned long long)db_u64(q, 4));
	return list.n > 0 ? list : S("none");
}

struct verdict node_check_versions(uint64_t known, struct db *db, struct arena *a)
{
	uint64_t schema = 0, from = 0;

	if (!db_numbers(db, db_query(db, Q_node_versions), &schema, &from))
		return db_error(db) == DB_AWAY ? store_away
					       : perm(554, S("5.3.5"),
						      arena_printf(a,
								   "the tables cannot be read: %s; the database is to be of "
								   "Posthouse alone, and its tables are to belong to its role",
								   db->error));
	if (from <= known && known <= schema)
		return ok();
	return perm(554, S("5.3.5"),
		    arena_printf(
			    a,
			    "this version of Posthouse knows schema %llu of the database, which has %llu and needs %llu at least:"
			    " %s; nodes: %.*s",
			    (unsigned long long)known, (unsigned long long)schema, (unsigned long long)from,
			    known > schema ? "run `posthouse store migrate`" : "install a newer version here",
			    STR_ARG(members(db, a))));
}

/* ---- the row ---- */

/* What this process was, and what its row says. */
struct claiming {
	struct identity seen, now_seen;
	bool at_start; /* this process was no node before */
	bool known;    /* the row is ours */
	bool locked;   /* somebody holds the row */
	uint64_t number, epoch;
	uint64_t started_at; /* boot time */
	uint64_t id_floor, now;
};

/* Is it the database that this node knows? What a restore from a backup has undone, nodes have seen and delivered. */
static struct verdict check_generation(struct node *n, struct db *db, struct arena *a, struct claiming *c)
{
	const char *advice = "if it was restored from a backup, stop all nodes and run `posthouse store restored`";
	struct db_rows *q = db_query(db, Q_node_generation);
	struct str exported, history;

	if (!db_row(db, q))
		return store_away;
	c->now_seen = c->seen;
	c->now_seen.generation = db_u64(q, 0);
	history = db_keep(a, q, 1);
	exported = db_keep(a, q, 2);
	db_end(q);
	(void)snprintf(c->now_seen.history, sizeof c->now_seen.history, "%.*s", STR_ARG(history));
	if (exported.n > 0)
		return perm(554, S("5.3.5"),
			    arena_printf(a,
					 "the queue of this database was exported to %.*s: use that, or run `posthouse store "
					 "restored`, and the mail of before is delivered from here too",
					 STR_ARG(exported)));
	if (c->seen.generation == 0)
		return ok();
	if (!c->at_start && c->now_seen.generation != c->seen.generation)
		return temp(451, S("4.3.0"), S("the database was restored from a backup: restart this node"));
	if (c->now_seen.generation < c->seen.generation)
		return perm(554, S("5.3.5"), arena_printf(a, "the database is older than what this node has seen: %s", advice));
	if (c->now_seen.generation == c->seen.generation && strcmp(c->now_seen.history, c->seen.history) != 0)
		return perm(
			554, S("5.3.5"),
			arena_printf(a, "this is another database than before: %s; to make this a new node of it, remove %s/node",
				     advice, n->host->state_dir));
	return ok();
}

/* The row must not be of a time before our last epoch either. */
static struct verdict check_epoch(struct arena *a, const struct claiming *c)
{
	if (!c->known || c->now_seen.generation != c->seen.generation || c->epoch >= c->seen.epoch)
		return ok();
	return perm(
		554, S("5.3.5"),
		arena_printf(a,
			     "this node was in epoch %llu, and the database knows %llu: it was restored from a backup, so stop "
			     "all nodes and run `posthouse store restored`",
			     (unsigned long long)c->seen.epoch, (unsigned long long)c->epoch));
}

/* Find our row, or a free number. */
static struct verdict find_row(struct node *n, struct db *db, struct arena *a, struct claiming *c)
{
	struct db_rows *q = db_query(db, Q_node_find, TEXT(str_of(c->seen.instance)));
	struct str state = S(""), host = S("");

	c->known = db_row(db, q);
	if (c->known) {
		c->number = db_u64(q, 0);
		c->epoch = db_u64(q, 1);
		state = db_keep(a, q, 2);
		host = db_keep(a, q, 3);
		db_end(q);
	} else if (db_error(db) == DB_WELL && c->at_start) {
		c->number = db_number(db, db_query(db, Q_node_free, INT(NODE_MAX)));
	}
	if (db_error(db) != DB_WELL)
		return store_away;
	if (!c->at_start && !c->known)
		return temp(451, S("4.3.0"), S("this node was removed: restart it to make it a new one"));
	if (!c->at_start && str_eq(state, S("drained")) && c->epoch == node_epoch(n))
		return temp(451, S("4.3.0"), S("this node is drained: `posthouse node resume` makes it work again"));
	if (!c->at_start && !str_eq(state, S("dead")) && c->epoch != node_epoch(n) && !n->claim_doubtful)
		return temp(451, S("4.3.0"),
			    arena_printf(a, "another process, on %.*s, has a copy of %s/node: end it, and remove its copy",
					 STR_ARG(host), n->host->state_dir));
	if (c->number != 0)
		return ok();
	return perm(554, S("5.3.5"),
		    arena_printf(a,
				 "all %d numbers of nodes are in use: make one free with `posthouse node remove N`; nodes: %.*s",
				 NODE_MAX, STR_ARG(members(db, a))));
}

/* Take the row and give back, in the open transaction; *taken_out: the row was still ours to take. */
static bool take_row(struct node *n, struct db *db, struct claiming *c, bool *taken_out)
{
	char host[HOST_NAME_MAX + 1] = "";
	struct node_return r = { 0 };
	uint64_t own = n->clock();

	(void)gethostname(host, sizeof host - 1); /* only to be shown */
	*taken_out = db_numbers(
		db,
		db_query(db, Q_node_claim, INT(c->number), TEXT(str_of(c->seen.instance)), INT(n->schema), TEXT(str_of(host))),
		&c->epoch, &c->id_floor, &c->now);
	if (!*taken_out)
		return db_error(db) == DB_WELL;
	r = (struct node_return){ .number = c->number, .epoch = c->epoch, .now = c->now };
	r.died = !c->at_start || !c->known; /* else its deliverers are known to be gone, and began no later than it */
	/* Which clock is wrong, if one is, nobody knows here. */
	r.due_at = r.died ? (own > c->now ? own : c->now) + n->timing.unknown : own < c->now ? own : c->now;
	return node_give_back(n, db, &r);
}

/* The claim is committed, which shows that we live as a beat does. */
static void become(struct node *n, struct db *db, const struct claiming *c)
{
	struct identity now = c->now_seen;
	char name[64];

	uv_mutex_lock(&n->lock);
	n->number = (unsigned)c->number;
	n->epoch = c->epoch;
	n->state = STORE_NODE_UP;
	n->lost = false;
	n->shards = 0;
	n->beat_at = c->started_at;
	n->horizon = c->started_at + n->timing.timeout - n->timing.margin;
	if (c->id_floor > n->id_floor)
		n->id_floor = c->id_floor;
	uv_mutex_unlock(&n->lock);
	n->claim_doubtful = false;
	now.epoch = c->epoch;
	now.timeline = db->timeline;
	node_saw_database(n, now);
	(void)snprintf(name, sizeof name, "posthouse/%u/%llu", (unsigned)c->number, (unsigned long long)c->epoch);
	(void)db_exists(db, db_query(db, Q_node_rename, TEXT(str_of(name)))); /* the error stays in db */
	node_note(n, LOG_INFO, "node.claimed", "this is node %u, epoch %llu", (unsigned)c->number, (unsigned long long)c->epoch);
}

static struct verdict failed(struct db *db, struct arena *a, struct claiming *c)
{
	struct str why = arena_str(a, str_of(db->error));
	bool away = db_error(db) == DB_AWAY;

	c->locked = strcmp(db->sqlstate, "55P03") == 0;
	db_rollback(db);
	if (!away)
		db_forget_error(db);
	return away ? store_away : temp(451, S("4.3.0"), why);
}

static struct verdict claim_once(struct node *n, struct db *db, struct arena *a, struct claiming *c, bool *taken_out)
{
	struct verdict v = ok();

	*taken_out = c->locked = false;
	if (db_begin(db) && db_exists(db, db_query(db, Q_node_lock_timeout, INT(n->timing.lock), INT(true))) &&
	    db_run(db, Q_node_hold_versions))
		v = node_check_versions(n->schema, db, a);
	if (v.class == OK && db_error(db) == DB_WELL)
		v = check_generation(n, db, a, c);
	if (v.class == OK && db_error(db) == DB_WELL)
		v = find_row(n, db, a, c);
	if (v.class == OK && db_error(db) == DB_WELL)
		v = check_epoch(a, c);
	if (v.class != OK && db_error(db) == DB_WELL) {
		db_rollback(db);
		return v;
	}
	if (db_error(db) == DB_WELL && take_row(n, db, c, taken_out) && db_commit(db))
		return ok();
	n->claim_doubtful = n->claim_doubtful || (*taken_out && db_error(db) == DB_AWAY);
	*taken_out = false;
	return failed(db, a, c);
}

struct verdict node_claim(struct node *n, struct db *db, struct arena *a)
{
	struct claiming c = { .at_start = node_epoch(n) == 0 };
	struct verdict v;
	bool taken = false;

	if (!identity_read(n->host->state_dir, &c.seen))
		return perm(554, S("5.3.5"), arena_printf(a, "%s/node cannot be used: %s", n->host->state_dir, strerror(errno)));
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		c.started_at = n->boottime();
		v = claim_once(n, db, a, &c, &taken);
		if (c.locked && c.known) { /* a connection of ours, which nobody uses any more, and which the server keeps */
			node_terminate(n, db, (unsigned)c.number, c.epoch);
			continue;
		}
		if (v.class != OK)
			return v;
		if (!taken)
			continue;
		become(n, db, &c);
		return ok();
	}
	return temp(451, S("4.3.0"), S("other nodes take the numbers of nodes faster"));
}
