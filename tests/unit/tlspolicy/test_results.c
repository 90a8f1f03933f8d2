/* test_results.c - sessions are counted by day, domain, policy and result; what was written survives the process; bounds hold. */
#include "unit.h"

#include "results.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY (20000 * DAY_MS)

static struct store store;
static struct results results;
static struct arena arena;
static char path[64];

static int begin(void **state)
{
	snprintf(path, sizeof path, "/tmp/test-results-%d.db", getpid());
	store = (struct store){ 0 };
	store_open(&store, path);
	results_init(&results, &store);
	return 0;
}

/* As after kill -9: what was not written is lost. */
static void lose(void)
{
	hashtable_fini(&results.waiting);
	arena_fini(&results.arena);
	store_close(&store);
	begin(NULL);
}

static int end(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	results_fini(&results);
	store_close(&store);
	arena_fini(&arena);
	for (size_t i = 0; i < 3; i++) {
		char name[80];

		snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
		unlink(name);
	}
	return 0;
}

static void count_at(const char *domain, enum report_policy type, const char *text, enum tls_result result, const char *ip,
		     uint64_t at_ms)
{
	struct session_result s = { .domain = str_of(domain),
				    .type = type,
				    .policy_domain = str_of(domain),
				    .text = str_of(text),
				    .failure = { .result = result, .host = S("mx"), .ip = str_of(ip), .count = 1 } };

	results_count(&results, &s, at_ms);
}

static struct report report_of(const char *domain, uint64_t day_ms)
{
	struct report r;

	results_report(&store, &arena, str_of(domain), day_ms, RESULTS_FAILURES_MAX, &r);
	return r;
}

static void test_counts(void **state)
{
	struct report r;

	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 5; k++)
			count_at("a.test", REPORT_STS, "version: STSv1\n", TLS_RESULT_SUCCESSFUL,
				 k % 2 ? "192.0.2.1" : "192.0.2.2", DAY + 1000);
		count_at("a.test", REPORT_STS, "version: STSv1\n", TLS_RESULT_CERTIFICATE_EXPIRED, "192.0.2.1", DAY + 2000);
		count_at("a.test", REPORT_STS, "version: STSv1\n", TLS_RESULT_CERTIFICATE_EXPIRED, "192.0.2.2", DAY + 2000);
		count_at("a.test", REPORT_STS, "version: STSv1\n", TLS_RESULT_CERTIFICATE_EXPIRED, "192.0.2.2", DAY + 2000);
		count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_STARTTLS_NOT_SUPPORTED, "192.0.2.3", DAY + DAY_MS - 1);
		count_at("b.test", REPORT_NO_POLICY, "", TLS_RESULT_SUCCESSFUL, "192.0.2.3", DAY + DAY_MS);
		results_write(&results);
	}
	r = report_of("a.test", DAY);
	assert_int_equal(r.policies_n, 2);
	assert_int_equal(r.policies[0].type, REPORT_STS);
	assert_int_equal(r.policies[0].successful, 15);
	assert_int_equal(r.policies[0].failed, 9);
	assert_int_equal(r.policies[0].failures_n, 2);
	assert_int_equal(r.policies[0].failures[0].count, 6);
	assert_true(str_eq(r.policies[0].failures[0].ip, S("192.0.2.2")));
	assert_true(str_starts(r.id, S("20241004.")));
	assert_int_equal(r.policies[1].failed, 3);
	assert_int_equal(report_of("b.test", DAY).policies_n, 0);
	assert_int_equal(report_of("b.test", DAY + DAY_MS).policies[0].successful, 3);
	assert_int_equal(results.counted, 30);
	assert_int_equal(results.days, 2);
}

static void test_restart(void **state)
{
	struct str id;

	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_SUCCESSFUL, "", DAY);
	results_write(&results);
	id = report_of("a.test", DAY).id;
	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_SUCCESSFUL, "", DAY);
	lose();
	assert_int_equal(report_of("a.test", DAY).policies[0].successful, 1);
	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_SUCCESSFUL, "", DAY);
	results_write(&results);
	assert_int_equal(report_of("a.test", DAY).policies[0].successful, 2);
	assert_true(str_eq(report_of("a.test", DAY).id, id));
	assert_int_equal(results.days, 1);
}

/* A server that says something new each time cannot fill the disk, and no session is left out of the sums. */
static void test_bounds(void **state)
{
	struct report r;
	uint64_t sum = 0;
	char text[32];

	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "192.0.2.%d", i);
		count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_VALIDATION_FAILURE, text, DAY);
		snprintf(text, sizeof text, "mx: %d\n", i);
		count_at("b.test", REPORT_STS, text, TLS_RESULT_SUCCESSFUL, "", DAY);
	}
	results_write(&results);
	r = report_of("a.test", DAY);
	assert_int_equal(r.policies[0].failed, 500);
	assert_int_equal(r.policies[0].failures_n, RESULTS_FAILURES_MAX);
	for (size_t i = 0; i < r.policies[0].failures_n; i++)
		sum += r.policies[0].failures[i].count;
	assert_in_range(sum, 401, 500); /* the rest is one row; the rarest are beyond the limit of a report */
	assert_true(r.policies[0].failures[0].ip.n == 0 && r.policies[0].failures[0].count >= 400);
	assert_int_equal(report_of("b.test", DAY).policies_n, RESULTS_POLICIES_MAX);
	assert_int_equal(results.not_counted, 500 - RESULTS_POLICIES_MAX);
}

static void test_prune(void **state)
{
	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_VALIDATION_FAILURE, "192.0.2.1", DAY);
	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_VALIDATION_FAILURE, "192.0.2.1", DAY + 9 * DAY_MS);
	count_at("a.test", REPORT_NO_POLICY, "", TLS_RESULT_VALIDATION_FAILURE, "192.0.2.1",
		 DAY + 900 * DAY_MS); /* a wrong clock */
	results_write(&results);
	results_prune(&results, DAY + 10 * DAY_MS);
	assert_int_equal(report_of("a.test", DAY).policies_n, 0);
	assert_int_equal(report_of("a.test", DAY + 9 * DAY_MS).policies[0].failures_n, 1);
	assert_int_equal(report_of("a.test", DAY + 900 * DAY_MS).policies_n, 0);
	assert_int_equal(results.days, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_restart, begin, end),
		cmocka_unit_test_setup_teardown(test_bounds, begin, end),
		cmocka_unit_test_setup_teardown(test_prune, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
