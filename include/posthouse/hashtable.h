/* hashtable.h - items that are embedded in their owners, found by a number of 64 bits: an id, or a hash of hash.h. Several items
 * can have the same number. The table owns its slots, never the items, and doubles the slots when there are more items than
 * slots. */
#ifndef POSTHOUSE_HASHTABLE_H
#define POSTHOUSE_HASHTABLE_H

#include "posthouse/arena.h"
#include "posthouse/hash.h"
#include "posthouse/list.h" /* CONTAINER_OF */

#include <stdint.h>

struct hashtable_item {
	struct hashtable_item *next; /* of the same slot */
	uint64_t hash;
};

/* Starts as { 0 }. */
struct hashtable {
	struct hashtable_item **slots;
	size_t slots_n; /* a power of two; 0: nothing was ever added */
	size_t n;       /* items */
};

/* Both forget all items; clear keeps the slots for new ones. */
void hashtable_fini(struct hashtable *t);
void hashtable_clear(struct hashtable *t);

void hashtable_add(struct hashtable *t, struct hashtable_item *item, uint64_t hash);
void hashtable_remove(struct hashtable *t, struct hashtable_item *item); /* must be in the table */

/* The first item with this number, or (`after` not NULL) the next one; NULL: no more. */
struct hashtable_item *hashtable_find(const struct hashtable *t, uint64_t hash, const struct hashtable_item *after);

/* The items with this number: the caller compares the names that were hashed. The body must not remove the item unless it leaves
 * the loop. */
#define HASHTABLE_FIND(item, t, hash)                                                                                            \
	for (struct hashtable_item *item = hashtable_find((t), (hash), NULL); item; item = hashtable_find((t), (hash), item))

/* The owner of the item, a struct of this type, whose text `name` is this one; NULL: there is none. All items of the table were
 * added with the hash_text() of their names. */
#define HASHTABLE_NAMED(t, text, type, item, name)                                                                               \
	((type *)hashtable_named((t), (text), offsetof(type, item), offsetof(type, name)))
void *hashtable_named(const struct hashtable *t, struct str text, size_t item_at, size_t name_at);

/* All items, in no order; the body is allowed to remove the item that it has, and to add none. */
#define HASHTABLE_EACH(item, t)                                                                                                  \
	for (struct hashtable_item *item = hashtable_first(t), *item##_next = hashtable_next((t), item); item;                   \
	     item = item##_next, item##_next = hashtable_next((t), item))
/* Of both: `v` is a pointer to the item's owner, a struct of this type. */
#define HASHTABLE_EACH_OF(type, v, t, item)                                                                                      \
	for (type *v = hashtable_owner(hashtable_first(t), offsetof(type, item)),                                                \
		  *v##_next = hashtable_owner(hashtable_next((t), v ? &v->item : NULL), offsetof(type, item));                   \
	     v; v = v##_next, v##_next = hashtable_owner(hashtable_next((t), v ? &v->item : NULL), offsetof(type, item)))
#define HASHTABLE_FIND_OF(type, v, t, hash, item)                                                                                \
	for (type *v = hashtable_owner(hashtable_find((t), (hash), NULL), offsetof(type, item)); v;                              \
	     v = hashtable_owner(hashtable_find((t), (hash), &v->item), offsetof(type, item)))
static inline void *hashtable_owner(struct hashtable_item *item, size_t item_at)
{
	return item ? (char *)item - item_at : NULL;
}
struct hashtable_item *hashtable_first(const struct hashtable *t); /* NULL: the table is empty */
struct hashtable_item *hashtable_next(const struct hashtable *t, const struct hashtable_item *item); /* NULL after NULL */

/* All items in small pages: those at the cursor (maybe none), as an array in the arena. The cursor begins with 0, moves to the
 * next page, and is 0 again after the last one. It stays valid while the table grows: an item that is in the table all the time
 * is met once. It is always smaller than 2^62. */
struct hashtable_item **hashtable_page(const struct hashtable *t, struct arena *a, uint64_t *cursor, size_t *n_out);

#endif
