/* test_wire.c - answers as bytes: good ones, and what a hostile server may send. */
#include "unit.h"

#include "posthouse/dns.h"

#include <stdlib.h>

/* id, flags (answer, recursion), one question, n answers, no more */
#define HEAD(flags, answers) "\x12\x34" flags "\0\1\0" answers "\0\0\0\0"
#define ASKED_MX             "\4test\0\0\17\0\1" /* at 12; the first answer begins at 22 */
#define MX_RECORD(data)      "\xc0\x0c\0\17\0\1\0\0\1\x2c" data

static struct str bytes(const char *p, size_t n)
{
	return str_make(p, n);
}
#define B(literal) bytes((literal), sizeof(literal) - 1)

static void test_good(void **state)
{
	struct arena a = { 0 };
	struct dns_answer answer;
	struct dns_record *records;
	struct str packet = B(HEAD("\x81\x80", "\4") ASKED_MX MX_RECORD("\0\7\0\12\2M1\xc0\x0c")
				      MX_RECORD("\0\3\0\0\0") "\1X\xc0\x0c\0\1\0\1\0\0\0\0\0\4\300\0\2\1"
							      "\5a.b\0\xff\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x0c");

	assert_true(dns_parse(&a, packet, &answer));
	assert_int_equal(answer.rcode, 0);
	assert_int_equal(answer.n, 4);
	assert_false(answer.referral);
	records = answer.records;
	assert_int_equal(records[0].type, DNS_MX);
	assert_int_equal(records[0].class, 1);
	assert_int_equal(records[0].ttl, 300);
	assert_int_equal(records[0].preference, 10);
	assert_true(str_eq(records[0].owner, S("test")));
	assert_true(str_eq(records[0].name, S("m1.test")));
	assert_true(str_eq(records[1].name, S("")));
	assert_true(str_eq(records[2].owner, S("x.test")));
	assert_true(str_eq(records[2].data, B("\300\0\2\1")));
	assert_true(str_eq(records[3].owner, S("a\\046b\\000\\255.test")));
	assert_true(str_eq(records[3].name, S("test")));

	assert_true(dns_parse(&a, B("\0\0\x81\x83\0\0\0\0\0\0\0\1"), &answer)); /* NXDOMAIN; additional records are not read */
	assert_int_equal(answer.rcode, 3);
	assert_int_equal(answer.n, 0);
	assert_true(dns_parse(&a, B("\0\0\x80\0\0\0\0\0\0\1\0\0\0\0\2\0\1\0\0\0\0\0\1\0"), &answer)); /* NS only */
	assert_true(answer.referral);
	assert_true(dns_parse(&a, B("\0\0\x80\0\0\0\0\0\0\1\0\0\0\0\6\0\1\0\0\0\0\0\1\0"), &answer)); /* SOA */
	assert_false(answer.referral);
	arena_fini(&a);
}

/* Each is malformed, and so is each of its beginnings. */
static void test_bad(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
#define BAD(literal) { (literal), sizeof(literal) - 1 }
		BAD(""),
		BAD(HEAD("\x01\x00", "\0") ASKED_MX),                  /* a question */
		BAD(HEAD("\x89\x80", "\0") ASKED_MX),                  /* another opcode */
		BAD(HEAD("\x83\x80", "\0") ASKED_MX),                  /* truncated */
		BAD("\0\0\x81\x80\0\2\0\0\0\0\0\0" ASKED_MX ASKED_MX), /* two questions */
		BAD("\0\0\x81\x80\0\1\xff\xff\0\0\0\0" ASKED_MX),      /* too many answers */
		BAD("\0\0\x80\0\0\0\0\0\0\1\0\0"),                     /* an authority record that is not there */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX),                  /* none that was announced */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\7\0\12\xc0\x26\1a\0")),        /* forward pointer */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\4\0\12\xc0\x24")),             /* to itself */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\6\0\12\1a\xc0\x24")),          /* in a circle */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\4\0\12\x40\x0c")),             /* a label type of old */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\5\0\12\xc0\x0c\0")),           /* longer than its name */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\3\0\12\xc0\x0c")),             /* shorter */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX MX_RECORD("\0\x09\0\12\xc0\x0c")),           /* past the end */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX "\xc0\x0c\0\1\0\1\0\0\0\0\0\5\300\0\2\1\0"), /* A of 5 octets */
		BAD(HEAD("\x81\x80", "\1") ASKED_MX "\xc0\x0c\0\34\0\1\0\0\0\0\0\4\300\0\2\1"),  /* AAAA of 4 */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t cut = 0; cut <= bad[i].n; cut++) {
			struct arena a = { 0 };
			struct dns_answer answer;
			char *copy = xmalloc(cut ? cut : 1); /* the sanitizer sees a byte too many */

			memcpy(copy, bad[i].p, cut);
			if (dns_parse(&a, str_make(copy, cut), &answer))
				fail_msg("row %zu, %zu bytes", i, cut);
			free(copy);
			arena_fini(&a);
		}
}

/* A name of 255 octets is the longest (RFC 1035 3.1). */
static void test_long_names(void **state)
{
	struct arena a = { 0 };
	struct dns_answer answer;
	char packet[400] = "\0\0\x80\0\0\1\0\0\0\0\0";
	size_t at;

	for (unsigned last = 61; last <= 62; last++) {
		at = 12;
		for (unsigned i = 0; i < 4; i++) {
			unsigned length = i < 3 ? 63 : last;

			packet[at++] = (char)length;
			memset(packet + at, 'a', length);
			at += length;
		}
		memcpy(packet + at, "\0\0\17\0\1", 5);
		assert_int_equal(dns_parse(&a, str_make(packet, at + 5), &answer), last == 61);
	}
	arena_fini(&a);
}

static void test_texts(void **state)
{
	static const struct {
		struct dns_record record;
		const char *text;
	} rows[] = {
		{ { .type = DNS_A, .data = { "\313\0\161\031", 4 } }, "203.0.113.25" },
		{ { .type = DNS_AAAA, .data = { " \001\r\270\0\0\0\0\0\0\0\0\0\0\0%", 16 } }, "2001:db8::25" },
		{ { .type = DNS_A, .data = { "\313\0\161", 3 } }, "" },
		{ { .type = DNS_TXT, .data = { "\003abc\0\002de", 8 } }, "abcde" }, /* strings are joined without a blank */
		{ { .type = DNS_TXT, .data = { "\011abc", 4 } }, "abc" },           /* cut off */
		{ { .type = DNS_TXT, .data = { "", 0 } }, "" },
		{ { .type = DNS_PTR, .name = { "relay.example.org", 17 } }, "relay.example.org" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(arena_cstr(&a, dns_text(&a, &rows[i].record)), rows[i].text);
	arena_fini(&a);
}

static void test_reverse_names(void **state)
{
	struct str v4 = S("in-addr.arpa"), v6 = S("ip6.arpa");
	struct arena a = { 0 };

	assert_string_equal(arena_cstr(&a, reverse_name(&a, S("203.0.113.25"), v4, v6)), "25.113.0.203.in-addr.arpa");
	assert_string_equal(arena_cstr(&a, reverse_name(&a, S("2001:db8::25"), v4, v6)),
			    "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_int_equal(reverse_name(&a, S("relay"), v4, v6).n, 0);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_bad),           cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_texts), cmocka_unit_test(test_reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
