/* page.h - rows on their way from one engine to the other. */
#ifndef STORE_TRANSFER_PAGE_H
#define STORE_TRANSFER_PAGE_H

#include "posthouse/arena.h"

#include <stdbool.h>

enum { SIDE_SQLITE, SIDE_POSTGRESQL, SIDES };

enum table_number {
#define TABLE(name, ...) TABLE_##name,
#define COLUMN(...)
#define MADE(...)
#include "columns.def"
#undef TABLE
#undef COLUMN
#undef MADE
	TABLE_COUNT
};

struct column {
	enum table_number table;
	const char *name;
	char type; /* i, t or b */
	bool made; /* not a column of both tables */
	const char *read[SIDES];
};

struct table {
	const char *name;
	size_t keys_n;
	const char *from[SIDES]; /* "": the table itself */
	const char *merge;
	const struct column *columns;
	size_t columns_n, stored_n; /* all, and those that are columns of both tables */
};
const struct table *table_of(enum table_number number);

/* Of one column in one row. Texts are without NUL. */
struct value {
	bool null;
	uint64_t u64;
	struct str s;
};

struct page {
	const struct table *table;
	struct value *values; /* row after row, columns_n each */
	size_t n, capacity;
	struct arena *arena;
};
struct page page_of(enum table_number table, struct arena *a);
struct value *page_row(const struct page *p, size_t row);
struct value *page_add(struct page *p); /* a new row; valid until the next one */
void page_remove(struct page *p, size_t row);

/* A text as the database can have it: a NUL becomes a space. */
struct str page_text(struct arena *a, struct str s);

/* The same for the same rows, in whatever order. */
uint64_t page_sum(const struct page *p);

/* The row with the same key; NULL: there is none. `keys` is a row of a page of this table. */
struct value *page_find(const struct page *p, const struct value *keys);

#endif
