#include "array.h"

#include <endian.h>
#include <stdlib.h>

enum { HEADER_BYTES = 20 };

static char *room(struct array *c, size_t n)
{
	char *p;

	if (c->bytes == 0)
		c->bytes = HEADER_BYTES;
	if (c->bytes + n > c->capacity) {
		c->capacity = (c->bytes + n) * 2;
		c->p = xrealloc(c->p, c->capacity);
	}
	p = c->p + c->bytes;
	c->bytes += n;
	return p;
}

static void put_number(char *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

/* A text cannot have a NUL: a space stands for it. */
void array_add(struct array *c, char type, const struct db_value *v)
{
	struct str s = v->str;
	uint64_t number = htobe64(v->u64);
	char *p;

	c->n++;
	if (v->kind == DB_NULL) {
		c->nulls = true;
		put_number(room(c, 4), UINT32_MAX);
		return;
	}
	if (type == 'i')
		s = str_make(&number, sizeof(number));
	p = room(c, 4 + s.n);
	put_number(p, (uint32_t)s.n);
	for (p += 4; s.n > 0;) {
		const char *nul = type == 't' ? memchr(s.p, 0, s.n) : NULL;
		size_t n = nul ? (size_t)(nul - s.p) : s.n;

		memcpy(p, s.p, n);
		p += n;
		if (nul)
			*p++ = ' ';
		s = str_from(s, n + (nul != NULL));
	}
}

void array_add_number(struct array *c, uint64_t v)
{
	const struct db_value value = INT(v);

	array_add(c, 'i', &value);
}

struct db_value array_value(struct array *c, char type)
{
	const uint32_t element = type == 'i' ? 20 : type == 't' ? 25 : 17;
	char *p;

	if (c->bytes == 0)
		(void)room(c, 0);
	p = c->p;
	put_number(p, 1);
	put_number(p + 4, c->nulls);
	put_number(p + 8, element);
	put_number(p + 12, (uint32_t)c->n);
	put_number(p + 16, 1);
	return (struct db_value){ .kind = type == 'i'   ? DB_INTS
					  : type == 't' ? DB_TEXTS
							: DB_BLOBS,
				  .str = str_make(p, c->bytes) };
}

void array_clear(struct array *c)
{
	c->bytes = c->n = 0;
	c->nulls = false;
}

void array_fini(struct array *c)
{
	free(c->p);
	*c = (struct array){ 0 };
}
