/* engine.c - the engine as a table of functions; opening, transactions, errors. */
#include "postgresql.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

#include <stdlib.h>
#include <string.h>

#define FENCED  "2201E" /* Q_fence */
#define LOOK_MS 1000    /* at what other nodes count, and at takes whose answer was lost */

/* ---- opening ---- */

/* As an array of the database: "{1,2,3}". */
static struct str shards_text(struct arena *a, uint64_t shards)
{
	struct str text = S("{");

	for (unsigned i = 0; i < 64; i++)
		if (shards >> i & 1)
			text = arena_printf(a, "%.*s%s%u", STR_ARG(text), text.n > 1 ? "," : "", i);
	return arena_printf(a, "%.*s}", STR_ARG(text));
}

/* Connect, and see that the server keeps what it commits. */
static struct verdict connect_server(struct postgresql *p, struct arena *a)
{
	struct db_target target = node_target(&p->node, a);

	if (!db_open(&p->e.db, &target))
		return db_error(&p->e.db) == DB_AWAY ? store_busy
						     : perm(554, S("5.3.5"), arena_printf(a, "the database: %s", p->e.db.error));
	p->e.db.collect = gather_collect;
	node_saw_timeline(&p->node, p->e.db.timeline, p->e.db.history);
	(void)schema_session(&p->e.db);
	if (!db_check_durability(&p->e.db, p->e.host->database->standby, p->why, sizeof p->why)) {
		if (db_error(&p->e.db) != DB_WELL) { /* it has not said */
			p->why[0] = 0;
			return store_busy;
		}
		db_fail(&p->e.db, DB_AWAY, p->why);
		return perm(554, S("5.3.5"), arena_printf(a, "the database would lose mail: %s", p->why));
	}
	return ok();
}

/* Become a member; a node that was one, and is one no more, gets a new epoch. */
static struct verdict join(struct postgresql *p, struct arena *a)
{
	return node_claim(&p->node, &p->e.db, a);
}

/* What all nodes have counted together. Between two looks only the own changes are known. */
static void read_counters(struct engine *e)
{
	struct counters *c = &e->counters;

	(void)db_numbers(&e->db, db_query(&e->db, Q_counters_sum), &c->open_messages, &c->waiting, &c->held, &c->failed,
			 &c->lanes);
	e->tx_before = *c;
}

static struct verdict open_parts(struct postgresql *p, struct arena *a)
{
	struct verdict v;

	if (!p->e.host->database)
		return perm(554, S("5.3.5"), S("store.connection is not set"));
	node_init(&p->node, p->e.host);
	v = node_recall(&p->node, a);
	if (v.class == OK)
		v = connect_server(p, a);
	if (v.class == OK)
		v = schema_open(&p->e.db, a);
	if (v.class == OK)
		v = node_check_versions(p->node.schema, &p->e.db, a); /* before any other table is looked at */
	if (v.class == OK && !rate_store_open(&p->e, a))
		v = temp(451, S("4.3.0"), S("the database has no key of known addresses"));
	if (v.class == OK && !results_store(&p->e)) /* before join(), which gives back what has no result */
		v = store_busy;
	if (v.class == OK)
		v = join(p, a);
	if (v.class != OK)
		return db_error(&p->e.db) == DB_AWAY && !p->why[0] ? store_busy : v;
	read_counters(&p->e);
	p->e.rerouted = db_exists(&p->e.db, db_query(&p->e.db, Q_lanes_rerouted));
	if (db_error(&p->e.db) != DB_WELL)
		return store_busy;
	(void)node_step(&p->node); /* the first beat takes shards; a connection that is lost is tried again */
	return node_start(&p->node) ? ok() : store_busy;
}

static void close_engine(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);

	node_stop(&p->node);
	db_close(&e->db);
	taken_fini(&p->taken);
	gather_fini(&p->gather);
	results_fini(&p->results);
	cursors_clear(&p->cursors);
	hashtable_fini(&p->cursors);
	rate_store_close(e);
	node_fini(&p->node);
	free(p);
}

static struct engine *open_engine(struct engine_host *host, struct arena *a, struct verdict *why_out)
{
	struct postgresql *p = NEW(struct postgresql);

	p->e.host = host;
	*why_out = open_parts(p, a);
	if (why_out->class == OK)
		return &p->e;
	if (db_error(&p->e.db) != DB_WELL)
		store_note_change(host->store, LOG_ERROR, "store.away", p->e.db.error);
	close_engine(&p->e);
	return NULL;
}

static enum engine_error error(const struct engine *e);

/* ---- transactions ---- */

static bool begin(struct engine *e)
{
	e->tx_before = e->counters;
	e->tx_settles = false;
	postgresql_of(e)->charges = (struct charges){ 0 };
	postgresql_of(e)->fenced = postgresql_of(e)->committing = false;
	postgresql_of(e)->judged = postgresql_of(e)->held.n > 0;
	results_forget(&postgresql_of(e)->results);
	if (!db_begin(&e->db))
		return false;
	fence(e);
	charges_hold(e);
	return db_error(&e->db) == DB_WELL;
}

