/* test_report.c - a report by the fields of RFC 8460 4.4, its file name (5.1) and its compressed form (5.2). */
#include "unit.h"

#include "report.h"

#include <jansson.h>
#include <zlib.h>

#define T(text)                                                                                                                  \
	{                                                                                                                        \
		(text), sizeof(text) - 1                                                                                         \
	}
#define DAY_BEGINS (20000 * DAY_MS) /* 2024-10-04 */

static const struct report_failure failures[] = {
	{ .result = TLS_RESULT_CERTIFICATE_EXPIRED,
	  .source = T("2001:db8::1"),
	  .host = T("mx1.example.net"),
	  .ip = T("203.0.113.5"),
	  .helo = T("mx1\xff.example"),
	  .reason = T("X509_V_ERR_CERT_HAS_EXPIRED"),
	  .count = 100 },
	{ .result = TLS_RESULT_STS_POLICY_FETCH_ERROR, .count = 3 },
};

static const struct report_policy_counts policies[] = {
	{ .type = REPORT_STS,
	  .domain = T("example.net"),
	  .text = T("version: STSv1\nmode: testing\nmx: mx1.example.net\nmx: *.example.net\nmax_age: 86400\n"),
	  .mx = T("mx1.example.net\n*.example.net\n"),
	  .successful = 5326,
	  .failed = 103,
	  .failures = failures,
	  .failures_n = 2 },
	{ .type = REPORT_TLSA, .domain = T("mx1.example.net"), .text = T("3 1 1 AB\n2 0 1 CD\n"), .successful = 1 },
	{ .type = REPORT_NO_POLICY, .domain = T("example.net") },
};

static const struct report report = {
	.domain = T("example.net"),
	.org = T("Example \"Org\""),
	.contact = T("tls@relay.example.org"),
	.id = T("20241004.abc@relay.example.org"),
	.day_ms = DAY_BEGINS,
	.policies = policies,
	.policies_n = 3,
};

static const char *text_at(json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	assert_non_null(text);
	return text;
}

static json_t *read_report(struct arena *a, bool for_people)
{
	struct str text = report_json(a, &report, for_people);
	json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(j);
	return j;
}

static void test_metadata(void **state)
{
	struct arena a = { 0 };
	json_t *j = read_report(&a, true), *range = json_object_get(j, "date-range");

	assert_string_equal(text_at(j, "organization-name"), "Example \"Org\"");
	assert_string_equal(text_at(j, "contact-info"), "tls@relay.example.org");
	assert_string_equal(text_at(j, "report-id"), "20241004.abc@relay.example.org");
	assert_string_equal(text_at(range, "start-datetime"), "2024-10-04T00:00:00Z");
	assert_string_equal(text_at(range, "end-datetime"), "2024-10-04T23:59:59Z");
	assert_int_equal(json_object_size(j), 5);
	assert_int_equal(json_array_size(json_object_get(j, "policies")), 3);
	json_decref(j);
	arena_fini(&a);
}

static void test_policies(void **state)
{
	struct arena a = { 0 };
	json_t *j = read_report(&a, false), *list = json_object_get(j, "policies");
	json_t *sts = json_array_get(list, 0), *policy = json_object_get(sts, "policy"), *lines, *summary;

	assert_string_equal(text_at(policy, "policy-type"), "sts");
	assert_string_equal(text_at(policy, "policy-domain"), "example.net");
	lines = json_object_get(policy, "policy-string");
	assert_int_equal(json_array_size(lines), 5);
	assert_string_equal(json_string_value(json_array_get(lines, 3)), "mx: *.example.net");
	lines = json_object_get(policy, "mx-host");
	assert_int_equal(json_array_size(lines), 2);
	summary = json_object_get(sts, "summary");
	assert_int_equal(json_integer_value(json_object_get(summary, "total-successful-session-count")), 5326);
	assert_int_equal(json_integer_value(json_object_get(summary, "total-failure-session-count")), 103);
	policy = json_object_get(json_array_get(list, 1), "policy");
	assert_string_equal(text_at(policy, "policy-type"), "tlsa");
	assert_string_equal(json_string_value(json_array_get(json_object_get(policy, "policy-string"), 1)), "2 0 1 CD");
	assert_null(json_object_get(policy, "mx-host"));
	policy = json_object_get(json_array_get(list, 2), "policy");
	assert_string_equal(text_at(policy, "policy-type"), "no-policy-found");
	assert_null(json_object_get(policy, "policy-string"));
	assert_null(json_object_get(json_array_get(list, 2), "failure-details"));
	json_decref(j);
	arena_fini(&a);
}

static void test_failures(void **state)
{
	struct arena a = { 0 };
	json_t *j = read_report(&a, false), *list, *one;

	list = json_object_get(json_array_get(json_object_get(j, "policies"), 0), "failure-details");
	assert_int_equal(json_array_size(list), 2);
	one = json_array_get(list, 0);
	assert_string_equal(text_at(one, "result-type"), "certificate-expired");
	assert_string_equal(text_at(one, "sending-mta-ip"), "2001:db8::1");
	assert_string_equal(text_at(one, "receiving-ip"), "203.0.113.5");
	assert_string_equal(text_at(one, "receiving-mx-hostname"), "mx1.example.net");
	assert_string_equal(text_at(one, "receiving-mx-helo"), "mx1\xef\xbf\xbd.example"); /* I-JSON is UTF-8 */
	assert_string_equal(text_at(one, "failure-reason-code"), "X509_V_ERR_CERT_HAS_EXPIRED");
	assert_int_equal(json_integer_value(json_object_get(one, "failed-session-count")), 100);
	one = json_array_get(list, 1);
	assert_int_equal(json_object_size(one), 2); /* nothing is known of a session */
	assert_string_equal(text_at(one, "result-type"), "sts-policy-fetch-error");
	json_decref(j);
	arena_fini(&a);
}

static void test_file_name(void **state)
{
	struct arena a = { 0 };
	struct str name = report_file_name(&a, &report);

	assert_string_equal(arena_cstr(&a, name), "relay.example.org!example.net!1728000000!1728086399.json.gz");
	arena_fini(&a);
}

static void test_gzip(void **state)
{
	struct arena a = { 0 };
	struct str text = report_json(&a, &report, true), packed = report_gzip(&a, text), again = report_gzip(&a, text);
	unsigned char *out = arena_alloc(&a, text.n + 1);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.p,
		       .avail_in = (uInt)packed.n,
		       .next_out = out,
		       .avail_out = (uInt)text.n + 1 };

	assert_true(str_eq(packed, again) && packed.n < text.n);
	assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, text.n);
	assert_memory_equal(out, text.p, text.n);
	inflateEnd(&z);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata),  cmocka_unit_test(test_policies), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_file_name), cmocka_unit_test(test_gzip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
