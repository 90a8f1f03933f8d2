/* schema_script.h - the tables of an empty database, schema version 3: one statement in each text. Times are ms since 1970 UTC,
 * and all numbers are int8, as db.h binds them. What columns hold that are not explained here: the same column in
 * sqlite/schema.c. */
#ifndef POSTGRESQL_SCHEMA_SCRIPT_H
#define POSTGRESQL_SCHEMA_SCRIPT_H

#include "schema_slots.h"

/* Small tables whose rows come and go are vacuumed after so many dead rows, and without pauses. */
#define VACUUM_AFTER(n) "autovacuum_vacuum_scale_factor=0,autovacuum_vacuum_cost_delay=0,autovacuum_vacuum_threshold=" #n

static const char *const schema_script[] = {
	/* Messages, and what has happened to them, in partitions of a day each (schema_partition). There is no index on a column
	 * that changes, nor one with a condition on it: it would make each update write all indexes. What is still to be done
	 * has rows in small tables instead. */
	"CREATE TABLE message("
	"id int8 PRIMARY KEY,token int8 NOT NULL,kind int8 NOT NULL,parent int8 NOT NULL,received_at int8 NOT NULL,"
	"expires_at int8 NOT NULL,warn_at int8 NOT NULL,release_at int8,login text NOT NULL,device text NOT NULL,"
	"origin text NOT NULL,sender text NOT NULL,envid text NOT NULL,ret int8 NOT NULL,body int8 NOT NULL,utf8 int8 NOT NULL,"
	"options int8 NOT NULL,priority int8 NOT NULL,deliver_by int8,deliver_by_mode int8,sign_domain text NOT NULL,"
	"subject text NOT NULL,message_id text NOT NULL,size int8 NOT NULL,header_size int8 NOT NULL,place int8 NOT NULL,"
	"recipients int8 NOT NULL,open int8 NOT NULL,held text,finished_at int8,prefix bytea NOT NULL"
	") PARTITION BY RANGE(id)",
	/* By Message-ID: find_message_id. */
	"CREATE INDEX message_named ON message(hashtextextended(lower(message_id),0))",
	/* take_no: of a held one that was given back, of its last take; NULL: none. While it waits, due has it. */
	"CREATE TABLE recipient("
	"message int8 NOT NULL,n int8 NOT NULL,address text NOT NULL,orcpt text NOT NULL,notify int8 NOT NULL,"
	"lane int8 NOT NULL,state int8 NOT NULL,attempts int8 NOT NULL,deaths int8 NOT NULL,reported int8 NOT NULL,"
	"removing int8 NOT NULL,class int8,code int8,enhanced text,reply text,remote text,route text,last_at int8,"
	"meaning int8 NOT NULL DEFAULT 0,via text NOT NULL DEFAULT '',tls text NOT NULL DEFAULT '',take_no int8,"
	"PRIMARY KEY(message,n)) PARTITION BY RANGE(message)",
	/* seq orders the events of a message; the nodes share the sequence, and none takes numbers in advance. */
	"CREATE SEQUENCE event_seq AS int8 CACHE 1",
	"CREATE TABLE event("
	"message int8 NOT NULL,seq int8 NOT NULL,n int8 NOT NULL,at int8 NOT NULL,name text NOT NULL,fields text NOT NULL,"
	"PRIMARY KEY(message,seq)) PARTITION BY RANGE(message)",
	"CREATE TABLE transcript(message int8 NOT NULL,n int8 NOT NULL,at int8 NOT NULL,lines text NOT NULL,"
	"PRIMARY KEY(message,n)) PARTITION BY RANGE(message)",

	/* Texts, until the message is finished. They are not compressed: mail hardly gets smaller, and processors are dearer. */
	"CREATE TABLE text(id int8 PRIMARY KEY,bytes bytea NOT NULL) WITH(" VACUUM_AFTER(
		20000) ",toast.autovacuum_vacuum_scale_factor=0,toast.autovacuum_vacuum_cost_delay=0,"
		       "toast.autovacuum_vacuum_threshold=60000)",
	"ALTER TABLE text ALTER COLUMN bytes SET STORAGE EXTERNAL",
	"CREATE TABLE text_chunk(id int8 NOT NULL,seq int8 NOT NULL,bytes bytea NOT NULL,PRIMARY KEY(id,seq)) WITH(" VACUUM_AFTER(
		20000) ",toast.autovacuum_vacuum_scale_factor=0,toast.autovacuum_vacuum_cost_delay=0,"
		       "toast.autovacuum_vacuum_threshold=60000)",
	"ALTER TABLE text_chunk ALTER COLUMN bytes SET STORAGE EXTERNAL",

	/* Messages that are not finished. place is message.place, which does not change before. */
	"CREATE TABLE open_message(id int8 PRIMARY KEY,login text NOT NULL,warn_at int8 NOT NULL,place int8 NOT NULL)"
	" WITH(" VACUUM_AFTER(20000) ")",
	"CREATE INDEX open_login ON open_message(login,id)",
	"CREATE INDEX open_warn ON open_message(warn_at,id) WHERE warn_at>0",
	"CREATE INDEX open_large ON open_message(id) WHERE place=2",

	/* Recipients that wait: to be tried at due_at. tried: an attempt was made. take_no: of the last take that was given back;
	 * 0: none. */
	"CREATE TABLE due(message int8 NOT NULL,n int8 NOT NULL,lane int8 NOT NULL,tried bool NOT NULL,due_at int8 NOT NULL,"
	"take_no int8 NOT NULL,PRIMARY KEY(message,n)) WITH(" VACUUM_AFTER(20000) ")",
	"CREATE INDEX due_lane ON due(lane,tried,due_at,message,n)",
	/* Recipients in flight: which node has taken them, in which epoch, and when. Numbers of takes are never used twice. */
	"CREATE SEQUENCE take AS int8",
	"CREATE TABLE taken(message int8 NOT NULL,n int8 NOT NULL,lane int8 NOT NULL,take_no int8 NOT NULL,node int8 NOT NULL,"
	"epoch int8 NOT NULL,at int8 NOT NULL,PRIMARY KEY(message,n)) WITH(" VACUUM_AFTER(5000) ")",
	/* Recipients that were given back and are to be ended: an administrator has removed or returned them meanwhile. */
	"CREATE TABLE marked(message int8 NOT NULL,n int8 NOT NULL,PRIMARY KEY(message,n))",
	/* Recipients of which the sender is still to be told: kind is KIND_FAILURE or KIND_SUCCESS. A row for each of them, and
	 * not for each message, so that a node which adds one never meets a node that removes the last. */
	"CREATE TABLE report_due(kind int8 NOT NULL,message int8 NOT NULL,n int8 NOT NULL,PRIMARY KEY(kind,message,n))"
	" WITH(" VACUUM_AFTER(5000) ")",

	/* id is a hash of what names the lane; next_at is at most the time at which the first of its recipients in due is due, or
	 * 2^63-1: the lane sleeps. */
	"CREATE TABLE lane(id int8 PRIMARY KEY,domain text NOT NULL,login text NOT NULL,priority int8 NOT NULL,via text NOT NULL,"
	"wish int8 NOT NULL,next_at int8 NOT NULL,shard int8 NOT NULL) WITH(fillfactor=50," VACUUM_AFTER(5000) ")",
	"CREATE INDEX lane_next ON lane(next_at,id)",
	"CREATE INDEX lane_priority ON lane(priority,next_at,id)",
	"CREATE INDEX lane_rerouted ON lane(id) WHERE via<>''",

	"CREATE TABLE bucket(key text NOT NULL,rule text NOT NULL,tat_us int8 NOT NULL,warned_at int8 NOT NULL,"
	"PRIMARY KEY(key,rule)) WITH(fillfactor=50)",
	"CREATE TABLE ban(key text PRIMARY KEY,level int8 NOT NULL,until int8 NOT NULL,reason text NOT NULL,"
	"length int8 NOT NULL)",
	"CREATE INDEX ban_until ON ban(until)",
	"CREATE TABLE known(login text NOT NULL,hash int8 NOT NULL,last_at int8 NOT NULL,PRIMARY KEY(login,hash))",
	"CREATE INDEX known_last ON known(last_at)",
	"CREATE TABLE gate(name text PRIMARY KEY,down_until int8 NOT NULL,failures int8 NOT NULL,reason text NOT NULL,"
	"last_ok_at int8 NOT NULL,pause int8 NOT NULL,told int8 NOT NULL) WITH(fillfactor=50)",
	GATE_SLOT_TABLE,

	/* Nodes, and who looks after which lanes: node and epoch 0: nobody. (number, epoch) is a key, so that a change of the
	 * epoch waits for the transactions that hold the fence, and a beat does not. */
	"CREATE TABLE node(number int8 PRIMARY KEY,instance text NOT NULL,epoch int8 NOT NULL,beat int8 NOT NULL,"
	"state text NOT NULL,schema int8 NOT NULL,config_hash text NOT NULL,id_floor int8 NOT NULL,host text NOT NULL,"
	"since int8 NOT NULL,UNIQUE(number,epoch)) WITH(fillfactor=10," VACUUM_AFTER(1000) ")",
	"CREATE TABLE shard(n int8 PRIMARY KEY,node int8 NOT NULL,epoch int8 NOT NULL)",
	"INSERT INTO shard SELECT n,0,0 FROM generate_series(0,63) AS n",
	/* What each node has added and taken away: the sums are what there is. */
	"CREATE TABLE counter(node int8 PRIMARY KEY,open_messages int8 NOT NULL,waiting int8 NOT NULL,held int8 NOT NULL,"
	"failed int8 NOT NULL,lanes int8 NOT NULL,at int8 NOT NULL) WITH(fillfactor=10," VACUUM_AFTER(1000) ")",
	/* The passwords of the accounts. line: as in the account file, without its end; device: empty for the main password. */
	"CREATE TABLE account(name text NOT NULL,device text NOT NULL,line text NOT NULL,PRIMARY KEY(name,device))",

	/* Last: a database with this table has all. known_key, login_key: 128 random bits each; of each UUID the digits that are
	 * not random are left out. generation and history: raised, and another, after a restore from a backup (`posthouse store
	 * restored`). accounts: grows by one with each change of the table account; 0: no node has filled it. */
	"CREATE TABLE meta(key text PRIMARY KEY,value text NOT NULL)",
	"INSERT INTO meta VALUES('schema_version','3'),('compatible_from','1'),('generation','1'),('accounts','0')",
	"INSERT INTO meta SELECT 'history',substr(replace(gen_random_uuid()::text,'-',''),1,12)",
	"INSERT INTO meta SELECT key,substr(a,1,12)||substr(a,21,4)||substr(b,1,12)||substr(b,21,4) FROM"
	" (SELECT key,replace(gen_random_uuid()::text,'-','') AS a,replace(gen_random_uuid()::text,'-','') AS b"
	" FROM (VALUES('known_key'),('login_key')) AS k(key)) AS u",
};

/* Tables that have a partition for each day, and the settings of each partition. Updates of a row find room on its page. */
static const struct {
	const char *name, *settings;
} partitioned[] = {
	{ "message", "fillfactor=85" },
	{ "recipient", "fillfactor=70" },
	{ "event", "fillfactor=100" },
	{ "transcript", "fillfactor=100" },
};

#endif
