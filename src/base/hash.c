/* hash.c - SipHash-2-4. */
#include "posthouse/hash.h"

#include "posthouse/id.h"

#include <endian.h>

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v);
	mix(v);
	v[0] ^= word;
}

/* Up to 8 bytes, little endian. */
static uint64_t word_of(const char *p, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, p, n);
	return le64toh(word);
}

uint64_t siphash(const struct siphash_key *key, struct str bytes)
{
	uint64_t v[4] = { key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d, key->k0 ^ 0x6c7967656e657261,
			  key->k1 ^ 0x7465646279746573 };
	size_t whole = bytes.n & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8)
		take(v, word_of(bytes.p + i, 8));
	take(v, (uint64_t)bytes.n << 56 | (bytes.n > whole ? word_of(bytes.p + whole, bytes.n - whole) : 0));
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_text(struct str s)
{
	static struct siphash_key key;

	if (key.k0 == 0)
		key = (struct siphash_key){ .k0 = random_u64() | 1, .k1 = random_u64() };
	return siphash(&key, s);
}

uint64_t hash_numbers(uint64_t a, uint64_t b)
{
	uint64_t both[2] = { a, b };

	return hash_text(str_make(both, sizeof both));
}

uint64_t hash_texts(struct str a, struct str b)
{
	return hash_numbers(hash_text(a), hash_text(b));
}

uint64_t hash_fixed(uint64_t before, struct str bytes)
{
	return siphash(&(struct siphash_key){ .k0 = before }, bytes);
}
