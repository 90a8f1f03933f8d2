/* table.c - hash tables; the hash is SipHash-2-4 (Aumasson, Bernstein 2012). */
#include "common/table.h"

#include "posthouse/arena.h"
#include "posthouse/id.h"

#include <stdlib.h>

#define SLOTS_MIN 64

void table_init(struct table *t)
{
	*t = (struct table){ .n = 0 };
}

void table_fini(struct table *t)
{
	free(t->slots);
	table_init(t);
}

static struct list *slot_of(const struct table *t, uint64_t hash)
{
	return &t->slots[hash & (t->slots_n - 1)];
}

/* Twice the slots when there are more items than those: a look-up meets one or two. */
static void grow(struct table *t)
{
	struct table old = *t;

	t->slots_n = old.slots_n ? 2 * old.slots_n : SLOTS_MIN;
	t->slots = xcalloc(t->slots_n, sizeof *t->slots);
	for (size_t i = 0; i < t->slots_n; i++)
		list_init(&t->slots[i]);
	for (size_t i = 0; i < old.slots_n; i++)
		LIST_EACH (k, &old.slots[i]) {
			list_remove(k);
			list_append(slot_of(t, CONTAINER_OF(k, struct table_item, in_slot)->hash), k);
		}
	free(old.slots);
}

void table_add(struct table *t, struct table_item *item, uint64_t hash)
{
	if (t->n >= t->slots_n)
		grow(t);
	item->hash = hash;
	list_append(slot_of(t, hash), &item->in_slot);
	t->n++;
}

void table_remove(struct table *t, struct table_item *item)
{
	list_remove(&item->in_slot);
	t->n--;
}

struct table_item *table_find(const struct table *t, uint64_t hash, const struct table_item *after)
{
	const struct list *slot;

	if (t->n == 0)
		return NULL;
	slot = slot_of(t, hash);
	for (struct list *i = after ? after->in_slot.next : slot->next; i != slot; i = i->next) {
		struct table_item *item = CONTAINER_OF(i, struct table_item, in_slot);

		if (item->hash == hash)
			return item;
	}
	return NULL;
}

/* ---- all of them ---- */

static struct table_item *first_from(const struct table *t, size_t slot)
{
	for (; slot < t->slots_n; slot++)
		if (!list_empty(&t->slots[slot]))
			return CONTAINER_OF(t->slots[slot].next, struct table_item, in_slot);
	return NULL;
}

struct table_item *table_first(const struct table *t)
{
	return t->n > 0 ? first_from(t, 0) : NULL;
}

struct table_item *table_next(const struct table *t, const struct table_item *item)
{
	const struct list *slot = item ? slot_of(t, item->hash) : NULL;

	if (!item)
		return NULL;
	if (item->in_slot.next != slot)
		return CONTAINER_OF(item->in_slot.next, struct table_item, in_slot);
	return first_from(t, (size_t)(slot - t->slots) + 1);
}

const struct list *table_slot(const struct table *t, uint64_t cursor)
{
	return t->slots_n > 0 ? slot_of(t, cursor) : NULL;
}

static uint64_t reversed(uint64_t x)
{
	uint64_t y = 0;

	for (int i = 0; i < 64; i++)
		y |= (x >> i & 1) << (63 - i);
	return y;
}

/* Counts with the highest bit of the slot's number first: a slot that splits in two while the table grows leaves both halves on the same
 * side of the cursor. */
uint64_t table_cursor_next(const struct table *t, uint64_t cursor)
{
	uint64_t mask = t->slots_n > 0 ? t->slots_n - 1 : 0;

	return reversed(reversed(cursor | ~mask) + 1);
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
