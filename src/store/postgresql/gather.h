/* gather.h - what accepts write is gathered, and sent as one statement for each table: many rows in arrays, and no answer is
 * waited for. The operations know nothing of it: they run one statement for each row (rows/accept.c), and db.c gives them to
 * gather_collect(). A message whose id is stored already breaks such a transaction; the store then repeats each operation alone,
 * carefully: nothing is gathered, and message_add says whether the id was new. */
#ifndef POSTGRESQL_GATHER_H
#define POSTGRESQL_GATHER_H

#include "db.h"

#include "posthouse/hashtable.h"

enum gather_table {
	GATHER_MESSAGES,
	GATHER_TEXTS,
	GATHER_RECIPIENTS,
	GATHER_EVENTS,
	GATHER_LANES,
	GATHER_KNOWN,
	GATHER_BUCKETS,
	GATHER_TABLES
};
enum { GATHER_COLUMNS = 29 };

/* An array in the binary form of the protocol, behind room for its header. */
struct gather_column {
	char *p;
	size_t n, capacity;
	bool nulls;
};

/* Starts as { 0 }. */
struct gather {
	struct {
		size_t rows;
		struct gather_column columns[GATHER_COLUMNS];
	} tables[GATHER_TABLES];
	struct hashtable messages; /* whose rows are gathered */
	struct hashtable lanes;    /* that are added, or must wake */
	struct arena arena;        /* of the items of both */
	size_t bytes;              /* of messages, texts, recipients and events */
	bool careful;              /* nothing is gathered: a transaction has failed */
	bool any;                  /* something is gathered */
	bool sending;
};

/* For db.c: about to run this statement, or at the end STATEMENT_COUNT. True: it is gathered. False: run it; what it must see has
 * been sent. */
bool gather_collect(struct db *db, enum statement statement, const struct db_value *values, size_t n);

void gather_forget(struct gather *g); /* the transaction has ended without it */
void gather_fini(struct gather *g);

#endif
