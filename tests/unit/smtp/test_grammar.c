/* test_grammar.c - addresses, paths, dates, base 64. */
#include "unit.h"

#include "../../../src/smtp/grammar.h"

#include "posthouse/address.h"
#include "posthouse/base64.h"
#include "posthouse/date.h"

#define TEXT_200                                                                                                                 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                   \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define UMLAUTS_7  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
#define UMLAUTS_63 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7 UMLAUTS_7

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
		{ S("a@" UMLAUTS_63), false, true },
		{ S("a@" UMLAUTS_63 "a"), false, false },
		{ S("\xff@example.org"), false, false },
		{ S("\xc0\x80@example.org"), false, false },
		{ S("\xed\xa0\x80@example.org"), false, false },
		{ S("\xc3"), false, false },
		{ S(""), false, false },
		{ S("a"), false, false },
		{ S("@b"), false, false },
		{ S("a@"), false, false },
		{ S("a@@b"), false, false },
		{ S(".a@b"), true, true },
		{ S("a.@b"), true, true },
		{ S("a..b@c"), true, true },
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
	assert_true(str_eq(address_domain(S("\"a@b\"@c.example")), S("c.example")));
	assert_true(str_eq(address_domain(S("a")), S("")));
	assert_true(str_eq(address_domain(S("")), S("")));
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
		{ S("a@b\tSIZE=1"), true, S("a@b"), S("\tSIZE=1") },
		{ S("<a@b>\tSIZE=1"), true, S("a@b"), S("\tSIZE=1") },
		{ S("<alice>"), true, S("alice"), S("") },
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

static void test_dates(void **state)
{
	static const struct {
		struct str text;
		uint64_t ms;
	} rows[] = {
		{ S("1970-01-01T00:00:00Z"), 0 },
		{ S("1970-01-01T00:00:00.25Z"), 250 },
		{ S("1970-01-01t00:00:01.999999z"), 1999 },
		{ S("2000-02-29T12:00:00Z"), 951825600000 },
		{ S("2026-11-21T22:55:17Z"), 1795301717000 },
		{ S("2026-11-21T23:55:17+01:00"), 1795301717000 },
		{ S("2026-11-21T17:25:17-05:30"), 1795301717000 },
		{ S("2016-12-31T23:59:60Z"), 1483228800000 },
		{ S("9999-12-31T23:59:59Z"), 253402300799000 },
	};
	static const struct str bad[] = {
		{ "", 0 },
		{ "2026", 4 },
		{ "2026-11-21", 10 },
		{ "2026-11-21T22:55:17", 19 },
		{ "2026-11-21 22:55:17Z", 20 },
		{ "2026-11-21T22:55Z", 17 },
		{ "2026-11-21T22:55:17.Z", 21 },
		{ "2026-11-21T22:55:17ZZ", 21 },
		{ "2026-11-21T22:55:17+0100", 24 },
		{ "2026-11-21T22:55:17+24:00", 25 },
		{ "2026-11-21T22:55:17*01:00", 25 },
		{ "2026-13-21T22:55:17Z", 20 },
		{ "2026-00-21T22:55:17Z", 20 },
		{ "2026-02-29T22:55:17Z", 20 },
		{ "2100-02-29T22:55:17Z", 20 },
		{ "2026-11-31T22:55:17Z", 20 },
		{ "2026-11-00T22:55:17Z", 20 },
		{ "2026-11-21T24:00:00Z", 20 },
		{ "2026-11-21T22:60:00Z", 20 },
		{ "2026-11-21T22:55:61Z", 20 },
		{ "1969-12-31T23:59:59Z", 20 },
		{ "1970-01-01T00:00:00+00:01", 25 },
		{ "-026-11-21T22:55:17Z", 20 },
	};
	struct buf b;
	uint64_t ms;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!date_parse(rows[i].text, &ms) || ms != rows[i].ms)
			fail_msg("row %zu: \"%.*s\": %llu", i, STR_ARG(rows[i].text), (unsigned long long)ms);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (date_parse(bad[i], &ms))
			fail_msg("taken: \"%.*s\"", STR_ARG(bad[i]));
	buf_init(&b, 100);
	for (uint64_t day = 0; day < 150000; day += 13) { /* what is written is read as what it was */
		buf_clear(&b);
		date_add(&b, (day * 86400 + day % 86400) * 1000);
		assert_true(date_parse(buf_view(&b), &ms));
		assert_true(ms == (day * 86400 + day % 86400) * 1000);
	}
	buf_fini(&b);
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
	static const struct {
		struct str plain, coded;
	} unpadded[] = {
		{ S("f"), S("Zg") },        { S("f"), S("Zg=") },         { S("fo"), S("Zm8") },
		{ S("foob"), S("Zm9vYg") }, { S("fooba"), S("Zm9vYmE") },
	};
	static const struct str bad[] = {
		{ "Z", 1 },    { "Z=", 2 },   { "Zm9vZ", 5 }, { "Zm9v=", 5 }, { "Zm8==", 5 },    { "Zh", 2 },    { "Zh==", 4 },
		{ "Zm9=", 4 }, { "Z===", 4 }, { "====", 4 },  { "Zm 9", 4 },  { "Zg==Zg==", 8 }, { "Zm\0v", 4 },
	};
	char to[64];
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;

		buf_init(&b, 64);
		assert_true(base64_add(&b, rows[i].plain));
		assert_true(str_eq(buf_view(&b), rows[i].coded));
		buf_fini(&b);
		assert_true(base64_decode_unpadded(to, rows[i].coded, &n));
		assert_true(str_eq(str_make(to, n), rows[i].plain));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (base64_decode_unpadded(to, bad[i], &n))
			fail_msg("taken: \"%.*s\"", STR_ARG(bad[i]));
	for (size_t i = 0; i < sizeof(unpadded) / sizeof(unpadded[0]); i++)
		assert_true(base64_decode_unpadded(to, unpadded[i].coded, &n) && str_eq(str_make(to, n), unpadded[i].plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_domain), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_dates),     cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
