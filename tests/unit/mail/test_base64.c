/* test_base64.c - RFC 4648, and the small text functions of mail/. */
#include "mail_test.h"

#include "../../../src/mail/text.h"
#include "posthouse/address.h"

#include "posthouse/base64.h"
#include "posthouse/utf8.h"

static const struct {
	struct str bytes, text;
} pairs[] = {
	{ { "", 0 }, { "", 0 } },
	{ { "f", 1 }, { "Zg==", 4 } },
	{ { "fo", 2 }, { "Zm8=", 4 } },
	{ { "foo", 3 }, { "Zm9v", 4 } },
	{ { "foob", 4 }, { "Zm9vYg==", 8 } },
	{ { "fooba", 5 }, { "Zm9vYmE=", 8 } },
	{ { "foobar", 6 }, { "Zm9vYmFy", 8 } },
	{ { "\0\0\0", 3 }, { "AAAA", 4 } },
	{ { "\xff\xfe\xfd", 3 }, { "//79", 4 } },
	{ { "\xfb\xef\xbe", 3 }, { "++++", 4 } },
	{ { "\0alice\0secret", 13 }, { "AGFsaWNlAHNlY3JldA==", 20 } },
};

static void test_both_ways(void **state)
{
	struct arena a = { 0 };
	struct str back;

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct str text = exact(pairs[i].text), bytes = exact(pairs[i].bytes);
		assert_str(base64_encode(&a, bytes), pairs[i].text);
		assert_true(base64_decode(&a, text, &back));
		assert_str(back, pairs[i].bytes);
		exact_free(text);
		exact_free(bytes);
	}
	arena_fini(&a);
}

static void test_refused(void **state)
{
	static const char *const refused[] = { "Z",    "Zg",      "Zg=",     "Zg==\n", "Zg= =", "Z===",     "====",
					       "=",    "Zm9vYg=", "Zh==",    "Zm9=",   " Zg==", "Zg==Zg==", "Zm8=Zm8=",
					       "Zm-_", "Zm9*",    "Zm9\xff", "Zg=a",   "Z=g=" };
	struct arena a = { 0 };
	struct str out;

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		if (base64_decode(&a, str_of(refused[i]), &out))
			fail_msg("\"%s\" was decoded", refused[i]);
	}
	assert_false(base64_decode(&a, S("Zg\0="), &out));
	arena_fini(&a);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "", true },
		{ "abc", true },
		{ "\xc3\xb6", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x93\xae", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xc3", false },
		{ "\xb6", false },
		{ "\xc0\xaf", false },
		{ "\xc1\xbf", false },
		{ "\xe0\x80\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x80\x80\x80", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "\xe2\x82", false },
		{ "\xe2\x28\xa1", false },
		{ "a\xc3"
		  "b",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct str text = exact(str_of(rows[i].text));
		if (utf8_valid(text) != rows[i].want)
			fail_msg("row %zu", i);
		exact_free(text);
	}
}

static void test_clean(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		const char *want, *ascii;
	} rows[] = {
		{ "plain", 100, "plain", "plain" },
		{ "  a \t\r\n b  ", 100, "a b", "a b" },
		{ "a\x01\x1b[31mb\x7f", 100, "a [31mb", "a [31mb" },
		{ "J\xc3\xb6rg", 100, "J\xc3\xb6rg", "J?rg" },
		{ "J\xf6rg", 100, "J\xef\xbf\xbdrg", "J?rg" },
		{ "\xff\xfe\xfd", 100, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "???" },
		{ "a\xc2\x9b"
		  "b",
		  100,
		  "a\xef\xbf\xbd"
		  "b",
		  "a?b" },
		{ "abcdef", 6, "abcdef", "abcdef" },
		{ "abcdefg", 6, "abcdef...", "abcdef..." },
		{ "abcde\xc3\xb6", 6, "abcde...", "abcde?" },
		{ "", 6, "", "" },
		{ "\r\n", 6, "", "" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_str(text_clean(&a, str_of(rows[i].text), rows[i].max), str_of(rows[i].want));
		assert_str(text_clean_ascii(&a, str_of(rows[i].text), rows[i].max), str_of(rows[i].ascii));
	}
	arena_fini(&a);
}

static void test_xtext(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_str(xtext_decode(&a, S("rfc822;a+2Bb+40c")), S("rfc822;a+b@c"));
	assert_str(xtext_decode(&a, S("a+tag@b+2")), S("a+tag@b+2"));
	assert_str(xtext_decode(&a, S("+3D")), S("="));
	assert_str(xtext_decode(&a, S("+3d")), S("+3d"));
	assert_str(xtext_decode(&a, S("")), S(""));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways), cmocka_unit_test(test_refused), cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clean),     cmocka_unit_test(test_xtext),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
