/* wiped.c */
#include "wiped.h"

#include "posthouse/arena.h"
#include "posthouse/secret.h"

#include <malloc.h>
#include <stdlib.h>

void wiped_free(void *p)
{
	if (p)
		wipe(p, malloc_usable_size(p));
	free(p);
}

/* Never in place: realloc() can move the bytes, and leaves a copy behind. */
void *wiped_realloc(void *p, size_t n)
{
	void *moved = xmalloc(n);
	size_t have = p ? malloc_usable_size(p) : 0;

	if (have > 0)
		memcpy(moved, p, have < n ? have : n);
	wiped_free(p);
	return moved;
}

char *wiped_strdup(const char *text)
{
	return str_dup(str_of(text));
}
