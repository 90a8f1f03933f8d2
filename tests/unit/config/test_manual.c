/* test_manual.c - man/posthouse.conf.5: what stands between BEGIN KEYS and END KEYS is what the table of keys says, and between BEGIN
 * PROFILES and END PROFILES that of profiles. With POSTHOUSE_UPDATE=1 in the environment both are written anew instead. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema.h"

#include <stdio.h>
#include <stdlib.h>

static char path[1024];

/* A part of the page that is made from a table: it stands between the comments BEGIN name and END name. */
struct part {
	const char *begin, *end;
	bool (*print)(struct buf *b);
};
static const struct part keys = { ".\\\" BEGIN KEYS\n", ".\\\" END KEYS\n", config_manual };
static const struct part profile_table = { ".\\\" BEGIN PROFILES\n", ".\\\" END PROFILES\n", config_manual_profiles };

/* The page around such a part. */
struct page {
	char text[1 << 20];
	struct str before, inside, after;
};

static void read_page(struct page *p, const struct part *part)
{
	FILE *f = fopen(path, "r");
	struct str all;
	size_t begin, end;

	assert_non_null(f);
	all = str_make(p->text, fread(p->text, 1, sizeof(p->text), f));
	fclose(f);
	begin = str_search(all, str_of(part->begin));
	end = str_search(all, str_of(part->end));
	assert_true(begin < end && end < all.n);
	begin += strlen(part->begin);
	p->before = str_head(all, begin);
	p->inside = str_make(p->text + begin, end - begin);
	p->after = str_from(all, end);
}

static void write_page(const struct page *p, struct str inside)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "%.*s%.*s%.*s", STR_ARG(p->before), STR_ARG(inside), STR_ARG(p->after));
	assert_int_equal(fclose(f), 0);
}

static void compare(const struct part *part)
{
	static struct page p;
	const char *update = getenv("POSTHOUSE_UPDATE");
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(part->print(&b));
	read_page(&p, part);
	if (update && strcmp(update, "1") == 0)
		write_page(&p, buf_view(&b));
	else if (!str_eq(p.inside, buf_view(&b)))
		fail_msg("%s is not what src/config says: run POSTHOUSE_UPDATE=1 meson test config_manual", path);
	buf_fini(&b);
}

static void manual(void **state)
{
	compare(&keys);
	compare(&profile_table);
}

/* Each key is there, and the ones not built yet say so. */
static void every_key(void **state)
{
	static struct page p;

	read_page(&p, &keys);
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		char heading[256];
		size_t at;

		snprintf(heading, sizeof(heading), ".B %s\n", k->path);
		at = str_search(p.inside, str_of(heading));
		if ((at < p.inside.n) == (bool)(k->flags & FILLED))
			fail_msg("%s", k->path);
		if (!(k->flags & FILLED) &&
		    str_starts(str_from(p.inside, at + strlen(heading)), S("(not built yet)")) != (bool)(k->flags & LATER))
			fail_msg("%s: not built yet?", k->path);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(manual), cmocka_unit_test(every_key) };

	if (argc < 2)
		return 99;
	snprintf(path, sizeof(path), "%s/man/posthouse.conf.5", argv[1]);
	return cmocka_run_group_tests_name("config manual", tests, NULL, NULL);
}
