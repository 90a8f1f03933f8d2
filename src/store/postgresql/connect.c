#include "pipeline.h"

#include "posthouse/buf.h"
#include "posthouse/clock.h"
#include "posthouse/secret.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define STANDBY "it is a standby"
#define OLDER   "it takes writes too, and another is on the same timeline or a newer one"

enum { HOST_MS = 2000, WORDS_MAX = 96, SERVER_VERSION_MIN = 150000 };

/* What the connection's words say of hosts: lists with commas, as libpq reads them. */
struct hosts {
	struct str host, hostaddr, port;
	size_t n;
};

/* A server that answers. */
struct server {
	PGconn *conn; /* NULL: none */
	size_t host;
	uint32_t timeline;
	bool pooled;         /* something answers for it */
	uint64_t generation; /* 0: it has no tables */
	char history[17];
};

/* ---- words of the connection ---- */

static const char *word(const PQconninfoOption *options, const char *name)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, name) == 0)
			return options->val;
	return NULL;
}

static size_t list_length(struct str list)
{
	size_t n = 1;

	for (size_t i = 0; i < list.n; i++)
		n += list.p[i] == ',';
	return n;
}

/* Member `i` of a list with commas; of a list that has one member, this. */
static struct str list_at(struct str list, size_t i)
{
	if (list_length(list) == 1)
		return list;
	while (i-- > 0)
		list = str_from(list, str_find(list, ',') + 1);
	return str_head(list, str_find(list, ','));
}

/* Find the lists; false when they do not fit each other. */
static bool find_hosts(const PQconninfoOption *options, struct hosts *out)
{
	*out = (struct hosts){ .host = str_of(word(options, "host")),
			       .hostaddr = str_of(word(options, "hostaddr")),
			       .port = str_of(word(options, "port")) };
	out->n = list_length(out->hostaddr.n > 0 ? out->hostaddr : out->host);
	if (out->hostaddr.n > 0 && out->host.n > 0 && list_length(out->host) != out->n)
		return false;
	return list_length(out->port) == 1 || list_length(out->port) == out->n;
}

/* ---- one server ---- */

/* Wait until it is connected; NULL, or why not. */
static const char *await_connected(PGconn *conn, uint64_t end_ms)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (PQstatus(conn) != CONNECTION_BAD && next != PGRES_POLLING_FAILED && next != PGRES_POLLING_OK) {
		struct pollfd p = { .fd = PQsocket(conn), .events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT };
		uint64_t now = clock_mono_ms();

		if (now >= end_ms)
			return "no answer";
		if (poll(&p, 1, (int)(end_ms - now)) > 0)
			next = PQconnectPoll(conn);
	}
	return next == PGRES_POLLING_OK ? NULL : PQerrorMessage(conn);
}

/* The words for libpq, ended by NULL. */
struct words {
	const char *names[WORDS_MAX], *values[WORDS_MAX];
	size_t n;
};

static void add_word(struct words *w, const char *name, const char *value)
{
	assert(w->n + 1 < WORDS_MAX);
	w->names[w->n] = name;
	w->values[w->n++] = value;
}

/* The words that we set: libpq would not let an empty one replace another. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"host", "hostaddr", "port", "application_name", "client_encoding", "target_session_attrs"
	};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

/* What the connection does not say, libpq would take from the home directory of the user: a password, certificates. Such a file
 * decides nothing here, and none could be opened behind the walls of queue. */
static void close_defaults(struct words *w, const PQconninfoOption *options)
{
	static const char *const files[] = { "passfile", "sslcert", "sslrootcert", "sslcrl" };

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (!word(options, files[i]))
			add_word(w, files[i], "/dev/null/none"); /* there is no such file */
	if (!word(options, "gssencmode"))
		add_word(w, "gssencmode", "disable"); /* else it looks for a Kerberos ticket first */
}

