/* test_json.c - which members of a JSON object are taken, and as what text. */
#include "unit.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>

/* "name=value;" of each member that is read. */
static void assert_members(struct str text, const char *expected)
{
	struct json j;
	char got[1024] = "";

	json_read(&j, text);
	for (size_t i = 0; i < j.n; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s=%.*s;", STR_ARG(j.fields[i].name),
			 STR_ARG(j.fields[i].value));
	assert_string_equal(got, expected);
	json_fini(&j);
}

static void test_members(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "{\"access_token\":\"a.b-c\",\"expires_in\":3599,\"scope\":\"\"}",
		  "access_token=a.b-c;expires_in=3599;scope=;" },
		{ " {\"t\" : true, \"f\":false,\"n\":null,\"a\":[\"x\"],\"o\":{\"x\":1}}\r\n", "t=true;f=false;" },
		{ "{\"r\":3599.0,\"h\":0.5,\"m\":-1,\"z\":0,\"big\":9007199254740992}",
		  "r=3599;h=0.5;m=-1;z=0;big=9007199254740992;" },
		{ "{\"id\":123456789012345678901234567890,\"x\":\"y\"}", "id=1.2345678901234568e+29;x=y;" },
		{ "{\"u\":\"\\u00e9\\ud83d\\ude00\\\"\\/\\n\"}", "u=\xC3\xA9\xF0\x9F\x98\x80\"/\n;" },
		{ "\xEF\xBB\xBF{\"a\":\"b\"}", "a=b;" },
		{ "{}", "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_members(str_of(rows[i].text), rows[i].expected);
}

static void test_what_is_no_object(void **state)
{
	static const char *const rows[] = {
		"",
		"null",
		"[{\"a\":\"b\"}]",
		"\"a\"",
		"<html>",
		"{\"a\":\"b\"",
		"{\"a\":\"b\"} x",
		"{a:\"b\"}",
		"{\"a\":'b'}",
		"{\"a\":\"1\",\"a\":\"2\"}",
		"{\"a\":\"\xFF\"}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"b\\u0000\"}",
		"{\"a\\u0000\":\"b\"}",
		"{\"a\":1e999}",
		"access_token=x&expires_in=1",
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_members(str_of(rows[i]), "");
	assert_members(S("{\"a\":\"b\"}\0"), "");
}

/* An object with `n` members, of which each value has `size` bytes. */
static void assert_taken(size_t n, size_t size, size_t expected)
{
	struct arena a = { 0 };
	struct str value = str_make(memset(arena_alloc(&a, size + 1), 'v', size), size), text = S("{");
	struct json j;

	for (size_t i = 0; i < n; i++)
		text = arena_printf(&a, "%.*s%s\"m%zu\":\"%.*s\"", STR_ARG(text), i ? "," : "", i, STR_ARG(value));
	text = arena_printf(&a, "%.*s}", STR_ARG(text));
	json_read(&j, text);
	assert_int_equal(j.n, expected);
	json_fini(&j);
	arena_fini(&a);
}

static void test_limits(void **state)
{
	assert_taken(JSON_MEMBERS_MAX, 8, JSON_MEMBERS_MAX);
	assert_taken(JSON_MEMBERS_MAX + 1, 8, JSON_MEMBERS_MAX);
	assert_taken(2, JSON_VALUE_MAX, 2);
	assert_taken(2, JSON_VALUE_MAX + 1, 0);
}

/* jansson refuses what is nested more deeply than 2048. */
static void test_deep_nesting(void **state)
{
	static char deep[60000];

	memset(deep, '[', sizeof deep);
	memcpy(deep, "{\"a\":", 5);
	assert_members(str_make(deep, sizeof deep), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_deep_nesting),
	};

	json_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
