/* search.h - the index by which mail is found: what each message is called, in pieces of three characters.
 *
 * A *term* is a number of 40 bits: the hash of a field and of three neighbouring characters of its folded text, or of a
 * whole text. Messages are indexed a *block* (1024) at a time, in idle time; until then they are rows of the table
 * `unsearched`, which are read one by one. A block's terms are in 256 *buckets* by their first 8 bits, a row of the table
 * `word` each: in order of the term, the places within the block of the messages that have it. So a block is written once and
 * in one piece, a term costs one row to look up, and a block goes as a whole when its messages are gone. What is found is a
 * candidate: its rows decide (match.h). */
#ifndef POSTHOUSE_STORE_SEARCH_H
#define POSTHOUSE_STORE_SEARCH_H

#include "finding.h"
#include "sqlite.h"

#define BLOCK_MESSAGES  1024
#define BUCKETS         256
#define FIRST_BLOCK     (1ull << 31) /* mail of before the index gets the numbers below */
#define PLACES_WORDS    (BLOCK_MESSAGES / 64)
#define LOOKUPS_MAX     32
#define CONDITIONS_MAX  5
#define ALTERNATIVE_MAX 3

/* ---- search_terms.c ---- */

struct term_list {
	uint64_t *at; /* heap */
	size_t n, capacity;
};
/* The terms of one message, some of them more than once; `scratch` is for folding. */
void terms_of_message(struct term_list *to, struct arena *scratch, const struct envelope *e);
void terms_of_recipient(struct term_list *to, struct arena *scratch, struct str address, struct str orcpt);

/* Terms from first to last, which are of one bucket. */
struct lookup {
	uint64_t first, last;
};
struct alternative {
	/* All of them must be there; none: any message is a candidate. What has ended a search comes first in the next block. */
	struct lookup at[LOOKUPS_MAX];
	size_t n;
};
struct condition {
	struct alternative at[ALTERNATIVE_MAX]; /* one of them must hold */
	size_t n;
};
struct search {
	struct condition at[CONDITIONS_MAX]; /* all must hold; in the order in which they are looked up: the rarest first */
	size_t n;
};
void search_of(struct search *s, struct arena *a, const struct matcher *m);

/* ---- search_block.c ---- */

struct places {
	uint64_t bits[PLACES_WORDS];
};
/* Sort pairs "term << 10 | place", whose places are in order, by their terms. */
void pairs_sort(uint64_t *pairs, size_t n);
/* Write the words of a block from its sorted pairs, of which equal ones are taken out. */
void block_write(struct engine *e, uint64_t block, uint64_t *pairs, size_t n);
/* Which of the block's first `n` messages are candidates? False: none. */
bool block_search(struct engine *e, uint64_t block, size_t n, struct search *s, struct places *places_out);

#endif
