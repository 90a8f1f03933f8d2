/* hashtable.c - growing hash tables. */
#include "posthouse/hashtable.h"

#include <stdlib.h>

#define SLOTS_MIN 64

/* Spreads the bits: ids of one moment differ in few of them. */
static size_t index_of(const struct hashtable *t, uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdu;
	hash ^= hash >> 33;
	return (size_t)hash & (t->slots_n - 1);
}

void hashtable_fini(struct hashtable *t)
{
	free(t->slots);
	*t = (struct hashtable){ 0 };
}

void hashtable_clear(struct hashtable *t)
{
	if (t->n)
		memset(t->slots, 0, t->slots_n * sizeof *t->slots);
	t->n = 0;
}

static void put_in_slot(struct hashtable *t, struct hashtable_item *item)
{
	struct hashtable_item **slot = &t->slots[index_of(t, item->hash)];

	item->next = *slot;
	*slot = item;
}

/* Twice the slots: a look-up meets one or two items. */
static void grow(struct hashtable *t)
{
	struct hashtable_item **old = t->slots, *next;
	size_t old_n = t->slots_n;

	t->slots_n = old_n ? 2 * old_n : SLOTS_MIN;
	t->slots = xcalloc(t->slots_n, sizeof *t->slots);
	for (size_t i = 0; i < old_n; i++)
		for (struct hashtable_item *item = old[i]; item; item = next) {
			next = item->next;
			put_in_slot(t, item);
		}
	free(old);
}

void hashtable_add(struct hashtable *t, struct hashtable_item *item, uint64_t hash)
{
	if (t->n >= t->slots_n)
		grow(t);
	item->hash = hash;
	put_in_slot(t, item);
	t->n++;
}

void hashtable_remove(struct hashtable *t, struct hashtable_item *item)
{
	struct hashtable_item **at = &t->slots[index_of(t, item->hash)];

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	item->next = NULL;
	t->n--;
}

struct hashtable_item *hashtable_find(const struct hashtable *t, uint64_t hash, const struct hashtable_item *after)
{
	struct hashtable_item *item = after ? after->next : t->n ? t->slots[index_of(t, hash)] : NULL;

	while (item && item->hash != hash)
		item = item->next;
	return item;
}

void *hashtable_named(const struct hashtable *t, struct str text, size_t item_at, size_t name_at)
{
	uint64_t hash = hash_text(text);

	HASHTABLE_FIND (item, t, hash) {
		char *owner = (char *)item - item_at;
		const char *name;

		memcpy(&name, owner + name_at, sizeof name);
		if (str_eq(str_of(name), text))
			return owner;
	}
	return NULL;
}

/* ---- all of them ---- */

static struct hashtable_item *first_from(const struct hashtable *t, size_t slot)
{
	for (; t->n && slot < t->slots_n; slot++)
		if (t->slots[slot])
			return t->slots[slot];
	return NULL;
}

struct hashtable_item *hashtable_first(const struct hashtable *t)
{
	return first_from(t, 0);
}

struct hashtable_item *hashtable_next(const struct hashtable *t, const struct hashtable_item *item)
{
	if (!item || item->next)
		return item ? item->next : NULL;
	return first_from(t, index_of(t, item->hash) + 1);
}

static uint64_t reversed(uint64_t x)
{
	uint64_t y = 0;

	for (int i = 0; i < 64; i++)
		y |= (x >> i & 1) << (63 - i);
	return y;
}

/* A page is a slot. The cursor counts with the highest bit of the slot's number first: a slot that splits in two while the table
 * grows leaves both halves on the same side of the cursor. */
struct hashtable_item **hashtable_page(const struct hashtable *t, struct arena *a, uint64_t *cursor, size_t *n_out)
{
	uint64_t mask = t->slots_n ? t->slots_n - 1 : 0;
	struct hashtable_item *first = t->slots_n ? t->slots[*cursor & mask] : NULL, **page = NULL;
	size_t capacity = 0;

	*n_out = 0;
	for (struct hashtable_item *i = first; i; i = i->next) {
		ARENA_GROW(a, page, *n_out, capacity);
		page[(*n_out)++] = i;
	}
	*cursor = reversed(reversed(*cursor | ~mask) + 1);
	return page;
}
