/* table.h - hash tables of items that are embedded in their owners; they grow with their items. What is looked up is of strangers' choice,
 * so the hash is keyed with random numbers: nobody can choose names that meet in one slot. */
#ifndef QUEUE_TABLE_H
#define QUEUE_TABLE_H

#include "posthouse/list.h"
#include "posthouse/str.h"

struct table_item {
	struct list in_slot;
	uint64_t hash;
};

struct table {
	struct list *slots;
	size_t slots_n; /* a power of two; 0: nothing was ever added */
	size_t n;
};

/* A table is empty from the start; fini forgets the items, which are their owners' to free. */
void table_init(struct table *t);
void table_fini(struct table *t);
void table_add(struct table *t, struct table_item *item, uint64_t hash);
void table_remove(struct table *t, struct table_item *item);

/* The first item with this hash, or (`after` not NULL) the next one; NULL: no more. The caller compares the names. */
struct table_item *table_find(const struct table *t, uint64_t hash, const struct table_item *after);

/* All items, in no order; the body is allowed to remove the item that it has, and to add none. */
#define TABLE_EACH(item, t)                                                                                                      \
	for (struct table_item *item = table_first(t), *item##_next = table_next((t), item); item;                               \
	     item = item##_next, item##_next = table_next((t), item))
struct table_item *table_first(const struct table *t);
struct table_item *table_next(const struct table *t, const struct table_item *item); /* NULL after NULL */

/* The same in pages: the items of one slot (NULL: there are none at all), and the cursor of the next slot, 0 after the last. Cursors begin
 * with 0 and stay good while the table grows: what was there all the time is met once. They are smaller than TABLE_CURSOR_END. */
#define TABLE_CURSOR_END ((uint64_t)1 << 62)
const struct list *table_slot(const struct table *t, uint64_t cursor);
uint64_t table_cursor_next(const struct table *t, uint64_t cursor);

uint64_t hash_text(struct str s);
uint64_t hash_texts(struct str a, struct str b);
uint64_t hash_numbers(uint64_t a, uint64_t b);

#endif
