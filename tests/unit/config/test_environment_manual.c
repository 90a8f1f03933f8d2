/* test_environment_manual.c - the variables in man/posthouse-container.7 are those of env.def. With POSTHOUSE_UPDATE=1 in the
 * environment they are written instead. Each row makes sense: its key exists, and so does the variable that it stands for. */
#include "manual.h"

#include "environment.h"

static char path[1024];

static void add_roff(struct buf *b, const char *text)
{
	for (; *text; text++)
		if (*text == '-' || *text == '\\')
			buf_printf(b, "\\%c", *text == '-' ? '-' : 'e');
		else
			buf_add_char(b, *text);
}

static void add_names(struct buf *b, const struct environment_row *row)
{
	struct arena a = { 0 };
	struct str names = str_of(row->names), name;
	const char *before = "";

	buf_add(b, S(".TP\n.B "));
	while (str_split(&names, ' ', &name)) {
		buf_add(b, str_of(before));
		add_roff(b, arena_cstr(&a, name));
		before = ", ";
	}
	buf_add(b, S("\n"));
	arena_fini(&a);
}

static void add_ours(struct buf *b, const struct environment_row *row)
{
	add_names(b, row);
	if (*row->target) {
		struct arena a = { 0 };

		add_roff(b, arena_cstr(&a, schema_shown(&a, str_of(row->target))));
		buf_add(b, S(" in posthouse.conf(5)."));
		arena_fini(&a);
	}
	if (*row->remark) {
		buf_add(b, *row->target ? S(" ") : S(""));
		add_roff(b, row->remark);
	}
	buf_add(b, S("\n"));
}

static void add_other(struct buf *b, const struct environment_row *row)
{
	add_names(b, row);
	if (row->kind == ENV_OTHER)
		buf_printf(b, "%s", row->target);
	else
		buf_add(b, row->kind == ENV_NONE ? S("None") : S("Nothing to do"));
	if (*row->remark) {
		buf_add(b, S(": "));
		add_roff(b, row->remark);
	}
	buf_add(b, S(".\n"));
}

static void manual(void **state)
{
	const char *family = "";
	struct buf ours, others;

	buf_init(&ours, 1 << 20);
	buf_init(&others, 1 << 20);
	for (size_t i = 0; i < environment_rows_n; i++) {
		const struct environment_row *row = &environment_rows[i];

		if (!*row->family) {
			add_ours(&ours, row);
			continue;
		}
		if (strcmp(family, row->family) != 0)
			buf_printf(&others, ".SS %s\n", row->family);
		family = row->family;
		add_other(&others, row);
	}
	manual_compare(path, "VARIABLES", buf_view(&ours), "config_environment_manual");
	manual_compare(path, "OTHERS", buf_view(&others), "config_environment_manual");
	buf_fini(&ours);
	buf_fini(&others);
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < environment_rows_n; i++)
		if (strcmp(environment_rows[i].names, name) == 0 && !*environment_rows[i].family)
			return true;
	return false;
}

static void rows(void **state)
{
	for (size_t i = 0; i < environment_rows_n; i++) {
		const struct environment_row *row = &environment_rows[i];
		bool is_key = row->kind == ENV_KEY || row->kind == ENV_UPSTREAM;

		if (is_key && schema_find(str_of(row->target)) == config_keys_n)
			fail_msg("%s: there is no key %s", row->names, row->target);
		if (row->kind == ENV_OTHER && !is_ours(row->target))
			fail_msg("%s: there is no variable %s", row->names, row->target);
		if (!is_key && row->kind != ENV_OTHER && !*row->remark)
			fail_msg("%s says nothing", row->names);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(manual), cmocka_unit_test(rows) };

	if (argc < 2)
		return 99;
	snprintf(path, sizeof(path), "%s/man/posthouse-container.7", argv[1]);
	return cmocka_run_group_tests_name("config environment manual", tests, NULL, NULL);
}
