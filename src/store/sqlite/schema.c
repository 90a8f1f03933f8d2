/* schema.c - the tables, and the scripts that bring an older database to them. */
#include "sqlite.h"

#include "posthouse/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define SCHEMA_VERSION 7
#define PROGRESS_STEPS 100000 /* instructions of SQLite's virtual machine: some ms */
#define SAY_SOON_MS    1000   /* progress is logged between two statements */
#define SAY_EACH_MS    10000  /* and within a long one */

/* Scripts from version N to N + 1; those that a database needs run in one transaction. Number 0 makes a new database. A script
 * that was released is never changed. Times are ms since 1970 UTC. */
static const char *const migrations[SCHEMA_VERSION] = {
	"CREATE TABLE message("
	" id INTEGER PRIMARY KEY,"  /* made by submission, ordered by time */
	" token INTEGER NOT NULL,"  /* makes accept idempotent */
	" kind INTEGER NOT NULL,"   /* enum message_kind */
	" parent INTEGER NOT NULL," /* the message reported on; 0 = none */
	" received_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, warn_at INTEGER NOT NULL, release_at INTEGER,"
	" login TEXT NOT NULL, device TEXT NOT NULL, origin TEXT NOT NULL,"
	" sender TEXT NOT NULL, envid TEXT NOT NULL, ret INTEGER NOT NULL, body INTEGER NOT NULL, utf8 INTEGER NOT NULL,"
	" options INTEGER NOT NULL, priority INTEGER NOT NULL, deliver_by INTEGER, deliver_by_mode INTEGER,"
	" sign_domain TEXT NOT NULL,"
	" size INTEGER NOT NULL, header_size INTEGER NOT NULL,"
	" place INTEGER NOT NULL," /* enum message_place */
	" recipients INTEGER NOT NULL,"
	" open INTEGER NOT NULL," /* recipients not yet final: waiting, held, failed */
	" held TEXT,"             /* the reason; NULL = not held */
	" finished_at INTEGER,"
	" prefix BLOB NOT NULL" /* Received and our signatures; last, so that scans stop before it */
	") STRICT;"
	"CREATE INDEX message_open ON message(id) WHERE finished_at IS NULL;"
	"CREATE INDEX message_login ON message(login,id) WHERE finished_at IS NULL;"
	"CREATE INDEX message_finished ON message(finished_at) WHERE finished_at IS NOT NULL;"
	"CREATE INDEX message_large ON message(id) WHERE place=2;"

	/* Its own table, so that scans of envelopes do not read texts. The row is deleted when the message is finished. */
	"CREATE TABLE text(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"

	"CREATE TABLE recipient("
	" message INTEGER NOT NULL, n INTEGER NOT NULL,"
	" address TEXT NOT NULL, orcpt TEXT NOT NULL, notify INTEGER NOT NULL,"
	" lane INTEGER NOT NULL,"
	" state INTEGER NOT NULL," /* enum recipient_state */
	" due_at INTEGER NOT NULL, attempts INTEGER NOT NULL, deaths INTEGER NOT NULL,"
	" reported INTEGER NOT NULL," /* bits: 1 failure 2 delay 4 success */
	" removing INTEGER NOT NULL," /* to be removed, but was in flight */
	" class INTEGER, code INTEGER, enhanced TEXT, reply TEXT, remote TEXT, route TEXT, last_at INTEGER," /* last attempt */
	" PRIMARY KEY(message,n)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX recipient_due ON recipient(lane,attempts>0,due_at) WHERE state=1;"
	"CREATE INDEX recipient_unreported ON recipient(message) WHERE state=4;"
	"CREATE INDEX recipient_marked ON recipient(message) WHERE removing=1;"

	/* (recipient domain, login) with the earliest due time of its waiting recipients; deleted when none waits. */
	"CREATE TABLE lane(id INTEGER PRIMARY KEY, domain TEXT NOT NULL, login TEXT NOT NULL, next_at INTEGER NOT NULL,"
	" UNIQUE(domain,login)) STRICT;"
	"CREATE INDEX lane_next ON lane(next_at,id);"

	/* One row, written with each transaction: counting a million rows would delay the start by seconds. */
	"CREATE TABLE counter(open_messages INTEGER NOT NULL, waiting INTEGER NOT NULL, held INTEGER NOT NULL,"
	" failed INTEGER NOT NULL, lanes INTEGER NOT NULL) STRICT;"
	"INSERT INTO counter VALUES(0,0,0,0,0);"

	"CREATE TABLE gate(name TEXT PRIMARY KEY, down_until INTEGER NOT NULL, failures INTEGER NOT NULL, reason TEXT NOT NULL,"
	" rcptmax INTEGER, last_ok_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

	/* History: seq counts within the message. */
	"CREATE TABLE event(message INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL,"
	" name TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY(message,seq)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE transcript(message INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, lines TEXT NOT NULL,"
	" PRIMARY KEY(message,n)) STRICT, WITHOUT ROWID;",

	/* Token buckets, delay warnings (in the order in which they come due), reports of success. In recipient.reported bit
	 * 8 means that a success is still to be told; it keeps the message open as a waiting recipient does. */
	"CREATE TABLE bucket(key TEXT NOT NULL, rule TEXT NOT NULL, tat_us INTEGER NOT NULL,"
	" PRIMARY KEY(key,rule)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX message_warn ON message(warn_at) WHERE warn_at>0 AND finished_at IS NULL;"
	"CREATE INDEX recipient_good ON recipient(message) WHERE (reported&8)=8;",

	/* What limits remember; a lane for each priority. Priorities, also in message, are -9 to 9 as in RFC 6710, so the 0
	 * that version 2 wrote is the normal priority. Lanes keep their ids, so that no row of recipient changes. `hash` is
	 * SipHash of the address under meta's known_key, so that the database does not show who a login writes to. */
	"ALTER TABLE bucket ADD COLUMN warned_at INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE ban(key TEXT PRIMARY KEY, level INTEGER NOT NULL, until INTEGER NOT NULL,"
	" reason TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX ban_until ON ban(until);"
	"CREATE TABLE known(login TEXT NOT NULL, hash INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" PRIMARY KEY(login,hash)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX known_last ON known(last_at);"
	"INSERT INTO meta VALUES('known_key',lower(hex(randomblob(16))));"
	"CREATE TABLE lane_new(id INTEGER PRIMARY KEY, domain TEXT NOT NULL, login TEXT NOT NULL, priority INTEGER NOT NULL,"
	" next_at INTEGER NOT NULL, UNIQUE(domain,login,priority)) STRICT;"
	"INSERT INTO lane_new SELECT id,domain,login,0,next_at FROM lane ORDER BY id;"
	"DROP TABLE lane;"
	"ALTER TABLE lane_new RENAME TO lane;"
	"CREATE INDEX lane_next ON lane(next_at,id);"
	"CREATE INDEX lane_priority ON lane(priority,next_at,id);",

	/* The lengths of pauses and bans, and the latest time that the store has seen: they show that a clock was set back. */
	"ALTER TABLE gate ADD COLUMN pause INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE ban ADD COLUMN length INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE counter ADD COLUMN at INTEGER NOT NULL DEFAULT 0;"
	/* The meaning of the last reply: class and actor, as in meaning.h. */
	"ALTER TABLE recipient ADD COLUMN meaning INTEGER NOT NULL DEFAULT 0;",

	/* The fault of which the postmaster has been told, as its meaning. */
	"ALTER TABLE gate ADD COLUMN told INTEGER NOT NULL DEFAULT 0;",

	/* Recipients that an administrator has sent another way: `via` is a choice as in routes, '': by the routes. They have
	 * lanes of their own. removing: 1 to be removed, 2 to be returned. */
	"ALTER TABLE recipient ADD COLUMN via TEXT NOT NULL DEFAULT '';"
	"DROP INDEX recipient_marked;"
	"CREATE INDEX recipient_marked ON recipient(message) WHERE removing>0;"
	"CREATE TABLE lane_new(id INTEGER PRIMARY KEY, domain TEXT NOT NULL, login TEXT NOT NULL, priority INTEGER NOT NULL,"
	" via TEXT NOT NULL, next_at INTEGER NOT NULL, UNIQUE(domain,login,priority,via)) STRICT;"
	"INSERT INTO lane_new SELECT id,domain,login,priority,'',next_at FROM lane ORDER BY id;"
	"DROP TABLE lane;"
	"ALTER TABLE lane_new RENAME TO lane;"
	"CREATE INDEX lane_next ON lane(next_at,id);"
	"CREATE INDEX lane_priority ON lane(priority,next_at,id);"
	"CREATE INDEX lane_rerouted ON lane(id) WHERE via<>'';"
	/* By what people know of a message: see search.h. Mail of before has the ids below older_than; it is indexed later. */
	"ALTER TABLE message ADD COLUMN subject TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE message ADD COLUMN message_id TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE recipient ADD COLUMN tls TEXT NOT NULL DEFAULT '';" /* of the last attempt */
	"CREATE TABLE unsearched(message INTEGER PRIMARY KEY) STRICT;"
	"CREATE TABLE word(id INTEGER PRIMARY KEY, places BLOB NOT NULL) STRICT;" /* block and bucket */
	"CREATE TABLE block(id INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,"
	" first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" messages BLOB NOT NULL) STRICT;" /* ids of 8 bytes as the machine writes them */
	"CREATE INDEX block_last ON block(last_id);"
	"ALTER TABLE counter ADD COLUMN older_than INTEGER NOT NULL DEFAULT 0;"
	"UPDATE counter SET older_than=coalesce((SELECT max(id)+1 FROM message),0);"
	/* Neither waiting nor delivered: most recipients are never in it. */
	"CREATE INDEX recipient_unusual ON recipient(message,state) WHERE state NOT IN (1,3);",

	/* Mail with a wish about its TLS (enum tls_wish) has lanes of its own. Recipients of before stay in the lanes that they
	 * have. */
	"CREATE TABLE lane_new(id INTEGER PRIMARY KEY, domain TEXT NOT NULL, login TEXT NOT NULL, priority INTEGER NOT NULL,"
	" via TEXT NOT NULL, wish INTEGER NOT NULL, next_at INTEGER NOT NULL, UNIQUE(domain,login,priority,via,wish)) STRICT;"
	"INSERT INTO lane_new SELECT id,domain,login,priority,via,0,next_at FROM lane ORDER BY id;"
	"DROP TABLE lane;"
	"ALTER TABLE lane_new RENAME TO lane;"
	"CREATE INDEX lane_next ON lane(next_at,id);"
	"CREATE INDEX lane_priority ON lane(priority,next_at,id);"
	"CREATE INDEX lane_rerouted ON lane(id) WHERE via<>'';",
};

