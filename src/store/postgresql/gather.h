/* gather.h - what accepts and results write is gathered, and sent as one statement for each table: many rows in arrays, and no
 * answer is waited for. The operations know nothing of it: they run one statement for each row (rows/accept.c, rows/settle.c),
 * and db.c gives them to gather_collect(). Of results only those are gathered of which results.c has read what was before. A
 * message whose id is stored already breaks such a transaction; the store then repeats each operation alone, carefully:
 * nothing is gathered, and message_add says whether the id was new. */
#ifndef POSTGRESQL_GATHER_H
#define POSTGRESQL_GATHER_H

#include "array.h"

#include "posthouse/hashtable.h"

enum gather_table {
	GATHER_MESSAGES,
	GATHER_TEXTS,
	GATHER_RECIPIENTS,
	GATHER_SETTLED,
	GATHER_REPLIED, /* settled, with a reply */
	GATHER_TRANSCRIPTS,
	GATHER_REDUCED,
	GATHER_FINISHED,
	GATHER_TEXTS_GONE,
	GATHER_EVENTS,
	GATHER_LANES,
	GATHER_KNOWN,
	GATHER_BUCKETS,
	GATHER_TABLES
};
enum { GATHER_COLUMNS = 29 };

/* Starts as { 0 }. */
struct gather {
	struct array tables[GATHER_TABLES][GATHER_COLUMNS];
	struct hashtable messages; /* whose rows are gathered */
	struct hashtable lanes;    /* that are added, or must wake */
	struct arena arena;        /* of the items of both */
	size_t bytes;              /* of what others do not lock */
	bool careful;              /* nothing is gathered: a transaction has failed */
	bool any;                  /* something is gathered */
	bool sending;
};

/* For db.c: about to run this statement, or at the end STATEMENT_COUNT. True: it is gathered. False: run it; what it must see has
 * been sent. */
bool gather_collect(struct db *db, enum statement statement, const struct db_value *values, size_t n);

/* Put the lane to sleep at the end of the transaction, if it is awake too early; false: nothing is gathered now. */
bool gather_settled(struct gather *g, uint64_t lane);

void gather_forget(struct gather *g); /* the transaction has ended without it */
void gather_fini(struct gather *g);

#endif
