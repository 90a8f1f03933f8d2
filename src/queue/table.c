/* table.c - hash tables; the hash is SipHash-2-4 (Aumasson, Bernstein 2012). */
#include "table.h"

#include "posthouse/id.h"

void table_init(struct table *t)
{
	t->n = 0;
	for (size_t i = 0; i < TABLE_SLOTS; i++)
		list_init(&t->slots[i]);
}

void table_add(struct table *t, struct table_item *item, uint64_t hash)
{
	item->hash = hash;
	list_append(&t->slots[hash % TABLE_SLOTS], &item->in_slot);
	t->n++;
}

void table_remove(struct table *t, struct table_item *item)
{
	list_remove(&item->in_slot);
	t->n--;
}

struct table_item *table_find(const struct table *t, uint64_t hash, const struct table_item *after)
{
	const struct list *slot = &t->slots[hash % TABLE_SLOTS];

	for (struct list *i = after ? after->in_slot.next : slot->next; i != slot; i = i->next) {
		struct table_item *item = CONTAINER_OF(i, struct table_item, in_slot);

		if (item->hash == hash)
			return item;
	}
	return NULL;
}

/* ---- the hash ---- */

static uint64_t rotated(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotated(v[1], 13) ^ v[0];
		v[0] = rotated(v[0], 32);
		v[2] += v[3];
		v[3] = rotated(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotated(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotated(v[1], 17) ^ v[2];
		v[2] = rotated(v[2], 32);
	}
}

uint64_t hash_text(struct str s)
{
	static uint64_t key[2];
	uint64_t v[4], word = 0;
	size_t whole = s.n / 8 * 8;

	if (key[0] == 0) {
		key[0] = random_u64() | 1;
		key[1] = random_u64();
	}
	v[0] = key[0] ^ 0x736f6d6570736575u;
	v[1] = key[1] ^ 0x646f72616e646f6du;
	v[2] = key[0] ^ 0x6c7967656e657261u;
	v[3] = key[1] ^ 0x7465646279746573u;
	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, s.p + i, 8);
		v[3] ^= word;
		mix(v, 2);
		v[0] ^= word;
	}
	word = 0;
	if (s.n > whole)
		memcpy(&word, s.p + whole, s.n - whole);
	word |= (uint64_t)s.n << 56;
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
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
