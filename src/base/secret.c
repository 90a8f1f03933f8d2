/* secret.c - bytes that are wiped. */
#include "posthouse/secret.h"
#include "posthouse/arena.h"

#include <stdlib.h>

void wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void secret_set(struct secret *x, struct str s)
{
	char *p = xmalloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	secret_fini(x);
	*x = (struct secret){ .p = p, .n = s.n };
}

void secret_fini(struct secret *x)
{
	wipe(x->p, x->n);
	free(x->p);
	*x = (struct secret){ 0 };
}

void buf_wipe(struct buf *b)
{
	wipe(b->p, b->p ? b->capacity : 0);
	buf_fini(b);
}

bool same_secret(struct str a, struct str b)
{
	unsigned char difference = a.n != b.n;
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(a.p[i] ^ b.p[i]);
	return difference == 0;
}
