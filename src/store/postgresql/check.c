/* check.c - `posthouse store check`: what a node will find on this database. A finding for each thing that is looked at. */
#include "node.h"
#include "schema.h"
#include "visitor.h"

#include "posthouse/store_database.h"

#define NAPTIME_MAX_S 15
#define DEAD_ROWS_MAX 200000 /* ten times what the busy tables are vacuumed at */

struct check {
	const struct store_database *database;
	struct db db;
	struct arena *arena;
	struct store_findings *out;
};

/* After an error of the database nothing is known any more, and nothing is said. */
static void say(struct check *c, enum store_finding_level level, const char *id, struct str text)
{
	struct store_findings *out = c->out;

	if (db_error(&c->db) != DB_WELL)
		return;
	ARENA_GROW(c->arena, out->at, out->n, out->capacity);
	out->at[out->n++] = (struct store_finding){ .level = level, .id = id, .text = text };
}

static struct db_rows *ask(struct check *c, const char *sql)
{
	const struct db_value none = { .kind = DB_NULL };

	return db_query_words(&c->db, sql, &none, 1);
}

/* The text in the first column of the first row; further ones are numbers. */
static struct str ask_text(struct check *c, const char *sql, uint64_t *numbers_out, size_t n)
{
	struct db_rows *q = ask(c, sql);
	struct str text = S("");

	if (!db_row(&c->db, q))
		return text;
	text = db_keep(c->arena, q, 0);
	for (size_t i = 0; i < n; i++)
		numbers_out[i] = db_u64(q, (int)i + 1);
	db_end(q);
	return text;
}

/* ---- the server ---- */

/* A host that is not used now is needed after the next failover. */
static void on_host(void *ctx, struct str host_and_why, bool standby)
{
	struct check *c = ctx;

	say(c, standby ? STORE_FINDING_OK : STORE_FINDING_WARNING, "host", arena_str(c->arena, host_and_why));
}

static void check_server(struct check *c)
{
	struct str name = ask_text(c, "SELECT current_setting('server_version')", NULL, 0);

	say(c, STORE_FINDING_OK, "server",
	    arena_printf(c->arena, "PostgreSQL %.*s at %s, port %s, timeline %u", STR_ARG(name), PQhost(c->db.conn),
			 PQport(c->db.conn), c->db.timeline));
}

static void check_pooler(struct check *c)
{
	if (!c->db.pooled)
		say(c, STORE_FINDING_OK, "pooler", S("none is between"));
	else
		say(c, STORE_FINDING_ERROR, "pooler", S("a pooler is between, as PgBouncer is: connect to the server itself"));
}

static void check_durability(struct check *c)
{
	char why[300];
	bool durable = db_check_durability(&c->db, c->database->standby, why, sizeof why);
	struct visitor_standbys s;
	uint64_t waiting = db_number(&c->db, ask(c, "SELECT count(*) FROM pg_stat_activity WHERE usename=current_user"
						    " AND wait_event='SyncRep'"
						    " AND query_start<clock_timestamp()-interval '2s'"));

	visitor_standbys(&c->db, c->arena, &s);
	if (durable)
		say(c, STORE_FINDING_OK, "durability",
		    arena_printf(c->arena, "fsync and full_page_writes are on, and store.durability = \"%s\"",
				 c->database->standby ? "standby" : "local"));
	else
		say(c, STORE_FINDING_ERROR, "durability", arena_printf(c->arena, "the database would lose mail: %s", why));
	if (s.fault.n > 0)
		say(c, STORE_FINDING_ERROR, "standby", s.fault);
	else if (s.names.n > 0)
		say(c, waiting ? STORE_FINDING_ERROR : STORE_FINDING_OK, "standby",
		    arena_printf(c->arena, "%llu connected (%.*s), synchronous_standby_names = '%.*s'%s",
				 (unsigned long long)s.connected_n, STR_ARG(s.connected), STR_ARG(s.names),
				 waiting ? ", and commits have been waiting for more than 2 s" : ""));
}

