/* test_cli_dkim.c - the file of `posthouse dkim`, names of selectors, and when a key's state changes. */
#include "dkim.h"

#include "posthouse/units.h"

#include "unit.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1803996131000 /* 2027-03-02T14:02:11Z */

static bool same(struct str got, const char *want)
{
	if (str_eq(got, str_of(want)))
		return true;
	print_error("got \"%.*s\", want \"%s\"\n", STR_ARG(got), want);
	return false;
}

static void test_format(void **state)
{
	struct cfg_sign keys[] = {
		{ .domain = S("a.example"),
		  .selector = S("p1"),
		  .key = S("/etc/p/dkim-a.key"),
		  .oversign = true,
		  .since = S("2027") },
		{ .domain = S("a.example"),
		  .selector = S("p2"),
		  .key = S("/srv/\"x\\.key"),
		  .state = SIGN_PENDING,
		  .seen = S("2028") },
	};
	struct buf b;

	buf_init(&b, KIB * 4);
	dkim_file_format(&b, keys, 2, S("/etc/p/"));
	struct str text = buf_view(&b);
	assert_true(same(
		str_from(text, str_find(text, '\n') + 1),
		"sign = (\n  { domain = \"a.example\"; selector = \"p1\"; key = \"dkim-a.key\";\n    state = \"active\"; since = \"2027\"; },\n"
		"  { domain = \"a.example\"; selector = \"p2\"; key = \"/srv/\\\"x\\\\.key\";\n    state = \"pending\"; seen = \"2028\"; "
		"oversign = false; }\n);\n"));
	buf_clear(&b);
	dkim_file_format(&b, keys, 0, S("/"));
	assert_true(str_ends(buf_view(&b), S("\nsign = (\n);\n")));
	buf_fini(&b);
}

static void test_selectors(void **state)
{
	struct arena a = { 0 };

	assert_true(same(dkim_selector(&a, DKIM_RSA_SHA256, NOW, 1), "p202703r"));
	assert_true(same(dkim_selector(&a, DKIM_ED25519_SHA256, NOW, 3), "p202703e3"));
	assert_true(same(dkim_key_file(&a, S("a.example"), S("p1")), "dkim-a.example-p1.key"));
	arena_fini(&a);
}

static void test_keys(void **state)
{
	struct arena a = { 0 };
	EVP_PKEY *rsa = dkim_key_make(DKIM_RSA_SHA256, 1024), *ed = dkim_key_make(DKIM_ED25519_SHA256, 0);

	assert_true(rsa && ed && EVP_PKEY_get_bits(rsa) == 1024 && EVP_PKEY_is_a(ed, "ED25519"));
	assert_true(str_starts(dkim_key_pem(&a, rsa), S("-----BEGIN PRIVATE KEY-----\n")));
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	arena_fini(&a);
}

/* Two looks at least an hour apart; one that finds nothing begins again; a clock that was set back too. */
static void test_looks(void **state)
{
	struct cfg_sign key = { .state = SIGN_PENDING };
	struct arena a = { 0 };

	assert_int_equal(dkim_wait_ms(&key, NOW), DKIM_LOOKS_APART_MS);
	assert_false(dkim_looked(&a, &key, false, NOW));
	assert_true(dkim_looked(&a, &key, true, NOW));
	assert_true(same(key.seen, "2027-03-02T14:02:11Z"));
	assert_int_equal(dkim_wait_ms(&key, NOW), DKIM_LOOKS_APART_MS);
	assert_false(dkim_looked(&a, &key, true, NOW + 600000));
	assert_int_equal(dkim_wait_ms(&key, NOW + 600000), DKIM_LOOKS_APART_MS - 600000);
	assert_true(dkim_looked(&a, &key, false, NOW + 700000));
	assert_int_equal(key.seen.n, 0);
	assert_true(dkim_looked(&a, &key, true, NOW + 800000));
	assert_int_equal(dkim_wait_ms(&key, NOW + 800000 + DKIM_LOOKS_APART_MS), 0);
	assert_int_equal(dkim_wait_ms(&key, NOW), DKIM_LOOKS_APART_MS);
	assert_true(dkim_looked(&a, &key, true, NOW));
	arena_fini(&a);
}

static void test_activate(void **state)
{
	struct cfg_sign keys[] = {
		{ .domain = S("a.example"), .algorithm = DKIM_RSA_SHA256 },
		{ .domain = S("A.example"), .algorithm = DKIM_ED25519_SHA256 },
		{ .domain = S("b.example"), .algorithm = DKIM_RSA_SHA256 },
		{ .domain = S("a.example"), .algorithm = DKIM_RSA_SHA256, .state = SIGN_PENDING, .seen = S("x") },
		{ .domain = S("a.example"), .algorithm = DKIM_RSA_SHA256, .state = SIGN_RETIRED, .since = S("before") },
	};
	static const unsigned wanted[] = { SIGN_RETIRED, SIGN_ACTIVE, SIGN_ACTIVE, SIGN_ACTIVE, SIGN_RETIRED };
	struct arena a = { 0 };

	dkim_activate(&a, keys, 5, &keys[3], NOW);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(keys[i].state, wanted[i]);
	assert_true(same(keys[0].since, "2027-03-02T14:02:11Z") && same(keys[4].since, "before") && keys[3].seen.n == 0);
	arena_fini(&a);
}

static void test_replace(void **state)
{
	char directory[] = "/tmp/posthouse-test-XXXXXX", path[64], text[16] = "";
	struct stat st;
	FILE *f;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/f", directory);
	assert_null(file_replace(path, S("one"), 0600));
	assert_true(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	assert_int_equal(chmod(path, 0640), 0);
	assert_null(file_replace(path, S("two"), 0600));
	assert_true(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
	f = fopen(path, "r");
	assert_true(f && fgets(text, sizeof text, f) && strcmp(text, "two") == 0);
	fclose(f);
	unlink(path);
	rmdir(directory);
	assert_non_null(file_replace(path, S("three"), 0600));
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format), cmocka_unit_test(test_selectors), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_looks),  cmocka_unit_test(test_activate),  cmocka_unit_test(test_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
