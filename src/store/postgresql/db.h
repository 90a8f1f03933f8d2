/* db.h - PostgreSQL as the rest of the store sees it: the interface of sqlite/db.h on libpq, in pipeline mode. The first error
 * sticks: from then on every call does nothing and gives no rows, so an operation reads straight down and the batch looks at
 * db_error() once, at its end, and rolls back. What is sent without waiting can fail later: db_commit() waits for all of it.
 * One thread uses a struct db, and it waits in poll(2), each time with a limit. */
#ifndef POSTHOUSE_STORE_DB_H
#define POSTHOUSE_STORE_DB_H

#include "posthouse/arena.h"

#include <libpq-fe.h>

enum statement {
#define STATEMENT(name, sql) Q_##name,
#include <statements.def> /* in brackets: a test has its own, in a folder that comes first */
#undef STATEMENT
	STATEMENT_COUNT
};

/* FULL: the server's disk. AWAY: the connection is closed, or this server cannot be used; nothing is known of a COMMIT that was
 * not answered. PRIVATE: concerns only this operation. */
enum db_error { DB_WELL, DB_FULL, DB_AWAY, DB_PRIVATE };

/* The rows of a statement: freed by db_end(), at the last row, or when the statement is next used. */
struct db_rows {
	PGresult *result; /* NULL: no more rows */
	int row;          /* the current one; -1 before the first */
	struct db *db;    /* gets the error of a column that cannot be read */
};

/* What was sent and has not been answered. */
struct db_answer {
	enum { DB_PREPARED, DB_RAN, DB_ROWS, DB_BEGUN, DB_COMMITTED, DB_ROLLED_BACK, DB_SYNC } what;
	unsigned statement;
	size_t bytes;
	uint64_t *number; /* of DB_RAN: where the first number of its first row goes; NULL: nowhere */
};

enum { DB_ANSWERS_MAX = 1000 };

/* Called for each notice of the server; `severity` is not translated: WARNING, NOTICE and so on. */
typedef void (*db_notice_fn)(void *ctx, const char *severity, const char *text);

struct db_value;

/* It starts as { 0 } and must not move while it is open. */
struct db {
	PGconn *conn;       /* NULL: not open, or lost */
	enum db_error kind; /* first error since db_forget_error() */
	char sqlstate[6];   /* of that error; empty when libpq or this module found it */
	char error[1000];   /* of all hosts */
	uint32_t timeline;  /* of the server that db_open() chose */
	bool pooled;        /* a pooler is between */
	char history[17];   /* and its database's, of meta; empty: it has no tables so far */
	bool in_transaction;
	bool unsynced; /* something was sent since the last sync, so the state of the transaction is not known */
	bool committing;
	bool commit_warned; /* a WARNING came with the answer to COMMIT */
	size_t changes;     /* of the last db_run() that was answered */
	db_notice_fn on_notice;
	void *ctx;
	/* Is given what is to be run within a transaction, and at its end STATEMENT_COUNT. True: it keeps the statement, which
	 * then counts as having changed one row. NULL: all are run at once. */
	bool (*collect)(struct db *db, enum statement statement, const struct db_value *values, size_t n);
	bool collected;                           /* the last statement */
	bool prepared[STATEMENT_COUNT];           /* or its preparation is on its way */
	struct db_rows rows[STATEMENT_COUNT + 1]; /* the last one is for questions of this folder */
	struct db_answer answers[DB_ANSWERS_MAX]; /* a ring, in the order sent */
	size_t first_answer, answers_n, answers_bytes;
	size_t unflushed_n, unflushed_bytes; /* sent since the server was last asked to send what it has */
};

/* A value is copied. The first use of a statement fixes the types: INT is int8, TEXT text, BLOB bytea; for a NULL the server
 * infers one. A NUL in a TEXT becomes a space. db_query() waits; db_run() sends, and inside a transaction it does not wait, so an
 * error can show later. db_changes() waits; of a SELECT it is the number of rows. A script has ten minutes. A connection that is
 * lost gives DB_AWAY again with the next call, though the error was forgotten. */
#include "db_calls.h"

/* db_query() in two steps: several statements are asked, and then waited for together. */
#define db_ask(db, statement, ...) db_ask_values((db), (statement), DB_VALUES(__VA_ARGS__))
bool db_ask_values(struct db *db, enum statement statement, const struct db_value *values, size_t n);
struct db_rows *db_asked(struct db *db, enum statement statement);

/* The same with a statement whose words are made while the program runs, always from texts of the program. One walk at a time. */
struct db_rows *db_query_words(struct db *db, const char *sql, const struct db_value *values, size_t n);

/* db_run(), and when the statement is answered, at the latest by db_commit(), the number in the first column of its first row is
 * written to *number_out, which must be valid until the transaction has ended. Without a row it is left as it is. */
#define db_run_for(db, number_out, statement, ...) db_run_number((db), (number_out), (statement), DB_VALUES(__VA_ARGS__))
bool db_run_number(struct db *db, uint64_t *number_out, enum statement statement, const struct db_value *values, size_t n);

/* Columns of the row. A number is an integer of any size or a bool (not numeric, which is what sum() of int8 gives: cast it),
 * else it is 0 and an error; a NULL is 0, or empty. */
uint64_t db_u64(struct db_rows *q, int column);
bool db_is_null(struct db_rows *q, int column);

/* A transaction. Without one each statement is a transaction of its own, and db_run() waits too.
 * Commit waits for all; false: not committed, except when the error is DB_AWAY, after which nobody knows.
 * Rollback leaves the error standing; then db_forget_error() makes the connection usable, except when it is lost. */
bool db_begin(struct db *db);
bool db_commit(struct db *db);
void db_rollback(struct db *db);

enum db_error db_error(const struct db *db);
/* Set the error, unless there is one: for what only the caller can see, such as a fence without a row. */
void db_fail(struct db *db, enum db_error kind, const char *why);

/* A host that is not the one, and why. */
typedef void (*db_host_fn)(void *ctx, struct str host_and_why, bool standby);

struct db_target {
	const char
		*connection; /* words key=value or a URI, as libpq reads them; several hosts, each with its port, are all asked */
	struct str password; /* empty: none; copied into libpq only */
	const char *application_name; /* posthouse/NUMBER/EPOCH */
	uint32_t timeline_seen;       /* a server on an older timeline is refused; 0: any */
	const char *history_seen;     /* unless it has another history than this; NULL: whatever it has */
	bool pooler_allowed;          /* else it is refused */
	db_notice_fn on_notice;       /* NULL: notices are dropped */
	db_host_fn on_host;           /* NULL: nobody asks */
	void *ctx;
};

/* Choose a server and open: of those that answer within 2 s each and are not standbys the one whose database has the highest
 * generation (of meta), and of these the one on the newest timeline, which is then in db->timeline. False after an error, and
 * it is not open: DB_PRIVATE when only the administrator can help (the words of the connection, the database's encoding, a
 * pooler), else DB_AWAY. It is closed first, if need be. libpq resolves names, which blocks the thread. */
bool db_open(struct db *db, const struct db_target *target);
void db_close(struct db *db);

/* Does the server keep what it has committed? When not, false and `why`; `standby`: also on a second machine. */
bool db_check_durability(struct db *db, bool standby, char *why, size_t n);

#endif
