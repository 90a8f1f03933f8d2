/* test_tlsa.c - which TLSA records mail can use (RFC 7672 3.1, RFC 6698 2.1). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "posthouse/tls_policy.h"

#define N(array) (sizeof(array) / sizeof *(array))
#define EIGHT    "12345678"
#define DIGEST   EIGHT EIGHT EIGHT EIGHT /* 32 octets */

static const struct {
	struct str rdata;
	bool usable;
} rows[] = {
	{ S("\3\1\1" DIGEST), true },
	{ S("\3\0\1" DIGEST), true },
	{ S("\2\0\1" DIGEST), true },
	{ S("\2\1\1" DIGEST), true },
	{ S("\3\1\2" DIGEST DIGEST), true },
	{ S("\2\0\2" DIGEST DIGEST), true },
	{ S("\3\0\0\x30\x02\x05\x00"), true }, /* a whole SEQUENCE */
	{ S("\3\1\0\x30\x81\x04"
	    "abcd"),
	  true }, /* length in one octet … */
	{ S("\2\0\0\x30\x82\x00\x04"
	    "abcd"),
	  true }, /* … and in two */
	/* usages of the web (RFC 7672 3.1.3), and unknown ones */
	{ S("\0\1\1" DIGEST), false },
	{ S("\1\1\1" DIGEST), false },
	{ S("\4\1\1" DIGEST), false },
	{ S("\377\1\1" DIGEST), false },
	/* selectors and matching types that are not known */
	{ S("\3\2\1" DIGEST), false },
	{ S("\3\377\1" DIGEST), false },
	{ S("\3\1\3" DIGEST), false },
	{ S("\3\1\377" DIGEST), false },
	/* digests of another length */
	{ S("\3\1\1" EIGHT EIGHT EIGHT "1234567"), false },
	{ S("\3\1\1" DIGEST "1"), false },
	{ S("\3\1\1" DIGEST DIGEST), false },
	{ S("\3\1\2" DIGEST), false },
	{ S("\3\1\2" DIGEST DIGEST "1"), false },
	{ S("\3\1\1"), false },
	/* what is no DER of one SEQUENCE */
	{ S("\3\0\0"), false },
	{ S("\3\0\0\x30"), false },
	{ S("\3\0\0\x31\x02\x05\x00"), false },
	{ S("\3\0\0\x30\x03\x05\x00"), false },
	{ S("\3\0\0\x30\x01\x05\x00"), false },
	{ S("\3\0\0\x30\x80\x05\x00"), false },
	{ S("\3\0\0\x30\x82\x04"), false },
	{ S("\3\0\0\x30\x84\x00\x00\x00\x01"
	    "a"),
	  false },
	{ S("\3\0\0" DIGEST), false },
	/* no record at all */
	{ S(""), false },
	{ S("\3"), false },
	{ S("\3\1"), false },
};

static void records(void **state)
{
	for (size_t i = 0; i < N(rows); i++) {
		struct arena a = { 0 };
		const struct tlsa *t;
		size_t n;

		if (tlsa_read_set(&a, &rows[i].rdata, 1, &t, &n) != (rows[i].usable ? TLSA_USABLE : TLSA_UNUSABLE))
			fail_msg("row %zu", i);
		assert_int_equal(n, rows[i].usable);
		if (rows[i].usable) {
			assert_int_equal(t->usage, (unsigned char)rows[i].rdata.p[0]);
			assert_int_equal(t->selector, (unsigned char)rows[i].rdata.p[1]);
			assert_int_equal(t->matching_type, (unsigned char)rows[i].rdata.p[2]);
			assert_true(str_eq(t->data, str_from(rows[i].rdata, 3)));
		}
		arena_fini(&a);
	}
}

static void sets(void **state)
{
	struct str many[TLSA_RECORDS_MAX + 5],
		mixed[] = { S("\0\1\1" DIGEST), S("\3\1\1" DIGEST), S("\3\1\1"), S("\2\0\1" DIGEST) };
	const struct tlsa *set;
	struct arena a = { 0 };
	size_t n;

	assert_int_equal(tlsa_read_set(&a, NULL, 0, &set, &n), TLSA_NONE);
	assert_int_equal(n, 0);
	assert_int_equal(tlsa_read_set(&a, mixed, 1, &set, &n), TLSA_UNUSABLE);
	assert_int_equal(n, 0);
	assert_int_equal(tlsa_read_set(&a, mixed, N(mixed), &set, &n), TLSA_USABLE);
	assert_int_equal(n, 2);
	assert_int_equal(set[0].usage, TLSA_DANE_EE);
	assert_int_equal(set[1].usage, TLSA_DANE_TA);
	for (size_t i = 0; i < N(many); i++)
		many[i] = mixed[1];
	assert_int_equal(tlsa_read_set(&a, many, N(many), &set, &n), TLSA_USABLE);
	assert_int_equal(n, TLSA_RECORDS_MAX);
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(records), cmocka_unit_test(sets) };

	return cmocka_run_group_tests_name("tls_policy tlsa", tests, NULL, NULL);
}
