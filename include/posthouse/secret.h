/* secret.h - bytes that are wiped when freed and that cannot be logged: no kv() takes a struct secret. */
#ifndef POSTHOUSE_SECRET_H
#define POSTHOUSE_SECRET_H

#include "posthouse/buf.h"

struct secret {
	char *p;
	size_t n;
};

/* Replace the content by a copy of `s` (always followed by a NUL that does not count); wipe and free. */
void secret_set(struct secret *x, struct str s);
void secret_fini(struct secret *x);

/* The bytes, for the one call that needs them. */
static inline struct str secret_view(const struct secret *x)
{
	return str_make(x->p ? x->p : "", x->n);
}

/* Wipe memory in a way that the compiler cannot drop. */
void wipe(void *p, size_t n);

/* Wipe the whole memory of a buffer, also what was consumed, and give it back. */
void buf_wipe(struct buf *b);

/* Same bytes? Takes the same time wherever they differ. */
bool same_secret(struct str a, struct str b);

#endif
