/* test_grammar.c - addresses, paths, parameters, base 64. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/smtp/base64.h"
#include "../../../src/smtp/grammar.h"

#define TEXT_200                                                                                                                 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                   \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_addresses(void **state)
{
	static const struct {
		struct str address;
		bool ascii, utf8;
	} rows[] = {
		{ S("a@b"), true, true },
		{ S("alice.b+tag@example.org"), true, true },
		{ S("!#$%&'*+-/=?^_`{|}~@example.org"), true, true },
		{ S("\"a b@c\"@example.org"), true, true },
		{ S("\"a\\\"b\"@example.org"), true, true },
		{ S("\"\"@example.org"), true, true },
		{ S("a@_dmarc.example.org"), true, true },
		{ S("a@[192.0.2.1]"), true, true },
		{ S("a@[IPv6:2001:db8::1]"), true, true },
		{ S("a@[ipv6:::1]"), true, true },
		{ S("a@[IPv6:::]"), true, true },
		{ S("a@[IPv6:1:2:3:4:5:6:7:8]"), true, true },
		{ S("a@[IPv6:::ffff:192.0.2.1]"), true, true },
		{ S(TEXT_200 "@example.org"), true, true },
		{ S(TEXT_200 TEXT_200 "@example.org"), false, false },
		{ S("a@" TEXT_200), false, false },
		{ S("\xc3\xa4@example.org"), false, true },
		{ S("a@b\xc3\xbc"
		    "cher.example"),
		  false, true },
		{ S("\"\xc3\xa4\"@example.org"), false, true },
		{ S("\xff@example.org"), false, false },
		{ S("\xc0\x80@example.org"), false, false },
		{ S("\xed\xa0\x80@example.org"), false, false },
		{ S("\xc3"), false, false },
		{ S(""), false, false },
		{ S("a"), false, false },
		{ S("@b"), false, false },
		{ S("a@"), false, false },
		{ S("a@@b"), false, false },
		{ S(".a@b"), false, false },
		{ S("a.@b"), false, false },
		{ S("a..b@c"), false, false },
		{ S("a b@c"), false, false },
		{ S("a\r@c"), false, false },
		{ S("a\0b@c"), false, false },
		{ S("a<b@c"), false, false },
		{ S("\"a@b"), false, false },
		{ S("\"\\\"@b"), false, false },
		{ S("\"a\"b@c"), false, false },
		{ S("\"a\"b\"@c"), false, false },
		{ S("a@b."), false, false },
		{ S("a@.b"), false, false },
		{ S("a@b..c"), false, false },
		{ S("a@-b"), false, false },
		{ S("a@b-"), false, false },
		{ S("a@b-.c"), false, false },
		{ S("a@b c"), false, false },
		{ S("a@["), false, false },
		{ S("a@[]"), false, false },
		{ S("a@[1.2.3]"), false, false },
		{ S("a@[1.2.3.256]"), false, false },
		{ S("a@[1.2.3.4.]"), false, false },
		{ S("a@[IPv6:1:2:3]"), false, false },
		{ S("a@[IPv6:1::2::3]"), false, false },
		{ S("a@[IPv6::1]"), false, false },
		{ S("a@[IPv6:1:]"), false, false },
		{ S("a@[IPv6:12345::]"), false, false },
		{ S("a@[2001:db8::1]"), false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (smtp_address_valid(rows[i].address, false) != rows[i].ascii)
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].address));
		if (smtp_address_valid(rows[i].address, true) != rows[i].utf8)
			fail_msg("row %zu (UTF-8): \"%.*s\"", i, STR_ARG(rows[i].address));
	}
}

static void test_domain(void **state)
{
	assert_true(str_eq(smtp_address_domain(S("\"a@b\"@c.example")), S("c.example")));
	assert_true(str_eq(smtp_address_domain(S("a")), S("")));
	assert_true(str_eq(smtp_address_domain(S("")), S("")));
}

static void test_paths(void **state)
{
	static const struct {
		struct str argument;
		bool good;
		struct str address, rest;
	} rows[] = {
		{ S("<a@b>"), true, S("a@b"), S("") },
		{ S("<a@b> SIZE=1"), true, S("a@b"), S(" SIZE=1") },
		{ S("< a@b >"), true, S("a@b"), S("") },
		{ S("a@b SIZE=1"), true, S("a@b"), S(" SIZE=1") },
		{ S("<>"), true, S(""), S("") },
		{ S("<> BODY=7BIT"), true, S(""), S(" BODY=7BIT") },
		{ S("<@c,@d:a@b>"), true, S("a@b"), S("") },
		{ S("<\"x>\\\" y\"@b> Z"), true, S("\"x>\\\" y\"@b"), S(" Z") },
		{ S("\"x y\"@b Z"), true, S("\"x y\"@b"), S(" Z") },
		{ S("<a@b>SIZE=1"), false, S(""), S("") },
		{ S("<a@b"), false, S(""), S("") },
		{ S("<\"a@b>"), false, S(""), S("") },
		{ S("<"), false, S(""), S("") },
		{ S(""), false, S(""), S("") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str address, rest;
		bool good = smtp_parse_path(rows[i].argument, &address, &rest);

		if (good != rows[i].good || (good && (!str_eq(address, rows[i].address) || !str_eq(rest, rows[i].rest))))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].argument));
	}
}

static void test_mail_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code;
		uint64_t size;
		unsigned body;
	} rows[] = {
		{ S(""), 0, 0, BODY_7BIT },
		{ S(" SIZE=0"), 0, 0, BODY_7BIT },
		{ S("  size=12  body=8bitmime "), 0, 12, BODY_8BITMIME },
		{ S(" BODY=7BIT AUTH=<>"), 0, 0, BODY_7BIT },
		{ S(" AUTH=e+3Dmc2@example.com"), 0, 0, BODY_7BIT },
		{ S(" SIZE=99999999999999999999"), 0, UINT64_MAX, BODY_7BIT },
		{ S(" SIZE"), 501, 0, 0 },
		{ S(" SIZE="), 501, 0, 0 },
		{ S(" SIZE=-1"), 501, 0, 0 },
		{ S(" SIZE=1x"), 501, 0, 0 },
		{ S(" SIZE=999999999999999999999"), 501, 0, 0 },
		{ S(" BODY=BINARYMIME"), 501, 0, 0 },
		{ S(" BODY"), 501, 0, 0 },
		{ S(" AUTH="), 501, 0, 0 },
		{ S(" AUTH=a+3"), 501, 0, 0 },
		{ S(" AUTH=a+zz"), 501, 0, 0 },
		{ S(" SIZE=1 SIZE=1"), 501, 0, 0 },
		{ S(" SMTPUTF8"), 555, 0, 0 },
		{ S(" RET=FULL"), 555, 0, 0 },
		{ S(" ="), 555, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail_params p;
		struct verdict v = smtp_mail_params(rows[i].rest, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.size != rows[i].size || p.body != rows[i].body)))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
}

static void test_base64(void **state)
{
	static const struct {
		struct str plain, coded;
	} rows[] = {
		{ S(""), S("") },
		{ S("f"), S("Zg==") },
		{ S("fo"), S("Zm8=") },
		{ S("foo"), S("Zm9v") },
		{ S("foob"), S("Zm9vYg==") },
		{ S("\xff\xfe\0"), S("//4A") },
		{ S("\xfb\xef\xbe"), S("++++") },
	};
	static const struct str bad[] = {
		{ "Z", 1 },    { "Zg", 2 },   { "Zg=", 3 },  { "Zh==", 4 },     { "Zm9=", 4 },
		{ "Z===", 4 }, { "====", 4 }, { "Zm 9", 4 }, { "Zg==Zg==", 8 }, { "Zm\0v", 4 },
	};
	char to[64];
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;

		buf_init(&b, 64);
		assert_true(smtp_base64_add(&b, rows[i].plain));
		assert_true(str_eq(buf_view(&b), rows[i].coded));
		buf_fini(&b);
		assert_true(smtp_base64_decode(to, rows[i].coded, &n));
		assert_true(str_eq(str_make(to, n), rows[i].plain));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (smtp_base64_decode(to, bad[i], &n))
			fail_msg("taken: \"%.*s\"", STR_ARG(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_domain), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_mail_params), cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
