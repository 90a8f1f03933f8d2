/* finding.h - what a walk through messages has found so far, for an engine's find.c. */
#ifndef POSTHOUSE_STORE_FINDING_H
#define POSTHOUSE_STORE_FINDING_H

#include "match.h"
#include "rows.h"

struct finding {
	struct engine *e;
	struct arena *arena; /* of the rows */
	struct arena scratch;
	struct matcher m;
	struct found_recipient *rows;
	size_t n, max;
	long budget; /* about the rows that this call can still read */
	struct find_place at;
	struct found_recipient message; /* that of the last row: what its recipients have in common, when it fits */
	bool message_fits;
};

/* The column of Q_find_rows that has the message's id. */
enum { FOUND_MESSAGE = 18 };

/* find_row.c. A row of Q_find_rows: add the recipient, if it fits. False: the page is full or the budget is used up; f->at.n is
 * the recipient before. */
bool find_row(struct finding *f, struct db_rows *q);

/* An engine provides: the messages with this Message-ID, in order; at most `max`. */
size_t find_message_id(struct engine *e, struct str message_id, struct arena *a, size_t max, uint64_t **ids_out);

#endif
