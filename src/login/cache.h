/* cache.h - passwords that fitted a short while ago, so that a busy client costs microseconds; and those that were tried within a day, so that
 * one that is wrong again and again counts once, see login_counted in messages.def. Holds no password: an entry is the HMAC-SHA-256 of name, device and password under a key
 * that this process made up. Bounded; the oldest of a set gives way. */
#ifndef POSTHOUSE_LOGIN_CACHE_H
#define POSTHOUSE_LOGIN_CACHE_H

#include "posthouse/secret.h"

#include <stdint.h>

#define CACHE_KEY_SIZE 32

struct cache;

struct cache_key {
	unsigned char bytes[CACHE_KEY_SIZE];
	bool usable; /* false: OpenSSL failed; nothing is found or kept under it */
};

/* An entry is good for so long. */
struct cache *cache_new(uint64_t lifetime_ms);
void cache_free(struct cache *c);

/* Keys are of the cache that made them. */
struct cache_key cache_key_of(const struct cache *c, struct str name, struct str device, struct str password);
bool cache_has(const struct cache *c, const struct cache_key *key, uint64_t now_ms);
void cache_put(struct cache *c, const struct cache_key *key, uint64_t now_ms);

/* Accounts have changed: nothing is known any more. */
void cache_clear(struct cache *c);

#endif
