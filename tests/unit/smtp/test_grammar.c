/* test_grammar.c - addresses, paths, parameters, base 64. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/smtp/base64.h"
#include "../../../src/smtp/grammar.h"

#include <stdio.h>

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
		{ S(" NOTIFY=NEVER"), 555, 0, 0 },
		{ S(" ="), 555, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail_params p;
		struct verdict v = smtp_mail_params(rows[i].rest, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.size != rows[i].size || p.body != rows[i].body)))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
}

/* `before` and n times "x". */
static struct str value_of(char *to, size_t size, const char *before, size_t n)
{
	size_t at = (size_t)snprintf(to, size, "%s", before);

	assert_true(at + n <= size);
	memset(to + at, 'x', n);
	return str_make(to, at + n);
}

static void test_dsn_mail_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code, ret;
		struct str envid;
	} rows[] = {
		{ S(" SIZE=1"), 0, RET_UNSET, S("") },
		{ S(" RET=FULL"), 0, RET_FULL, S("") },
		{ S(" ret=hdrs envid=QQ+2B1+20+7E"), 0, RET_HDRS, S("QQ+2B1+20+7E") },
		{ S(" ENVID=<a@b>;x,y"), 0, RET_UNSET, S("<a@b>;x,y") },
		{ S(" RET"), 501, 0, S("") },
		{ S(" RET="), 501, 0, S("") },
		{ S(" RET=FULLY"), 501, 0, S("") },
		{ S(" RET=FULL,HDRS"), 501, 0, S("") },
		{ S(" RET=FULL RET=FULL"), 501, 0, S("") },
		{ S(" ENVID"), 501, 0, S("") },
		{ S(" ENVID="), 501, 0, S("") },
		{ S(" ENVID=a=b"), 501, 0, S("") },
		{ S(" ENVID=a+"), 501, 0, S("") },
		{ S(" ENVID=a+2b"), 501, 0, S("") },
		{ S(" ENVID=a+1F"), 501, 0, S("") },
		{ S(" ENVID=a+7F"), 501, 0, S("") },
		{ S(" ENVID=a+80"), 501, 0, S("") },
		{ S(" ENVID=a+C3+A9"), 501, 0, S("") },
		{ S(" ENVID=\xc3\xa9"), 501, 0, S("") },
	};
	struct smtp_mail_params p;
	char text[700];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = smtp_mail_params(rows[i].rest, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.ret != rows[i].ret || !str_eq(p.envid, rows[i].envid))))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
	assert_int_equal(smtp_mail_params(value_of(text, sizeof(text), "ENVID=", 100), &p).class, OK);
	assert_int_equal(smtp_mail_params(value_of(text, sizeof(text), "ENVID=", 101), &p).code, 501);
}

static void test_rcpt_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code, notify;
		struct str orcpt;
	} rows[] = {
		{ S(""), 0, 0, S("") },
		{ S(" NOTIFY=NEVER"), 0, NOTIFY_NEVER, S("") },
		{ S(" NOTIFY=SUCCESS"), 0, NOTIFY_SUCCESS, S("") },
		{ S(" notify=Failure,DELAY"), 0, NOTIFY_FAILURE | NOTIFY_DELAY, S("") },
		{ S(" NOTIFY=DELAY,SUCCESS,FAILURE"), 0, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, S("") },
		{ S(" ORCPT=rfc822;Bob+2Bx@example.net NOTIFY=DELAY"), 0, NOTIFY_DELAY, S("rfc822;Bob+2Bx@example.net") },
		{ S(" ORCPT=utf-8;b\\x{F6}b@example.net"), 0, 0, S("utf-8;b\\x{F6}b@example.net") },
		{ S(" NOTIFY"), 501, 0, S("") },
		{ S(" NOTIFY="), 501, 0, S("") },
		{ S(" NOTIFY=NEVER,DELAY"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY,NEVER"), 501, 0, S("") },
		{ S(" NOTIFY=,DELAY"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY,"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY;SUCCESS"), 501, 0, S("") },
		{ S(" NOTIFY=NONE"), 501, 0, S("") },
		{ S(" NOTIFY=NEVER NOTIFY=NEVER"), 501, 0, S("") },
		{ S(" ORCPT"), 501, 0, S("") },
		{ S(" ORCPT="), 501, 0, S("") },
		{ S(" ORCPT=bob@example.net"), 501, 0, S("") },
		{ S(" ORCPT=;bob@example.net"), 501, 0, S("") },
		{ S(" ORCPT=rfc822;"), 501, 0, S("") },
		{ S(" ORCPT=rfc<822;bob@example.net"), 501, 0, S("") },
		{ S(" ORCPT=rfc822;bob=bob@example.net"), 501, 0, S("") },
		{ S(" ORCPT=rfc822;bob+0D+0A@example.net"), 501, 0, S("") },
		{ S(" ORCPT=rfc822;b\xc3\xb6y@example.net"), 501, 0, S("") },
		{ S(" RET=FULL"), 555, 0, S("") },
		{ S(" SIZE=1"), 555, 0, S("") },
	};
	struct smtp_rcpt_params p;
	char text[700];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = smtp_rcpt_params(rows[i].rest, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.notify != rows[i].notify || !str_eq(p.orcpt, rows[i].orcpt))))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
	assert_int_equal(smtp_rcpt_params(value_of(text, sizeof(text), "ORCPT=rfc822;", 493), &p).class, OK);
	assert_int_equal(smtp_rcpt_params(value_of(text, sizeof(text), "ORCPT=rfc822;", 494), &p).code, 501);
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
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_domain),          cmocka_unit_test(test_paths),
		cmocka_unit_test(test_mail_params), cmocka_unit_test(test_dsn_mail_params), cmocka_unit_test(test_rcpt_params),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