/* Each node counts what it changes itself, so that no two meet at one row. */
static void put_counters(struct engine *e)
{
	const struct counters *now = &e->counters, *before = &e->tx_before;

	if (now->open_messages == before->open_messages && now->waiting == before->waiting && now->held == before->held &&
	    now->failed == before->failed)
		return;
	db_run(&e->db, Q_counters_put, INT(now->open_messages - before->open_messages), INT(now->waiting - before->waiting),
	       INT(now->held - before->held), INT(now->failed - before->failed), INT(0), INT(clock_now_ms()),
	       INT(node_number(&postgresql_of(e)->node)));
}

static bool commit(struct engine *e)
{
	postgresql_of(e)->committing = true;
	put_counters(e);
	charges_write(e);
	if (db_error(&e->db) != DB_WELL)
		return false;
	crash_point("store.before_commit");
	if (!db_commit(&e->db))
		return false;
	crash_point("store.after_commit");
	if (e->tx_settles)
		crash_point("store.after_settle_commit");
	taken_commit(&postgresql_of(e)->taken);
	charges_tell(e);
	postgresql_of(e)->held = (struct charges){ 0 };
	return true;
}

/* A charge that does not fit shows at the commit, as do most other refusals. Then all charges of the batch are known. */
static bool again(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);
	bool again = p->committing && !p->judged && p->charges.n > 0 && error(e) != ENGINE_AWAY;

	if (again)
		p->held = p->charges;
	return again;
}

static void rollback(struct engine *e)
{
	db_rollback(&e->db);
	postgresql_of(e)->days = (struct schema_days){ 0 }; /* those that it has made are gone */
	e->counters = e->tx_before;
	gather_forget(&postgresql_of(e)->gather);
	postgresql_of(e)->gather.careful = true; /* what failed is repeated */
	postgresql_of(e)->held = (struct charges){ 0 };
	taken_rollback(&postgresql_of(e)->taken);
}

/* One try. Rows that this node has taken, and does not know of, are given back later (see idle()). */
static bool reopen(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);
	struct arena a = { 0 };
	struct verdict v;

	db_close(&e->db);
	cursors_clear(&p->cursors);
	p->shards_set = 0; /* the setting was that connection's */
	p->why[0] = 0;
	v = connect_server(p, &a);
	if (v.class == OK && node_is_lost(&p->node))
		v = join(p, &a);
	if (v.class == PERM || (v.class == TEMP && db_error(&e->db) == DB_WELL)) /* as when it was removed, or tables migrated */
		node_exclude(&p->node, v.text);
	if (v.class == OK && db_error(&e->db) == DB_WELL)
		read_counters(e);
	if (db_error(&e->db) == DB_WELL && v.class != OK)
		db_fail(&e->db, DB_AWAY, "this node is not a member");
	if (db_error(&e->db) == DB_WELL && !(begin(e) && db_commit(&e->db))) /* it only reads, or is no member again */
		rollback(e);
	if (db_error(&e->db) == DB_WELL)
		node_exclude(&p->node, S(""));
	arena_fini(&a);
	return db_error(&e->db) == DB_WELL;
}

/* Takes are among the reads. They are durable before their deliveries begin. Statements for lanes look at posthouse.shards. */
static void begin_read(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);

	e->tx_before = e->counters;
	p->fenced = false;
	leases_forget(&p->leases);
	results_forget(&p->results);
	if (!db_begin(&e->db))
		return;
	p->shards = node_shards(&p->node);
	if (p->shards != p->shards_set)
		db_run(&e->db, Q_shards_set, TEXT(shards_text(&e->host->arena, p->shards)));
}

static void expect(struct engine *e, struct request *r)
{
	if (r->kind == REQUEST_SETTLE)
		results_expect(e, r);
	if (r->kind == REQUEST_LEASE)
		leases_expect(e, r);
}

static void end_read(struct engine *e)
{
	struct postgresql *p = postgresql_of(e);

	if (!db_commit(&e->db))
		return;
	p->shards_set = p->shards;
	taken_commit(&p->taken);
}

static enum engine_error error(const struct engine *e);

/* Whoever knows of a lost take is this thread alone, and it has no take under way now. What another transaction was in the way of
 * is done in the next round. */
