/* policies.h - the policies of MTA-STS that are kept (RFC 8461 3.3), until they expire. */
#ifndef TLSPOLICY_POLICIES_H
#define TLSPOLICY_POLICIES_H

#include "store.h"

#include "posthouse/arena.h"

/* A policy as it is kept; times in ms since 1970. */
struct policy_row {
	struct str id, text;
	uint64_t fetched_at, valid_until, refresh_at, used_at;
};

/* False: none is kept, or it has expired at `now`. The texts are in `a`. A policy that was fetched in the future comes from a
 * clock that was wrong, then or now: its time begins now. What is kept stays as it is, since the present clock can be the wrong
 * one: it is set back for a moment, and the policy would have expired when it is right again. */
bool policies_find(struct store *s, struct arena *a, struct str domain, uint64_t now, struct policy_row *row_out);

/* Replaces the one that is there. */
bool policies_keep(struct store *s, struct str domain, const struct policy_row *row);

void policies_refresh_at(struct store *s, struct str domain, uint64_t at);
void policies_note_use(struct store *s, struct str domain, uint64_t now);

/* The domain of one whose refresh is due, in `a`; "": there is none. */
struct str policies_due(struct store *s, struct arena *a, uint64_t now);

/* The same for good, for all that were fetched in the future: `now` is of a clock that is believed. */
void policies_mend(struct store *s, uint64_t now);

/* Removes expired ones, at most a thousand at once. */
void policies_prune(struct store *s, uint64_t now);

/* What is kept, and how much of the disk that takes at most. */
struct policies_size {
	uint64_t n, bytes;
};
struct policies_size policies_measure(struct store *s);

/* Removes those that were not used for longest, until the others take no more than `most` bytes. *size is what is kept. */
void policies_drop(struct store *s, uint64_t most, struct policies_size *size);

#endif
