/* test_keys.c - the vault's keys and answers: signatures are verified with the public halves. */
#include "unit.h"

#include "upstream_logins.h"
#include "keyring.h"
#include "posthouse/verify.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define DIGEST S("0123456789abcdef0123456789abcdef")

static EVP_PKEY *rsa, *ed25519, *other;

static int set_up(void **state)
{
	rsa = EVP_RSA_gen(2048);
	ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	other = EVP_EC_gen("P-256");
	return !rsa || !ed25519 || !other;
}

static int tear_down(void **state)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed25519);
	EVP_PKEY_free(other);
	return 0;
}

static struct str pem_of(struct arena *a, EVP_PKEY *key, const char *phrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str pem;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, phrase ? EVP_aes_128_cbc() : NULL, phrase,
						       phrase ? (int)strlen(phrase) : 0, NULL, NULL),
			 1);
	n = BIO_get_mem_data(bio, &p);
	pem = arena_str(a, str_make(p, (size_t)n));
	BIO_free(bio);
	return pem;
}

/* A sample shows that the key is there: with the public half, and with no other one. */
static void test_sample(void **state)
{
	struct arena a = { 0 };
	struct cfg_sign keys[] = {
		{ .domain = S("example.org"), .selector = S("r"), .key = S("/r.key"), .key_pem = pem_of(&a, rsa, NULL) },
		{ .domain = S("example.org"),
		  .selector = S("e"),
		  .key = S("/e.key"),
		  .key_pem = pem_of(&a, ed25519, NULL),
		  .state = SIGN_RETIRED },
	};
	struct config c = { .sign = keys, .sign_n = 2 };
	unsigned char digest[DKIM_DIGEST_SIZE];
	struct verdict v;
	struct keyring *ring = keyring_new(&a, &c, &v);
	struct str signature = { 0 };

	assert_int_equal(keyring_sample(ring, &a, S("example.org"), S("r"), &signature).class, OK);
	dkim_sample_digest(S("example.org"), S("r"), digest);
	assert_true(dkim_digest_fits(rsa, digest, signature));
	assert_false(dkim_digest_fits(ed25519, digest, signature));
	assert_int_equal(keyring_sample(ring, &a, S("example.org"), S("e"), &signature).class, OK);
	assert_false(dkim_digest_fits(ed25519, digest, signature));
	dkim_sample_digest(S("example.org"), S("e"), digest);
	assert_true(dkim_digest_fits(ed25519, digest, signature));
	assert_int_equal(keyring_sample(ring, &a, S("example.org"), S("x"), &signature).class, TEMP);
	assert_int_equal(keyring_sample(ring, &a, S("example.com"), S("r"), &signature).class, TEMP);
	keyring_free(ring);
	arena_fini(&a);
}

static void test_sign(void **state)
{
	struct arena a = { 0 };
	struct cfg_sign keys[] = {
		{ .domain = S("example.org"), .selector = S("r"), .key = S("/r.key"), .key_pem = pem_of(&a, rsa, NULL) },
		{ .domain = S("example.org"), .selector = S("e"), .key = S("/e.key"), .key_pem = pem_of(&a, ed25519, NULL) },
	};
	struct config c = { .sign = keys, .sign_n = 2 };
	struct verdict v;
	struct keyring *ring = keyring_new(&a, &c, &v);
	struct rec_digest digest = { .selector = S("r"), .algorithm = DKIM_RSA_SHA256, .digest = DIGEST };
	struct str signature = { 0 };
	EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(rsa, NULL);
	EVP_MD_CTX *verify_ed = EVP_MD_CTX_new();

	assert_non_null(ring);
	assert_int_equal(keyring_count(ring), 2);
	for (int i = 0; i < 3; i++) { /* the context is used again */
		assert_int_equal(keyring_sign(ring, &a, S("Example.org"), &digest, &signature).class, OK);
		assert_int_equal(signature.n, 256);
		assert_true(EVP_PKEY_verify_init(verify) > 0 && EVP_PKEY_CTX_set_rsa_padding(verify, RSA_PKCS1_PADDING) > 0 &&
			    EVP_PKEY_CTX_set_signature_md(verify, EVP_sha256()) > 0);
		assert_int_equal(EVP_PKEY_verify(verify, (const unsigned char *)signature.p, signature.n,
						 (const unsigned char *)DIGEST.p, 32),
				 1);
	}
	digest.selector = S("e");
	digest.algorithm = DKIM_ED25519_SHA256;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(keyring_sign(ring, &a, S("example.org"), &digest, &signature).class, OK);
		assert_int_equal(signature.n, 64);
		assert_int_equal(EVP_DigestVerifyInit(verify_ed, NULL, NULL, NULL, ed25519), 1);
		assert_int_equal(EVP_DigestVerify(verify_ed, (const unsigned char *)signature.p, signature.n,
						  (const unsigned char *)DIGEST.p, 32),
				 1);
	}

	digest.algorithm = DKIM_RSA_SHA256; /* not what this selector's key is */
	v = keyring_sign(ring, &a, S("example.org"), &digest, &signature);
	assert_int_equal(v.class, TEMP);
	assert_int_equal(v.code, 451);
	assert_true(str_eq(v.enhanced, S("4.7.5")));
	digest.selector = S("r");
	assert_int_equal(keyring_sign(ring, &a, S("example.net"), &digest, &signature).class, TEMP);
	digest.digest = S("short");
	assert_int_equal(keyring_sign(ring, &a, S("example.org"), &digest, &signature).class, TEMP);
	EVP_PKEY_CTX_free(verify);
	EVP_MD_CTX_free(verify_ed);
	assert_int_equal(keyring_check_number(ring, S("EXAMPLE.org"), 2).class, OK);
	assert_int_equal(keyring_check_number(ring, S("example.org"), 0).class, OK);
	assert_int_equal(keyring_check_number(ring, S("example.org"), 3).class, TEMP);
	assert_int_equal(keyring_check_number(ring, S("example.org"), 100000).class, TEMP);
	assert_int_equal(keyring_check_number(ring, S("example.net"), 1).class, TEMP);
	keyring_free(ring);
	arena_fini(&a);
}

