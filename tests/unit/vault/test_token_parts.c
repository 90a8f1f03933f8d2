/* test_token_parts.c - what is asked of a token endpoint, what its answers mean, and what is kept on disk. */
#include "unit.h"

#include "token_answer.h"
#include "token_request.h"
#include "token_store.h"

#include "posthouse/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena a;

static bool contains(struct str text, const char *words)
{
	return *words == 0 || str_search(text, str_of(words)) < text.n;
}

/* ---- requests ---- */

static const struct cfg_upstream by_refresh = { .name = { "g", 1 },
						.login = { "me+x@a.example", 14 },
						.oauth = { .provider = OAUTH_GOOGLE,
							   .grant = GRANT_REFRESH_TOKEN,
							   .client_id = { "id&1", 4 },
							   .client_secret = { "s=e c\xc3\xa9", 7 },
							   .scope = { "https://m.example/ offline", 26 },
							   .token_url = { "https://t.example/t", 19 },
							   .authorization_url = { "https://t.example/a", 19 } } };

static void test_forms(void **state)
{
	struct secret body = { 0 };

	assert_int_equal(token_request(&by_refresh, S("1//0r-_."), 0, &body).class, OK);
	assert_string_equal(arena_cstr(&a, secret_view(&body)),
			    "grant_type=refresh_token&refresh_token=1%2F%2F0r-_.&client_id=id%261&client_secret=s%3De%20c%C3%A9&"
			    "scope=https%3A%2F%2Fm.example%2F%20offline");
	secret_fini(&body);
	device_token_request(&by_refresh.oauth, S("d"), &body);
	assert_true(
		contains(secret_view(&body), "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d&"));
	secret_fini(&body);
	code_request(&by_refresh.oauth, S("c/1"), S("http://127.0.0.1:1/"), S("v"), &body);
	assert_true(contains(secret_view(&body), "code=c%2F1&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F&code_verifier=v&"));
	secret_fini(&body);
}

/* RFC 7636 appendix B. */
static void test_proof_of_the_browser(void **state)
{
	struct str url = authorization_url(&a, &by_refresh, S("http://127.0.0.1:1/"), S("st"),
					   S("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));

	assert_true(str_starts(url, S("https://t.example/a?response_type=code&")));
	assert_true(contains(url, "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"));
	assert_true(contains(url, "&login_hint=me%2Bx%40a.example"));
	assert_true(contains(url, "&access_type=offline&prompt=consent"));
	assert_false(contains(url, "dBjftJeZ4CVP"));
	assert_false(contains(url, "secret"));
}

static struct str pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str pem;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	pem = arena_str(&a, str_make(p, (size_t)n));
	BIO_free(bio);
	return pem;
}

static struct str from_base64url(struct str text)
{
	char *p = arena_alloc(&a, text.n + 1);
	size_t n;

	for (size_t i = 0; i < text.n; i++)
		p[i] = text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i];
	assert_true(base64_decode_unpadded(p, str_make(p, text.n), &n));
	return str_make(p, n);
}

/* RFC 7523: the claims, and a signature that the public key accepts. */
static void test_service_account(void **state)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	EVP_MD_CTX *verify = EVP_MD_CTX_new();
	struct cfg_upstream u = by_refresh;
	struct secret body = { 0 };
	struct str text, signed_text, part, signature;

	u.oauth.grant = GRANT_SERVICE_ACCOUNT;
	u.oauth.service_account = S("sa\"@p.example");
	u.oauth.key_pem = pem_of(key);
	assert_int_equal(token_request(&u, S(""), 1700000000, &body).class, OK);
	text = secret_view(&body);
	assert_true(str_starts(text, S("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")));
	text = str_from(text, str_rfind(text, '=') + 1);
	signed_text = str_head(text, str_rfind(text, '.'));
	signature = from_base64url(str_from(text, signed_text.n + 1));
	text = signed_text;
	assert_true(str_split(&text, '.', &part));
	assert_true(str_eq(from_base64url(part), S("{\"alg\":\"RS256\",\"typ\":\"JWT\"}")));
	assert_string_equal(
		arena_cstr(&a, from_base64url(text)),
		"{\"iss\":\"sa\\u0022@p.example\",\"sub\":\"me+x@a.example\",\"scope\":\"https://m.example/ offline\","
		"\"aud\":\"https://t.example/t\",\"iat\":1700000000,\"exp\":1700003600}");
	assert_int_equal(EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(verify, (const unsigned char *)signature.p, signature.n,
					  (const unsigned char *)signed_text.p, signed_text.n),
			 1);
	secret_fini(&body);
	u.oauth.key_pem = S("no key");
	assert_int_equal(token_request(&u, S(""), 1700000000, &body).class, TEMP);
	EVP_MD_CTX_free(verify);
	EVP_PKEY_free(key);
}