/* Begin to connect to host `i`. */
static PGconn *start(struct db *db, const struct db_target *target, const PQconninfoOption *options, const struct hosts *hosts,
		     size_t i)
{
	struct words w = { .n = 0 };
	struct arena arena = { 0 };
	struct secret password = { 0 };
	PGconn *conn;

	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (o->val && !is_ours(o->keyword))
			add_word(&w, o->keyword, o->val);
	add_word(&w, "host", arena_cstr(&arena, list_at(hosts->host, i)));
	add_word(&w, "hostaddr", arena_cstr(&arena, list_at(hosts->hostaddr, i)));
	add_word(&w, "port", arena_cstr(&arena, list_at(hosts->port, i)));
	add_word(&w, "application_name", target->application_name ? target->application_name : "posthouse");
	add_word(&w, "client_encoding", "SQL_ASCII");
	add_word(&w, "target_session_attrs", "any"); /* read-write would take an old primary that still lives */
	close_defaults(&w, options);
	if (target->password.n > 0) {
		secret_set(&password, target->password);
		add_word(&w, "password", password.p);
	}
	conn = PQconnectStartParams(w.names, w.values, 0);
	secret_fini(&password);
	arena_fini(&arena);
	if (conn)
		(void)PQsetNoticeReceiver(conn, pipeline_on_notice, db); /* returns the former one */
	return conn;
}

/* Run SQL and give its last result, which is an error if there was one. NULL: no answer, and why. */
static PGresult *ask(PGconn *conn, const char *sql, uint64_t end_ms, const char **why_out)
{
	PGresult *last = NULL, *r = NULL;

	*why_out = PQsendQuery(conn, sql) ? NULL : PQerrorMessage(conn);
	while (!*why_out) {
		*why_out = pipeline_wait(conn, end_ms);
		r = *why_out ? NULL : PQgetResult(conn);
		if (!r)
			break;
		PQclear(last);
		last = r;
	}
	if (!*why_out && last)
		return last;
	if (!*why_out)
		*why_out = PQerrorMessage(conn);
	PQclear(last);
	return NULL;
}

/* The timeline of a server that takes writes; NULL, or why it is of no use: it is a standby, or does not answer. A pooler invents
 * the number of the process that it gives to a client. */
static const char *ask_timeline(struct server *s, uint64_t end_ms)
{
	const char *why;
	PGresult *r = ask(s->conn,
			  "SET statement_timeout=0; SELECT CASE WHEN pg_is_in_recovery() THEN NULL" /* see set_up() */
			  " ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, pg_backend_pid()",
			  end_ms, &why);

	if (!r)
		return why;
	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1)
		why = PQerrorMessage(s->conn);
	else if (PQgetisnull(r, 0, 0))
		why = STANDBY;
	s->timeline = why ? 0 : (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 16);
	s->pooled = !why && strtol(PQgetvalue(r, 0, 1), NULL, 10) != PQbackendPID(s->conn);
	PQclear(r);
	return why;
}

/* Which database is it? NULL, or why there is no answer. */
static const char *ask_history(struct server *s, uint64_t end_ms)
{
	const char *why;
	PGresult *r = ask(s->conn,
			  "SELECT (SELECT value FROM meta WHERE key='generation'),(SELECT value FROM meta WHERE key='history')",
			  end_ms, &why);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	if (r && PQresultStatus(r) == PGRES_TUPLES_OK) {
		s->generation = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
		(void)snprintf(s->history, sizeof s->history, "%s", PQgetvalue(r, 0, 1));
	} else if (r && !(state && strncmp(state, "42", 2) == 0)) { /* else it has no such table, or another program's */
		why = PQerrorMessage(s->conn);
	}
	PQclear(r);
	return why;
}

static bool is_better(const struct server *s, const struct server *best)
{
	if (!best->conn || s->generation != best->generation)
		return !best->conn || s->generation > best->generation;
	return s->timeline > best->timeline;
}

/* Why this host is not the one, without libpq's hints, which are further lines: added to the words of the error, which may cut
 * it. */
