/* test_sts.c - direct delivery and the MTA-STS policies of domains: the test plays tlspolicy. */
#include "harness.h"

static struct {
	unsigned asked, mode;
	const char *pattern;
	bool silent;
	uint64_t call; /* the last one */
	char domain[64];
} policy;

static void give(struct channel *ch)
{
	struct rec_sts_mx mx = { str_of(policy.pattern ?: "") };
	struct msg_sts_found m = {
		.call = policy.call, .verdict = ok(), .mode = policy.mode, .mx = { &mx, policy.pattern ? 1 : 0 }
	};

	ipc_send_sts_found(ch, &m, -1);
}

static void handle_sts_find(void *ctx, struct channel *ch, const struct msg_sts_find *m, int fd)
{
	policy.asked++;
	policy.call = m->call;
	snprintf(policy.domain, sizeof policy.domain, "%.*s", STR_ARG(m->domain));
	if (!policy.silent)
		give(ch);
}

static const struct ipc_handlers handlers = { .sts_find = handle_sts_find };

static int setup_sts(void **state)
{
	struct world *w;

	setup(state);
	w = *state;
	memset(&policy, 0, sizeof policy);
	names_open(&w->names, w->loop);
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", w->names.port);
	w->config.delivery.uses_mta_sts = true;
	open_mx(w, 0, "127.0.0.2");
	open_mx(w, 1, "127.0.0.3");
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_mx(&w->names, "example.test", 20, "mx2.other.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	names_add_address(&w->names, "mx2.other.test", "127.0.0.3");
	return 0;
}

static struct channel *start_both(struct world *w)
{
	start(w);
	return connect_peer(w, ROLE_TLSPOLICY, &handlers);
}

static void to(struct world *w, uint64_t lease, const char *domain)
{
	const char *recipient = arena_cstr(&w->arena, arena_printf(&w->arena, "a@%s", domain));

	deliver_to(w, lease, arena_printf(&w->arena, "mx:%s", domain), recipient, S("Subject: x\r\n\r\nx\r\n"), -1, 0);
}

static void test_no_policy(void **state)
{
	struct world *w = *state;

	start_both(w);
	to(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(policy.asked, 1);
	assert_string_equal(policy.domain, "example.test");
}

/* RFC 8461 4.1: no connection to a host that the policy does not list, and none in clear text to one that it lists. */
static void test_hosts_that_the_policy_forbids(void **state)
{
	struct world *w = *state;
	struct result *r;

	policy.mode = STS_ENFORCE;
	policy.pattern = "mail.elsewhere.test";
	start_both(w);
	to(w, 1, "example.test");
	r = result_of(w, 1);
	assert_true(r->verdicts[0].class == TEMP || r->gate != 0);
	assert_int_equal(w->mx[0].sessions + w->mx[1].sessions, 0);
	assert_true(holds(r->transcript, "mx1.example.test") && holds(r->transcript, "mx2.other.test"));
}

static void test_a_host_without_tls(void **state)
{
	struct world *w = *state;
	struct result *r;

	policy.mode = STS_ENFORCE;
	policy.pattern = "*.example.test";
	start_both(w);
	to(w, 1, "example.test");
	r = result_of(w, 1);
	assert_true(r->verdicts[0].class == TEMP || r->gate != 0);
	assert_int_equal(w->mx[0].messages + w->mx[1].messages + w->mx[1].sessions, 0);
}

static void test_testing_stops_nothing(void **state)
{
	struct world *w = *state;

	policy.mode = STS_TESTING;
	policy.pattern = "mail.elsewhere.test";
	start_both(w);
	to(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
}

/* An answer that comes after the name servers': nobody is connected to before. */
static void test_a_late_answer(void **state)
{
	struct world *w = *state;
	struct channel *ch;

	policy.silent = true;
	policy.mode = STS_ENFORCE;
	ch = start_both(w);
	to(w, 1, "example.test");
	assert_true(run_until_count(w, &policy.asked, 1));
	run_for(w->loop, 200);
	assert_int_equal(w->mx[0].sessions + w->mx[1].sessions + w->results_n, 0);
	policy.mode = STS_NONE;
	give(ch);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
}

/* While the role is away the delivery waits for it; one that dies with the question is followed by another one. */
static void test_the_role_is_away(void **state)
{
	struct world *w = *state;
	struct channel *ch;

	start(w);
	to(w, 1, "example.test");
	run_for(w->loop, 200);
	assert_int_equal(w->mx[0].sessions + w->results_n, 0);
	policy.silent = true;
	ch = connect_peer(w, ROLE_TLSPOLICY, &handlers);
	assert_true(run_until_count(w, &policy.asked, 1));
	channel_close(ch, "it dies");
	run_for(w->loop, 50);
	assert_int_equal(w->results_n, 0);
	policy.silent = false;
	connect_peer(w, ROLE_TLSPOLICY, &handlers);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(policy.asked, 2);
}

/* Nobody is asked about an exception of the configuration, an address literal, or an upstream. */
static void test_who_is_not_asked_about(void **state)
{
	static struct str destination[] = { S("@example.test") };
	struct cfg_tls exception = { .destinations = { destination, 1 }, .demand.require = TLS_REQUIRE_NONE };
	struct world *w = *state;

	w->config.tls = &exception;
	w->config.tls_n = 1;
	policy.mode = STS_ENFORCE;
	start_both(w);
	to(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	to(w, 2, "[127.0.0.3]");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	deliver(w, 3, "a@example.test");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(policy.asked, 0);
}

/* REQUIRETLS needs what the domain says, also where the configuration does without. */
static void test_requiretls_in_spite_of_an_exception(void **state)
{
	static struct str destination[] = { S("@example.test") };
	struct cfg_tls exception = { .destinations = { destination, 1 }, .demand.require = TLS_REQUIRE_NONE };
	struct world *w = *state;

	w->config.tls = &exception;
	w->config.tls_n = 1;
	policy.mode = STS_ENFORCE;
	policy.pattern = "*.example.test";
	start_both(w);
	w->like.envelope.options = OPTION_REQUIRETLS;
	deliver_to(w, 1, S("mx:example.test/requiretls"), "a@example.test", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	assert_false(holds(result_of(w, 1)->transcript, "neither DNSSEC nor MTA-STS says that mx1.example.test"));
	assert_int_equal(policy.asked, 1);
	assert_int_equal(w->mx[0].messages + w->mx[1].messages, 0);
}

/* From a reload on policies count: what was found and opened without them is not used any more. */
static void test_a_reload(void **state)
{
	struct world *w = *state;
	struct result *r;

	w->config.delivery.uses_mta_sts = false;
	start_both(w);
	to(w, 1, "example.test");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	w->config.delivery.uses_mta_sts = true;
	policy.mode = STS_ENFORCE;
	policy.pattern = "mail.elsewhere.test";
	assert_true(configure(w));
	to(w, 2, "example.test");
	r = result_of(w, 2);
	assert_true(r->verdicts[0].class == TEMP || r->gate != 0);
	assert_int_equal(policy.asked, 1);
	assert_int_equal(w->mx[0].messages + w->mx[1].messages, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_policy, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_hosts_that_the_policy_forbids, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_a_host_without_tls, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_testing_stops_nothing, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_a_late_answer, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_the_role_is_away, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_not_asked_about, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_requiretls_in_spite_of_an_exception, setup_sts, teardown),
		cmocka_unit_test_setup_teardown(test_a_reload, setup_sts, teardown),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
