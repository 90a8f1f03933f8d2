/* siphash.h - SipHash-2-4: a keyed hash of 64 bits (Aumasson and Bernstein, 2012). */
#ifndef POSTHOUSE_STORE_SIPHASH_H
#define POSTHOUSE_STORE_SIPHASH_H

#include "posthouse/str.h"

struct siphash_key {
	uint64_t k0, k1; /* little endian halves of the 16 bytes */
};

uint64_t siphash(const struct siphash_key *key, struct str bytes);

#endif
