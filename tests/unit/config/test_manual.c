/* test_manual.c - man/posthouse.conf.5: the part between BEGIN KEYS and END KEYS is what the table says. With POSTHOUSE_UPDATE=1 in the
 * environment it is written anew instead. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGIN ".\\\" BEGIN KEYS\n"
#define END   ".\\\" END KEYS\n"

static char path[1024];

/* The page's three parts. */
struct page {
	char text[1 << 20];
	struct str before, keys, after;
};

static void read_page(struct page *p)
{
	FILE *f = fopen(path, "r");
	struct str all;
	size_t begin, end;

	assert_non_null(f);
	all = str_make(p->text, fread(p->text, 1, sizeof(p->text), f));
	fclose(f);
	begin = str_search(all, S(BEGIN));
	end = str_search(all, S(END));
	assert_true(begin < end && end < all.n);
	begin += strlen(BEGIN);
	p->before = str_head(all, begin);
	p->keys = str_make(p->text + begin, end - begin);
	p->after = str_from(all, end);
}

static void write_page(const struct page *p, struct str keys)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "%.*s%.*s%.*s", STR_ARG(p->before), STR_ARG(keys), STR_ARG(p->after));
	assert_int_equal(fclose(f), 0);
}

static void manual(void **state)
{
	static struct page p;
	const char *update = getenv("POSTHOUSE_UPDATE");
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(config_manual(&b));
	read_page(&p);
	if (update && strcmp(update, "1") == 0)
		write_page(&p, buf_view(&b));
	else if (!str_eq(p.keys, buf_view(&b)))
		fail_msg("%s is not what src/config/schema.c says: run POSTHOUSE_UPDATE=1 meson test config_manual", path);
	buf_fini(&b);
}

/* Each key is there, and the ones not built yet say so. */
static void every_key(void **state)
{
	static struct page p;

	read_page(&p);
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct key *k = &config_keys[i];
		char heading[256];
		size_t at;

		snprintf(heading, sizeof(heading), ".B %s\n", k->path);
		at = str_search(p.keys, str_of(heading));
		if ((at < p.keys.n) == (bool)(k->flags & FILLED))
			fail_msg("%s", k->path);
		if (!(k->flags & FILLED) &&
		    str_starts(str_from(p.keys, at + strlen(heading)), S("(not built yet)")) != (bool)(k->flags & LATER))
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
