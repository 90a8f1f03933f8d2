/* tables.h - the tables of queue.db, as the scripts that make them and bring an older database to them: for schema.c, and for who
 * copies a queue between the engines. */
#ifndef POSTHOUSE_STORE_SQLITE_TABLES_H
#define POSTHOUSE_STORE_SQLITE_TABLES_H

#define SQLITE_SCHEMA_VERSION 7

/* How a connection that writes is set up; before the first table is made. */
#define SQLITE_PRAGMAS "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"

/* Before the scripts; behind them comes the row schema_version. */
#define SQLITE_META_TABLE                                                                                                        \
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"                                              \
	"INSERT INTO meta VALUES('instance',lower(hex(randomblob(8))));"

/* Scripts from version N to N + 1; those that a database needs run in one transaction. Number 0 makes a new database. A script
 * that was released is never changed. Times are ms since 1970 UTC. */
static const char *const migrations[SQLITE_SCHEMA_VERSION] = {
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

#endif