static void check_autovacuum(struct check *c)
{
	uint64_t on = 0, naptime = 0;

	(void)db_numbers(&c->db,
			 ask(c, "SELECT current_setting('autovacuum')='on' AND current_setting('track_counts')='on',"
				"(SELECT setting::int8 FROM pg_settings WHERE name='autovacuum_naptime')"),
			 &on, &naptime);
	if (!on)
		say(c, STORE_FINDING_ERROR, "autovacuum",
		    S("autovacuum or track_counts is off: the tables grow, and nodes get slower all the time"));
	else
		say(c, naptime > NAPTIME_MAX_S ? STORE_FINDING_WARNING : STORE_FINDING_OK, "autovacuum",
		    arena_printf(c->arena, "autovacuum_naptime is %llu s%s", (unsigned long long)naptime,
				 naptime > NAPTIME_MAX_S ? ": 15 s or less keeps the busy tables small" : ""));
}

/* The server can log statements with their values, which are mail. */
static void check_logging(struct check *c)
{
	uint64_t values = db_number(&c->db, ask(c, "SELECT (current_setting('log_statement') IN ('mod','all')"
						   " OR current_setting('log_duration')='on'"
						   " OR EXISTS (SELECT 1 FROM pg_settings WHERE setting<>'-1'"
						   " AND name IN ('log_min_duration_statement','log_min_duration_sample'))"
						   " OR current_setting('log_transaction_sample_rate')<>'0')"
						   " AND current_setting('log_parameter_max_length')<>'0'"
						   " OR current_setting('log_parameter_max_length_on_error')<>'0'"));

	if (values)
		say(c, STORE_FINDING_WARNING, "logging",
		    S("the server logs statements with their values, which are texts of mail and verifiers of passwords: "
		      "log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0 leave the values out"));
}

/* Nodes make a partition for each day. */
static void check_rights(struct check *c)
{
	uint64_t create = 0;
	struct str role = ask_text(c, "SELECT current_user::text,coalesce(has_schema_privilege(current_schema(),'CREATE'),false)",
				   &create, 1);

	if (!create)
		say(c, STORE_FINDING_ERROR, "rights",
		    arena_printf(c->arena,
				 "role %.*s cannot make tables: it is to own the database, and its search_path is to "
				 "lead to a schema that there is",
				 STR_ARG(role)));
}

/* ---- the tables ---- */

/* False: the tables are not there, or are not to be looked at. */
static bool check_schema(struct check *c)
{
	uint64_t schema = 0, from = 0;
	struct verdict v;

	if (!db_exists(&c->db, db_query(&c->db, Q_schema_exists))) {
		uint64_t others =
			db_number(&c->db, ask(c, "SELECT count(*) FROM pg_class WHERE relnamespace=current_schema()::regnamespace"
						 " AND relkind IN ('r','p','v','m')"));

		say(c, others ? STORE_FINDING_ERROR : STORE_FINDING_WARNING, "schema",
		    others ? S("there are tables of another program: make a database for Posthouse alone")
			   : S("there are no tables: `posthouse store migrate`, or the first node, makes them"));
		return false;
	}
	v = node_check_versions(NODE_SCHEMA, &c->db, c->arena);
	if (v.class == OK)
		(void)db_numbers(&c->db, db_query(&c->db, Q_node_versions), &schema, &from);
	else if (db_error(&c->db) == DB_PRIVATE) /* it is in `v` */
		db_forget_error(&c->db);
	say(c, v.class == OK ? STORE_FINDING_OK : STORE_FINDING_ERROR, "schema",
	    v.class == OK ? arena_printf(c->arena, "version %llu, for programs that know %llu or more; this one knows %d",
					 (unsigned long long)schema, (unsigned long long)from, NODE_SCHEMA)
			  : v.text);
	return v.class == OK;
}

