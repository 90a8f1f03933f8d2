/* test_cli_columns.c - listings: widths, wide characters, what is cut, and what programs read. */
#include "unit.h"

#include "columns.h"

#include <stdlib.h>

static const struct column columns[] = { { "NAME" }, { "MAILS", true }, { "NEVER" }, { "STATE" } };

/* What is printed of two rows, and a line below the first one. */
static char *printed(unsigned width, struct str name, struct str state)
{
	struct arena a = { 0 };
	struct columns c = { .arena = &a, .of = columns, .n = 4 };
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	columns_row(&c, (struct str[]){ name, S("7"), S(""), state });
	columns_text(&c, 4, S("last answer: 451 4.7.1 greylisted"));
	columns_row(&c, (struct str[]){ S("bob"), S("1200"), S(""), S("") });
	columns_print(&c, out, width);
	fclose(out);
	arena_fini(&a);
	return text;
}

static void rows_are_as_wide_as_their_texts(void **state)
{
	static const struct {
		unsigned width;
		struct str name, state;
		const char *text;
	} rows[] = {
		/* a program: no titles, nothing is cut, no blanks at the end */
		{ 0, S("alice@example.org"), S("idle"),
		  "alice@example.org     7  idle\n    last answer: 451 4.7.1 greylisted\nbob                1200\n" },
		/* a terminal: titles; the column that nobody uses is away */
		{ 80, S("alice@example.org"), S("idle"),
		  "NAME               MAILS  STATE\nalice@example.org      7  idle\n    last answer: 451 4.7.1 greylisted\n"
		  "bob                 1200\n" },
		/* the widest column gives way, and the line across all columns */
		{ 26, S("alice@example.org"), S("idle"),
		  "NAME          MAILS  STATE\nalice@examp…      7  idle\n    last answer: 451 4.7.…\nbob            1200\n" },
		/* characters of two columns, and of none */
		{ 80, S("日本"), S("i\xcc\x81"),
		  "NAME  MAILS  STATE\n日本      7  i\xcc\x81\n    last answer: 451 4.7.1 greylisted\nbob    1200\n" },
		/* a peer cannot move the cursor */
		{ 0, S("a\x1b[2J"), S("b\nc"),
		  "a\xef\xbf\xbd[2J     7  b\xef\xbf\xbd"
		  "c\n    last answer: 451 4.7.1 greylisted\nbob    1200\n" },
		/* a terminal too narrow for anything */
		{ 5, S("alice@example.org"), S("idle"), "NAME    MAILS  STATE\nalice…      7  idle\n    …\nbob      1200\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = printed(rows[i].width, rows[i].name, rows[i].state);

		assert_string_equal(text, rows[i].text);
		free(text);
	}
}

static void texts_are_cut_by_columns(void **state)
{
	static const struct {
		struct str text;
		unsigned width;
		struct str cut;
	} rows[] = {
		{ S("abcdef"), 6, S("abcdef") },
		{ S("abcdef"), 5, S("abcd…") },
		{ S("abcdef"), 0, S("abcdef") },
		{ S("日本語"), 6, S("日本語") },
		{ S("日本語"), 5, S("日本…") },
		{ S("日本語"), 4, S("日…") },
		{ S("äöü"), 2, S("ä…") },
		{ S("a\xcc\x81"
		    "bc"),
		  2, S("a\xcc\x81…") },
		{ S(""), 3, S("") },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(arena_cstr(&a, text_fit(&a, rows[i].text, rows[i].width)), arena_cstr(&a, rows[i].cut));
	arena_fini(&a);
}

static void nothing_is_printed_of_no_rows(void **state)
{
	struct columns c = { .of = columns, .n = 4 };
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	columns_print(&c, out, 80);
	fclose(out);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_as_wide_as_their_texts),
		cmocka_unit_test(texts_are_cut_by_columns),
		cmocka_unit_test(nothing_is_printed_of_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