/* ---- answers ---- */

#define LONG_TOKEN "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9abcdefghijklmnop"

static const struct {
	uint64_t status;
	const char *fields[10]; /* name, value, ... */
	enum token_outcome outcome;
	const char *why; /* a part of it */
} answers[] = {
	{ 200, { "access_token", "t", "token_type", "Bearer", "expires_in", "3599" }, TOKEN_GRANTED, "" },
	{ 200, { "access_token", "t" }, TOKEN_GRANTED, "" },
	{ 200, { "access_token", "t", "token_type", "mac" }, TOKEN_PERSON, "not bearer" },
	{ 200, { "token_type", "Bearer" }, TOKEN_WAIT, "no access token" },
	{ 200, { NULL }, TOKEN_WAIT, "no access token" },
	{ 503, { NULL }, TOKEN_WAIT, "HTTP status 503" },
	{ 429, { "error", "rate_limit_exceeded" }, TOKEN_WAIT, "rate_limit" },
	{ 404, { NULL }, TOKEN_WAIT, "HTTP status 404" },
	{ 400, { "error", "invalid_grant" }, TOKEN_PERSON, "(invalid_grant)" },
	{ 400,
	  { "error", "invalid_grant", "error_description", "Token has been expired or revoked." },
	  TOKEN_PERSON,
	  "publish the application" },
	{ 400,
	  { "error", "invalid_grant", "error_description", "AADSTS50173: The provided grant" },
	  TOKEN_PERSON,
	  "password was changed" },
	{ 401,
	  { "error", "invalid_client", "error_description", "AADSTS7000222: keys are expired" },
	  TOKEN_PERSON,
	  "has expired" },
	{ 401, { "error", "invalid_client", "error_description", "AADSTS7000215: Invalid" }, TOKEN_PERSON, "not its id" },
	{ 400, { "error", "temporarily_unavailable" }, TOKEN_WAIT, "busy" },
	{ 400, { "error", "authorization_pending" }, TOKEN_PENDING, "" },
	{ 400, { "error", "slow_down" }, TOKEN_SLOWER, "" },
	{ 403, { "error", "access_denied" }, TOKEN_PERSON, "refused" },
	{ 400, { "error", "authorization_declined" }, TOKEN_PERSON, "refused" },
	{ 400, { "error", "expired_token" }, TOKEN_PERSON, "within the time" },
	{ 400, { "error", "something_new", "error_description", "a reason" }, TOKEN_PERSON, "\"a reason\"" },
	{ 500, { "error", "something_new" }, TOKEN_WAIT, "something_new" },
	{ 400,
	  { "error", "invalid_grant", "error_description", "the token " LONG_TOKEN " is bad" },
	  TOKEN_PERSON,
	  "the token ... is bad" },
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct rec_json_field fields[5];
		struct msg_fetched m = { .verdict = ok(), .status = answers[i].status, .fields = { fields, 0 } };
		struct token_answer t;

		for (size_t k = 0; k < 10 && answers[i].fields[k]; k += 2)
			fields[m.fields.n++] =
				(struct rec_json_field){ str_of(answers[i].fields[k]), str_of(answers[i].fields[k + 1]) };
		t = token_answer(&a, ok(), &m, 0);
		if (t.outcome != answers[i].outcome || !contains(t.why, answers[i].why) || contains(t.why, LONG_TOKEN))
			fail_msg("row %zu: outcome %d, \"%.*s\"", i, t.outcome, STR_ARG(t.why));
	}
}

