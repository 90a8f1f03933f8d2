/* schema.h - the tables in the database: makes them in an empty one, and makes and drops the partitions of days. After an error
 * of the database it is in `db`. */
#ifndef POSTGRESQL_SCHEMA_H
#define POSTGRESQL_SCHEMA_H

#include "db.h"

#include "posthouse/verdict.h"

/* Days whose partitions are there, so that an accept need not ask. It starts as { 0 }; { 0 } is also right after a restart. */
struct schema_days {
	uint64_t at[16];
	size_t n;
};

/* Settings of a connection that uses statements.def: once after each db_open(), before the first statement. */
bool schema_session(struct db *db);

/* Make the tables when there are none, also when several nodes start at the same moment. Their version is judged by
 * node_check_versions(). The verdict's text lives in `a`. Outside a transaction. */
struct verdict schema_open(struct db *db, struct arena *a);

/* Whoever changes tables does so alone, until the end of the transaction. */
bool schema_lock(struct db *db);

/* A value of the table meta; false when there is none, or after an error. */
bool schema_meta(struct db *db, struct str key, struct arena *a, struct str *value_out);

/* Make sure that the partitions exist which messages of this id belong to: before the message is accepted. Within the caller's
 * transaction, or else in one of its own. False after an error. */
bool schema_partition(struct db *db, struct schema_days *days, uint64_t id);

/* The partitions of today and of the seven days that follow, outside a transaction: once an hour. */
bool schema_partitions_ahead(struct db *db, struct schema_days *days, uint64_t now_ms);

/* Drop the partitions of the days that ended before this time and whose messages were all finished before it. Outside a
 * transaction. It is never waited for: what others use just now stays until the next call. False after an error. */
bool schema_drop_before(struct db *db, struct schema_days *days, uint64_t before_ms);

#endif
