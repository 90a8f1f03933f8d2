/* copy.h - a copy from one side to the other, whichever they are. */
#ifndef STORE_TRANSFER_COPY_H
#define STORE_TRANSFER_COPY_H

#include "side.h"

#include "posthouse/store_transfer.h"

/* How far it has come: which table, and behind which key in it. In meta of the side that is copied to. */
struct progress {
	uint64_t step; /* enum table_number; TABLE_message: all tables of messages; TABLE_COUNT: all is copied */
	bool has_after;
	struct value after[2];
};

struct copy {
	struct store_transfer *t;
	struct side *from, *to;
	const char *key, *after_key; /* of meta */
	struct arena page;           /* of the page that is copied */
	struct progress progress;
	bool renumbers; /* a message whose id is another's gets a new one; else that is an error */
	bool same_keys; /* of known recipients */
};

/* Prepare, with what meta says of a run before. `state`: what changes in the source when a relay works on it; when it has changed
 * since the first run, that is an error: what is copied already would not be copied again. */
bool copy_begin(struct copy *c, struct str source, struct str state);
/* All that is left. False: the error is in one of the sides. */
bool copy_run(struct copy *c);

/* copy.c, for messages.c: within the transaction of a page. */
bool copy_save(struct copy *c);
/* Its end: committed when all of it is done, else rolled back. */
bool copy_commit(struct copy *c, bool done);
struct store_moved *copy_moved(struct copy *c, enum table_number table);
/* Read the rows of this page again, and compare. */
bool copy_verify(struct copy *c, const struct page *p, const struct page *again);
bool copy_fail(struct copy *c, const struct page *p, const char *what);

/* messages.c: a page of messages with all that belongs to them; *n_out is 0 when there are no more. */
bool copy_messages(struct copy *c, size_t *n_out);

#endif
