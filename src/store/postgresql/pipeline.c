#include "pipeline.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* An answer that takes longer does not come: 10 s for COMMIT. Others can wait for a lock as long as lock_timeout lets them, 10 s,
 * and the error that it gives must still arrive. */
enum { COMMIT_MS = 10000, ANSWER_MS = 12000 };
/* More than this is never outstanding, except for one statement; the server is asked for its answers often enough that half of
 * it can be waited for while the server works on the other half. */
enum { BYTES_MAX = 4 << 20, FLUSH_N = DB_ANSWERS_MAX / 4, FLUSH_BYTES = BYTES_MAX / 4 };

/* ---- errors ---- */

/* Keep the first error with its words, on one line; that the connection is lost outweighs all others. */
static void note(struct db *db, enum db_error kind, const char *sqlstate, const char *text)
{
	size_t n;

	if (db->kind != DB_WELL && (kind != DB_AWAY || db->kind == DB_AWAY))
		return;
	db->kind = kind;
	(void)snprintf(db->sqlstate, sizeof(db->sqlstate), "%s", sqlstate ? sqlstate : "");
	(void)snprintf(db->error, sizeof(db->error), "%s%s%s%s", text, sqlstate ? " (" : "", sqlstate ? sqlstate : "",
		       sqlstate ? ")" : "");
	n = strlen(db->error);
	while (n > 0 && db->error[n - 1] == '\n')
		db->error[--n] = 0;
	for (char *p = db->error; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

void db_fail(struct db *db, enum db_error kind, const char *why)
{
	note(db, kind, NULL, why);
}

void pipeline_lose(struct db *db, const char *why)
{
	note(db, DB_AWAY, NULL, why);
	PQfinish(db->conn);
	db->conn = NULL;
	db->in_transaction = db->unsynced = db->committing = false;
	db->answers_n = db->answers_bytes = db->unflushed_n = db->unflushed_bytes = 0;
	memset(db->prepared, 0, sizeof(db->prepared));
}

bool pipeline_usable(struct db *db)
{
	if (db->kind == DB_WELL && !db->conn)
		note(db, DB_AWAY, NULL, "the connection to the database is lost");
	return db->kind == DB_WELL;
}

/* Which kind is an error of the server? 08P01 is a statement that does not fit its parameters, as long as the connection is
 * there. */
static enum db_error kind_of(struct str sqlstate)
{
	if (str_eq(sqlstate, S("53100")))
		return DB_FULL;
	if (str_eq(sqlstate, S("25006")) || str_starts(sqlstate, S("57P")))
		return DB_AWAY;
	if (str_starts(sqlstate, S("08")) && !str_eq(sqlstate, S("08P01")))
		return DB_AWAY;
	return DB_PRIVATE;
}

void pipeline_note_result(struct db *db, const PGresult *r)
{
	const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	bool gone = PQstatus(db->conn) == CONNECTION_BAD;
	enum db_error kind = gone ? DB_AWAY : kind_of(str_of(sqlstate));

	if (PQresultStatus(r) == PGRES_PIPELINE_ABORTED)
		text = "not run, because something before it failed";
	note(db, kind, sqlstate, text ? text : PQresultErrorMessage(r));
	if (kind == DB_AWAY)
		pipeline_lose(db, "");
}

/* ---- what is outstanding ---- */

static struct db_answer *answer_at(struct db *db, size_t i)
{
	return &db->answers[(db->first_answer + i) % DB_ANSWERS_MAX];
}

/* Ask the server to send what it has, before the next sync makes it. */
static bool ask_for_answers(struct db *db)
{
	db->unflushed_n = db->unflushed_bytes = 0;
	if (PQsendFlushRequest(db->conn) == 1)
		return true;
	pipeline_lose(db, PQerrorMessage(db->conn));
	return false;
}

bool pipeline_expect(struct db *db, int sent, struct db_answer answer)
{
	if (sent != 1) {
		pipeline_lose(db, PQerrorMessage(db->conn));
		return false;
	}
	assert(db->answers_n < DB_ANSWERS_MAX);
	*answer_at(db, db->answers_n++) = answer;
	db->answers_bytes += answer.bytes;
	db->unsynced = answer.what != DB_SYNC;
	db->unflushed_n++;
	db->unflushed_bytes += answer.bytes;
	return (db->unflushed_n < FLUSH_N && db->unflushed_bytes < FLUSH_BYTES) || ask_for_answers(db);
}

bool pipeline_sync(struct db *db)
{
	int sent = PQpipelineSync(db->conn);

	if (!pipeline_expect(db, sent, (struct db_answer){ .what = DB_SYNC }))
		return false;
	db->unflushed_n = db->unflushed_bytes = 0;
	return true;
}

bool pipeline_send(struct db *db, const char *sql, struct db_answer answer)
{
	return pipeline_room(db) && pipeline_expect(db, PQsendQueryParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 1), answer);
}

/* ---- answers ---- */

static const char no_answer[] = "the database does not answer";

const char *pipeline_wait(PGconn *conn, uint64_t end_ms)
{
	while (PQisBusy(conn)) {
		int unsent = PQflush(conn);
		struct pollfd p = { .fd = PQsocket(conn), .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) };
		uint64_t now = clock_mono_ms();

		if (unsent < 0 || p.fd < 0)
			return PQisBusy(conn) ? PQerrorMessage(conn) : NULL;
		if (now >= end_ms)
			return no_answer;
		if (poll(&p, 1, (int)(end_ms - now)) < 0 && errno != EINTR)
			return "poll(2) failed";
		/* What came before the connection was closed is read first: it says why. */
		if ((p.revents & ~POLLOUT) && PQconsumeInput(conn) == 0 && PQisBusy(conn))
			return PQerrorMessage(conn);
	}
	return NULL;
}

