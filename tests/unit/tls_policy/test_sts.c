/* test_sts.c - what is read of MTA-STS: the TXT record, the policy, and which hosts it names. */
#include "posthouse/tls_policy.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static struct arena arena;

static void assert_why(struct str why, const char *part)
{
	if (part[0] == '\0' ? why.n > 0 : str_search(why, str_of(part)) == why.n)
		fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(why), part);
}

static void records(void **state)
{
	static const struct {
		const char *text, *id, *why;
	} rows[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z", "" },
		{ "v=STSv1;id=1", "1", "" },
		{ "v=STSv1 ;\tid=1 ; ", "1", "" },
		{ "v=STSv1; future=x; id=abc; more.of-it=1", "abc", "" },
		{ "v=STSv1; id=first; id=second", "first", "" },
		{ "v=STSv1; id=abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345", "" },
		{ "v=STSv1; id=abcdefghijklmnopqrstuvwxyz0123456", "", "1 to 32" },
		{ "v=STSv1; id=", "", "1 to 32" },
		{ "v=STSv1; id=a-b", "", "1 to 32" },
		{ "v=STSv1; id=a b", "", "1 to 32" },
		{ "v=STSv1;", "", "no id" },
		{ "v=STSv1", "", "no id" },
		{ "v=STSv1; ID=1", "", "no id" },
		{ "v=STSv1; id", "", "not name=value" },
		{ "v=STSv1; =1; id=1", "", "not name=value" },
		{ "v=STSv1; x=a=b; id=1", "", "characters" },
		{ "v=STSv2; id=1", "", "does not begin" },
		{ "v=STSv12; id=1", "", "does not begin" },
		{ "id=1; v=STSv1", "", "does not begin" },
		{ " v=STSv1; id=1", "", "does not begin" },
		{ "v=stsv1; id=1", "", "does not begin" },
		{ "", "", "does not begin" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str id, why = sts_record_read(&arena, str_of(rows[i].text), &id);

		assert_why(why, rows[i].why);
		assert_true(str_eq(id, str_of(rows[i].id)));
	}
}

/* RFC 8461 3.1: others are discarded, and one has to be left. */
static void one_of_several(void **state)
{
	struct str spf = S("v=spf1 -all"), good = S("v=STSv1; id=1"), bad = S("v=STSv1; id=?");
	struct {
		struct str at[3];
		size_t n;
		const char *why;
	} rows[] = {
		{ { { 0 } }, 0, "there is no" },  { { spf }, 1, "there is no" },        { { spf, good }, 2, "" },
		{ { good, good }, 2, "several" }, { { good, spf, bad }, 3, "several" }, { { bad }, 1, "1 to 32" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str id, why = sts_record_choose(&arena, &(struct str_list){ rows[i].at, rows[i].n }, &id);

		assert_why(why, rows[i].why);
		assert_int_equal(id.n, rows[i].why[0] == '\0');
	}
}

static void policies(void **state)
{
	static const struct {
		const char *text, *why;
		enum sts_mode mode;
		uint64_t max_age_s;
		size_t mx;
	} rows[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n", "",
		  STS_ENFORCE, 604800, 2 },
		{ "version:STSv1\nmode:testing\nmx:a.example\nmax_age:1", "", STS_TESTING, 1, 1 },
		{ "max_age: 86400  \nmx: a.example\t\nmode: enforce \r\nversion: STSv1\n\n", "", STS_ENFORCE, 86400, 1 },
		{ "version: STSv1\nmode: none\nmax_age: 0\n", "", STS_NONE, 0, 0 },
		{ "version: STSv1\nmode: enforce\nnew_field: a: b \xc3\xbc\nmx: a\nmax_age: 9999999999\n", "", STS_ENFORCE,
		  STS_MAX_AGE_S, 1 },
		{ "version: STSv1\nmode: enforce\nmode: none\nmx: a\nmax_age: 5\nmax_age: x\nversion: 2\n", "", STS_ENFORCE, 5,
		  1 },
		{ "version: STSv1\nmode: enforce\nmx: MAIL.Example.com.\nmax_age: 5\n", "", STS_ENFORCE, 5, 1 },
		{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: 99999999999\n", "max_age", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n", "max_age", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a\nmax_age:\n", "max_age", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a\n", "no max_age", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmax_age: 5\n", "no mx", 0, 0, 0 },
		{ "version: STSv1\nmx: a\nmax_age: 5\n", "no mode", 0, 0, 0 },
		{ "mode: enforce\nmx: a\nmax_age: 5\n", "no version", 0, 0, 0 },
		{ "version: STSv2\nmode: enforce\nmx: a\nmax_age: 5\n", "not STSv1", 0, 0, 0 },
		{ "Version: STSv1\nmode: enforce\nmx: a\nmax_age: 5\n", "no version", 0, 0, 0 },
		{ "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 5\n", "its mode", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: *\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: .example.com\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a..\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: b\xc3\xbc\x63her.example\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5\n", "its mx", 0, 0, 0 },
		{ "version: STSv1\rmode: enforce\rmx: a\rmax_age: 5\r", "characters", 0, 0, 0 },
		{ "version: STSv1\nx: \xff\nmode: enforce\nmx: a\nmax_age: 5\n", "characters", 0, 0, 0 },
		{ "<!DOCTYPE html>\n<p>version: STSv1\n", "name: value", 0, 0, 0 },
		{ "", "no version", 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sts_policy p;

		assert_why(sts_policy_read(&arena, str_of(rows[i].text), &p), rows[i].why);
		assert_int_equal(p.mode, rows[i].mode);
		assert_int_equal(p.max_age_s, rows[i].max_age_s);
		assert_int_equal(p.mx.n, rows[i].mx);
	}
}

static void limits(void **state)
{
	struct str text = S("version: STSv1\nmode: enforce\nmax_age: 5\n");
	struct sts_policy p;
	char *large = calloc(1, STS_POLICY_MAX + 1);

	assert_non_null(large);
	for (size_t i = 0; i < STS_MX_MAX; i++)
		text = arena_printf(&arena, "%.*smx: m%zu.example\n", STR_ARG(text), i);
	assert_why(sts_policy_read(&arena, text, &p), "");
	assert_int_equal(p.mx.n, STS_MX_MAX);
	assert_why(sts_policy_read(&arena, arena_printf(&arena, "%.*smx: a\n", STR_ARG(text)), &p), "too many");
	memset(large, '\n', STS_POLICY_MAX + 1);
	memcpy(large, text.p, 4000);
	memset(large + 4000, '\n', 100);
	assert_why(sts_policy_read(&arena, str_make(large, STS_POLICY_MAX + 1), &p), "larger");
	free(large);
}

/* RFC 8461 4.1 */
static void hosts(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool fits;
	} rows[] = {
		{ "mail.example.com", "mail.example.com", true },
		{ "mail.example.com", "MAIL.Example.COM.", true },
		{ "mail.example.com", "example.com", false },
		{ "mail.example.com", "x.mail.example.com", false },
		{ "*.example.com", "mail.example.com", true },
		{ "*.example.com", "Mail.EXAMPLE.com", true },
		{ "*.example.com", "example.com", false },
		{ "*.example.com", "foo.bar.example.com", false },
		{ "*.example.com", ".example.com", false },
		{ "*.example.com", "mail.example.comx", false },
		{ "*.example.com", "mailexample.com", false },
		{ "example.com", "", false },
		{ "*.com", "example.com", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str pattern = str_of(rows[i].pattern);
		struct sts_policy p = { .mx = { &pattern, 1 } };

		if (sts_policy_lists(&p, str_of(rows[i].host)) != rows[i].fits)
			fail_msg("%s and %s", rows[i].pattern, rows[i].host);
	}
}

static int forget(void **state)
{
	arena_fini(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(records), cmocka_unit_test(one_of_several),
					    cmocka_unit_test(policies), cmocka_unit_test(limits), cmocka_unit_test(hosts) };

	return cmocka_run_group_tests_name("MTA-STS", tests, NULL, forget);
}
