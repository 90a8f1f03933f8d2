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
};

/* find_message.c. Add the message's recipients behind f->at.n that fit. False: the page is full or the budget is used up, and
 * f->at.n says where to go on in this message. */
bool find_in_message(struct finding *f, uint64_t id);

/* An engine provides: the messages with this Message-ID, in order; at most `max`. */
size_t find_message_id(struct engine *e, struct str message_id, struct arena *a, size_t max, uint64_t **ids_out);

#endif
