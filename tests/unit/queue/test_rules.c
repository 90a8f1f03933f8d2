/* test_rules.c - routes, retry times, words and fields: tables without a loop. */
#include "harness.h"

#include "common/event_fields.h"

#include <stdlib.h>

struct str list_corp[] = { { "@corp.example", 13 } };
struct str list_net[] = { { "@example.net", 12 } };
struct str list_null[] = { { NULL_SENDER, 2 } };
struct str list_web[] = { { "web", 3 } };
struct str to_corp[] = { { "corp", 4 } }, to_isp[] = { { "isp", 3 } }, to_mx[] = { { "mx", 2 } };
struct str to_both[] = { { "isp", 3 }, { "corp", 4 } }, to_gone[] = { { "gone", 4 } };

static void test_routes(void **state)
{
	struct cfg_route routes[] = {
		{ .recipients = { list_corp, 1 }, .via = { to_corp, 1 } },
		{ .senders = { list_net, 1 }, .users = { list_web, 1 }, .via = { to_both, 2 } },
		{ .senders = { list_net, 1 }, .via = { to_mx, 1 } },
		{ .users = { list_web, 1 }, .via = { to_gone, 1 } },
		{ .recipients = { list_net, 1 }, .via = { to_isp, 1 } },
	};
	struct config c = { .routes = routes, .routes_n = 5 };
	static const struct {
		const char *login, *sender, *recipient;
		int route; /* -1: none */
	} rows[] = {
		{ "alice", "a@example.org", "b@corp.example", 0 }, { "web", "a@example.net", "b@CORP.example", 0 },
		{ "web", "a@example.net", "b@x.example", 1 },      { "web/phone", "a@example.net", "b@x.example", 1 },
		{ "alice", "a@example.net", "b@x.example", 2 },    { "web", "a@example.org", "b@x.example", 3 },
		{ "alice", "a@example.org", "b@example.net", 4 },  { "alice", "", "b@example.net", 4 },
		{ "alice", "a@example.org", "b@x.example", -1 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_ptr_equal(route_find(&c, str_of(rows[i].login), str_of(rows[i].sender), str_of(rows[i].recipient)),
				 rows[i].route < 0 ? NULL : &routes[rows[i].route]);
	routes[0].senders = (struct str_list){ list_null, 1 };
	assert_ptr_equal(route_find(&c, S(""), S(""), S("b@corp.example")), &routes[0]);
	assert_null(route_find(&c, S("alice"), S("a@example.org"), S("b@corp.example")));
	assert_true(route_uses(&c, S("isp")));
	assert_true(route_uses(&c, S("mx")));
	assert_false(route_uses(&c, S("other")));
}

/* What is certain before sender and local part are known. */
static void test_lane_routes(void **state)
{
	static struct str all[] = { { "*", 1 } }, one[] = { { "ceo@corp.example", 16 } }, under[] = { { "@.corp.example", 14 } };
	struct cfg_route routes[] = {
		{ .recipients = { one, 1 }, .via = { to_mx, 1 } },     { .recipients = { list_corp, 1 }, .via = { to_corp, 1 } },
		{ .recipients = { under, 1 }, .via = { to_corp, 1 } }, { .senders = { list_net, 1 }, .via = { to_mx, 1 } },
		{ .users = { list_web, 1 }, .via = { to_mx, 1 } },     { .senders = { all, 1 }, .recipients = { all, 1 } },
	};
	struct config c = { .routes = routes, .routes_n = 6 };
	static const struct {
		const char *login, *domain;
		size_t n;
		int first, last;
	} rows[] = {
		{ "alice", "corp.example", 2, 0, 1 }, { "alice", "a.corp.example", 1, 2, 2 }, { "alice", "x.example", 2, 3, 5 },
		{ "web", "x.example", 2, 3, 4 },      { "web/phone", "x.example", 2, 3, 4 },
	};
	struct route_set none;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct route_set r = routes_for(&c, str_of(rows[i].login), str_of(rows[i].domain));

		assert_true(r.complete);
		assert_int_equal(r.n, rows[i].n);
		assert_ptr_equal(r.at[0], &routes[rows[i].first]);
		assert_ptr_equal(r.at[r.n - 1], &routes[rows[i].last]);
	}
	c.routes_n = 4;
	none = routes_for(&c, S("alice"), S("x.example"));
	assert_int_equal(none.n, 1);
	assert_false(none.complete);
}

static void test_greylisting(void **state)
{
	uint64_t times[] = { 60000 };
	struct cfg_queue c = { .retry_ms = times, .retry_n = 1 };

	assert_int_equal(greylist_at(&c, 0, 1000, UINT64_MAX, 0), 61000);
	assert_int_equal(greylist_at(&c, 0, 1000, UINT64_MAX, 6000), 67000);
	assert_int_equal(greylist_at(&c, 0, 1000, 30000, 0), 30000);
	assert_int_equal(greylist_at(&c, 20000, 1000, UINT64_MAX, 0), 21000);  /* as told … */
	assert_int_equal(greylist_at(&c, 900000, 1000, UINT64_MAX, 0), 61000); /* … but no longer than the longest retry */
	times[0] = 3600000;
	assert_int_equal(greylist_at(&c, 0, 1000, UINT64_MAX, 0), 301000);
	assert_int_equal(greylist_at(&c, 900000, 1000, UINT64_MAX, 0), 901000);
}

/* What a next hop asks for is heeded, but the schedule's longest wait is the longest of all. */
static void test_paused(void **state)
{
	uint64_t times[] = { 60000, 300000, 7200000 };
	struct cfg_queue c = { .retry_ms = times, .retry_n = 3 };

	assert_int_equal(retry_at(&c, 0, 0, 1000, UINT64_MAX, 6000), 61000);
	assert_int_equal(retry_at(&c, 900000, 0, 1000, UINT64_MAX, 0), 901000);
	assert_int_equal(retry_at(&c, 86400000, 0, 1000, UINT64_MAX, 0), 7201000);
	assert_int_equal(retry_at(&c, 5000, 1, 1000, UINT64_MAX, 30000), 301000);
	assert_int_equal(retry_at(&c, 900000, 0, 1000, 50000, 0), 50000);
}

static void test_pauses(void **state)
{
	uint64_t times[] = { 60000, 300000, 7200000 };
	struct cfg_queue c = { .retry_ms = times, .retry_n = 3 };
	static const struct {
		bool is_mx;
		enum nexthop_fault fault;
		uint64_t asked_s, failures, pause_s;
	} rows[] = {
		{ false, FAULT_UNREACHABLE, 0, 1, 5 },   { false, FAULT_UNREACHABLE, 0, 3, 20 },
		{ false, FAULT_OURS, 0, 99, 300 },       { false, FAULT_OURS, 600, 1, 600 },
		{ false, FAULT_OURS, 600, 99, 3600 },    { false, FAULT_POLICY, 0, 1, 300 },
		{ false, FAULT_POLICY, 5, 1, 5 }, /* a throttle: seconds to a minute */
		{ false, FAULT_POLICY, 5, 50, 60 },      { false, FAULT_POLICY, 60, 2, 120 },
		{ false, FAULT_POLICY, 60, 50, 3600 },   { false, FAULT_POLICY, 3600, 1, 3600 }, /* a quota: hours to a day */
		{ false, FAULT_POLICY, 3600, 2, 7200 },  { false, FAULT_POLICY, 3600, 50, 86400 },
		{ true, FAULT_POLICY, 86400, 1, 86400 }, { true, FAULT_UNREACHABLE, 0, 1, 54 },
		{ true, FAULT_UNREACHABLE, 0, 2, 270 },  { true, FAULT_UNREACHABLE, 0, 3, 1620 },
		{ true, FAULT_OURS, 0, 99, 1620 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(pause_after(&c, rows[i].is_mx, rows[i].fault, rows[i].asked_s * 1000, rows[i].failures),
				 rows[i].pause_s * 1000);
}

static void test_retry_times(void **state)
{
	uint64_t times[] = { 60000, 300000, 3600000 };
	struct cfg_queue c = { .retry_ms = times, .retry_n = 3 };
	static const struct {
		uint64_t attempts, expires_at, random, at;
	} rows[] = {
		{ 0, UINT64_MAX, 0, 54000 },     /* a tenth less */
		{ 0, UINT64_MAX, 12000, 66000 }, /* a tenth more */
		{ 0, UINT64_MAX, 6000, 60000 },
		{ 1, UINT64_MAX, 30000, 300000 },
		{ 2, UINT64_MAX, 360000, 3600000 },
		{ 99, UINT64_MAX, 360000, 3600000 }, /* the last repeats */
		{ 2, 100000, 360000, 100000 },       /* the last attempt comes when the time is over */
		{ 0, 900, 6000, 60000 },             /* it was over already: expires_at < now */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(retry_at(&c, 0, rows[i].attempts, 1000,
					  rows[i].expires_at == UINT64_MAX ? UINT64_MAX : rows[i].expires_at, rows[i].random),
				 rows[i].at == 100000 ? 100000 : rows[i].at + 1000);
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t ms;
		const char *words;
	} rows[] = { { 5ull * 86400000, "5 days" }, { 86400000, "1 day" }, { 7200000, "2 hours" }, { 5400000, "90 minutes" },
		     { 90000, "90 seconds" },       { 1000, "1 second" },  { 1500, "1 second" } };
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_true(str_eq(format_duration(&a, rows[i].ms), str_of(rows[i].words)));
	arena_fini(&a);
}

static void test_fields(void **state)
{
	struct arena a = { 0 };
	static char longest[20000];
	struct str s = FIELDS(&a, kv("a", "x"), kv("empty", ""), kv("b", "two words"), kv("c", "say \"no\"\\\r\n\x01"),
			      kv("n", 7u), kv("t", (bool)true));

	assert_true(str_eq(s, S("a=x b=\"two words\" c=\"say \\\"no\\\"\\\\\\r\\n\\u0001\" n=7 t=true")));
	memset(longest, 1, sizeof longest);
	s = FIELDS(&a, kv("a", str_make(longest, sizeof longest)), kv("b", "left out"));
	assert_true(s.n > 100 && s.n <= FIELDS_MAX);
	arena_fini(&a);
}

/* Limits and times as people read them. */
static void test_limit_words(void **state)
{
	static const struct {
		enum meter_kind kind;
		struct rate rate;
		uint64_t used;
		const char *words, *rule;
	} rows[] = {
		{ METER_MESSAGES, { 200, 3600000 }, 180, "180 of 200 messages per hour", "messages 200/1h" },
		{ METER_RECIPIENTS, { 5, 600000 }, 0, "0 of 5 recipients per 10 minutes", "recipients 5/10m" },
		{ METER_NEW, { 100, 86400000 }, 100, "100 of 100 new recipients per day", "new_recipients 100/1d" },
		{ METER_BYTES, { 500ull << 20, 86400000 }, 1, "1 of 500 MB per day", "bytes 500M/1d" },
		{ METER_BYTES, { 20480, 172800000 }, 20480, "20 of 20 KB per 2 days", "bytes 20K/2d" },
		{ METER_BYTES, { 180, 1500 }, 7, "7 of 180 bytes per 1500 ms", "bytes 180/1500ms" },
	};
	static const struct {
		uint64_t ms;
		const char *words;
	} waits[] = {
		{ 0, "1 second" },
		{ 1, "1 second" },
		{ 1001, "2 seconds" },
		{ 119000, "119 seconds" },
		{ 120000, "120 seconds" },
		{ 120001, "3 minutes" },
		{ 12 * 60000, "12 minutes" },
		{ 12 * 60000 + 1, "13 minutes" },
		{ 7200001, "3 hours" },
		{ 86400000, "24 hours" },
		{ 3 * 86400000ull, "3 days" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_true(str_eq(format_used(&a, rows[i].kind, rows[i].rate, rows[i].used), str_of(rows[i].words)));
		assert_true(str_eq(format_rule(&a, rows[i].kind, rows[i].rate), str_of(rows[i].rule)));
	}
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		assert_true(str_eq(format_wait(&a, waits[i].ms), str_of(waits[i].words)));
	assert_true(str_eq(format_time(&a, START_MS), S("2026-11-21 19:37 UTC")));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),    cmocka_unit_test(test_lane_routes), cmocka_unit_test(test_greylisting),
		cmocka_unit_test(test_paused),    cmocka_unit_test(test_pauses),      cmocka_unit_test(test_retry_times),
		cmocka_unit_test(test_durations), cmocka_unit_test(test_fields),      cmocka_unit_test(test_limit_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