/* Use a good answer; takes `r`. */
static void take_answer(struct db *db, const struct db_answer *a, PGresult *r)
{
	struct db_rows *q;

	switch (a->what) {
	case DB_ROWS:
		q = &db->rows[a->statement];
		db_end(q);
		*q = (struct db_rows){ .result = r, .row = -1, .db = db };
		db->changes = strtoul(PQcmdTuples(r), NULL, 10);
		return;
	case DB_RAN:
		db->changes = strtoul(PQcmdTuples(r), NULL, 10);
		if (a->number && PQntuples(r) > 0)
			*a->number = db_u64(&(struct db_rows){ .result = r, .db = db }, 0);
		break;
	case DB_COMMITTED:
		if (strcmp(PQcmdStatus(r), "COMMIT") != 0) /* the server answers ROLLBACK when the transaction had failed */
			note(db, DB_PRIVATE, NULL, "the transaction was rolled back when it was to be committed");
		break;
	case DB_PREPARED:
	case DB_BEGUN:
	case DB_ROLLED_BACK:
	case DB_SYNC: break;
	}
	PQclear(r);
}

/* Is this the status of a statement that has succeeded, or of the sync when one is due? */
static bool is_good(const struct db_answer *a, ExecStatusType status)
{
	return a->what == DB_SYNC ? status == PGRES_PIPELINE_SYNC : status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Read the answer that is due. False when the connection was lost. */
static bool receive(struct db *db)
{
	struct db_answer a = *answer_at(db, 0);
	const char *why = pipeline_wait(db->conn, clock_mono_ms() + (a.what == DB_COMMITTED ? COMMIT_MS : ANSWER_MS));
	PGresult *r = why ? NULL : PQgetResult(db->conn);
	ExecStatusType status = PQresultStatus(r);

	if (!r) {
		if (why == no_answer && a.what == DB_COMMITTED)
			why = "COMMIT has had no answer for 10 s, as when no synchronous standby is connected";
		pipeline_lose(db, why ? why : "the database answers to what was not asked");
		return false;
	}
	db->first_answer = (db->first_answer + 1) % DB_ANSWERS_MAX;
	db->answers_n--;
	db->answers_bytes -= a.bytes;
	if (status != PGRES_PIPELINE_SYNC)
		PQclear(PQgetResult(db->conn)); /* the NULL after each answer but a sync's */
	if (is_good(&a, status)) {
		take_answer(db, &a, r);
		return true;
	}
	if (a.what == DB_PREPARED)
		db->prepared[a.statement] = false;
	if (status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED)
		pipeline_note_result(db, r);
	else
		pipeline_lose(db, "the database answers to what was not asked");
	PQclear(r);
	return db->conn != NULL;
}

bool pipeline_room(struct db *db)
{
	/* Four: to prepare, to run, to commit and to sync. */
	if (db->answers_n + 4 <= DB_ANSWERS_MAX && db->answers_bytes <= BYTES_MAX)
		return true;
	while (db->answers_n > DB_ANSWERS_MAX / 2 || db->answers_bytes > BYTES_MAX / 2)
		if (!receive(db))
			return false;
	return true;
}

bool pipeline_drain(struct db *db)
{
	if (db->answers_n > 0 && answer_at(db, db->answers_n - 1)->what != DB_SYNC && !ask_for_answers(db))
		return false;
	while (db->answers_n > 0)
		if (!receive(db))
			return false;
	return db->conn != NULL;
}

void pipeline_on_notice(void *ctx, const PGresult *r)
{
	struct db *db = ctx;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	/* The server parses COMMIT before it runs it, and libpq stops at the answer to the parsing until the answers before
	 * were fetched. So a notice that comes with COMMIT finds it first in the ring, and no other does. */
	if (severity && strcmp(severity, "WARNING") == 0 && db->committing && db->answers_n > 0 &&
	    (answer_at(db, 0)->what == DB_COMMITTED || db->answers_n == 1))
		db->commit_warned = true;
	if (db->on_notice)
		db->on_notice(db->ctx, severity ? severity : "NOTICE", text ? text : "");
}
