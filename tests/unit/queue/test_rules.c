/* test_rules.c - routes, retry times, words and fields: tables without a loop. */
#include "harness.h"

#include "fields.h"

struct str list_corp[] = { { "@corp.example", 13 } };
struct str list_net[] = { { "@example.net", 12 } };
struct str list_web[] = { { "web", 3 } };
struct str to_corp[] = { { "corp", 4 } }, to_isp[] = { { "isp", 3 } }, to_mx[] = { { "mx", 2 } };
struct str to_both[] = { { "isp", 3 }, { "corp", 4 } }, to_gone[] = { { "gone", 4 } };

static void test_routes(void **state)
{
	struct cfg_upstream upstreams[] = { { .name = S("isp") }, { .name = S("corp") } };
	struct cfg_route routes[] = {
		{ .recipients = { list_corp, 1 }, .via = { to_corp, 1 } },
		{ .senders = { list_net, 1 }, .users = { list_web, 1 }, .via = { to_both, 2 } },
		{ .senders = { list_net, 1 }, .via = { to_mx, 1 } },
		{ .users = { list_web, 1 }, .via = { to_gone, 1 } },
		{ .recipients = { list_net, 1 }, .via = { to_isp, 1 } },
	};
	struct config c = { .upstreams = upstreams, .upstreams_n = 2, .routes = routes, .routes_n = 5 };
	static const struct {
		const char *login, *sender, *recipient, *upstream, *why;
	} rows[] = {
		{ "alice", "a@example.org", "b@corp.example", "corp", "" },
		{ "web", "a@example.net", "b@CORP.example", "corp", "" },
		{ "web", "a@example.net", "b@x.example", NULL, "several ways" },
		{ "web/phone", "a@example.net", "b@x.example", NULL, "several ways" },
		{ "alice", "a@example.net", "b@x.example", NULL, "not built yet" },
		{ "web", "a@example.org", "b@x.example", NULL, "not configured" },
		{ "alice", "a@example.org", "b@example.net", "isp", "" },
		{ "alice", "", "b@example.net", "isp", "" },
		{ "alice", "a@example.org", "b@x.example", NULL, "no route" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct route r = route_find(&c, str_of(rows[i].login), str_of(rows[i].sender), str_of(rows[i].recipient));

		if (rows[i].upstream) {
			assert_non_null(r.upstream);
			assert_true(str_eq(r.upstream->name, str_of(rows[i].upstream)));
			continue;
		}
		assert_null(r.upstream);
		assert_int_equal(r.why.class, TEMP);
		assert_true(str_search(r.why.text, str_of(rows[i].why)) < r.why.text.n);
	}
	assert_true(route_uses(&c, &upstreams[0]));
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
		assert_int_equal(retry_at(&c, rows[i].attempts, 1000,
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
		assert_true(str_eq(duration_words(&a, rows[i].ms), str_of(rows[i].words)));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_retry_times),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
