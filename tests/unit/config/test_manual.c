/* test_manual.c - man/posthouse.conf.5: what stands between BEGIN KEYS and END KEYS is what the table of keys says, and so are
 * the profiles and the names of other programs. With POSTHOUSE_UPDATE=1 in the environment all are written instead. */
#include "fixture.h"
#include "manual.h"

#include "schema.h"

static char path[1024];

static void compare(const char *name, enum manual_part part)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(config_manual(part, &b));
	manual_compare(path, name, buf_view(&b), "config_manual");
	buf_fini(&b);
}

static void manual(void **state)
{
	compare("KEYS", MANUAL_KEYS);
	compare("PROFILES", MANUAL_PROFILES);
	compare("FOREIGN", MANUAL_FOREIGN);
}

/* Nobody should have to guess how a value is written: its default is shown, or an example. */
static void check_shown(struct str from_heading, const struct key *k)
{
	struct str row = str_head(from_heading, str_search(from_heading, S("\n.TP\n")));

	if (!(k->flags & FILLED) && str_search(row, S("Default:")) == row.n && str_search(row, S("Example:")) == row.n)
		fail_msg("%s has neither default nor example in %s", k->path, path);
}

/* Each key is there. */
static void every_key(void **state)
{
	static struct manual_page p;

	manual_read(&p, path, "KEYS");
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		char heading[256];
		size_t at;

		snprintf(heading, sizeof(heading), ".B %s\n", k->path);
		at = str_search(p.inside, str_of(heading));
		if ((at < p.inside.n) == (bool)(k->flags & FILLED))
			fail_msg("%s", k->path);
		check_shown(str_from(p.inside, at), k);
	}
}

/* Text out of roff: what its escapes stand for. */
static struct str plain_text(struct arena *a, struct str roff)
{
	static const struct {
		const char *escape, *text;
	} escapes[] = { { "\\-", "-" }, { "\\e", "\\" }, { "\\&", "" }, { "\\(dq", "\"" } };
	char *out = arena_alloc(a, roff.n + 1);
	size_t n = 0;

	while (roff.n > 0) {
		size_t i = 0;

		while (i < 4 && !str_starts(roff, str_of(escapes[i].escape)))
			i++;
		if (i == 4) {
			out[n++] = roff.p[0];
			roff = str_from(roff, 1);
			continue;
		}
		memcpy(out + n, escapes[i].text, strlen(escapes[i].text));
		n += strlen(escapes[i].text);
		roff = str_from(roff, strlen(escapes[i].escape));
	}
	return str_make(out, n);
}

/* The examples between .nf and .fi are of the configuration: they parse, and have only keys that there are. (Those of other files and
 * commands stand between .EX and .EE.) */
static void examples(void **state)
{
	static struct manual_page p;
	struct arena a = { 0 };
	struct str rest;
	unsigned n = 0;

	manual_read(&p, path, "KEYS");
	for (rest = str_make(p.text, (size_t)(p.after.p - p.text) + p.after.n); rest.n > 0; n++) {
		size_t begin = str_search(rest, S(".nf\n.RS\n")), end;
		struct str example;
		config_t tree;

		if (begin == rest.n)
			break;
		rest = str_from(rest, begin + 8);
		end = str_search(rest, S(".RE\n.fi\n"));
		example = plain_text(&a, str_head(rest, end));
		config_init(&tree);
		if (!config_read_string(&tree, arena_cstr(&a, example)))
			fail_msg("%s in\n%.*s", config_error_text(&tree), STR_ARG(example));
		fixture_check_members(config_root_setting(&tree), S(""));
		config_destroy(&tree);
	}
	assert_true(n > 12);
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(manual), cmocka_unit_test(every_key), cmocka_unit_test(examples) };

	if (argc < 2)
		return 99;
	snprintf(path, sizeof(path), "%s/man/posthouse.conf.5", argv[1]);
	return cmocka_run_group_tests_name("config manual", tests, NULL, NULL);
}
