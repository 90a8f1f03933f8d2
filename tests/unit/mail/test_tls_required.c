/* test_tls_required.c - "TLS-Required: No" (RFC 8689 3), and what is not it. */
#include "mail_test.h"

static const struct {
	const char *header;
	bool optional;
} rows[] = {
	{ "TLS-Required: No\r\n", true },
	{ "tls-required:no\r\n", true },
	{ "TLS-Required:\r\n  NO\t\r\n", true },
	{ "Subject: x\r\nTLS-Required: No\r\nTo: y\r\n", true },
	{ "Subject: x\r\n", false },
	{ "TLS-Required: Yes\r\n", false },
	{ "TLS-Required:\r\n", false },
	{ "TLS-Required: No (really)\r\n", false },
	{ "TLS-Required: No, No\r\n", false },
	{ "X-TLS-Required: No\r\n", false },
	{ "TLS-Required-Not: No\r\n", false },
	{ "TLS-Required: No\r\nSubject: x\r\nTLS-Required: No\r\n", false },
	{ "TLS-Required: No\r\ntls-required: Yes\r\n", false },
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct arena a = { 0 };
		struct header h;

		assert_int_equal(header_parse(&a, str_of(rows[i].header), &h).class, OK);
		if (mail_tls_optional(&h) != rows[i].optional)
			fail_msg("%s", rows[i].header);
		arena_fini(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