/* One value of a fixed query; false when there is none, or after an error. */
static bool schema_value(struct db *db, const char *sql, struct arena *a, struct str *value_out)
{
	sqlite3_stmt *q = NULL;
	bool found = false;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		*value_out = db_keep(a, &(struct db_rows){ q }, 0);
		found = true;
	}
	(void)sqlite3_finalize(q); /* repeats the error behind `false` */
	return found;
}

bool schema_meta(struct db *db, struct str key, struct arena *a, struct str *value_out)
{
	struct db_rows *q = db_query(db, Q_meta, TEXT(key));

	if (!db_row(db, q))
		return false;
	*value_out = db_keep(a, q, 0);
	db_end(q);
	return true;
}

/* The version on disk: 0 for an empty database; false when it cannot be read. */
static bool read_version(struct db *db, struct arena *a, uint64_t *version_out)
{
	struct str value;

	*version_out = 0;
	if (!schema_value(db, "SELECT count(*) FROM sqlite_schema WHERE name='meta'", a, &value))
		return false;
	if (str_eq(value, S("0")))
		return true;
	return schema_value(db, "SELECT value FROM meta WHERE key='schema_version'", a, &value) && str_to_u64(value, version_out);
}

/* ---- migration ---- */

struct migration {
	struct engine *e;
	size_t done, all; /* statements: progress */
	uint64_t said_at;
};

