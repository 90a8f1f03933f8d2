/* test_str.c - views of bytes. */
#include "unit.h"

#include "posthouse/str.h"

#define NOTHING     ((struct str){ NULL, 0 })
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void assert_str(struct str got, struct str expected)
{
	assert_int_equal(got.n, expected.n);
	if (got.n)
		assert_memory_equal(got.p, expected.p, got.n);
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void test_compare(void **state)
{
	static const struct {
		struct str a, b;
		bool same, same_without_case;
		int order;
	} rows[] = {
		{ S(""), S(""), true, true, 0 },
		{ S(""), S("a"), false, false, -1 },
		{ S("abc"), S("abc"), true, true, 0 },
		{ S("abc"), S("ABC"), false, true, 1 },
		{ S("ab"), S("abc"), false, false, -1 },
		{ S("b"), S("abc"), false, false, 1 },
		{ S("a\0b"), S("a\0b"), true, true, 0 },
		{ S("a\0b"), S("a\0c"), false, false, -1 },
		{ S("\xff"), S("a"), false, false, 1 },             /* bytes are unsigned */
		{ S("\xc3\x84"), S("\xc3\xa4"), false, false, -1 }, /* only ASCII has case here */
		{ S("@["), S("`{"), false, false, -1 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(str_eq(rows[i].a, rows[i].b), rows[i].same);
		assert_int_equal(str_ieq(rows[i].a, rows[i].b), rows[i].same_without_case);
		assert_int_equal(sign(str_cmp(rows[i].a, rows[i].b)), rows[i].order);
		assert_int_equal(sign(str_cmp(rows[i].b, rows[i].a)), -rows[i].order);
	}
	assert_true(str_eq(NOTHING, S("")));
	assert_true(str_ieq(NOTHING, S("")));
	assert_int_equal(str_cmp(NOTHING, S("")), 0);
}

static void test_ends(void **state)
{
	static const struct {
		struct str s, part;
		bool starts, istarts, ends, iends;
	} rows[] = {
		{ S("smtp.example"), S("smtp"), true, true, false, false },
		{ S("smtp.example"), S("SMTP"), false, true, false, false },
		{ S("smtp.example"), S(".example"), false, false, true, true },
		{ S("smtp.example"), S(".EXAMPLE"), false, false, false, true },
		{ S("smtp"), S("smtp"), true, true, true, true },
		{ S("smtp"), S(""), true, true, true, true },
		{ S("tp"), S("smtp"), false, false, false, false },
		{ S(""), S(""), true, true, true, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(str_starts(rows[i].s, rows[i].part), rows[i].starts);
		assert_int_equal(str_istarts(rows[i].s, rows[i].part), rows[i].istarts);
		assert_int_equal(str_ends(rows[i].s, rows[i].part), rows[i].ends);
		assert_int_equal(str_iends(rows[i].s, rows[i].part), rows[i].iends);
	}
}

static void test_find(void **state)
{
	static const struct {
		struct str s;
		char c;
		size_t first, last;
	} rows[] = { { S("a@b@c"), '@', 1, 3 },
		     { S("abc"), '@', 3, 3 },
		     { S(""), '@', 0, 0 },
		     { S("@"), '@', 0, 0 },
		     { S("a\0b"), '\0', 1, 1 } };
	static const struct {
		struct str s, needle;
		size_t at;
	} searches[] = { { S("one two two"), S("two"), 4 },
			 { S("one"), S("two"), 3 },
			 { S("one"), S("one and more"), 3 },
			 { S(""), S("x"), 0 },
			 { S("a\r\n\r\nb"), S("\r\n\r\n"), 1 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(str_find(rows[i].s, rows[i].c), rows[i].first);
		assert_int_equal(str_rfind(rows[i].s, rows[i].c), rows[i].last);
	}
	for (size_t i = 0; i < COUNT(searches); i++)
		assert_int_equal(str_search(searches[i].s, searches[i].needle), searches[i].at);
	assert_int_equal(str_find(NOTHING, 'x'), 0);
}

static void test_parts(void **state)
{
	assert_str(str_from(S("abc"), 1), S("bc"));
	assert_str(str_from(S("abc"), 3), S(""));
	assert_str(str_from(S("abc"), 4), S(""));
	assert_str(str_from(NOTHING, 1), S(""));
	assert_str(str_head(S("abc"), 2), S("ab"));
	assert_str(str_head(S("abc"), 4), S("abc"));
	assert_str(str_of("abc"), S("abc"));
	assert_str(str_of(NULL), S(""));
	assert_str(str_trim(S(" \t\r\na b\n ")), S("a b"));
	assert_str(str_trim(S("  ")), S(""));
	assert_str(str_trim(S("\v")), S("\v"));
}

static void test_split(void **state)
{
	static const struct {
		struct str whole;
		const char *parts[5];
	} rows[] = {
		{ S("a,,b"), { "a", "", "b" } },
		{ S(""), { NULL } },
		{ S("a"), { "a" } },
		{ S(","), { "" } },
		{ S("a,"), { "a" } },
		{ S(",a"), { "", "a" } },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str rest = rows[i].whole, part;
		size_t n = 0;

		while (str_split(&rest, ',', &part)) {
			assert_non_null(rows[i].parts[n]);
			assert_str(part, str_of(rows[i].parts[n]));
			n++;
		}
		assert_null(rows[i].parts[n]);
		assert_false(str_split(&rest, ',', &part));
	}
}

static void test_numbers(void **state)
{
	static const struct {
		struct str s;
		bool good;
		uint64_t value;
	} rows[] = {
		{ S("0"), true, 0 },
		{ S("007"), true, 7 },
		{ S("18446744073709551615"), true, UINT64_MAX },
		{ S("18446744073709551616"), false, 0 },
		{ S("99999999999999999999"), false, 0 },
		{ S(""), false, 0 },
		{ S("-1"), false, 0 },
		{ S("+1"), false, 0 },
		{ S(" 1"), false, 0 },
		{ S("1 "), false, 0 },
		{ S("0x1"), false, 0 },
		{ S("1\0"), false, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 0;

		assert_int_equal(str_to_u64(rows[i].s, &value), rows[i].good);
		if (rows[i].good)
			assert_true(value == rows[i].value);
	}
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(str_distance(S("gmail"), S("Gmail")), 0);
	assert_int_equal(str_distance(S("gmail"), S("gmial")), 1);
	assert_int_equal(str_distance(S("gmail"), S("gmai")), 1);
	assert_int_equal(str_distance(S("gmail"), S("gmx")), 3);
	assert_int_equal(str_distance(S(""), S("gmx")), 3);
	assert_int_equal(str_distance(S("0123456789012345678901234567890123456789x"), S("gmx")), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),  cmocka_unit_test(test_ends),  cmocka_unit_test(test_find),
		cmocka_unit_test(test_parts),    cmocka_unit_test(test_split), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
