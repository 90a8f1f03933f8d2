#include "pipeline.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>

static const struct {
	const char *name, *sql;
} statements[] = {
#define STATEMENT(name, sql) { #name, sql },
#include <statements.def>
#undef STATEMENT
};

enum { PARAMETERS_MAX = 96, VALUE_MAX = 1000 << 20, SCRIPT_MS = 600000 };
enum { TYPE_BOOL = 16, TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_INT4 = 23, TYPE_TEXT = 25, TYPE_OID = 26 };
enum { TYPE_BYTEA_ARRAY = 1001, TYPE_TEXT_ARRAY = 1009, TYPE_INT8_ARRAY = 1016 };

static const Oid types[] = {
	[DB_INT] = TYPE_INT8,        [DB_TEXT] = TYPE_TEXT,        [DB_BLOB] = TYPE_BYTEA,        [DB_NULL] = 0,
	[DB_INTS] = TYPE_INT8_ARRAY, [DB_TEXTS] = TYPE_TEXT_ARRAY, [DB_BLOBS] = TYPE_BYTEA_ARRAY,
};

/* ---- statements ---- */

/* The parameters of a statement, as libpq wants them. */
struct parameters {
	int n;
	size_t bytes;
	Oid types[PARAMETERS_MAX];
	const char *values[PARAMETERS_MAX];
	int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
	uint64_t numbers[PARAMETERS_MAX];
	struct arena arena; /* texts that had a NUL */
};

/* A text cannot have a NUL in PostgreSQL: a space stands for it. */
static struct str without_nul(struct arena *a, struct str s)
{
	char *copy;

	if (s.n == 0 || !memchr(s.p, 0, s.n))
		return s;
	copy = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++)
		copy[i] = s.p[i] ? s.p[i] : ' ';
	return str_make(copy, s.n);
}

/* Bind one parameter; false when it is too large for the protocol. */
static bool bind(struct parameters *p, const struct db_value *v)
{
	int i = p->n++;
	struct str s = v->kind == DB_TEXT ? without_nul(&p->arena, v->str) : v->str;

	assert(i < PARAMETERS_MAX);
	p->formats[i] = 1;
	p->values[i] = NULL;
	p->lengths[i] = 0;
	p->types[i] = types[v->kind];
	if (v->kind == DB_NULL)
		return true;
	if (v->kind == DB_INT) {
		p->numbers[i] = htobe64(v->u64);
		s = str_make(&p->numbers[i], sizeof(p->numbers[i]));
	}
	p->values[i] = s.p ? s.p : "";
	p->lengths[i] = (int)s.n;
	p->bytes += s.n;
	return p->bytes <= VALUE_MAX;
}

/* Send a statement; its preparation first when it was never used on this connection. `sql`: NULL, or the words of one that is
 * not in the table. */
static bool send_bound(struct db *db, enum statement statement, const char *sql, const struct parameters *p,
		       struct db_answer answer)
{
	const char *name;

	if (!pipeline_room(db) || db->kind != DB_WELL)
		return false;
	if (sql)
		return pipeline_expect(db, PQsendQueryParams(db->conn, sql, p->n, p->types, p->values, p->lengths, p->formats, 1),
				       answer);
	name = statements[statement].name;
	if (!db->prepared[statement]) {
		if (!pipeline_expect(db, PQsendPrepare(db->conn, name, statements[statement].sql, p->n, p->types),
				     (struct db_answer){ .what = DB_PREPARED, .statement = statement }))
			return false;
		db->prepared[statement] = true;
	}
	return pipeline_expect(db, PQsendQueryPrepared(db->conn, name, p->n, p->values, p->lengths, p->formats, 1), answer);
}

/* Bind and send. Outside a transaction the statement is one: then a sync ends it. */
static bool send_statement(struct db *db, enum statement statement, const char *sql, const struct db_value *values, size_t n,
			   struct db_answer answer)
{
	struct parameters p;
	bool fits = true;

