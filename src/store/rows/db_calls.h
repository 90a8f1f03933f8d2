/* db_calls.h - the part of db.h that every engine has. An engine's db.h includes it behind struct db, struct db_rows and enum
 * statement, and says what is its own of these calls. */
#ifndef POSTHOUSE_STORE_DB_CALLS_H
#define POSTHOUSE_STORE_DB_CALLS_H

/* A value for a parameter, bound in the order given; texts and blobs must live until the statement has run. INTS, TEXTS, BLOBS
 * are arrays of these, in `str` as the protocol of PostgreSQL has them; SQLite has none. */
struct db_value {
	enum { DB_INT, DB_TEXT, DB_BLOB, DB_NULL, DB_INTS, DB_TEXTS, DB_BLOBS } kind;
	uint64_t u64;
	struct str str;
};
static inline struct db_value INT(uint64_t v) {
	return (struct db_value){ .kind = DB_INT, .u64 = v };
} static inline struct db_value TEXT(struct str v) {
	return (struct db_value){ .kind = DB_TEXT, .str = v };
} static inline struct db_value BLOB(struct str v) {
	return (struct db_value){ .kind = DB_BLOB, .str = v };
}
/* The values of a call, of which there can be none, and how many: the first one is not bound. */
#define DB_VALUES(...)                                                                                                           \
	(const struct db_value[]){ { .kind = DB_NULL }, __VA_ARGS__ },                                                           \
		sizeof((const struct db_value[]){ { .kind = DB_NULL }, __VA_ARGS__ }) / sizeof(struct db_value)

/* Bind and give the rows for db_row(); NULL after an error. One walk per statement at a time. */
#define db_query(db, statement, ...) db_query_values((db), (statement), DB_VALUES(__VA_ARGS__))
struct db_rows *
db_query_values(struct db *db, enum statement statement, const struct db_value *values, size_t n);

/* Bind and run; false after an error. */
#define db_run(db, statement, ...) db_run_values((db), (statement), DB_VALUES(__VA_ARGS__))
bool db_run_values(struct db *db, enum statement statement, const struct db_value *values, size_t n);

/* The next row; at the end, or after an error, false and the walk has ended. A walk that ends earlier calls db_end(). */
bool db_row(struct db *db, struct db_rows *q);
void db_end(struct db_rows *q);

/* Columns of the row; views live until the next db_row() or db_end(), the `keep` form copies. */
struct str db_str(struct db_rows *q, int column);
struct str db_keep(struct arena *a, struct db_rows *q, int column);

/* The number in the first column of the first row, which ends the walk; 0 when there is no row, or after an error. */
uint64_t db_number(struct db *db, struct db_rows *q);
/* The numbers in the first columns of the first row, which ends the walk, at these pointers to uint64_t. False when there is no
 * row, or after an error. */
#define db_numbers(db, q, ...)                                                                                                   \
	db_read_numbers((db), (q), (uint64_t *const[]){ __VA_ARGS__ },                                                           \
			sizeof((uint64_t *const[]){ __VA_ARGS__ }) / sizeof(uint64_t *))
bool db_read_numbers(struct db *db, struct db_rows *q, uint64_t *const *out, size_t n);
bool db_exists(struct db *db, struct db_rows *q); /* is there a row? This ends the walk as well */

/* Rows that the last db_run() or db_query() changed. */
size_t db_changes(struct db *db);

/* Run a script of fixed SQL. False after an error. */
bool db_script(struct db *db, const char *sql);

/* Forget the error; the transaction must have been rolled back. */
void db_forget_error(struct db *db);

#endif