static void idle(struct engine *e, bool was_idle)
{
	struct postgresql *p = postgresql_of(e);

	if (clock_mono_ms() < p->look_at || db_error(&e->db) != DB_WELL)
		return;
	p->look_at = clock_mono_ms() + LOOK_MS;
	cursors_tidy(&p->cursors);
	if (begin(e)) {
		read_counters(e);
		taken_reconcile(e);
		end_marked(e);
		janitor_lanes(e);
	}
	if (db_error(&e->db) == DB_WELL && commit(e) && janitor_days(e))
		return;
	rollback(e);
	if (error(e) == ENGINE_AWAY)
		return;
	if (error(e) == ENGINE_DENIED)
		store_note_change(e->host->store, LOG_ERROR, "store.denied", e->db.error);
	else if (error(e) != ENGINE_PASSING && error(e) != ENGINE_FULL) /* who has something to store tells of a full disk */
		store_note(e->host->store, LOG_ERROR, "store.refused", 0, e->db.error);
	db_forget_error(&e->db);
}

/* ---- errors and counters ---- */

/* Is it an error of what was to be stored or read? These classes are of values (21, 22), constraints (23, 44), things that are
 * too large (54), triggers (P0) and rows that are damaged (XX); what has no code was found by this program. With all others
 * the next operation of this kind meets the same. */
static bool is_of_values(const char *sqlstate)
{
	static const char classes[] = "21 22 23 44 54 P0 XX";
	char class[3] = { 0 };

	memcpy(class, sqlstate, sqlstate[0] ? 2 : 0);
	return strstr(classes, class) != NULL;
}

static enum engine_error error(const struct engine *e)
{
	static const struct {
		const char *sqlstate;
		enum engine_error error;
	} states[] = {
		{ FENCED, ENGINE_AWAY },                                  /* this node is no member */
		{ "22012", ENGINE_PASSING },                              /* Q_lane_lock: the lane was dropped just now */
		{ "40001", ENGINE_PASSING }, { "40P01", ENGINE_PASSING }, /* the other one of a deadlock has gone on */
		{ "57014", ENGINE_PASSING },                              /* somebody has cancelled it */
		{ "55P03", ENGINE_AWAY }, /* lock_timeout: a node hangs, or this is a primary whose standby was promoted */
		{ "0A000", ENGINE_AWAY }, /* a table is another one since the statement was prepared on this connection */
		{ "26000", ENGINE_AWAY }, /* what was prepared on this connection is gone */
	};

	switch (db_error(&e->db)) {
	case DB_WELL: return ENGINE_WELL;
	case DB_FULL: return ENGINE_FULL;
	case DB_AWAY: return ENGINE_AWAY;
	case DB_PRIVATE: break;
	}
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strcmp(e->db.sqlstate, states[i].sqlstate) == 0)
			return states[i].error;
	return is_of_values(e->db.sqlstate) ? ENGINE_PRIVATE : ENGINE_DENIED;
}

static const char *error_text(const struct engine *e)
{
	if (db_error(&e->db) != DB_WELL && strcmp(e->db.sqlstate, FENCED) == 0)
		return NO_MEMBER;
	return e->db.error;
}

static void forget_error(struct engine *e)
{
	db_forget_error(&e->db);
}

static void stats(const struct engine *e, struct store_stats *stats_out)
{
	const struct counters *c = &e->counters;

	*stats_out = (struct store_stats){ .open_messages = counted(c->open_messages),
					   .waiting = counted(c->waiting),
					   .held = counted(c->held),
					   .failed = counted(c->failed),
					   .lanes = c->lanes,
					   .accepted = c->accepted,
					   .settled = c->settled,
					   .late = c->late,
					   .over = c->over,
					   .rerouted = e->rerouted,
					   .set_back = e->set_back };
}

/* ---- what the store asks of an engine with files ---- */

static void after_batch(struct engine *e)
{
	postgresql_of(e)->gather.careful = false;
}

static void recover(struct engine *e)
{
	end_marked(e);
}

/* The files of the spool are of no message once it is accepted. */
static bool place(struct engine *e, uint64_t id, enum message_place *place_out)
{
	return false;
}

static bool next_large(struct engine *e, uint64_t after, uint64_t *id_out, uint64_t *size_out)
{
	return false;
}

static bool copy(const struct engine *e, struct engine_copy *c)
{
	(void)snprintf(c->why, sizeof c->why, "the queue is in a PostgreSQL database: copy it with pg_basebackup");
	return false;
}

/* ---- the table ---- */

static const char *const files[] = { NULL };

#define REQUEST(name, run, ...) [REQUEST_##name] = run_##run,
#define FILE_REQUEST(...)
const struct store_engine store_engine_postgresql = {
	.busy = "the database cannot be reached: it is tried again",
	.files = files,
	.open = open_engine,
	.close = close_engine,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.again = again,
	.begin_read = begin_read,
	.end_read = end_read,
	.expect = expect,
	.run = {
#include "requests.def"
	},
	.error = error,
	.error_text = error_text,
	.forget_error = forget_error,
	.reopen = reopen,
	.keep = results_keep,
	.node = this_node,
	.stats = stats,
	.after_batch = after_batch,
	.idle = idle,
	.recover = recover,
	.place = place,
	.next_large = next_large,
	.hold = hold_message,
	.copy = copy,
};
