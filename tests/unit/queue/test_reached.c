/* test_reached.c - which servers of others have answered a direct delivery within the last day, as doctor asks. */
#include "stored.h"

#include "posthouse/units.h"

#include <stdio.h>

static int setup(void **state)
{
	struct harness *h = harness_new();

	connect_submission(h);
	connect_relay(h);
	connect_console(h);
	*state = h;
	return 0;
}

static struct str v4, v6;

static void on_reached(void *ctx, struct verdict v, const struct msg_reached_are *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	v4 = arena_str(&h->arena, m->v4);
	v6 = arena_str(&h->arena, m->v6);
	harness_keep(h, m->verdict, 0, 0);
}

static void ask(struct harness *h, uint64_t port)
{
	size_t before = h->answers_n;

	ipc_call_reached(h->console, &(struct msg_reached){ .port = port }, -1, on_reached, h);
	UNTIL(h, h->answers_n > before);
}

static void assert_reached(struct harness *h, uint64_t port, const char *by_v4, const char *by_v6)
{
	ask(h, port);
	assert_int_equal(h->answer.class, OK);
	if (!str_eq(v4, str_of(by_v4)) || !str_eq(v6, str_of(by_v6)))
		fail_msg("\"%.*s\" and \"%.*s\"", STR_ARG(v4), STR_ARG(v6));
}

/* A delivery with this result, to this server. */
static void deliver(struct harness *h, uint64_t id, struct verdict v, enum trouble trouble, const char *route, const char *remote)
{
	char sql[300];

	submit_and_wait(h, id, "", "b@x.example"); /* so that no report follows */
	answer_meaning(h, delivery_number(h, id), v, (struct meaning){ .trouble = trouble });
	UNTIL(h, h->deliveries[id - 1].settled);
	snprintf(sql, sizeof(sql), "UPDATE recipient SET route='%s',remote='%s' WHERE message=%llu", route, remote,
		 (unsigned long long)id);
	store_sql(sql);
}

#define GOOD  ok_text(250, S("2.0.0"), S("Ok"))
#define LATER temp(450, S("4.2.0"), S("greylisted"))

static void test_servers(void **state)
{
	struct harness *h = *state;

	assert_reached(h, 25, "", "");
	/* another port, an upstream, and relay's own words about a connection that failed */
	deliver(h, 1, GOOD, TROUBLE_NONE, "mx:x.example", "mx.a.test [192.0.2.1]:2525");
	deliver(h, 2, GOOD, TROUBLE_NONE, "upstream:isp", "smtp.isp.test [192.0.2.2]:25");
	deliver(h, 3, temp(451, S("4.4.1"), S("timed out")), TROUBLE_TEMPORARY, "mx:x.example", "mx.b.test [192.0.2.3]:25");
	assert_reached(h, 25, "", "");
	assert_reached(h, 2525, "mx.a.test [192.0.2.1]:2525", "");
	/* a server that wants us to wait has answered; each family for itself */
	deliver(h, 4, LATER, TROUBLE_GREYLIST, "mx:x.example", "mx.c.test [2001:db8::4]:25");
	assert_reached(h, 25, "", "mx.c.test [2001:db8::4]:25");
	deliver(h, 5, GOOD, TROUBLE_NONE, "mx:x.example", "mx.d.test [192.0.2.5]:25");
	assert_reached(h, 25, "mx.d.test [192.0.2.5]:25", "mx.c.test [2001:db8::4]:25");
}

/* What was delivered yesterday proves nothing of today. */
static void test_time(void **state)
{
	struct harness *h = *state;

	deliver(h, 1, GOOD, TROUBLE_NONE, "mx:x.example", "mx.a.test [192.0.2.1]:25");
	advance(h, DAY_MS - HOUR_MS);
	assert_reached(h, 25, "mx.a.test [192.0.2.1]:25", "");
	advance(h, 2 * HOUR_MS);
	assert_reached(h, 25, "", "");
}

/* Behind many others that say nothing it is found on a later page, but not at any price. */
static void test_pages(void **state)
{
	struct harness *h = *state;

	deliver(h, 1, GOOD, TROUBLE_NONE, "mx:x.example", "mx.a.test [192.0.2.1]:25");
	disconnect(h, &h->relay);
	for (uint64_t id = 2; id <= 500; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	assert_reached(h, 25, "mx.a.test [192.0.2.1]:25", "");
	store_sql("UPDATE recipient SET remote='' WHERE message=1");
	assert_reached(h, 25, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_servers, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, harness_teardown),
	};

	return cmocka_run_group_tests_name("reached", tests, NULL, NULL);
}
