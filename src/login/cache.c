/* cache.c - see cache.h. */
#include "cache.h"
#include "posthouse/arena.h"
#include "posthouse/log.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sysexits.h>

#define SETS 512
#define WAYS 4

struct entry {
	unsigned char key[CACHE_KEY_SIZE];
	uint64_t ends_at; /* 0: empty */
};

struct cache {
	struct entry entries[SETS][WAYS];
	unsigned char secret[32];
	uint64_t lifetime_ms;
};

struct cache *cache_new(uint64_t lifetime_ms)
{
	struct cache *c = NEW(struct cache);

	if (RAND_bytes(c->secret, sizeof(c->secret)) != 1)
		die(EX_OSERR, "no random numbers");
	c->lifetime_ms = lifetime_ms;
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	wipe(c, sizeof(*c));
	free(c);
}

/* The digest of each part is hashed, so that two different triples never give the same input. */
struct cache_key cache_key_of(const struct cache *c, struct str name, struct str device, struct str password)
{
	const struct str parts[] = { name, device, password };
	unsigned char text[3][CACHE_KEY_SIZE];
	struct cache_key key = { .usable = true };
	unsigned n;

	for (size_t i = 0; i < 3; i++)
		key.usable = key.usable && HMAC(EVP_sha256(), c->secret, sizeof(c->secret), (const unsigned char *)parts[i].p,
						parts[i].n, text[i], &n);
	key.usable = key.usable &&
		     HMAC(EVP_sha256(), c->secret, sizeof(c->secret), (const unsigned char *)text, sizeof(text), key.bytes, &n);
	wipe(text, sizeof(text));
	return key;
}

static size_t set_of(const struct cache_key *key)
{
	return (key->bytes[0] | (size_t)key->bytes[1] << 8) % SETS;
}

bool cache_has(const struct cache *c, const struct cache_key *key, uint64_t now_ms)
{
	const struct entry *set = c->entries[set_of(key)];

	for (size_t i = 0; key->usable && i < WAYS; i++)
		if (set[i].ends_at > now_ms &&
		    same_secret(str_make(set[i].key, CACHE_KEY_SIZE), str_make(key->bytes, CACHE_KEY_SIZE)))
			return true;
	return false;
}

void cache_put(struct cache *c, const struct cache_key *key, uint64_t now_ms)
{
	struct entry *set = c->entries[set_of(key)], *victim = &set[0];

	if (!key->usable)
		return;
	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(set[i].key, key->bytes, CACHE_KEY_SIZE) == 0) {
			victim = &set[i];
			break;
		}
		if (set[i].ends_at < victim->ends_at)
			victim = &set[i];
	}
	memcpy(victim->key, key->bytes, CACHE_KEY_SIZE);
	victim->ends_at = now_ms + c->lifetime_ms;
}

void cache_clear(struct cache *c)
{
	wipe(c->entries, sizeof(c->entries));
}
