/* columns.h - a listing for people: rows of cells under titles, as wide as their texts need and the terminal allows. */
#ifndef POSTHOUSE_CLI_COLUMNS_H
#define POSTHOUSE_CLI_COLUMNS_H

#include "posthouse/arena.h"

#include <stdio.h>

#define COLUMNS_MAX 12

struct column {
	const char *title;
	bool right; /* numbers: they end where the column ends */
};

/* Begins with `arena`, `of`, `n` and `indent`; the texts must live until columns_print(). */
struct columns {
	struct arena *arena;
	const struct column *of;
	size_t n;
	unsigned indent; /* blanks in front of each row and of the titles */
	struct columns_line *lines;
	size_t lines_n, capacity;
};

/* A row of n cells. Texts of peers need no further care: hidden characters are replaced. */
void columns_row(struct columns *c, const struct str *cells);
/* A line across all columns, at this indent: a heading, or what is to be said of the row above. */
void columns_text(struct columns *c, unsigned indent, struct str text);

/* `width` 0: the reader is a program or a file. Then there are no titles, and nothing is cut, so that each row is one line with
 * all its texts. Else the widest columns shrink until the rows fit; what is cut ends in "…". */
void columns_print(const struct columns *c, FILE *out, unsigned width);

/* The width of the terminal at standard output; 0: it is none. COLUMNS, then 80, where the terminal does not say. */
unsigned terminal_width(void);

/* The text in at most `width` columns of a terminal, cut with "…" when it needs more; width 0: all of it. */
struct str text_fit(struct arena *a, struct str text, unsigned width);

#endif
