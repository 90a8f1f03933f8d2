/* test_manual.c - man/posthouse.8: what stands between BEGIN CHECKS and END CHECKS is what the table of checks says. With
 * POSTHOUSE_UPDATE=1 in the environment it is written anew instead. */
#include "manual.h"
#include "run.h"

static const struct {
	const char *id, *why;
	unsigned situations;
} checks[] = {
#define CHECK(ID, id, situations, run, why) { id, why, situations },
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
	struct buf b;

	buf_init(&b, 1 << 20);
	print(&b);
	manual_compare(path, "CHECKS", buf_view(&b), "doctor_manual");
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