	if (!pipeline_usable(db))
		return false;
	answer.statement = statement;
	p.n = 0;
	p.bytes = 0;
	p.arena = (struct arena){ 0 };
	for (size_t i = 1; i < n && fits; i++) /* values[0] is the macro's placeholder */
		fits = bind(&p, &values[i]);
	answer.bytes = p.bytes;
	if (!fits)
		db_fail(db, DB_PRIVATE, "a value is too large for the database");
	else if (send_bound(db, statement, sql, &p, answer) && !db->in_transaction)
		(void)pipeline_sync(db); /* the error is noted */
	arena_fini(&p.arena);
	return db->kind == DB_WELL;
}

/* Is the statement kept for later? */
static bool collected(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	bool kept = db->collect && db->in_transaction && db->kind == DB_WELL && db->collect(db, statement, values, n);

	return db->collected = kept;
}

static bool ask(struct db *db, enum statement statement, const char *sql, const struct db_value *values, size_t n)
{
	db_end(&db->rows[statement]);
	(void)collected(db, statement, values, n); /* what it must see is sent */
	return send_statement(db, statement, sql, values, n, (struct db_answer){ .what = DB_ROWS });
}

bool db_ask_values(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	return ask(db, statement, NULL, values, n);
}

struct db_rows *db_asked(struct db *db, enum statement statement)
{
	struct db_rows *q = &db->rows[statement];

	if (pipeline_usable(db) && pipeline_drain(db) && db->kind == DB_WELL)
		return q;
	db_end(q);
	return NULL;
}

struct db_rows *db_query_values(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	return ask(db, statement, NULL, values, n) ? db_asked(db, statement) : NULL;
}

struct db_rows *db_query_words(struct db *db, const char *sql, const struct db_value *values, size_t n)
{
	return ask(db, STATEMENT_COUNT, sql, values, n) ? db_asked(db, STATEMENT_COUNT) : NULL;
}

bool db_run_number(struct db *db, uint64_t *number_out, enum statement statement, const struct db_value *values, size_t n)
{
	if (collected(db, statement, values, n))
		return true;
	if (!send_statement(db, statement, NULL, values, n, (struct db_answer){ .what = DB_RAN, .number = number_out }))
		return false;
	return db->in_transaction || (pipeline_drain(db) && db->kind == DB_WELL);
}

bool db_run_values(struct db *db, enum statement statement, const struct db_value *values, size_t n)
{
	return db_run_number(db, NULL, statement, values, n);
}

size_t db_changes(struct db *db)
{
	if (db->collected)
		return db->kind == DB_WELL;
	if (!pipeline_usable(db) || !pipeline_drain(db) || db->kind != DB_WELL)
		return 0;
	return db->changes;
}

/* ---- rows ---- */

bool db_row(struct db *db, struct db_rows *q)
{
	if (!q || !q->result)
		return false;
	if (db->kind == DB_WELL && ++q->row < PQntuples(q->result))
		return true;
	db_end(q);
	return false;
}

void db_end(struct db_rows *q)
{
	if (!q)
		return;
	PQclear(q->result);
	*q = (struct db_rows){ 0 };
}

bool db_is_null(struct db_rows *q, int column)
{
	return PQgetisnull(q->result, q->row, column);
}

uint64_t db_u64(struct db_rows *q, int column)
{
	const char *p = PQgetvalue(q->result, q->row, column);
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	if (db_is_null(q, column))
		return 0;
	switch (PQftype(q->result, column)) {
	case TYPE_BOOL: return p[0] != 0;
	case TYPE_INT2: memcpy(&two, p, sizeof(two)); return (uint64_t)(int16_t)be16toh(two);
	case TYPE_INT4: memcpy(&four, p, sizeof(four)); return (uint64_t)(int32_t)be32toh(four);
	case TYPE_OID: memcpy(&four, p, sizeof(four)); return be32toh(four);
	case TYPE_INT8: memcpy(&eight, p, sizeof(eight)); return be64toh(eight);
	default: /* somebody has changed the table */
		db_fail(q->db, DB_PRIVATE, "a column of the database that has to be a number is none");
		return 0;
	}
}

