/* cache.h - remembers passwords that were right a short time ago, so that a busy client costs microseconds; and passwords that
 * were tried within a day, so that the same wrong one counts once (see `counted` of authorized in messages.def). It stores no
 * password: an entry is the HMAC-SHA-256 of name, device and password with a random key of this process. Its size is bounded: a
 * new entry replaces the oldest of its set. */
#ifndef POSTHOUSE_LOGIN_CACHE_H
#define POSTHOUSE_LOGIN_CACHE_H

#include "posthouse/secret.h"

#include <stdint.h>

#define CACHE_KEY_SIZE 32

struct cache;

struct cache_key {
	unsigned char bytes[CACHE_KEY_SIZE];
	bool usable; /* false: OpenSSL has failed; this key finds nothing and stores nothing */
};

/* An entry is good for so long. */
struct cache *cache_new(uint64_t lifetime_ms);
void cache_free(struct cache *c);

/* Keys are of the cache that made them. */
struct cache_key cache_key_of(const struct cache *c, struct str name, struct str device, struct str password);
bool cache_has(const struct cache *c, const struct cache_key *key, uint64_t now_ms);
void cache_put(struct cache *c, const struct cache_key *key, uint64_t now_ms);

/* Forget all entries, because accounts have changed. */
void cache_clear(struct cache *c);

#endif