static void add_reason(const struct db_target *target, struct buf *why, const struct hosts *hosts, size_t i, const char *text)
{
	struct str host = list_at(hosts->host.n > 0 ? hosts->host : hosts->hostaddr, i), port = list_at(hosts->port, i);
	struct str all = str_trim(str_of(text)), reason = str_head(all, str_search(all, S("\n\t")));
	size_t before = why->n;

	(void)buf_add(why, why->n > 0 ? S("; ") : S(""));
	if (!str_starts(reason, S("connection to server "))) /* libpq says to which one */
		(void)buf_printf(why, "%.*s%s%.*s: ", STR_ARG(host.n > 0 ? host : S("local")), port.n > 0 ? " port " : "",
				 STR_ARG(port));
	(void)buf_add(why, reason);
	if (target->on_host)
		target->on_host(target->ctx, str_from(buf_view(why), before > 0 ? before + strlen("; ") : 0),
				strcmp(text, STANDBY) == 0);
}

/* Ask host `i`, and keep it when it is better than the best so far. */
static void ask_host(struct db *db, const struct db_target *target, const PQconninfoOption *options, const struct hosts *hosts,
		     size_t i, struct server *best, struct buf *why)
{
	uint64_t end = clock_mono_ms() + HOST_MS;
	struct server s = { .conn = start(db, target, options, hosts, i), .host = i };
	const char *reason = s.conn ? await_connected(s.conn, end) : "out of memory";
	char old[80];

	if (!reason && PQsetnonblocking(s.conn, 1) != 0)
		reason = PQerrorMessage(s.conn);
	if (!reason)
		reason = ask_timeline(&s, end);
	if (!reason)
		reason = ask_history(&s, end);
	if (!reason && s.timeline < target->timeline_seen &&
	    (!target->history_seen || strcmp(s.history, target->history_seen) == 0)) {
		(void)snprintf(old, sizeof(old), "it is on timeline %u, and %u was seen", s.timeline, target->timeline_seen);
		reason = old;
	}
	if (!reason && !is_better(&s, best))
		reason = OLDER;
	if (reason) {
		add_reason(target, why, hosts, i, reason);
		PQfinish(s.conn);
		return;
	}
	if (best->conn)
		add_reason(target, why, hosts, best->host, OLDER);
	PQfinish(best->conn);
	*best = s;
}

/* ---- the chosen one ---- */

/* The database must keep any bytes, and sort by them. False when it does not, and how it is made. An order to write nothing can
 * be taken back. */
static bool check_database(struct db *db, const PGresult *r)
{
	const char *encoding = PQgetvalue(r, 0, 0), *locale = PQgetvalue(r, 0, 1);
	char why[sizeof(db->error)];

	if (strcmp(PQgetvalue(r, 0, 2), "on") == 0) {
		db_fail(db, DB_AWAY, "default_transaction_read_only is on: the database takes no writes");
		return false;
	}
	if (strcmp(encoding, "SQL_ASCII") == 0 && (strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0))
		return true;
	(void)snprintf(why, sizeof(why),
		       "encoding %s and locale %s do not keep mail as it is; a database that does is made by CREATE DATABASE"
		       " \"%s\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'",
		       encoding, locale, PQdb(db->conn));
	db_fail(db, DB_PRIVATE, why);
	return false;
}

/* A pooler gives a connection with its settings, prepared statements and name to others. */
static bool check_pooler(struct db *db, const struct db_target *target)
{
	if (!db->pooled || target->pooler_allowed)
		return true;
	db_fail(db, DB_PRIVATE, "a pooler is between, as PgBouncer is: connect to the server itself");
	return false;
}

/* Statements of later versions are used, such as pg_terminate_backend() with a time. */
static bool check_version(struct db *db)
{
	int version = PQserverVersion(db->conn);
	char why[100];

	if (version >= SERVER_VERSION_MIN)
		return true;
	(void)snprintf(why, sizeof(why), "the server is PostgreSQL %d.%d, and %d or a newer one is needed", version / 10000,
		       version % 10000, SERVER_VERSION_MIN / 10000);
	db_fail(db, DB_PRIVATE, why);
	return false;
}

/* The settings of the session, and what cannot be set. Role or database can have been given others: a time limit of a statement
 * would cancel a commit that waits for the standby, and with another isolation the second of two statements would not see what
 * has happened since the first. */
