#include "map.h"

#include "posthouse/arena.h"

#include <stdlib.h>

#define BUCKETS_MIN 64

/* Spread the bits: ids of one moment differ in few of them. */
static size_t bucket_of(const struct map *m, uint64_t key)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	return (size_t)key & (m->buckets_n - 1);
}

void map_fini(struct map *m)
{
	free(m->buckets);
	*m = (struct map){ 0 };
}

void map_clear(struct map *m)
{
	if (m->n)
		memset(m->buckets, 0, m->buckets_n * sizeof(*m->buckets));
	m->n = 0;
}

/* Put a node into its bucket. */
static void link_node(struct map *m, struct map_node *node)
{
	struct map_node **bucket = &m->buckets[bucket_of(m, node->key)];

	node->next = *bucket;
	*bucket = node;
}

/* Double the buckets when there are more nodes than those. */
static void grow(struct map *m)
{
	struct map_node **old = m->buckets;
	size_t old_n = m->buckets_n;

	m->buckets_n = old_n ? old_n * 2 : BUCKETS_MIN;
	m->buckets = xcalloc(m->buckets_n, sizeof(*m->buckets));
	for (size_t i = 0; i < old_n; i++) {
		struct map_node *next;

		for (struct map_node *node = old[i]; node; node = next) {
			next = node->next;
			link_node(m, node);
		}
	}
	free(old);
}

void map_add(struct map *m, struct map_node *node, uint64_t key)
{
	if (m->n >= m->buckets_n)
		grow(m);
	node->key = key;
	link_node(m, node);
	m->n++;
}

void map_remove(struct map *m, struct map_node *node)
{
	struct map_node **at = &m->buckets[bucket_of(m, node->key)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	m->n--;
}

struct map_node *map_find(const struct map *m, uint64_t key)
{
	struct map_node *node = m->n ? m->buckets[bucket_of(m, key)] : NULL;

	while (node && node->key != key)
		node = node->next;
	return node;
}

struct map_node *map_next(const struct map_node *node)
{
	uint64_t key = node->key;
	struct map_node *next = node->next;

	while (next && next->key != key)
		next = next->next;
	return next;
}

struct map_node *map_any(const struct map *m)
{
	for (size_t i = 0; m->n && i < m->buckets_n; i++)
		if (m->buckets[i])
			return m->buckets[i];
	return NULL;
}
