#include "page.h"

#include "posthouse/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct column columns[] = {
#define TABLE(...)
#define COLUMN(table, name, type)             { TABLE_##table, #name, type, false, { "t." #name, "t." #name } },
#define MADE(table, name, type, sqlite, base) { TABLE_##table, #name, type, true, { sqlite, base } },
#include "columns.def"
#undef TABLE
#undef COLUMN
#undef MADE
};

static struct table tables[] = {
#define TABLE(name, keys, sqlite, base, merge) [TABLE_##name] = { #name, keys, { sqlite, base }, merge, NULL, 0, 0 },
#define COLUMN(...)
#define MADE(...)
#include "columns.def"
#undef TABLE
#undef COLUMN
#undef MADE
};

static void find_columns(void)
{
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		struct table *t = &tables[columns[i].table];

		if (!t->columns)
			t->columns = &columns[i];
		t->columns_n++;
		t->stored_n += !columns[i].made;
	}
}

const struct table *table_of(enum table_number number)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, find_columns); /* it cannot fail */
	return &tables[number];
}

struct page page_of(enum table_number table, struct arena *a)
{
	return (struct page){ .table = table_of(table), .arena = a };
}

struct value *page_row(const struct page *p, size_t row)
{
	return p->values + row * p->table->columns_n;
}

struct value *page_add(struct page *p)
{
	if (p->n == p->capacity) {
		size_t capacity = p->n ? 2 * p->n : 64;
		struct value *values = ARENA_ARRAY(p->arena, struct value, capacity * p->table->columns_n);

		if (p->n > 0)
			memcpy(values, p->values, p->n * p->table->columns_n * sizeof *values);
		p->values = values;
		p->capacity = capacity;
	}
	return page_row(p, p->n++);
}

void page_remove(struct page *p, size_t row)
{
	memmove(page_row(p, row), page_row(p, row + 1), (p->n - row - 1) * p->table->columns_n * sizeof(struct value));
	p->n--;
}

struct str page_text(struct arena *a, struct str s)
{
	char *copy = arena_alloc(a, s.n);

	for (size_t i = 0; i < s.n; i++)
		copy[i] = s.p[i] ? s.p[i] : ' ';
	return str_make(copy, s.n);
}

/* ---- sums ---- */

static uint64_t row_sum(const struct page *p, const struct value *row)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->table->columns_n; i++) {
		const struct value *v = &row[i];
		unsigned char head[10] = { (unsigned char)p->table->columns[i].type, v->null };
		uint64_t number = p->table->columns[i].type == 'i' ? v->u64 : v->s.n;

		for (size_t k = 0; k < 8 && !v->null; k++)
			head[2 + k] = (unsigned char)(number >> 8 * k);
		sum = hash_fixed(sum, str_make(head, sizeof head));
		if (!v->null && p->table->columns[i].type != 'i')
			sum = hash_fixed(sum, v->s);
	}
	return sum;
}

uint64_t page_sum(const struct page *p)
{
	uint64_t sum = p->n;

	for (size_t i = 0; i < p->n; i++)
		sum += row_sum(p, page_row(p, i));
	return sum;
}

struct value *page_find(const struct page *p, const struct value *keys)
{
	for (size_t i = 0; i < p->n; i++) {
		struct value *row = page_row(p, i);
		bool same = true;

		for (size_t k = 0; k < p->table->keys_n && same; k++)
			same = row[k].u64 == keys[k].u64 && str_eq(row[k].s, keys[k].s);
		if (same)
			return row;
	}
	return NULL;
}
