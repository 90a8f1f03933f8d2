/* db_read.c - what is read of rows in the same way by every engine. */
#include "db.h"

struct str db_keep(struct arena *a, struct db_rows *q, int column)
{
	return arena_str(a, db_str(q, column));
}

bool db_read_numbers(struct db *db, struct db_rows *q, uint64_t *const *out, size_t n)
{
	if (!db_row(db, q))
		return false;
	for (size_t i = 0; i < n; i++)
		*out[i] = db_u64(q, (int)i);
	db_end(q);
	return true;
}

uint64_t db_number(struct db *db, struct db_rows *q)
{
	uint64_t n = 0;

	(void)db_numbers(db, q, &n);
	return n;
}

bool db_exists(struct db *db, struct db_rows *q)
{
	bool exists = db_row(db, q);

	db_end(q);
	return exists;
}
