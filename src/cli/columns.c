/* columns.c - see columns.h. */
#include "columns.h"

#include "posthouse/utf8.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uniwidth.h>

#define GAP           2 /* between columns */
#define NARROWEST     6 /* no column is cut further */
#define WIDTH_IF_NONE 80
#define WIDTH_MAX     1000

struct columns_line {
	const struct str *cells; /* NULL: a text across all columns */
	struct str text;
	unsigned indent;
};

/* ---- widths ---- */

static unsigned character_width(uint32_t c)
{
	int n = uc_width(c, "UTF-8");

	return n > 0 ? (unsigned)n : 0;
}

static unsigned text_width(struct str text)
{
	unsigned width = 0;
	uint32_t c;

	for (size_t n; (n = utf8_char(text, &c)) > 0; text = str_from(text, n))
		width += character_width(c);
	return width;
}

struct str text_fit(struct arena *a, struct str text, unsigned width)
{
	struct str rest = text;
	unsigned used = 0;
	uint32_t c;

	if (width == 0 || text_width(text) <= width)
		return text;
	for (size_t n; (n = utf8_char(rest, &c)) > 0 && used + character_width(c) < width; rest = str_from(rest, n))
		used += character_width(c);
	return arena_printf(a, "%.*s…", STR_ARG(str_head(text, text.n - rest.n)));
}

unsigned terminal_width(void)
{
	struct winsize size = { 0 };
	const char *word = getenv("COLUMNS");
	uint64_t n;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return word && str_to_u64(str_of(word), &n) && n > 0 && n <= WIDTH_MAX ? (unsigned)n : WIDTH_IF_NONE;
}

/* ---- filling ---- */

static struct columns_line *add(struct columns *c)
{
	ARENA_GROW(c->arena, c->lines, c->lines_n, c->capacity);
	return &c->lines[c->lines_n++];
}

void columns_row(struct columns *c, const struct str *cells)
{
	struct str *copy = ARENA_ARRAY(c->arena, struct str, c->n);

	for (size_t i = 0; i < c->n; i++)
		copy[i] = utf8_shown(c->arena, cells[i]);
	*add(c) = (struct columns_line){ .cells = copy, .indent = c->indent };
}

void columns_text(struct columns *c, unsigned indent, struct str text)
{
	*add(c) = (struct columns_line){ .text = utf8_shown(c->arena, text), .indent = indent };
}

/* ---- printing ---- */

/* Columns that no row uses stay away: their width is 0. */
static void measure(const struct columns *c, unsigned width, unsigned widths[COLUMNS_MAX])
{
	unsigned total = c->indent;

	for (size_t i = 0; i < c->n; i++) {
		widths[i] = 0;
		for (size_t k = 0; k < c->lines_n; k++)
			if (c->lines[k].cells && text_width(c->lines[k].cells[i]) > widths[i])
				widths[i] = text_width(c->lines[k].cells[i]);
		if (width > 0 && widths[i] > 0 && text_width(str_of(c->of[i].title)) > widths[i])
			widths[i] = text_width(str_of(c->of[i].title));
		total += widths[i] + (widths[i] > 0 && total > c->indent ? GAP : 0);
	}
	for (; width > 0 && total > width; total--) {
		size_t widest = 0;

		for (size_t i = 1; i < c->n; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= NARROWEST)
			return;
		widths[widest]--;
	}
}

/* No blanks at the end of a line. */
static void print_cells(const struct columns *c, FILE *out, const struct str *cells, bool cuts,
			const unsigned widths[COLUMNS_MAX])
{
	unsigned at = 0, start = c->indent;

	for (size_t i = 0; i < c->n; i++) {
		struct str text = cuts ? text_fit(c->arena, cells[i], widths[i]) : cells[i];
		unsigned needs = text_width(text), before = start + (c->of[i].right ? widths[i] - needs : 0);

		if (widths[i] == 0)
			continue;
		if (needs > 0) {
			fprintf(out, "%*s%.*s", (int)(before - at), "", STR_ARG(text));
			at = before + needs;
		}
		start += widths[i] + GAP;
	}
	fputc('\n', out);
}

void columns_print(const struct columns *c, FILE *out, unsigned width)
{
	unsigned widths[COLUMNS_MAX];
	struct str titles[COLUMNS_MAX];

	measure(c, width, widths);
	for (size_t i = 0; i < c->n; i++)
		titles[i] = str_of(c->of[i].title);
	if (width > 0 && c->lines_n > 0)
		print_cells(c, out, titles, true, widths);
	for (size_t k = 0; k < c->lines_n; k++) {
		const struct columns_line *l = &c->lines[k];

		if (l->cells)
			print_cells(c, out, l->cells, width > 0, widths);
		else
			fprintf(out, "%*s%.*s\n", (int)l->indent, "",
				STR_ARG(text_fit(c->arena, l->text, width > l->indent ? width - l->indent : 0)));
	}
}