static bool set_up(struct db *db)
{
	const char *why;
	PGresult *r = ask(db->conn,
			  "SET synchronous_commit=on; SET client_min_messages=warning; SET lock_timeout='10s';"
			  "SET default_transaction_isolation='read committed';"
			  "SELECT set_config(name,'0',false) FROM pg_settings"
			  " WHERE name IN ('statement_timeout','transaction_timeout','idle_session_timeout');"
			  "SELECT pg_encoding_to_char(encoding), datcollate::text, current_setting('transaction_read_only')"
			  " FROM pg_database WHERE datname=current_database()",
			  clock_mono_ms() + HOST_MS, &why);

	if (!r)
		pipeline_lose(db, why);
	else if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1 ||
		 (check_database(db, r) && !PQenterPipelineMode(db->conn)))
		pipeline_lose(db, PQerrorMessage(db->conn));
	PQclear(r);
	return db->kind == DB_WELL;
}

/* Ask all hosts and keep the best. */
static bool choose(struct db *db, const struct db_target *target, const PQconninfoOption *options)
{
	struct hosts hosts;
	struct server best = { 0 };
	struct buf why;

	if (!find_hosts(options, &hosts)) {
		db_fail(db, DB_PRIVATE, "the connection's lists of host, hostaddr and port have different lengths");
		return false;
	}
	buf_init(&why, sizeof(db->error) * 16);
	for (size_t i = 0; i < hosts.n; i++)
		ask_host(db, target, options, &hosts, i, &best, &why);
	(void)buf_add_char(&why, 0);
	db->conn = best.conn;
	db->timeline = best.timeline;
	db->pooled = best.pooled;
	memcpy(db->history, best.history, sizeof db->history);
	if (!db->conn)
		db_fail(db, DB_AWAY, why.n > 0 ? buf_view(&why).p : "no server");
	buf_fini(&why);
	return db->conn != NULL;
}

bool db_open(struct db *db, const struct db_target *target)
{
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(target->connection, &error);
	bool opened;

	db_close(db);
	db->on_notice = target->on_notice;
	db->ctx = target->ctx;
	if (!options) {
		db_fail(db, DB_PRIVATE, error ? error : "out of memory");
		PQfreemem(error);
		return false;
	}
	opened = choose(db, target, options) && check_pooler(db, target) && check_version(db) && set_up(db);
	PQconninfoFree(options);
	if (!opened) {
		PQfinish(db->conn);
		db->conn = NULL;
	}
	return opened;
}

void db_close(struct db *db)
{
	for (size_t i = 0; i <= STATEMENT_COUNT; i++)
		db_end(&db->rows[i]);
	PQfinish(db->conn);
	*db = (struct db){ 0 };
}

/* ---- durability ---- */

bool db_check_durability(struct db *db, bool standby, char *why, size_t n)
{
	struct db_rows *q = &db->rows[STATEMENT_COUNT];
	const char *fault = NULL;

	(void)snprintf(why, n, "%s", "");
	if (pipeline_usable(db) &&
	    pipeline_send(db,
			  "SELECT current_setting('fsync')='on', current_setting('full_page_writes')='on',"
			  " current_setting('synchronous_commit')<>'off', current_setting('synchronous_standby_names')<>''",
			  (struct db_answer){ .what = DB_ROWS, .statement = STATEMENT_COUNT }) &&
	    (db->in_transaction || pipeline_sync(db)))
		(void)pipeline_drain(db); /* the error is noted */
	if (!db_row(db, q))
		fault = db->error;
	else if (!db_u64(q, 0))
		fault = "fsync is off: what is committed does not survive a power failure";
	else if (!db_u64(q, 1))
		fault = "full_page_writes is off: a power failure can damage what is committed";
	else if (!db_u64(q, 2))
		fault = "synchronous_commit is off: what is committed does not survive a crash";
	else if (standby && !db_u64(q, 3))
		fault = "synchronous_standby_names is empty: what is committed is on one machine only";
	db_end(q);
	if (fault)
		(void)snprintf(why, n, "%s", fault);
	return fault == NULL;
}
