/* test_tls_policy.c - which TLS a candidate address gets, as a table; and the words for how it went. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_policy.h"

#include "posthouse/tls_result.h"

static void decisions(void **state)
{
	static const struct {
		struct tls_facts facts;
		enum tls_level level;
		bool implicit, old;
	} rows[] = {
		/* an upstream has what is configured, whatever is known of its addresses */
		{ { .configured = UPSTREAM_IMPLICIT }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_NONE }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_IMPLICIT, .failed = true, .too_old = true }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS, .failed = true, .too_old = true }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_IMPLICIT, .no_context = true }, TLS_LEVEL_VERIFY, true, false },
		{ { .configured = UPSTREAM_STARTTLS, .no_context = true }, TLS_LEVEL_VERIFY, false, false },
		{ { .configured = UPSTREAM_NONE, .too_old = true }, TLS_LEVEL_NONE, false, false },
		/* opportunistic: as well as the address can */
		{ { .configured = UPSTREAM_OPPORTUNISTIC }, TLS_LEVEL_MAY, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true }, TLS_LEVEL_MAY, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true, .too_old = true }, TLS_LEVEL_MAY, false, true },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .mx = true, .failed = true }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .failed = true, .too_old = true }, TLS_LEVEL_NONE, false, false },
		{ { .configured = UPSTREAM_OPPORTUNISTIC, .no_context = true }, TLS_LEVEL_NONE, false, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tls_facts facts = rows[i].facts;
		struct arena a = { 0 };
		struct tls_policy p;

		facts.name = S("mail.example.org");
		p = tls_policy_decide(&a, &facts);
		assert_int_equal(p.level, rows[i].level);
		assert_int_equal(p.implicit, rows[i].implicit);
		assert_int_equal(p.old, rows[i].old);
		assert_int_equal(p.source, facts.mx ? TLS_SOURCE_DEFAULT : TLS_SOURCE_UPSTREAM);
		assert_int_equal(p.tlsa_n, 0);
		assert_int_equal(p.names.n, p.level == TLS_LEVEL_NONE ? 0 : 1);
		if (p.names.n > 0)
			assert_true(str_eq(p.names.at[0], facts.name));
		arena_fini(&a);
	}
}

/* RFC 8460 4.3: the words of failures are those of its registry (6.6). */
static void words(void **state)
{
	assert_string_equal(tls_result_word(TLS_RESULT_NONE), "none");
	assert_string_equal(tls_result_word(TLS_RESULT_SUCCESSFUL), "successful");
	assert_string_equal(tls_result_word(TLS_RESULT_STARTTLS_NOT_SUPPORTED), "starttls-not-supported");
	assert_string_equal(tls_result_word(TLS_RESULT_STS_WEBPKI_INVALID), "sts-webpki-invalid");
	assert_false(tls_result_failed(TLS_RESULT_NONE));
	assert_false(tls_result_failed(TLS_RESULT_SUCCESSFUL));
	assert_true(tls_result_failed(TLS_RESULT_STARTTLS_NOT_SUPPORTED));
	assert_true(tls_result_failed(TLS_RESULT_STS_WEBPKI_INVALID));
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(decisions), cmocka_unit_test(words) };

	return cmocka_run_group_tests_name("relay tls_policy", tests, NULL, NULL);
}
