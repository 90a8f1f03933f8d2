/* test_utf8.c - well-formed characters, and those that nobody can see. */
#include "unit.h"

#include "posthouse/utf8.h"

static void test_char(void **state)
{
	static const struct {
		struct str text;
		size_t n;
		uint32_t c;
	} rows[] = {
		{ S(""), 0, 0 },
		{ S("a\xff"), 1, 'a' },
		{ { "\0", 1 }, 1, 0 },
		{ S("\x7f"), 1, 0x7f },
		{ S("\xc2\x80"), 2, 0x80 },
		{ S("\xdf\xbf"), 2, 0x7ff },
		{ S("\xe0\xa0\x80"), 3, 0x800 },
		{ S("\xed\x9f\xbf"), 3, 0xd7ff },
		{ S("\xee\x80\x80"), 3, 0xe000 },
		{ S("\xef\xbf\xbf"), 3, 0xffff },
		{ S("\xf0\x90\x80\x80"), 4, 0x10000 },
		{ S("\xf4\x8f\xbf\xbf"), 4, 0x10ffff },
		/* continued without a beginning, overlong, surrogates, beyond the end, cut off */
		{ S("\x80"), 0, 0 },
		{ S("\xbf\xbf"), 0, 0 },
		{ S("\xc0\x80"), 0, 0 },
		{ S("\xc1\xbf"), 0, 0 },
		{ S("\xe0\x9f\xbf"), 0, 0 },
		{ S("\xf0\x8f\xbf\xbf"), 0, 0 },
		{ S("\xed\xa0\x80"), 0, 0 },
		{ S("\xed\xbf\xbf"), 0, 0 },
		{ S("\xf4\x90\x80\x80"), 0, 0 },
		{ S("\xf8\x88\x80\x80\x80"), 0, 0 },
		{ S("\xff"), 0, 0 },
		{ S("\xc3"), 0, 0 },
		{ S("\xe2\x82"), 0, 0 },
		{ S("\xe2\x82z"), 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t c = 0;

		if (utf8_char(rows[i].text, &c) != rows[i].n || c != rows[i].c)
			fail_msg("row %zu: U+%04X", i, c);
	}
	assert_true(utf8_valid(S("Grüße, 世界 😀")) && utf8_valid(S("")));
	assert_false(utf8_valid(S("Gr\xfc\xdf"
				  "e")));
	assert_false(utf8_valid(S("a\xed\xa0\xbd\xed\xb8\x80")));
}

static void test_hidden(void **state)
{
	static const uint32_t hidden[] = { 0,      '\n',   '\t',   0x1b,   0x7f,   0x80,   0x85,    0x9b,    0x9f,    0xad,
					   0x61c,  0x200b, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a,  0x202d,  0x202e,  0x2066,
					   0x2069, 0xfeff, 0xfdd0, 0xfff9, 0xfffe, 0xffff, 0xe0001, 0xe007f, 0x1fffe, 0x10ffff };
	static const uint32_t seen[] = { ' ',   'a',    '~',    0xa0,   0xe4,   0x3b1,  0x5d0,
					 0x627, 0x2019, 0x20ac, 0x3002, 0x4e16, 0xfffd, 0x1f600 };

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (!utf8_is_hidden(hidden[i]))
			fail_msg("U+%04X can be seen", hidden[i]);
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (utf8_is_hidden(seen[i]))
			fail_msg("U+%04X cannot be seen", seen[i]);
}

static void test_deceptive(void **state)
{
	assert_false(utf8_is_deceptive(S("jürgen.müller@bücher.example")));
	assert_false(utf8_is_deceptive(S("用户@例子.广告")));
	assert_true(utf8_is_deceptive(S("a\xe2\x80\xae"
					"b")));
	assert_true(utf8_is_deceptive(S("a\xef\xbc\xa0"
					"b"))); /* full-width @ */
	assert_true(utf8_is_deceptive(S("a\xc2\x85"
					"b")));
	assert_true(utf8_is_deceptive(S("a\xc2\xa0"
					"b")));
}

static void test_shown(void **state)
{
	static const struct {
		struct str text, want;
	} rows[] = {
		{ S(""), S("") },
		{ S("Grüße ☃"), S("Grüße ☃") },
		{ S("a\tb\r\n\x1b[31m"), S("a\xef\xbf\xbd"
					   "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[31m") },
		{ S("\xc2\x9b[2J\xff"), S("\xef\xbf\xbd[2J\xef\xbf\xbd") },
		{ S("\xe2\x80\xae!\xed\xa0\x80"), S("\xef\xbf\xbd!\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!str_eq(utf8_shown(&a, rows[i].text), rows[i].want))
			fail_msg("row %zu", i);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_char), cmocka_unit_test(test_hidden),
					    cmocka_unit_test(test_deceptive), cmocka_unit_test(test_shown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