/* The verdict names the key that cannot be used. */
static void test_unusable_keys(void **state)
{
	struct arena a = { 0 };
	EVP_PKEY *small = EVP_RSA_gen(768);
	struct str bad[] = { S(""),
			     S("nonsense"),
			     S("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
			     pem_of(&a, other, NULL),
			     pem_of(&a, rsa, "phrase"),
			     small ? pem_of(&a, small, NULL) : S("") };
	struct cfg_sign keys[] = {
		{ .domain = S("example.org"),
		  .selector = S("good"),
		  .key = S("/good.key"),
		  .key_pem = pem_of(&a, ed25519, NULL) },
		{ .domain = S("example.org"), .selector = S("bad"), .key = S("/bad.key") },
	};
	struct config c = { .sign = keys, .sign_n = 2 };
	struct verdict v;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		keys[1].key_pem = bad[i];
		assert_null(keyring_new(&a, &c, &v));
		assert_int_not_equal(v.class, OK);
		assert_true(str_search(v.text, S("bad of example.org (/bad.key)")) < v.text.n);
	}
	EVP_PKEY_free(small);
	arena_fini(&a);
}

static struct answered {
	enum verdict_class class;
	char response[100];
	size_t n;
	bool done;
} answered;

static void on_answer(struct channel *ch, uint64_t call, struct str upstream, struct verdict v, struct str response, bool done)
{
	answered = (struct answered){ .class = v.class, .n = response.n, .done = done };
	assert_in_range(response.n, 0, sizeof answered.response);
	if (response.n > 0)
		memcpy(answered.response, response.p, response.n);
}

static void test_upstream(void **state)
{
	struct upstream_logins logins;
	struct cfg_upstream upstreams[] = {
		{ .name = S("isp"), .login = S("me@isp.example"), .password = S("pass word") },
		{ .name = S("open") },
		{ .name = S("gmail"), .login = S("me"), .password = S("never used"), .oauth.provider = OAUTH_GOOGLE },
	};
	struct config c = { .upstreams = upstreams, .upstreams_n = 3 };
	static const struct {
		struct str upstream, mechanism;
		bool first;
		enum verdict_class class;
		struct str response;
		bool done;
	} rows[] = {
		{ S("isp"), S("PLAIN"), true, OK, S("\0me@isp.example\0pass word"), true },
		{ S("isp"), S("plain"), true, OK, S("\0me@isp.example\0pass word"), true },
		{ S("isp"), S("PLAIN"), false, TEMP, S(""), false },
		{ S("isp"), S("LOGIN"), true, OK, S("me@isp.example"), false },
		{ S("isp"), S("LOGIN"), false, OK, S("pass word"), true },
		{ S("isp"), S("CRAM-MD5"), true, TEMP, S(""), false },
		{ S("open"), S("PLAIN"), true, TEMP, S(""), false },
		{ S("nobody"), S("PLAIN"), true, TEMP, S(""), false },
		{ S("open"), S("EXTERNAL"), true, OK, S(""), true },
		{ S("isp"), S("XOAUTH2"), true, TEMP, S(""), false },
		{ S("gmail"), S("PLAIN"), true, TEMP, S(""), false },
		{ S("gmail"), S("LOGIN"), false, TEMP, S(""), false },
		{ S("gmail"), S("SCRAM-SHA-256"), true, TEMP, S(""), false },
		{ S("gmail"), S("XOAUTH2"), true, TEMP, S(""), false }, /* there is no token yet */
		{ S("gmail"), S("XOAUTH2"), false, OK, S(""), true },   /* the challenge says why it is refused */
		{ S("gmail"), S("OAUTHBEARER"), false, OK, S("\001"), true },
	};

	upstream_logins_init(&logins, NULL, on_answer);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_upstream_step m = { .upstream = rows[i].upstream,
					       .mechanism = rows[i].mechanism,
					       .first = rows[i].first };

		answered = (struct answered){ .class = PERM };
		upstream_login_step(&logins, NULL, &c, S(""), &m);
		assert_int_equal(answered.class, rows[i].class);
		assert_true(str_eq(str_make(answered.response, answered.n), rows[i].response));
		assert_int_equal(answered.done, rows[i].done);
		assert_int_equal(logins.n, 0); /* PLAIN and LOGIN keep nothing between their steps */
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_unusable_keys),
		cmocka_unit_test(test_upstream),
	};

	return cmocka_run_group_tests_name("vault", tests, set_up, tear_down);
}
