/* pipeline.h - what is on its way to the server and back: for db.c and connect.c alone. */
#ifndef POSTGRESQL_PIPELINE_H
#define POSTGRESQL_PIPELINE_H

#include "db.h"

/* Wait until PQgetResult() does not block, and send meanwhile. NULL, or why not: the limit has passed, or the connection is
 * gone. */
const char *pipeline_wait(PGconn *conn, uint64_t end_ms);

/* Is there a connection, and no error? Notes that it is lost. */
bool pipeline_usable(struct db *db);
/* Close the connection; the error is AWAY, whatever it was. */
void pipeline_lose(struct db *db, const char *why);
/* Note the error of a result; closes the connection when it is AWAY. */
void pipeline_note_result(struct db *db, const PGresult *r);

/* Room for a few more answers: reads some when too much is outstanding. False when the connection was lost. */
bool pipeline_room(struct db *db);
/* Expect an answer to what libpq has taken (`sent` is what PQsend...() returned). False when the connection was lost. */
bool pipeline_expect(struct db *db, int sent, struct db_answer answer);
/* End the pipeline here: what the server skips after an error ends there, too. */
bool pipeline_sync(struct db *db);
/* Read all answers. False when the connection was lost; other errors are in db->kind. */
bool pipeline_drain(struct db *db);
/* Send fixed SQL without parameters. */
bool pipeline_send(struct db *db, const char *sql, struct db_answer answer);

/* Given to PQsetNoticeReceiver() with the struct db. */
void pipeline_on_notice(void *db, const PGresult *r);

#endif
