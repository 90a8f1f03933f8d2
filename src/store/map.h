/* map.h - nodes found by a 64-bit key; several nodes may have the same one. The map owns its buckets, never the nodes. */
#ifndef POSTHOUSE_STORE_MAP_H
#define POSTHOUSE_STORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *next;
	uint64_t key;
};

struct map {
	struct map_node **buckets;
	size_t buckets_n, n;
};

/* A map starts as { 0 }; fini forgets all nodes, clear keeps the buckets. */
void map_fini(struct map *m);
void map_clear(struct map *m);

void map_add(struct map *m, struct map_node *node, uint64_t key);
void map_remove(struct map *m, struct map_node *node); /* must be in the map */

/* The first node with this key and the next with the same one; NULL when there is none. */
struct map_node *map_find(const struct map *m, uint64_t key);
struct map_node *map_next(const struct map_node *node);

/* Any node, for emptying a map; NULL when it is empty. */
struct map_node *map_any(const struct map *m);

#endif
