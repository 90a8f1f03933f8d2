/* test_exposition.c - numbers as text, and which text a monitor wants. */
#include "unit.h"

#include "exposition.h"

#include "posthouse/metrics.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct rec_stat queue_rows[] = {
	{ METRIC_QUEUE_ACCEPTED, { "", 0 }, 7, { "", 0 } },
	{ METRIC_QUEUE_NEXTHOP_DOWN, { "upstream:isp", 12 }, 1500, { "", 0 } },
	{ METRIC_QUEUE_RESULTS, { "failed 5.1.1", 12 }, 3, { "", 0 } },
	{ METRIC_QUEUE_RESULTS, { "other", 5 }, 1, { "", 0 } },
	{ METRIC_QUEUE_COMMIT_TIME, { "", 0 }, 5, { "", 0 } },
	{ METRIC_QUEUE_COMMIT_TIME, { "0.05", 4 }, 4, { "", 0 } },
	{ METRIC_QUEUE_COMMIT_TIME, { "+Inf", 4 }, 5, { "", 0 } },
	{ METRIC_QUEUE_COMMIT_TIME, { "sum", 3 }, 2345, { "", 0 } },
	{ METRIC_ROLE_CPU, { "", 0 }, 61005, { "", 0 } },
};
static const struct rec_stat submission_rows[] = { { METRIC_SUBMISSION_SESSIONS, { "", 0 }, 2, { "", 0 } } };
static const struct role_told roles[] = {
	{ .state = { .role = ROLE_QUEUE }, .answers = true, .stats = queue_rows, .stats_n = COUNT(queue_rows) },
	{ .state = { .role = ROLE_SUBMISSION, .index = 0 }, .answers = true, .stats = submission_rows, .stats_n = 1 },
	{ .state = { .role = ROLE_SUBMISSION, .index = 1 }, .answers = true, .stats = submission_rows, .stats_n = 1 },
	{ .state = { .role = ROLE_RELAY }, .answers = false },
};

static const char *written(struct buf *b, enum exposition form)
{
	buf_init(b, 1 << 20);
	assert_true(exposition_write(b, form, roles, COUNT(roles)));
	assert_true(buf_add_char(b, '\0'));
	return b->p + b->from;
}

static void has(const char *text, const char *lines)
{
	if (!strstr(text, lines))
		fail_msg("no\n%s\nin\n%s", lines, text);
}

static void test_openmetrics(void **state)
{
	struct buf b;
	const char *text = written(&b, EXPOSITION_OPENMETRICS);

	has(text, "# TYPE posthouse_queue_accepted counter\nposthouse_queue_accepted_total 7\n");
	has(text, "# TYPE posthouse_process_cpu_seconds counter\n# UNIT posthouse_process_cpu_seconds seconds\n"
		  "posthouse_process_cpu_seconds_total{role=\"queue\",worker=\"0\"} 61.005\n");
	has(text, "posthouse_submission_sessions{worker=\"0\"} 2\nposthouse_submission_sessions{worker=\"1\"} 2\n");
	has(text, "posthouse_queue_nexthop_down_until_timestamp_seconds{nexthop=\"upstream:isp\"} 1.500\n");
	has(text, "posthouse_queue_results_total{outcome=\"failed\",code=\"5.1.1\"} 3\n"
		  "posthouse_queue_results_total{outcome=\"other\",code=\"\"} 1\n");
	has(text, "# TYPE posthouse_queue_commit_seconds histogram\n# UNIT posthouse_queue_commit_seconds seconds\n"
		  "posthouse_queue_commit_seconds_count 5\nposthouse_queue_commit_seconds_bucket{le=\"0.05\"} 4\n"
		  "posthouse_queue_commit_seconds_bucket{le=\"+Inf\"} 5\nposthouse_queue_commit_seconds_sum 2.345\n");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	buf_fini(&b);
}

/* The older format names a counter with its _total, and has neither units nor an end. */
static void test_prometheus(void **state)
{
	struct buf b;
	const char *text = written(&b, EXPOSITION_PROMETHEUS);

	has(text, "# TYPE posthouse_queue_accepted_total counter\nposthouse_queue_accepted_total 7\n");
	assert_null(strstr(text, "# UNIT"));
	assert_null(strstr(text, "# EOF"));
	buf_fini(&b);
}

/* What peers have a hand in cannot end the label or the line. */
static void test_labels_are_escaped(void **state)
{
	const struct rec_stat row = { METRIC_RELAY_UPSTREAM_CONNECTIONS, { "a\"b\\c\nd\xff", 8 }, 1, { "", 0 } };
	const struct role_told relay = { .state = { .role = ROLE_RELAY }, .answers = true, .stats = &row, .stats_n = 1 };
	struct buf b;

	buf_init(&b, 4096);
	assert_true(exposition_write(&b, EXPOSITION_PROMETHEUS, &relay, 1));
	assert_true(buf_add_char(&b, '\0'));
	has(b.p + b.from, "{upstream=\"a\\\"b\\\\c\xef\xbf\xbd"
			  "d\xef\xbf\xbd\"} 1\n");
	buf_fini(&b);
}

static void test_a_page_that_is_too_long(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_false(exposition_write(&b, EXPOSITION_PROMETHEUS, roles, COUNT(roles)));
	buf_fini(&b);
}

static void test_which_format_is_wanted(void **state)
{
	static const struct {
		const char *accept;
		enum exposition form;
	} rows[] = {
		{ "", EXPOSITION_PROMETHEUS },
		{ "*/*", EXPOSITION_PROMETHEUS },
		{ "text/plain", EXPOSITION_PROMETHEUS },
		{ "application/openmetrics-text", EXPOSITION_OPENMETRICS },
		{ "Application/OpenMetrics-Text ; version=1.0.0", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  EXPOSITION_OPENMETRICS },
		{ "text/plain;q=0.9, application/openmetrics-text;q=0.5", EXPOSITION_PROMETHEUS },
		{ "text/plain;q=0.5, application/openmetrics-text; q=0.501", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;q=0", EXPOSITION_PROMETHEUS },
		{ "application/openmetrics-text;q=0.000", EXPOSITION_PROMETHEUS },
		{ "application/openmetrics-text;q=x", EXPOSITION_PROMETHEUS },
		{ "application/openmetrics-textile", EXPOSITION_PROMETHEUS },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (exposition_wanted(str_of(rows[i].accept)) != rows[i].form)
			fail_msg("%s", rows[i].accept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openmetrics),
		cmocka_unit_test(test_prometheus),
		cmocka_unit_test(test_labels_are_escaped),
		cmocka_unit_test(test_a_page_that_is_too_long),
		cmocka_unit_test(test_which_format_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