static void say(struct migration *m)
{
	char text[80];

	m->said_at = clock_mono_ms();
	(void)snprintf(text, sizeof text, "bringing the queue to schema %d, %zu %%", SCHEMA_VERSION, 100 * m->done / m->all);
	store_note(m->e->host->store, LOG_INFO, "store.upgrading", 0, text);
}

/* SQLite calls this after every PROGRESS_STEPS. A result other than 0 stops the statement: when the store is closed, the
 * migration is rolled back. */
static int on_progress(void *ctx)
{
	struct migration *m = ctx;

	if (m->said_at + SAY_EACH_MS <= clock_mono_ms())
		say(m);
	return store_is_stopping(m->e->host->store);
}

/* For tests, a slow disk: POSTHOUSE_SLOW is how many ms each statement takes longer. */
static void delay_for_test(void)
{
#ifdef POSTHOUSE_CRASH_POINTS
	const char *ms = getenv("POSTHOUSE_SLOW");

	if (ms)
		uv_sleep((unsigned)strtoul(ms, NULL, 10));
#endif
}

static size_t count_statements(const char *script)
{
	size_t n = 0;

	for (; *script; script++)
		n += *script == ';';
	return n;
}

static bool run_script(struct migration *m, const char *script)
{
	while (*script) {
		if (m->said_at + SAY_SOON_MS <= clock_mono_ms())
			say(m);
		if (store_is_stopping(m->e->host->store) || !db_statement(&m->e->db, script, &script))
			return false;
		delay_for_test();
		m->done++;
	}
	return true;
}

