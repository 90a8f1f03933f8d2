/* arena.c - memory that is given back all at once. */
#include "posthouse/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BLOCK 2048
#define BLOCK_MAX   (64 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(max_align_t) char bytes[];
};

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		abort();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		abort();
	return p;
}

void *xgrow(void *p, size_t n, size_t *capacity, size_t size)
{
	if (n < *capacity)
		return p;
	*capacity = *capacity > 0 ? 2 * *capacity : 4;
	return xrealloc(p, *capacity * size);
}

/* A block with room for `n` bytes becomes the first; blocks grow with the arena, up to a bound. */
static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
	struct arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < n)
		size = n;
	b = xmalloc(sizeof *b + size);
	b->next = a->blocks;
	b->size = size;
	b->used = 0;
	a->blocks = b;
	return b;
}

/* Memory with what was in it before. */
static void *take(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX / 2)
		abort();
	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!b || b->size - b->used < n)
		b = add_block(a, n);
	p = b->bytes + b->used;
	b->used += n;
	a->used_bytes += n;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return memset(take(a, n), 0, n);
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		abort();
	return arena_alloc(a, bytes);
}

/* Keep the oldest block: it is the smallest, and what a typical use needs. */
void arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b && b->next) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	if (b)
		b->used = 0;
	a->blocks = b;
	a->used_bytes = 0;
}

void arena_fini(struct arena *a)
{
	arena_reset(a);
	free(a->blocks);
	a->blocks = NULL;
}

void *arena_grow(struct arena *a, void *p, size_t n, size_t *capacity, size_t size)
{
	void *more;

	if (n < *capacity)
		return p;
	*capacity = *capacity > 0 ? 2 * *capacity : 4;
	more = arena_calloc(a, *capacity, size);
	return n > 0 ? memcpy(more, p, n * size) : more;
}

struct str arena_str(struct arena *a, struct str s)
{
	return str_make(arena_cstr(a, s), s.n);
}

const char *arena_cstr(struct arena *a, struct str s)
{
	char *p = take(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
	va_list arguments;
	struct str copy;
	char *text;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0)
		abort();
	copy = arena_str(a, str_make(text, (size_t)n));
	free(text);
	return copy;
}

struct str arena_lower(struct arena *a, struct str s)
{
	char *p = take(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	p[s.n] = '\0';
	return str_make(p, s.n);
}

char *str_dup(struct str s)
{
	char *z = xmalloc(s.n + 1);

	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}
