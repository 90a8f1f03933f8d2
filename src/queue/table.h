/* table.h - hash tables of items that are embedded in their owners. What is looked up is of strangers' choice, so the hash is keyed with
 * random numbers: nobody can choose names that meet in one slot. */
#ifndef QUEUE_TABLE_H
#define QUEUE_TABLE_H

#include "posthouse/list.h"
#include "posthouse/str.h"

#define TABLE_SLOTS 2048

struct table_item {
	struct list in_slot;
	uint64_t hash;
};

struct table {
	struct list slots[TABLE_SLOTS];
	size_t n;
};

void table_init(struct table *t);
void table_add(struct table *t, struct table_item *item, uint64_t hash);
void table_remove(struct table *t, struct table_item *item);

/* The first item with this hash, or (`after` not NULL) the next one; NULL: no more. The caller compares the names. */
struct table_item *table_find(const struct table *t, uint64_t hash, const struct table_item *after);

uint64_t hash_text(struct str s);
uint64_t hash_texts(struct str a, struct str b);
uint64_t hash_numbers(uint64_t a, uint64_t b);

#endif
