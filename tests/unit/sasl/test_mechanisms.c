/* test_mechanisms.c - which mechanism is chosen, and what each one says: the examples of RFC 2195, 5802, 7628 and of Google's page about
 * XOAUTH2. */
#include "unit.h"

#include "scram.h"

#include "posthouse/sasl.h"

#include <stdio.h>

/* ---- the choice ---- */

#define ALL "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER EXTERNAL GSSAPI NTLM"

static void test_choice(void **state)
{
	static const struct {
		const char *offered;
		unsigned have;
		const char *named[4], *chosen;
	} rows[] = {
		/* the strongest that both know */
		{ ALL, SASL_PASSWORD, { 0 }, "SCRAM-SHA-256" },
		{ "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1", SASL_PASSWORD, { 0 }, "SCRAM-SHA-1" },
		{ "LOGIN PLAIN", SASL_PASSWORD, { 0 }, "PLAIN" },
		{ "LOGIN XOAUTH2", SASL_PASSWORD, { 0 }, "LOGIN" },
		{ "NTLM GSSAPI", SASL_PASSWORD, { 0 }, "" },
		{ "", SASL_PASSWORD, { 0 }, "" },
		{ "plain", SASL_PASSWORD, { 0 }, "PLAIN" },
		/* CRAM-MD5 on request only */
		{ "CRAM-MD5", SASL_PASSWORD, { 0 }, "" },
		{ "CRAM-MD5 LOGIN", SASL_PASSWORD, { 0 }, "LOGIN" },
		{ "CRAM-MD5 LOGIN", SASL_PASSWORD, { "CRAM-MD5", "LOGIN" }, "CRAM-MD5" },
		{ "CRAM-MD5", SASL_PASSWORD, { "cram-md5" }, "CRAM-MD5" },
		/* in the order of the configuration, and nothing else */
		{ ALL, SASL_PASSWORD, { "LOGIN", "PLAIN" }, "LOGIN" },
		{ ALL, SASL_PASSWORD, { "SCRAM-SHA-1" }, "SCRAM-SHA-1" },
		{ "PLAIN", SASL_PASSWORD, { "LOGIN" }, "" },
		/* a token never goes where a password is wanted, nor a password where a token is */
		{ ALL, SASL_TOKEN, { 0 }, "OAUTHBEARER" },
		{ "LOGIN PLAIN XOAUTH2", SASL_TOKEN, { 0 }, "XOAUTH2" },
		{ "LOGIN PLAIN SCRAM-SHA-256", SASL_TOKEN, { 0 }, "" },
		{ "LOGIN PLAIN", SASL_TOKEN, { "LOGIN", "PLAIN" }, "" },
		{ ALL, SASL_TOKEN, { "PLAIN", "XOAUTH2" }, "XOAUTH2" },
		{ "XOAUTH2 OAUTHBEARER", SASL_PASSWORD, { 0 }, "" },
		{ "XOAUTH2", SASL_PASSWORD, { "XOAUTH2" }, "" },
		/* a certificate, alone and beside a login */
		{ ALL, SASL_CERTIFICATE, { 0 }, "EXTERNAL" },
		{ "PLAIN", SASL_CERTIFICATE, { 0 }, "" },
		{ ALL, SASL_CERTIFICATE | SASL_PASSWORD, { 0 }, "EXTERNAL" },
		{ "PLAIN XOAUTH2", SASL_CERTIFICATE | SASL_PASSWORD, { 0 }, "PLAIN" },
		{ "PLAIN XOAUTH2", SASL_CERTIFICATE | SASL_TOKEN, { 0 }, "XOAUTH2" },
		{ ALL, SASL_PASSWORD, { "EXTERNAL", "PLAIN" }, "PLAIN" },
		/* no login */
		{ ALL, 0, { 0 }, "" },
		{ ALL, 0, { "PLAIN", "EXTERNAL", "XOAUTH2" }, "" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str names[4], chosen;
		struct str_list named = { names, 0 };

		while (named.n < 4 && rows[i].named[named.n]) {
			names[named.n] = str_of(rows[i].named[named.n]);
			named.n++;
		}
		chosen = sasl_choose(sasl_wanted(&a, &named, rows[i].have), str_of(rows[i].offered), S(""));
		if (!str_eq(chosen, str_of(rows[i].chosen)))
			fail_msg("row %zu: %.*s, expected %s", i, STR_ARG(chosen), rows[i].chosen);
	}
	arena_fini(&a);
}

static void test_wanted(void **state)
{
	struct arena a = { 0 };
	struct str_list none = { 0 };

	assert_true(str_eq(sasl_wanted(&a, &none, SASL_PASSWORD), S("SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN")));
	assert_true(str_eq(sasl_wanted(&a, &none, SASL_TOKEN), S("OAUTHBEARER XOAUTH2")));
	assert_true(str_eq(sasl_wanted(&a, &none, SASL_CERTIFICATE), S("EXTERNAL")));
	assert_true(str_eq(sasl_wanted(&a, &none, 0), S("")));
	assert_true(str_eq(sasl_choose(S("A B C"), S("C B A"), S("A")), S("B")));
	assert_true(str_eq(sasl_choose(S("A"), S("A"), S("a")), S("")));
	assert_true(str_eq(sasl_choose(S(""), S(""), S("")), S("")));
	assert_string_equal(sasl_find(S("scram-sha-256"))->name, "SCRAM-SHA-256");
	assert_null(sasl_find(S("NTLM")));
	assert_null(sasl_find(S("")));
	arena_fini(&a);
}

/* ---- what goes over the wire ---- */

static const struct sasl_credentials tim = { .login = S("tim"), .password = S("tanstaaftanstaaf") };
static const struct sasl_credentials rfc7628 = { .login = S("user@example.com"),
						 .token = S("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
						 .host = S("server.example.com"),
						 .port = 143 };
static const struct sasl_credentials google = { .login = S("someuser@example.com"),
						.token = S("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg") };
static const struct sasl_credentials odd = {
	.login = S("a=b,c@x"), .password = S("p"), .token = S("t"), .host = S("h"), .port = 587
};
static const struct sasl_credentials nobody = { .login = S("me"), .host = S("h"), .port = 587 };
static const struct sasl_credentials broken = { .login = S("me"), .token = S("to\001ken"), .host = S("h"), .port = 587 };
static const struct sasl_credentials certificate = { .login = S("") };

static void test_responses(void **state)
{
	static const struct {
		const char *mechanism;
		const struct sasl_credentials *credentials;
		struct str challenge, initial;
		const char *enhanced; /* of TEMP 454; NULL: OK */
		bool done;
		struct str next; /* the answer to another challenge; p NULL: there is none */
	} rows[] = {
		/* RFC 7628 section 4.1, and 3.2.3 */
		{ "OAUTHBEARER", &rfc7628, S(""),
		  S("n,a=user@example.com,\001host=server.example.com\001port=143\001"
		    "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001"),
		  NULL, true, S("\001") },
		{ "OAUTHBEARER", &odd, S(""), S("n,a=a=3Db=2Cc@x,\001host=h\001port=587\001auth=Bearer t\001\001"), NULL, true,
		  S("\001") },
		{ "OAUTHBEARER", &nobody, S(""), S(""), "4.7.0", false, { 0 } },
		{ "OAUTHBEARER", &broken, S(""), S(""), "4.7.8", false, { 0 } },
		{ "XOAUTH2", &google, S(""),
		  S("user=someuser@example.com\001auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\001\001"), NULL, true,
		  S("") },
		{ "XOAUTH2", &nobody, S(""), S(""), "4.7.0", false, { 0 } },
		{ "XOAUTH2", &broken, S(""), S(""), "4.7.8", false, { 0 } },
		/* RFC 2195 section 2 */
		{ "CRAM-MD5",
		  &tim,
		  S("<1896.697170952@postoffice.reston.mci.net>"),
		  S("tim b913a602c7eda7a495b4e6e7334d3890"),
		  NULL,
		  true,
		  { 0 } },
		{ "CRAM-MD5", &tim, S(""), S(""), "4.7.8", false, { 0 } },
		{ "PLAIN", &tim, S(""), S("\0tim\0tanstaaftanstaaf"), NULL, true, { 0 } },
		{ "LOGIN", &tim, S("Username:"), S("tim"), NULL, false, S("tanstaaftanstaaf") },
		/* RFC 4422 appendix A: no identity, or one */
		{ "EXTERNAL", &certificate, S(""), S(""), NULL, true, { 0 } },
		{ "EXTERNAL", &tim, S(""), S("tim"), NULL, true, { 0 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sasl_exchange *x = sasl_new(sasl_find(str_of(rows[i].mechanism)));
		struct secret response = { 0 };
		struct verdict v = sasl_initial(x, rows[i].credentials, rows[i].challenge, &response);

		if ((v.class == OK) != !rows[i].enhanced || !str_eq(secret_view(&response), rows[i].initial))
			fail_msg("row %zu, %s: %.*s", i, rows[i].mechanism, STR_ARG(secret_view(&response)));
		assert_true(v.class == OK || (v.code == 454 && str_eq(v.enhanced, str_of(rows[i].enhanced))));
		assert_int_equal(sasl_is_done(x), rows[i].done);
		secret_fini(&response);
		if (v.class == OK) {
			v = sasl_step(x, rows[i].credentials, S("more"), &response);
			assert_int_equal(v.class, rows[i].next.p ? OK : TEMP);
			assert_true(str_eq(secret_view(&response), rows[i].next));
			assert_true(v.class == OK || str_eq(v.enhanced, S("4.7.8")));
		}
		secret_fini(&response);
		sasl_free(x);
	}
}

/* A token of Microsoft's has some thousand characters. */
static void test_long_token(void **state)
{
	static char token[20000];
	struct sasl_credentials c = { .login = S("me"), .token = { token, sizeof token } };
	struct sasl_exchange *x = sasl_new(sasl_find(S("XOAUTH2")));
	struct secret response = { 0 };

	memset(token, 'e', sizeof token);
	assert_int_equal(sasl_initial(x, &c, S(""), &response).class, OK);
	assert_int_equal(response.n, strlen("user=me\001auth=Bearer \001\001") + sizeof token);
	secret_fini(&response);
	sasl_free(x);
}

/* RFC 5802 section 5; RFC 7677's example is in test_scram.c. */
static void test_scram_sha_1(void **state)
{
#define NONCE "fyko+d2lbbFgONRv9qkxdawL"
#define BOTH  NONCE "3rfcNHYJY1ZVvWVs7j"
	struct scram s = { .hash = SCRAM_SHA1 };
	struct scram_work w = { 0 };
	struct secret response = { 0 };

	assert_int_equal(scram_first(&s, S("user"), S(NONCE), &response).class, OK);
	assert_true(str_eq(secret_view(&response), S("n,,n=user,r=" NONCE)));
	assert_int_equal(scram_challenge(&s, S("r=" BOTH ",s=QSXCR+Q6sek8bf92,i=4096"), S("pencil"), &w).class, OK);
	assert_true(scram_salt(&w));
	assert_int_equal(scram_proof(&s, &w, &response).class, OK);
	assert_true(str_eq(secret_view(&response), S("c=biws,r=" BOTH ",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")));
	assert_int_equal(scram_verify(&s, S("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")).class, OK);
	assert_int_equal(scram_verify(&s, S("v=rmF9pqV8S7suAoZWja4dJRkFsKU=")).class, TEMP);
	assert_int_equal(scram_verify(&s, S("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")).class, TEMP);
	secret_fini(&response);
	scram_work_fini(&w);
	scram_fini(&s);
	s = (struct scram){ .hash = SCRAM_SHA1 };
	assert_int_equal(scram_first(&s, S("user"), S(NONCE), &response).class, OK);
	assert_int_equal(scram_challenge(&s, S("r=" BOTH ",s=QSXCR+Q6sek8bf92,i=4095"), S("pencil"), &w).class, TEMP);
	secret_fini(&response);
	scram_work_fini(&w);
	scram_fini(&s);
}

/* By the table: the name decides about the hash. */
static void test_scram_by_name(void **state)
{
	static const char *const names[] = { "SCRAM-SHA-1", "SCRAM-SHA-256" };
	static const size_t proofs[] = { 28, 44 }; /* in base64 */

	for (size_t i = 0; i < 2; i++) {
		struct sasl_exchange *x = sasl_new(sasl_find(str_of(names[i])));
		struct secret response = { 0 };
		struct str first, proof;
		char challenge[200];

		assert_int_equal(sasl_initial(x, &tim, S(""), &response).class, OK);
		first = secret_view(&response);
		assert_true(str_starts(first, S("n,,n=tim,r=")));
		snprintf(challenge, sizeof challenge, "r=%.*sx,s=QSXCR+Q6sek8bf92,i=4096", STR_ARG(str_from(first, 11)));
		assert_int_equal(sasl_step(x, &tim, str_of(challenge), &response).class, OK);
		assert_int_equal(sasl_work_left(x), SASL_SHORT_WORK);
		sasl_work(x);
		assert_int_equal(sasl_worked(x, &response).class, OK);
		proof = str_from(secret_view(&response), str_search(secret_view(&response), S(",p=")) + 3);
		assert_int_equal(proof.n, proofs[i]);
		assert_false(sasl_is_done(x));
		assert_int_equal(sasl_step(x, &tim, S("e=invalid-proof"), &response).class, TEMP);
		secret_fini(&response);
		sasl_free(x);
	}
}

/* ---- challenges for the log ---- */

static void test_harmless(void **state)
{
	static const struct sasl_credentials c = { .token = S("ya29.secret"), .password = S("hunter2") };
	static const struct {
		struct str challenge, shown;
	} rows[] = {
		{ S("{\"status\":\"invalid_token\",\"scope\":\"https://mail.google.com/\"}"),
		  S("{\"status\":\"invalid_token\",\"scope\":\"https://mail.google.com/\"}") },
		{ S("{\"token\":\"ya29.secret\",\"password\":\"hunter2\"}"),
		  S("{\"token\":\"(left out)\",\"password\":\"(left out)\"}") },
		{ S("you sent dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNS"),
		  S("you sent (left out)") },
		{ S("\x1b[31mred\r\nI forged.a=line\0\xff"), S("?[31mred??I forged.a=line??") },
		{ S(""), S("") },
	};
	static char endless[5000];
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str shown = sasl_harmless(&a, &c, rows[i].challenge);

		if (!str_eq(shown, rows[i].shown))
			fail_msg("row %zu: %.*s", i, STR_ARG(shown));
	}
	memset(endless, '.', sizeof endless);
	assert_int_equal(sasl_harmless(&a, &c, str_make(endless, sizeof endless)).n, 300);
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),     cmocka_unit_test(test_wanted),      cmocka_unit_test(test_responses),
		cmocka_unit_test(test_long_token), cmocka_unit_test(test_scram_sha_1), cmocka_unit_test(test_scram_by_name),
		cmocka_unit_test(test_harmless),
	};

	return cmocka_run_group_tests_name("mechanisms", tests, NULL, NULL);
}