struct str db_str(struct db_rows *q, int column)
{
	return str_make(PQgetvalue(q->result, q->row, column), (size_t)PQgetlength(q->result, q->row, column));
}

/* ---- transactions ---- */

bool db_begin(struct db *db)
{
	if (!pipeline_usable(db) || !pipeline_send(db, "BEGIN", (struct db_answer){ .what = DB_BEGUN }))
		return false;
	db->in_transaction = true;
	return true;
}

bool db_commit(struct db *db)
{
	(void)collected(db, STATEMENT_COUNT, NULL, 0);
	if (!pipeline_usable(db) || !pipeline_send(db, "COMMIT", (struct db_answer){ .what = DB_COMMITTED }))
		return false;
	db->commit_warned = false;
	db->committing = true;
	if (pipeline_sync(db) && pipeline_drain(db)) {
		db->committing = false;
		db->in_transaction = PQtransactionStatus(db->conn) != PQTRANS_IDLE;
		if (db->commit_warned) /* it is committed here, and perhaps nowhere else: as good as no answer */
			pipeline_lose(db, "the database warned at COMMIT, so whether it is durable is not known");
	}
	return db->kind == DB_WELL;
}

/* Read all answers, and end what the server skips after an error. False when the connection was lost. */
static bool settle(struct db *db)
{
	return db->conn && (!db->unsynced || (pipeline_room(db) && pipeline_sync(db) && pipeline_drain(db)));
}

void db_rollback(struct db *db)
{
	enum db_error kind = db->kind;
	char sqlstate[sizeof(db->sqlstate)], error[sizeof(db->error)];

	memcpy(sqlstate, db->sqlstate, sizeof(sqlstate));
	memcpy(error, db->error, sizeof(error));
	if (!settle(db))
		return;
	if (PQtransactionStatus(db->conn) != PQTRANS_IDLE &&
	    (!pipeline_send(db, "ROLLBACK", (struct db_answer){ .what = DB_ROLLED_BACK }) || !settle(db)))
		return;
	db->in_transaction = false;
	db->kind = kind; /* what failed only while it was drained does not matter any more */
	memcpy(db->sqlstate, sqlstate, sizeof(sqlstate));
	memcpy(db->error, error, sizeof(error));
}

/* ---- scripts ---- */

/* Read the answers to a script. */
static void read_script(struct db *db)
{
	uint64_t end = clock_mono_ms() + SCRIPT_MS;

	while (db->conn) {
		const char *why = pipeline_wait(db->conn, end);
		PGresult *r = why ? NULL : PQgetResult(db->conn);

		if (why)
			pipeline_lose(db, why);
		else if (!r)
			return;
		else if (PQresultStatus(r) == PGRES_FATAL_ERROR)
			pipeline_note_result(db, r);
		else if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK &&
			 PQresultStatus(r) != PGRES_EMPTY_QUERY)
			pipeline_lose(db, "a script copies");
		PQclear(r);
	}
}

bool db_script(struct db *db, const char *sql)
{
	if (!pipeline_usable(db) || !settle(db) || db->kind != DB_WELL)
		return false;
	/* Several statements in one text are for the simple protocol, which a pipeline does not have. */
	if (!PQexitPipelineMode(db->conn) || !PQsendQuery(db->conn, sql))
		pipeline_lose(db, PQerrorMessage(db->conn));
	read_script(db);
	if (db->conn && !PQenterPipelineMode(db->conn))
		pipeline_lose(db, PQerrorMessage(db->conn));
	return db->kind == DB_WELL;
}

void db_forget_error(struct db *db)
{
	db->kind = DB_WELL;
	db->sqlstate[0] = db->error[0] = 0;
}

enum db_error db_error(const struct db *db)
{
	return db->kind;
}
