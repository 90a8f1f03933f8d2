/* test_verify.c - the signed message of RFC 8463 and what can happen to it; signatures with faults; Authentication-Results. */
#include "mail_test.h"

#include "posthouse/base64.h"
#include "posthouse/verify.h"

#include <openssl/evp.h>

#define NOW 1528637910000

static const char example_ed[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
				 " d=football.example.com; i=@football.example.com;\r\n"
				 " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
				 " subject : date : message-id : from : subject : date;\r\n"
				 " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
				 " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
				 " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n";
static const char example_rsa[] = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
				  " d=football.example.com; i=@football.example.com;\r\n"
				  " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
				  " date : message-id : from : subject : date;\r\n"
				  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
				  " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
				  " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
				  " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n";
static const char example_fields[] = "From: Joe SixPack <joe@football.example.com>\r\n"
				     "To: Suzie Q <suzie@shopping.example.net>\r\n"
				     "Subject: Is dinner ready?\r\n"
				     "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
				     "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
static const char example_body[] = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n\r\n";
static const char ed_key[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char rsa_key[] = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
			      "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
			      "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
			      "Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

static EVP_PKEY *key_of(const char *base64, bool ed25519)
{
	struct arena a = { 0 };
	struct str bytes;

	assert_true(base64_decode(&a, str_of(base64), &bytes));
	EVP_PKEY *key = dkim_public_key(bytes, ed25519);
	arena_fini(&a);
	return key;
}

/* The result of the first signature. */
static enum dkim_result result(const char *section, const char *body, const char *key, bool ed25519, uint64_t now_ms)
{
	struct dkim_signature signatures[DKIM_SIGNATURES_MAX];
	struct arena a = { 0 };
	struct header h;
	EVP_PKEY *k = key_of(key, ed25519);

	assert_non_null(k);
	assert_int_equal(header_parse(&a, str_of(section), &h).class, OK);
	assert_true(dkim_signatures(&a, &h, signatures) > 0);
	enum dkim_result r = dkim_verify(&signatures[0], &h, str_of(body), k, now_ms);
	EVP_PKEY_free(k);
	arena_fini(&a);
	return r;
}

static const char *joined(struct arena *a, const char *one, const char *two)
{
	return arena_cstr(a, arena_printf(a, "%s%s", one, two));
}

static void test_example(void **state)
{
	struct arena a = { 0 };
	const char *ed = joined(&a, example_ed, example_fields), *rsa = joined(&a, example_rsa, example_fields);

	(void)state;
	assert_int_equal(result(ed, example_body, ed_key, true, NOW), DKIM_GOOD);
	assert_int_equal(result(rsa, example_body, rsa_key, false, NOW), DKIM_GOOD);
	/* what relaxed lets pass, and fields that are not signed */
	assert_int_equal(result(ed, "Hi. \r\n\r\nWe lost the  game. Are you hungry yet?\r\n\r\nJoe.\r\n", ed_key, true, NOW),
			 DKIM_GOOD);
	assert_int_equal(
		result(joined(&a, joined(&a, "Received: x\r\n", ed), "List-Id: <x>\r\n"), example_body, ed_key, true, NOW),
		DKIM_GOOD);
	/* what it does not */
	assert_int_equal(result(rsa, "Hi\r\n", rsa_key, false, NOW), DKIM_BODY_CHANGED);
	assert_int_equal(result(joined(&a, ed, "Subject: more\r\n"), example_body, ed_key, true, NOW), DKIM_HEADER_CHANGED);
	assert_int_equal(result(joined(&a, ed, "From: more\r\n"), example_body, ed_key, true, NOW), DKIM_HEADER_CHANGED);
	/* the key is of the other kind */
	assert_int_equal(result(ed, example_body, rsa_key, false, NOW), DKIM_UNUSABLE);
	arena_fini(&a);
}

static void test_faults(void **state)
{
	static const struct {
		const char *field, *fault;
	} rows[] = {
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==", "" },
		{ "v=1; a=rsa-sha256; c=simple; d=a.b; s=s; h=from; bh=eA==; b=eA==; i=x@c.a.b", "" },
		{ "a=rsa-sha256; d=a.b; s=s; h=to:FROM; bh=eA==; b=e A\r\n ==;", "" },
		{ "v=2; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==", "version" },
		{ "v=1; a=rsa-sha1; d=a.b; s=s; h=from; bh=eA==; b=eA==", "algorithm" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=to; bh=eA==; b=eA==", "From" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA", "base64" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=!; b=eA==", "base64" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==; l=5", "part of the body" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==; x=soon", "number" },
		{ "v=1; a=rsa-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==; i=x@ca.b", "another domain" },
		{ "v=1; a=rsa-sha256; c=nowsp; d=a.b; s=s; h=from; bh=eA==; b=eA==", "canonicalisation" },
		{ "v=1; a=rsa-sha256; d=a.b; h=from; bh=eA==; b=eA==", "missing" },
		{ "", "missing" },
		{ ";;=;=;", "missing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dkim_signature signatures[DKIM_SIGNATURES_MAX];
		struct arena a = { 0 };
		struct str section = exact(arena_printf(&a, "DKIM-Signature: %s\r\n", rows[i].field));
		struct header h;

		assert_int_equal(header_parse(&a, section, &h).class, OK);
		assert_int_equal(dkim_signatures(&a, &h, signatures), 1);
		struct str fault = signatures[0].fault, want = str_of(rows[i].fault);
		if ((fault.n > 0) != (want.n > 0) || (want.n > 0 && str_search(fault, want) == fault.n))
			fail_msg("%s: %.*s", rows[i].field, STR_ARG(fault));
		exact_free(section);
		arena_fini(&a);
	}
	struct arena a = { 0 };
	const char *old = joined(&a, "DKIM-Signature: v=1; a=ed25519-sha256; d=a.b; s=s; h=from; bh=eA==; b=eA==; x=1000\r\n",
				 "From: a@b\r\n");
	assert_int_equal(result(old, "", ed_key, true, 1001000), DKIM_EXPIRED);
	assert_int_equal(result(old, "", ed_key, true, 1000000), DKIM_BODY_CHANGED);
	arena_fini(&a);
	assert_null(dkim_public_key(S("too short"), true));
	assert_null(dkim_public_key(S("no key"), false));
}

/* Each as "server|method=result reason{name=value …}|…"; NULL: malformed. */
static const struct {
	const char *value, *shown;
} results[] = {
	{ " mx.example.net;\r\n dkim=pass header.i=@example.org header.s=p1 header.b=abc;\r\n"
	  " spf=pass (example.net: domain of a@b designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@b;\r\n"
	  " dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org",
	  "mx.example.net|dkim=pass {header.i=@example.org header.s=p1 header.b=abc}|spf=pass example.net: domain of a@b designates "
	  "192.0.2.1 as permitted sender{smtp.mailfrom=a@b}|dmarc=pass p=REJECT sp=REJECT dis=NONE{header.from=example.org}" },
	{ "example.com 1; none", "example.com" },
	{ "example.com;", "example.com" },
	{ "example.com", "example.com" },
	{ "(a) example.com (b) ; (c (d)) dkim (e) = (f) fail (g) reason = \"bad; \\\"worse\\\"\" header.d = example.org ;",
	  "example.com|dkim=fail bad; \"worse\"{header.d=example.org}" },
	{ "e.com; spf=pass smtp.mailfrom=\"a b\"@c.d; auth=pass (cram) smtp.auth=x", "e.com|spf=pass {smtp.mailfrom=\"a b\"@c.d}|"
										     "auth=pass cram{smtp.auth=x}" },
	{ "e.com; dkim/1=pass", "e.com|dkim=pass {}" },
	{ "e.com; dkim", NULL },
	{ "e.com; =pass", NULL },
	{ "e.com; dkim=pass (", NULL },
	{ "e.com; dkim=\"pass", NULL },
	{ "e.com; dkim=pass none; none", NULL },
	{ "; dkim=pass", NULL },
	{ "", NULL },
};

static void test_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		struct arena a = { 0 };
		struct str value = exact(str_of(results[i].value));
		struct auth_results r;
		bool good = auth_results_parse(&a, value, &r);

		if (good != (results[i].shown != NULL))
			fail_msg("%s", results[i].value);
		if (good) {
			struct str shown = r.server;
			for (size_t k = 0; k < r.n; k++) {
				const struct auth_result *m = &r.results[k];
				shown = arena_printf(&a, "%.*s|%.*s=%.*s %.*s{", STR_ARG(shown), STR_ARG(m->method),
						     STR_ARG(m->result), STR_ARG(m->reason));
				for (size_t p = 0; p < m->properties_n; p++)
					shown = arena_printf(&a, "%.*s%s%.*s=%.*s", STR_ARG(shown), p ? " " : "",
							     STR_ARG(m->properties[p].name), STR_ARG(m->properties[p].value));
				shown = arena_printf(&a, "%.*s}", STR_ARG(shown));
			}
			assert_str(shown, str_of(results[i].shown));
		}
		exact_free(value);
		arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
