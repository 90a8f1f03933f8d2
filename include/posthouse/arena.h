/* arena.h - memory that is given back all at once. Allocation never fails: it aborts, so bound what a peer can enlarge. */
#ifndef POSTHOUSE_ARENA_H
#define POSTHOUSE_ARENA_H

#include "posthouse/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used_bytes; /* handed out since the last reset: what a bound can be checked against */
};

/* An arena starts as { 0 }. Reset keeps the first block for the next use; fini returns everything. */
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);

/* Zeroed memory, aligned for any type; never NULL. */
void *arena_alloc(struct arena *a, size_t n);
#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
void *arena_calloc(struct arena *a, size_t n, size_t size);

/* A copy that lives as long as the arena; arena_cstr's ends in NUL. */
struct str arena_str(struct arena *a, struct str s);
const char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str arena_lower(struct arena *a, struct str s);

/* malloc, calloc and realloc that abort instead of returning NULL. */
void *xmalloc(size_t n);
char *str_dup(struct str s); /* a copy that ends in NUL; the caller frees it */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
/* Room for one more element of a growing array of `n` with `*capacity` places: the array, perhaps moved. */
void *xgrow(void *p, size_t n, size_t *capacity, size_t size);
#define ARRAY_GROW(p, n, capacity) ((p) = xgrow((p), (n), &(capacity), sizeof *(p)))
/* The same in an arena: a full array is copied to a new place, and the old one stays until the arena is reset. */
void *arena_grow(struct arena *a, void *p, size_t n, size_t *capacity, size_t size);
#define ARENA_GROW(a, p, n, capacity) ((p) = arena_grow((a), (p), (n), &(capacity), sizeof *(p)))
#define NEW(type)                     ((type *)xcalloc(1, sizeof(type)))

#endif