static uint64_t life(const char *seconds)
{
	struct rec_json_field fields[] = { { S("access_token"), S("t") }, { S("expires_in"), str_of(seconds) } };
	struct msg_fetched m = { .verdict = ok(), .status = 200, .fields = { fields, 2 } };

	return token_answer(&a, ok(), &m, 0).expires_s;
}

static void test_times(void **state)
{
	struct msg_fetched m = { .verdict = ok(), .status = 400, .date = 5000000 };

	assert_int_equal(life("3599"), 3599);
	assert_int_equal(life("3599.0"), 3599);
	assert_int_equal(life("0"), 60);
	assert_int_equal(life("-5"), 3600);
	assert_int_equal(life("99999999999999999999"), 3600);
	assert_int_equal(life("9999999"), 86400);
	assert_int_equal(token_answer(&a, ok(), &m, 5010000).clock_ms, 0);
	assert_int_equal(token_answer(&a, ok(), &m, 8600000).clock_ms, -3600000);
	assert_int_equal(token_answer(&a, ok(), &m, 1400000).clock_ms, 3600000);
	assert_int_equal(token_answer(&a, temp(451, S("4.3.0"), S("fetch is away")), NULL, 0).outcome, TOKEN_WAIT);
}

/* ---- the store ---- */

static struct stored_token stored;

static bool read_back(int directory, const char *upstream, struct str *why)
{
	secret_fini(&stored.refresh_token);
	return token_store_read(&a, directory, str_of(upstream), &stored, why);
}

static void write_text(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_store(void **state)
{
	static const char *const damaged[] = { "", "posthouse-token 1\n", "posthouse-token 1\nseed\n\n",
					       "posthouse-token 2\ns\nt\n", "posthouse-token 1\ns\nt\nmore\n" };
	char dir[] = "/tmp/posthouse-tokens-XXXXXX", command[64];
	int directory;
	struct stat st;
	struct str why;

	assert_non_null(mkdtemp(dir));
	directory = token_store_open(&a, str_of(dir));
	assert_true(directory >= 0);
	assert_int_equal(fstat(directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_false(read_back(directory, "g", &why));
	assert_int_equal(why.n, 0);
	assert_int_equal(token_store_write(directory, "g", S("seed"), S("first")), 0);
	assert_int_equal(token_store_write(directory, "g", S("seed2"), S("second")), 0);
	assert_int_equal(fstatat(directory, "g", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(directory, ".g~", F_OK, 0), -1);
	assert_true(read_back(directory, "g", &why));
	assert_true(str_eq(stored.seed, S("seed2")) && str_eq(secret_view(&stored.refresh_token), S("second")));
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		write_text(directory, "d", damaged[i]);
		assert_false(read_back(directory, "d", &why));
		assert_true(why.n > 0);
	}
	assert_int_equal(mkdirat(directory, "x", 0700), 0); /* what cannot be replaced */
	assert_int_equal(token_store_write(directory, "x", S("s"), S("t")), EISDIR);
	assert_int_equal(faccessat(directory, ".x~", F_OK, 0), -1);
	assert_int_equal(token_store_open(&a, S("/nowhere/at/all")), -ENOENT);
	assert_true(str_eq(token_seed(&a, S("i"), S("t")), token_seed(&a, S("i"), S("t"))));
	assert_false(str_eq(token_seed(&a, S("i"), S("t")), token_seed(&a, S("i2"), S("t"))));
	close(directory);
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static int end(void **state)
{
	secret_fini(&stored.refresh_token);
	arena_fini(&a);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),           cmocka_unit_test(test_proof_of_the_browser),
		cmocka_unit_test(test_service_account), cmocka_unit_test(test_answers),
		cmocka_unit_test(test_times),           cmocka_unit_test(test_store),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
