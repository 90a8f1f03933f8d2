/* search_block.c - the words of a block: how they are written, and looked up. A bucket is a sequence of terms: the difference
 * to the term before (its last 32 bits), the number of places, and these, each as the difference to the one before; of more
 * than LIST_MAX places a bit for each message of the block. Numbers have 7 bits in a byte, the lowest first; all bytes but
 * the last have the eighth. */
#include "search.h"

#include <stdlib.h>

#define LIST_MAX   100
#define PLACE_BITS 10
#define FEW        2 /* candidates are read rather than looked up further */

/* ---- numbers and places ---- */

static void put_number(struct buf *to, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_add_char(to, (char)(n | 0x80));
	buf_add_char(to, (char)n);
}

/* 0 at the end of the bytes: a damaged row finds nothing. */
static uint64_t take_number(struct str *from)
{
	uint64_t n = 0;
	size_t i = 0;

	for (unsigned shift = 0; i < from->n && shift < 64; shift += 7) {
		unsigned char c = (unsigned char)from->p[i++];

		n |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			break;
	}
	*from = str_from(*from, i);
	return n;
}

static void places_add(struct places *p, uint64_t place)
{
	if (place < BLOCK_MESSAGES)
		p->bits[place / 64] |= 1ull << place % 64;
}

/* How many places there are, as far as FEW + 1. */
static size_t places_few(const struct places *p)
{
	size_t n = 0;

	for (size_t i = 0; i < PLACES_WORDS && n <= FEW; i++)
		n += (size_t)__builtin_popcountll(p->bits[i]);
	return n;
}

/* ---- writing ---- */

void pairs_sort(uint64_t *pairs, size_t n)
{
	uint64_t *other = xmalloc(n * sizeof *other + 1), *from = pairs, *to = other, *swap;

	for (unsigned shift = PLACE_BITS; shift < PLACE_BITS + 40; shift += 8) {
		size_t start[257] = { 0 };

		for (size_t i = 0; i < n; i++)
			start[(from[i] >> shift & 0xff) + 1]++;
		for (size_t i = 1; i < 257; i++)
			start[i] += start[i - 1];
		for (size_t i = 0; i < n; i++)
			to[start[from[i] >> shift & 0xff]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	memcpy(pairs, from, n * sizeof *pairs); /* an odd number of rounds ends in the other array */
	free(other);
}

/* One term with its places, which are those of pairs[0] to pairs[n - 1]. */
static void put_term(struct buf *to, uint64_t difference, const uint64_t *pairs, size_t n)
{
	struct places all = { 0 };
	uint64_t last = 0;

	put_number(to, difference);
	put_number(to, n);
	for (size_t i = 0; i < n; i++) {
		uint64_t place = pairs[i] & (BLOCK_MESSAGES - 1);

		if (n <= LIST_MAX)
			put_number(to, place - last);
		last = place;
		places_add(&all, place);
	}
	for (size_t i = 0; n > LIST_MAX && i < BLOCK_MESSAGES / 8; i++)
		buf_add_char(to, (char)(all.bits[i / 8] >> i % 8 * 8));
}

/* The pairs at the front that are of one bucket; equal ones are taken out. */
static size_t put_bucket(struct buf *to, uint64_t *pairs, size_t n)
{
	uint64_t bucket = pairs[0] >> (PLACE_BITS + 32), last = 0;
	size_t i = 0;

	while (i < n && pairs[i] >> (PLACE_BITS + 32) == bucket) {
		uint64_t term = pairs[i] >> PLACE_BITS;
		size_t from = i, kept = i;

		for (; i < n && pairs[i] >> PLACE_BITS == term; i++)
			if (i == from || pairs[i] != pairs[kept - 1])
				pairs[kept++] = pairs[i];
		put_term(to, (term & 0xffffffff) - last, pairs + from, kept - from);
		last = term & 0xffffffff;
	}
	return i;
}

void block_write(struct engine *e, uint64_t block, uint64_t *pairs, size_t n)
{
	struct buf words;

	buf_init(&words, SIZE_MAX / 2);
	while (n > 0) {
		uint64_t bucket = pairs[0] >> (PLACE_BITS + 32);
		size_t used = put_bucket(&words, pairs, n);

		db_run(&e->db, Q_word_add, INT(block * BUCKETS + bucket), BLOB(buf_view(&words)));
		buf_clear(&words);
		pairs += used;
		n -= used;
	}
	buf_fini(&words);
}

/* ---- looking up ---- */

/* Take the places of one term off `words`; `to` NULL: they are not wanted. */
static void take_places(struct str *words, uint64_t n, struct places *to)
{
	uint64_t place = 0;

	for (uint64_t i = 0; n <= LIST_MAX && i < n; i++) {
		place += take_number(words);
		if (to)
			places_add(to, place);
	}
	if (n <= LIST_MAX)
		return;
	for (size_t i = 0; to && i < BLOCK_MESSAGES / 8 && i < words->n; i++)
		to->bits[i / 8] |= (uint64_t)(unsigned char)words->p[i] << i % 8 * 8;
	*words = str_from(*words, BLOCK_MESSAGES / 8);
}

/* Add the places of the messages that have one of the terms. */
static void look_up(struct engine *e, uint64_t block, const struct lookup *l, struct places *to)
{
	struct db_rows *q = db_query(&e->db, Q_word_get, INT(block * BUCKETS + (l->first >> 32)));
	uint64_t term = 0, first = l->first & 0xffffffff, last = l->last & 0xffffffff;
	struct str words;

	if (!db_row(&e->db, q))
		return;
	words = db_str(q, 0);
	while (words.n > 0) {
		uint64_t n;

		term += take_number(&words);
		n = take_number(&words);
		if (term > last)
			break;
		take_places(&words, n, term >= first ? to : NULL);
	}
	db_end(q);
}

/* The candidates among `of` by one alternative. False: none; the lookup that has shown it is the first in the next block. */
static bool search_alternative(struct engine *e, uint64_t block, struct alternative *a, const struct places *of,
			       struct places *out)
{
	*out = *of;
	for (size_t i = 0; i < a->n && (i == 0 || places_few(out) > FEW); i++) {
		struct places found = { 0 };
		struct lookup this_one = a->at[i];

		look_up(e, block, &this_one, &found);
		for (size_t k = 0; k < PLACES_WORDS; k++)
			out->bits[k] &= found.bits[k];
		if (places_few(out) == 0) {
			a->at[i] = a->at[0];
			a->at[0] = this_one;
			return false;
		}
	}
	return true;
}

bool block_search(struct engine *e, uint64_t block, size_t n, struct search *s, struct places *places_out)
{
	struct places left = { 0 };

	for (size_t i = 0; i < n; i++)
		places_add(&left, i);
	for (size_t i = 0; i < s->n && (i == 0 || places_few(&left) > FEW); i++) {
		struct places any = { 0 }, found;

		for (size_t k = 0; k < s->at[i].n; k++)
			if (search_alternative(e, block, &s->at[i].at[k], &left, &found))
				for (size_t w = 0; w < PLACES_WORDS; w++)
					any.bits[w] |= found.bits[w];
		left = any;
	}
	*places_out = left;
	return places_few(&left) > 0;
}