static void check_generation(struct check *c)
{
	struct db_rows *q = db_query(&c->db, Q_node_generation);

	if (!db_row(&c->db, q))
		return;
	say(c, STORE_FINDING_OK, "generation", arena_printf(c->arena, "%llu", (unsigned long long)db_u64(q, 0)));
	if (db_str(q, 2).n > 0)
		say(c, STORE_FINDING_ERROR, "exported",
		    arena_printf(c->arena,
				 "the queue was exported to %.*s, and no node starts: `posthouse store restored` opens it again",
				 STR_ARG(db_str(q, 2))));
	db_end(q);
}

static void check_nodes(struct check *c)
{
	struct db_rows *q = db_query(&c->db, Q_node_list);
	bool any = false;

	for (; db_row(&c->db, q); any = true)
		say(c, str_eq(db_str(q, 3), S("dead")) ? STORE_FINDING_WARNING : STORE_FINDING_OK, "node",
		    arena_printf(c->arena, "%llu (%.*s): %.*s, epoch %llu, schema %llu, delivers %llu",
				 (unsigned long long)db_u64(q, 0), STR_ARG(db_str(q, 4)), STR_ARG(db_str(q, 3)),
				 (unsigned long long)db_u64(q, 1), (unsigned long long)db_u64(q, 2),
				 (unsigned long long)db_u64(q, 7)));
	if (!any)
		say(c, STORE_FINDING_OK, "node", S("none"));
	if (db_number(&c->db, ask(c, "SELECT count(DISTINCT config_hash) FROM node"
				     " WHERE state IN ('up','draining') AND config_hash<>''")) > 1)
		say(c, STORE_FINDING_WARNING, "config",
		    S("not all nodes have the same configuration: `posthouse status` on a node says which differ from it"));
}

static void check_size(struct check *c)
{
	uint64_t open = 0, waiting = 0, held = 0, dead = 0;
	struct str size = ask_text(c, "SELECT pg_size_pretty(pg_database_size(current_database()))", NULL, 0);

	(void)db_numbers(&c->db, db_query(&c->db, Q_counters_sum), &open, &waiting, &held);
	say(c, STORE_FINDING_OK, "size",
	    arena_printf(c->arena, "%.*s, with %llu messages that are not finished: %llu recipients wait, %llu are held",
			 STR_ARG(size), (unsigned long long)open, (unsigned long long)waiting, (unsigned long long)held));
	dead = db_number(&c->db, db_query(&c->db, Q_node_dead_rows));
	say(c, dead > DEAD_ROWS_MAX ? STORE_FINDING_WARNING : STORE_FINDING_OK, "dead_rows",
	    arena_printf(c->arena, "%llu in the busy tables%s", (unsigned long long)dead,
			 dead > DEAD_ROWS_MAX ? ": an old snapshot keeps them, as of a long pg_dump, or autovacuum is too slow"
					      : ""));
}

static struct verdict check_all(struct check *c)
{
	check_server(c);
	check_pooler(c);
	if (c->db.pooled) /* what else is asked would leave prepared statements with others */
		return visitor_verdict(&c->db, c->arena);
	check_durability(c);
	check_autovacuum(c);
	check_logging(c);
	check_rights(c);
	if (check_schema(c)) {
		check_generation(c);
		check_nodes(c);
		check_size(c);
	}
	return visitor_verdict(&c->db, c->arena);
}

struct verdict store_check(const struct store_database *d, struct arena *a, struct store_findings *out)
{
	struct check c = { .database = d, .arena = a, .out = out };
	struct db_target target = { .pooler_allowed = true, .on_host = on_host, .ctx = &c };
	struct verdict v = visitor_open_as(&c.db, d, target, a);

	if (v.class == OK)
		v = check_all(&c);
	else
		out->n = 0; /* it says why each host is not the one */
	db_close(&c.db);
	return v;
}
