/* test_address.c - the one form of addresses and domains. */
#include "unit.h"

#include "posthouse/address.h"
#include "posthouse/names.h"

static struct arena arena;

static void expect(struct str got, struct str from, struct str want)
{
	if (!str_eq(got, want))
		fail_msg("\"%.*s\" became \"%.*s\", not \"%.*s\"", STR_ARG(from), STR_ARG(got), STR_ARG(want));
}

static void test_domains(void **state)
{
	static const struct {
		struct str domain, want;
	} rows[] = {
		{ S("Example.ORG"), S("example.org") },
		{ S("example.org."), S("example.org") },
		{ S("example.org.."), S("example.org..") },
		{ S("."), S(".") },
		{ S(""), S("") },
		{ S("bücher.example"), S("xn--bcher-kva.example") },
		{ S("BÜCHER.Example."), S("xn--bcher-kva.example") },
		{ S("bu\xcc\x88"
		    "cher.example"),
		  S("xn--bcher-kva.example") }, /* NFD */
		{ S("XN--BCHER-KVA.example"), S("xn--bcher-kva.example") },
		{ S("straße.example"), S("xn--strae-oqa.example") },
		{ S("例子.广告"), S("xn--fsqu00a.xn--4rr70v") },
		{ S("παράδειγμα.δοκιμή"), S("xn--hxajbheg2az3al.xn--jxalpdlp") },
		{ S("ＢÜcher.example"), S("ＢÜcher.example") }, /* another domain to the eye */
		{ S("b\xc3\xbc"
		    "cher\xe3\x80\x82"
		    "example"),
		  S("b\xc3\xbc"
		    "cher\xe3\x80\x82"
		    "example") }, /* the same for a dot */
		{ S("[192.0.2.1]"), S("[192.0.2.1]") },
		{ S("[IPv6:2001:DB8::1]"), S("[ipv6:2001:db8::1]") },
		{ S("a\xff.Example"), S("a\xff.example") }, /* no domain */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(domain_canonical(&arena, rows[i].domain), rows[i].domain, rows[i].want);
	arena_reset(&arena);
}

static void test_to_ascii(void **state)
{
	static const struct {
		struct str domain, want;
	} rows[] = {
		{ S("BÜCHER.example"), S("xn--bcher-kva.example") },
		{ S("ｂücher。example"), S("xn--bcher-kva.example") },
		{ S("a b.Example"), S("a b.example") },
		{ S("BÜCHER.example."), S("xn--bcher-kva.example.") },
		{ S("b＠c.example"), S("") },
		{ S("b＞　NOTIFY=NEVER.example"), S("") },
		{ S("ü\r\n.example"), S("") },
		{ S("ü.ex\0.example"), S("") },
		{ S("ü。。example"), S("") },
	};
	struct str found;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = domain_to_ascii(&arena, rows[i].domain, &found);

		assert_int_equal(good, rows[i].want.n > 0);
		expect(good ? found : S(""), rows[i].domain, rows[i].want);
	}
	arena_reset(&arena);
}

static void test_with_domain(void **state)
{
	static const struct {
		struct str address, want;
	} rows[] = {
		{ S("Alice@Bücher.Example"), S("Alice@xn--bcher-kva.example") },
		{ S("@bücher.example."), S("@xn--bcher-kva.example") },
		{ S("@.bücher.example"), S("@.xn--bcher-kva.example") },
		{ S("root@.Lan"), S("root@.lan") },
		{ S("a@B.example\0.Evil"), S("a@b.example\0.evil") }, /* all of it: the part in front is another address */
		{ S("Alice"), S("Alice") },
		{ S("*"), S("*") },
		{ S(""), S("") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(address_with_canonical_domain(&arena, rows[i].address), rows[i].address, rows[i].want);
	arena_reset(&arena);
}

static void test_addresses(void **state)
{
	static const struct {
		struct str address, want;
	} rows[] = {
		{ S("Alice@Example.org"), S("Alice@example.org") },
		{ S("\"alice\"@example.org"), S("alice@example.org") },
		{ S("\"al\\ice.b\"@example.org"), S("alice.b@example.org") },
		{ S("\"jürgen\"@example.org"), S("jürgen@example.org") },
		{ S("\"a b\"@example.org"), S("\"a b\"@example.org") },
		{ S("\"a\\ b\"@example.org"), S("\"a b\"@example.org") },
		{ S("\"a@b\"@example.org"), S("\"a@b\"@example.org") },
		{ S("\"a\\\"\\\\\"@example.org"), S("\"a\\\"\\\\\"@example.org") },
		{ S("\"\"@example.org"), S("\"\"@example.org") },
		{ S("\"a..b\"@example.org"), S("\"a..b\"@example.org") },
		{ S("a..b@example.org"), S("a..b@example.org") },
		{ S(".a.@example.org."), S(".a.@example.org") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str once = address_canonical(&arena, rows[i].address);

		expect(once, rows[i].address, rows[i].want);
		expect(address_canonical(&arena, once), once, once);
	}
	arena_reset(&arena);
}

static void test_same(void **state)
{
	assert_true(address_same(S("a@b"), S("a@b")));
	assert_true(address_same(S("a..b@c"), S("\"a..b\"@c")));
	assert_true(address_same(S("\".a\"@c"), S(".a@c")));
	assert_true(address_same(S("\"a b\"@c"), S("\"a b\"@c")));
	assert_false(address_same(S("A@b"), S("a@b")));
	assert_false(address_same(S("a@b"), S("a@c")));
	assert_false(address_same(S("\"a b\"@c"), S("a b@c")));
	assert_false(address_same(S("\"\"@c"), S("@c")));
	assert_false(address_same(S("\"a\\\\\"@c"), S("a\\\\@c")));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_domains), cmocka_unit_test(test_with_domain),
					    cmocka_unit_test(test_to_ascii), cmocka_unit_test(test_addresses),
					    cmocka_unit_test(test_same) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_fini(&arena);
	return failed;
}
