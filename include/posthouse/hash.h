/* hash.h - hashes of 64 bits: SipHash-2-4 (Aumasson and Bernstein, 2012) with a key, which those who choose the text do not
 * know. */
#ifndef POSTHOUSE_HASH_H
#define POSTHOUSE_HASH_H

#include "posthouse/str.h"

struct siphash_key {
	uint64_t k0, k1; /* little endian halves of the 16 bytes */
};

uint64_t siphash(const struct siphash_key *key, struct str bytes);

/* For tables in memory: the key is random and differs from process to process, so that nobody can choose texts that meet in one
 * slot. */
uint64_t hash_text(struct str s);
uint64_t hash_texts(struct str a, struct str b);
uint64_t hash_numbers(uint64_t a, uint64_t b);

/* The same number in all processes, to compare tables that were compiled in: `before` is 0, or the hash of what comes first. */
uint64_t hash_fixed(uint64_t before, struct str bytes);

#endif
