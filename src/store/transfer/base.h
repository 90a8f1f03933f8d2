/* base.h - the side that is in a PostgreSQL database. */
#ifndef STORE_TRANSFER_BASE_H
#define STORE_TRANSFER_BASE_H

#include "schema.h"
#include "side.h"
#include "visitor.h"

#include "posthouse/list.h"
#include "posthouse/store.h"

struct base {
	struct side side;
	struct db db;
	struct schema_days days;
	struct arena words; /* of statements: of the transaction */
};
static inline struct base *base_of(struct side *s)
{
	return CONTAINER_OF(s, struct base, side);
}

/* As a node opens it: with the tables, which are made when there are none, and only on a server that keeps what it commits. NULL:
 * why, and whether it is worth to try again. */
struct side *base_open(const struct store_database *d, struct arena *a, struct verdict *why_out);

/* The statement's error, if any, becomes the side's. */
bool base_well(struct side *s);
/* One number that a statement of the program gives; 0 when there is none. */
bool base_number(struct side *s, const char *sql, uint64_t *number_out);

/* base_rows.c */
bool base_insert(struct side *s, const struct page *p);
bool base_merge(struct side *s, const struct page *p);

#endif