/* Run the scripts that are missing, in one transaction. */
static bool migrate(struct engine *e, struct arena *a, uint64_t from)
{
	struct db *db = &e->db;
	struct migration m = { .e = e, .all = 1, .said_at = clock_mono_ms() }; /* a new database is not worth a log line */
	bool done = db_script(db, "BEGIN IMMEDIATE");

	for (uint64_t v = from; v < SCHEMA_VERSION; v++)
		m.all += count_statements(migrations[v]);
	sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, &m);
	if (from > 0)
		say(&m);

	if (from == 0)
		done = done && db_script(db, "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
					     "INSERT INTO meta VALUES('instance',lower(hex(randomblob(8))));");
	for (uint64_t v = from; v < SCHEMA_VERSION; v++)
		done = done && run_script(&m, migrations[v]);
	done = done && db_script(db, arena_cstr(a, arena_printf(a, "INSERT OR REPLACE INTO meta VALUES('schema_version',%d)",
								SCHEMA_VERSION)));
	if (from == 0) /* a new database has no time of another clock */
		done = done && db_script(db, arena_cstr(a, arena_printf(a, "UPDATE counter SET at=%llu",
									(unsigned long long)clock_now_ms())));
	done = done && db_script(db, "COMMIT");
	sqlite3_progress_handler(db->handle, 0, NULL, NULL);
	if (done && from > 0)
		store_note(e->host->store, LOG_INFO, "store.upgraded", 0, "the queue has its new schema");
	if (done)
		return true;
	/* An error of ROLLBACK does not matter: the first error is reported, and closing the connection rolls back too. */
	(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

struct verdict schema_prepare(struct engine *e, struct arena *a)
{
	struct db *db = &e->db;
	uint64_t version;
	struct str mode;

	if (!schema_value(db, "PRAGMA journal_mode", a, &mode) || !str_ieq(mode, S("wal")))
		return perm(554, S("5.3.5"),
			    arena_printf(a, "queue.db: the file system does not allow a write-ahead log: %s",
					 sqlite3_errmsg(db->handle)));
	if (!read_version(db, a, &version))
		return temp(451, S("4.3.0"), arena_printf(a, "queue.db cannot be read: %s", sqlite3_errmsg(db->handle)));
	if (version > SCHEMA_VERSION)
		return perm(554, S("5.3.5"),
			    arena_printf(a, "queue.db was written by a newer Posthouse (schema %llu; this one knows %d)",
					 (unsigned long long)version, SCHEMA_VERSION));
	if (version > 0 && version < SCHEMA_VERSION)
		vacuum_convert(db);
	if (version < SCHEMA_VERSION && !migrate(e, a, version))
		return temp(451, S("4.3.0"),
			    arena_printf(a, "queue.db cannot be brought to schema %d: %s", SCHEMA_VERSION, db->error));
	return ok();
}
