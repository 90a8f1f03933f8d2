/* test_dkim_keys.c - keys that are missing, that the relay does not have, and that wait. */
#include "table.h"

#include "posthouse/records.h"
#include "posthouse/verify.h"

#include <openssl/pem.h>

#define KEYS(more) DIRECT "sign = ( { domain = \"example.org\"; selector = \"p1\"; key = \"rsa.key\"; " more " } );"

static EVP_PKEY *load(const char *name)
{
	char path[300];
	FILE *f;
	EVP_PKEY *key;

	snprintf(path, sizeof path, "%s/%s", fixture_dir(), name);
	f = fopen(path, "r");
	assert_non_null(f);
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(key);
	return key;
}

/* The line of the table that publishes a key of the fixture. */
static const char *published(const char *selector, const char *file)
{
	static char line[1000];
	struct arena a = { 0 };
	EVP_PKEY *key = load(file);

	snprintf(line, sizeof line, "%s._domainkey.example.org TXT \"%.*s\"\n", selector, STR_ARG(dkim_record_text(&a, key)));
	EVP_PKEY_free(key);
	arena_fini(&a);
	return line;
}

static struct fact_sample signed_by(struct arena *a, struct str domain, struct str selector, const char *file)
{
	EVP_PKEY *key = load(file);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	unsigned char digest[DKIM_DIGEST_SIZE], *out = arena_alloc(a, 512);
	size_t n = 512;

	dkim_sample_digest(domain, selector, digest);
	assert_true(EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
		    EVP_PKEY_sign(c, out, &n, digest, sizeof digest) == 1);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	return (struct fact_sample){ .state = FACT_THERE, .signature = str_make(out, n) };
}

static struct fact_sample right(struct arena *a, struct str domain, struct str selector)
{
	return signed_by(a, domain, selector, "rsa.key");
}

static struct fact_sample wrong(struct arena *a, struct str domain, struct str selector)
{
	return signed_by(a, domain, selector, "weak.key");
}

static struct fact_sample none(struct arena *a, struct str domain, struct str selector)
{
	return (struct fact_sample){ .state = FACT_EMPTY, .why = S("signing key not available") };
}

static void test_key(void **state)
{
	plant(DIRECT, "", "dkim.key", DOCTOR_FAILURE, "posthouse dkim generate example.org");
	plant(ADDRESSES "auth = { realm = \"example.org\"; }; " BASICS_UPSTREAM, "", "dkim.key", DOCTOR_WARNING, "no DKIM key");
	plant(ADDRESSES
	      "auth = { realm = \"example.org\"; }; upstreams = ( { name = \"isp\"; profile = \"fastmail\"; login = \"a@example.org\"; "
	      "password = \"x\"; } );",
	      "", "dkim.key", DOCTOR_ADVICE, "no DKIM key");
	plant(KEYS("state = \"pending\";"), "", "dkim.key", DOCTOR_FAILURE, "p1 waits for its record");
	plant(KEYS(""), "", "dkim.key", DOCTOR_OK, "keys of example.org");
	plant("auth = { realm = \"news.example.org\"; }; " ADDRESSES
	      "sign = ( { domain = \"example.org\"; selector = \"p1\"; key = \"rsa.key\"; } );",
	      "news.example.org MX 10 mx.mailbox.test\n", "dkim.key", DOCTOR_OK, "keys of example.org");
}

static void works(const char *records, struct fact_sample (*sample)(struct arena *a, struct str domain, struct str selector),
		  enum doctor_result result, const char *words)
{
	struct table *t = table_new(KEYS(""));

	table_only(t, "dkim.works");
	table_world(t, records);
	table_sample = sample;
	table_run(t);
	expect(t, "dkim.works", result, words);
	table_free(t);
}

static void test_works(void **state)
{
	works(published("p1", "rsa.key"), right, DOCTOR_OK, "signs what its record verifies");
	works(published("p1", "rsa.key"), wrong, DOCTOR_FAILURE, "another key than the one in its file");
	works(published("p1", "rsa.key"), none, DOCTOR_FAILURE, "signing key not available");
	works(published("p1", "rsa.key"), NULL, DOCTOR_SKIPPED, "no relay could be asked");
	works("", right, DOCTOR_SKIPPED, "dkim.published");
	works(published("p1", "weak.key"), right, DOCTOR_SKIPPED, "dkim.match");
	works("p1._domainkey.example.org TXT v=DKIM1; p=\n", right, DOCTOR_SKIPPED, "dkim.match");
	works("p1._domainkey.example.org SERVFAIL\n", right, DOCTOR_UNKNOWN, "cannot be looked up");
}

static void test_rotation(void **state)
{
	const char *there = published("p1", "rsa.key");

	plant(KEYS("state = \"pending\"; since = \"2026-03-01T00:00:00Z\";"), "", "dkim.rotation", DOCTOR_OK,
	      "waits for its record");
	plant(KEYS("state = \"pending\"; since = \"2026-02-20T00:00:00Z\";"), "", "dkim.rotation", DOCTOR_WARNING,
	      "not published after 10 days");
	plant(KEYS("state = \"pending\"; since = \"2026-02-20T00:00:00Z\";"), there, "dkim.rotation", DOCTOR_ADVICE,
	      "posthouse dkim rotate example.org");
	plant(KEYS("state = \"retired\"; since = \"2026-02-27T00:00:00Z\";"), there, "dkim.rotation", DOCTOR_OK, "is retired");
	plant(KEYS("state = \"retired\"; since = \"2026-02-20T00:00:00Z\";"), there, "dkim.rotation", DOCTOR_ADVICE,
	      "posthouse dkim retire example.org p1");
	plant(KEYS("state = \"retired\"; since = \"2026-02-20T00:00:00Z\";"), "p1._domainkey.example.org TXT v=DKIM1; p=\n",
	      "dkim.rotation", DOCTOR_OK, "is retired");
	plant(KEYS("since = \"2025-02-20T00:00:00Z\";"), there, "dkim.rotation", DOCTOR_ADVICE, "more than a year");
	plant(KEYS("since = \"2026-02-20T00:00:00Z\";"), there, "dkim.rotation", DOCTOR_OK, "in use");
	plant(KEYS(""), there, "dkim.rotation", DOCTOR_OK, "in use");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_key), cmocka_unit_test(test_works),
					    cmocka_unit_test(test_rotation) };

	return cmocka_run_group_tests_name("doctor_dkim_keys", tests, fixture_open, fixture_close);
}
