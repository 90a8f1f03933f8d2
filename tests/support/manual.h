/* manual.h - parts of a manual page that are made from a table of the sources. They stand between the comments BEGIN name and END
 * name. With POSTHOUSE_UPDATE=1 in the environment a part is written instead of compared. */
#ifndef POSTHOUSE_TEST_MANUAL_H
#define POSTHOUSE_TEST_MANUAL_H

#include "unit.h"

#include "posthouse/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define MANUAL_COLUMNS 80 /* the longest line of text that mandoc finds good */

struct manual_page {
	char text[1 << 20];
	struct str before, inside, after;
};

static void manual_read(struct manual_page *p, const char *path, const char *name)
{
	char begin[64], end[64];
	FILE *f = fopen(path, "r");
	struct str all;
	size_t from, to;

	snprintf(begin, sizeof(begin), ".\\\" BEGIN %s\n", name);
	snprintf(end, sizeof(end), ".\\\" END %s\n", name);
	assert_non_null(f);
	all = str_make(p->text, fread(p->text, 1, sizeof(p->text), f));
	fclose(f);
	from = str_search(all, str_of(begin));
	to = str_search(all, str_of(end));
	assert_true(from < to && to < all.n);
	from += strlen(begin);
	p->before = str_head(all, from);
	p->inside = str_make(p->text + from, to - from);
	p->after = str_from(all, to);
}

static bool manual_is_macro(struct str line)
{
	return line.n > 0 && (line.p[0] == '.' || line.p[0] == '\'');
}

/* Where to break a line of text: at the last blank within the width whose next word is not taken for a macro. line.n: nowhere. For
 * mandoc a character beyond ASCII is as long as its escape, \[u2026]. */
static size_t manual_break(struct str line)
{
	size_t at = line.n;

	for (size_t i = 0, width = 0; i < line.n; i++) {
		bool later = ((unsigned char)line.p[i] & 0xc0) == 0x80; /* byte of a character */

		width += (unsigned char)line.p[i] < 0x80 ? 1 : later ? 0 : 8;
		if (width > MANUAL_COLUMNS + 1 || (width > MANUAL_COLUMNS && line.p[i] != ' '))
			return at;
		if (i > 0 && line.p[i] == ' ' && line.p[i - 1] != '\\' && !manual_is_macro(str_from(line, i + 1)))
			at = i;
	}
	return line.n;
}

/* Lines that roff fills are broken; tables and examples stay as they are. */
static void manual_fill(struct buf *b, struct str text)
{
	static const char *const kept[][2] = { { ".TS", ".TE" }, { ".nf", ".fi" }, { ".EX", ".EE" } };
	const char *until = NULL;
	struct str line;

	while (str_split(&text, '\n', &line)) {
		for (size_t i = 0; i < 3 && !until; i++)
			until = str_eq(line, str_of(kept[i][0])) ? kept[i][1] : NULL;
		if (until && str_eq(line, str_of(until)))
			until = NULL;
		while (!until && !manual_is_macro(line) && manual_break(line) < line.n) {
			size_t at = manual_break(line);

			buf_add(b, str_head(line, at));
			buf_add(b, S("\n"));
			line = str_from(line, at + 1);
		}
		buf_add(b, line);
		buf_add(b, S("\n"));
	}
}

/* Is the part what the table says? `test` is the one that writes it. */
static void manual_compare(const char *path, const char *name, struct str content, const char *test)
{
	static struct manual_page p;
	const char *update = getenv("POSTHOUSE_UPDATE");
	struct buf b;

	buf_init(&b, 1 << 20);
	manual_fill(&b, content);
	manual_read(&p, path, name);
	if (update && strcmp(update, "1") == 0) {
		FILE *f = fopen(path, "w");

		assert_non_null(f);
		fprintf(f, "%.*s%.*s%.*s", STR_ARG(p.before), STR_ARG(buf_view(&b)), STR_ARG(p.after));
		assert_int_equal(fclose(f), 0);
	} else if (!str_eq(p.inside, buf_view(&b))) {
		fail_msg("%s: part %s is not what its table says: run POSTHOUSE_UPDATE=1 meson test %s", path, name, test);
	}
	buf_fini(&b);
}

#endif
