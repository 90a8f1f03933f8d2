/* test_manual.c - man/posthouse.8: what stands between BEGIN CHECKS and END CHECKS is what the table of checks says. With
 * POSTHOUSE_UPDATE=1 in the environment it is written anew instead. */
#include "run.h"
#include "unit.h"

#include "posthouse/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGIN S(".\\\" BEGIN CHECKS\n")
#define END   S(".\\\" END CHECKS\n")

static const struct {
	const char *id, *why;
	unsigned situations;
} checks[] = {
#define CHECK(ID, id, situations, run, why) { id, why, situations },
#define LATER(ID, id, situations, run, why) { id, why, situations },
#include "posthouse/checks.def"
};

static const char *path;

/* When it is made, for those that are not made always. */
static const char *situation(unsigned s)
{
	if (s & SIT_DEEP)
		return " With --deep.";
	if (s & SIT_BOX)
		return " In containers.";
	if (s & SIT_ALL || (s & SIT_MX && s & SIT_UP))
		return "";
	return s & SIT_MX ? " For direct delivery." : " For mail by an upstream.";
}

static void add_roff(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '"')
			buf_add(b, S("\\(dq"));
		else if (*text == '-')
			buf_add(b, S("\\-"));
		else
			buf_add_char(b, *text);
	}
}

static void print(struct buf *b)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		buf_printf(b, ".TP\n.B %s\n", checks[i].id);
		add_roff(b, checks[i].why);
		add_roff(b, situation(checks[i].situations));
		buf_add(b, S("\n"));
	}
}

static void manual(void **state)
{
	static char text[1 << 20];
	const char *update = getenv("POSTHOUSE_UPDATE");
	FILE *f = fopen(path, "r");
	struct str all, inside;
	size_t begin, end;
	struct buf b;

	assert_non_null(f);
	all = str_make(text, fread(text, 1, sizeof(text), f));
	fclose(f);
	begin = str_search(all, BEGIN) + BEGIN.n;
	end = str_search(all, END);
	assert_true(begin <= end && end < all.n);
	inside = str_make(text + begin, end - begin);
	buf_init(&b, 1 << 20);
	print(&b);
	if (update && strcmp(update, "1") == 0) {
		f = fopen(path, "w");
		assert_non_null(f);
		fprintf(f, "%.*s%.*s%.*s", (int)begin, text, STR_ARG(buf_view(&b)), STR_ARG(str_from(all, end)));
		assert_int_equal(fclose(f), 0);
	} else if (!str_eq(inside, buf_view(&b))) {
		fail_msg("%s is not what checks.def says: run POSTHOUSE_UPDATE=1 meson test doctor_manual", path);
	}
	buf_fini(&b);
}

/* Each is there once, and says a sentence. */
static void rows(void **state)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct str id = str_of(checks[i].id), why = str_of(checks[i].why);

		assert_true(str_find(id, '.') < id.n && str_ends(why, S(".")));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(checks[i].id, checks[j].id);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(manual), cmocka_unit_test(rows) };
	static char text[1024];

	snprintf(text, sizeof(text), "%s/man/posthouse.8", argc > 1 ? argv[1] : ".");
	path = text;
	return cmocka_run_group_tests_name("doctor_manual", tests, NULL, NULL);
}
