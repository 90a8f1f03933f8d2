/* test_cli_import.c - main.cf as `import postfix` reads it: what has no end ends, and no value ends a text of the configuration. */
#include "unit.h"

#include "import.h"

#include <stdlib.h>
#include <unistd.h>

static void read_text(struct import *t, const char *text)
{
	char path[] = "/tmp/test-import-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_true(import_read(t, path, '=', &t->settings));
	unlink(path);
}

static void test_values(void **state)
{
	struct import t = { 0 };

	read_text(&t, "a = $b ${c}$(d)\nb = x\nc = \"q\\\nd = 1\n  2\x01\n");
	assert_true(str_eq(import_value(&t, "a"), S("x \\\"q\\\\1 2\\x01")));
	arena_fini(&t.arena);
}

/* What is behind a "$" that names nothing stays, and so does every backslash in front of a quotation mark. */
static void test_no_names(void **state)
{
	struct import t = { 0 };

	read_text(&t, "a = $(b\"c) ${b ? {x}} $ ${b\\ 5$\nb = 1\n");
	assert_true(str_eq(import_value(&t, "a"), S("$(b\\\"c) ${b ? {x}} $ ${b\\\\ 5$")));
	arena_fini(&t.arena);
}

static void test_inline(void **state)
{
	struct imported_list rows;
	struct import t = { 0 };

	read_text(&t, "m = inline:{ a@b=c\"d, {e = f} , g=h\\}\nn = inline:{a=b\"\n");
	assert_true(import_map(&t, "m", LOSS_MAIL, &rows) && rows.n == 3);
	assert_true(str_eq(rows.at[0].name, S("a@b")) && str_eq(rows.at[0].value, S("c\\\"d")));
	assert_true(str_eq(rows.at[1].name, S("e")) && str_eq(rows.at[1].value, S("f")));
	assert_true(str_eq(rows.at[2].name, S("g")) && str_eq(rows.at[2].value, S("h\\\\")));
	assert_true(import_map(&t, "n", LOSS_MAIL, &rows) && rows.n == 1 && str_eq(rows.at[0].value, S("b\\\"")));
	arena_fini(&t.arena);
}

static void test_endless(void **state)
{
	struct import t = { 0 };

	read_text(&t, "x = $x$x$x$y\ny = $x.$y\n");
	assert_true(import_value(&t, "x").n < 1000000);
	assert_true(t.arena.used_bytes < (size_t)1 << 28);
	arena_fini(&t.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_no_names),
					    cmocka_unit_test(test_inline), cmocka_unit_test(test_endless) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
