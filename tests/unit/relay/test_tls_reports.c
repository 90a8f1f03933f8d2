/* test_tls_reports.c - what tlspolicy, which the test plays, hears of sessions for reports about TLS (RFC 8460). */
#include "harness.h"

#define HEARD_MAX 16

static struct {
	struct arena arena;
	struct msg_tls_session all[HEARD_MAX]; /* their texts are in the arena */
	unsigned n;
	unsigned mode, fault;
} heard;

static void handle_sts_find(void *ctx, struct channel *ch, const struct msg_sts_find *m, int fd)
{
	struct rec_sts_mx mx = { S("*.example.test") };
	struct msg_sts_found found = { .call = m->call, .verdict = ok(), .mode = heard.mode, .fault = heard.fault };

	if (heard.mode != STS_NONE) {
		found.mx.at = &mx;
		found.mx.n = 1;
		found.text = S("version: STSv1\r\nmode: testing\r\nmx: *.example.test\r\nmax_age: 86400\r\n");
	}
	ipc_send_sts_found(ch, &found, -1);
}

static void handle_tls_session(void *ctx, struct channel *ch, const struct msg_tls_session *m, int fd)
{
	struct msg_tls_session *kept = &heard.all[heard.n % HEARD_MAX];
	struct str *const texts[] = { &kept->domain, &kept->policy_domain, &kept->text, &kept->mx,    &kept->host,
				      &kept->ip,     &kept->source,        &kept->helo, &kept->reason };

	*kept = *m;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = arena_str(&heard.arena, *texts[i]);
	heard.n++;
}

static const struct ipc_handlers handlers = { .sts_find = handle_sts_find, .tls_session = handle_tls_session };

/* One server of example.test, whose certificate nobody trusts. */
static int setup_reports(void **state)
{
	struct world *w;
	struct tls_certificate certificate;
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = TLS_1_2 };
	struct verdict why;

	setup(state);
	w = *state;
	heard.n = heard.mode = heard.fault = 0;
	certificate = (struct tls_certificate){ w->chain_pem, w->key_pem };
	names_open(&w->names, w->loop);
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", w->names.port);
	w->config.delivery.reuse = 1;
	w->config.delivery.uses_mta_sts = true;
	w->config.tls_report.from = S("tls@example.org");
	open_mx(w, 0, "127.0.0.2");
	w->mx[0].tls = tls_server_context(&options, &w->arena, &why);
	w->mx[0].features = "STARTTLS\nPIPELINING";
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	return 0;
}

static int teardown_reports(void **state)
{
	struct world *w = *state;
	struct tls_context *tls = w->mx[0].tls;
	int failed = teardown(state);

	tls_context_unref(tls);
	arena_fini(&heard.arena);
	return failed;
}

static void start_both(struct world *w)
{
	start(w);
	connect_peer(w, ROLE_TLSPOLICY, &handlers);
}

static void send_one(struct world *w, uint64_t lease, uint64_t options)
{
	w->like.envelope.options = options;
	deliver_to(w, lease, options ? S("mx:example.test/tls-optional") : S("mx:example.test"), "a@example.test",
		   S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	expect(result_of(w, lease), 0, OK, 250, "2.0.0", "taken");
}

static void expect_heard(unsigned i, unsigned policy, enum tls_result result)
{
	const struct msg_tls_session *m = &heard.all[i];

	assert_int_equal(m->policy, policy);
	assert_string_equal(tls_result_word((enum tls_result)m->result), tls_result_word(result));
	assert_true(str_eq(m->domain, S("example.test")) && str_eq(m->policy_domain, S("example.test")));
}

/* Each session, not each message; those of reports themselves and of what policies do not apply to are none. */
static void test_good_sessions(void **state)
{
	struct world *w = *state;

	start_both(w);
	send_one(w, 1, 0);
	send_one(w, 2, OPTION_TLS_OPTIONAL | OPTION_TLS_UNREPORTED);
	send_one(w, 3, 0);
	assert_true(run_until_count(w, &heard.n, 2));
	run_for(w->loop, 50);
	assert_int_equal(heard.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		expect_heard(i, 0, TLS_RESULT_SUCCESSFUL);
		assert_int_equal(heard.all[i].host.n + heard.all[i].ip.n + heard.all[i].reason.n, 0);
	}
}

/* A handshake that fails counts; the session in clear text that follows does not count again, but later ones do. */
static void test_a_failed_handshake(void **state)
{
	struct world *w = *state;
	const struct msg_tls_session *m = &heard.all[0];

	w->mx[0].break_tls = true;
	start_both(w);
	send_one(w, 1, 0);
	assert_true(run_until_count(w, &heard.n, 1));
	run_for(w->loop, 50);
	assert_int_equal(heard.n, 1);
	expect_heard(0, 0, TLS_RESULT_VALIDATION_FAILURE);
	assert_true(str_eq(m->host, S("mx1.example.test")) && str_eq(m->ip, S("127.0.0.2")));
	assert_true(str_starts(m->source, S("127.0.0.")) && m->helo.n > 0 && m->reason.n > 0);
	send_one(w, 2, 0); /* which is not tried with TLS: a session like the first one for the domain's report */
	assert_true(run_until_count(w, &heard.n, 2));
	expect_heard(1, 0, TLS_RESULT_VALIDATION_FAILURE);
	assert_true(str_starts(heard.all[1].reason, S("the session was in clear text")));
}

static void test_no_starttls(void **state)
{
	struct world *w = *state;

	w->mx[0].features = "PIPELINING";
	start_both(w);
	send_one(w, 1, 0);
	assert_true(run_until_count(w, &heard.n, 1));
	expect_heard(0, 0, TLS_RESULT_STARTTLS_NOT_SUPPORTED);
}

/* RFC 8461 5: what would have failed is a failure; the mail went. */
static void test_mode_testing(void **state)
{
	struct world *w = *state;

	heard.mode = STS_TESTING;
	start_both(w);
	send_one(w, 1, 0);
	assert_true(run_until_count(w, &heard.n, 1));
	expect_heard(0, 2, TLS_RESULT_CERTIFICATE_NOT_TRUSTED);
	assert_true(str_eq(heard.all[0].text, S("version: STSv1\nmode: testing\nmx: *.example.test\nmax_age: 86400\n")));
	assert_true(str_eq(heard.all[0].mx, S("*.example.test\n")));
}

/* RFC 8460 4.3.2.2: a policy that cannot be had is a failure of its own, beside the session. */
static void test_a_fault_of_the_policy(void **state)
{
	struct world *w = *state;

	heard.fault = TLS_RESULT_STS_POLICY_FETCH_ERROR;
	start_both(w);
	send_one(w, 1, 0);
	assert_true(run_until_count(w, &heard.n, 2));
	expect_heard(0, 0, TLS_RESULT_SUCCESSFUL);
	expect_heard(1, 2, TLS_RESULT_STS_POLICY_FETCH_ERROR);
	assert_int_equal(heard.all[1].host.n, 0);
}

static void test_nobody_has_asked_for_reports(void **state)
{
	struct world *w = *state;

	w->config.tls_report.from = S("");
	start_both(w);
	send_one(w, 1, 0);
	run_for(w->loop, 50);
	assert_int_equal(heard.n, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good_sessions, setup_reports, teardown_reports),
		cmocka_unit_test_setup_teardown(test_a_failed_handshake, setup_reports, teardown_reports),
		cmocka_unit_test_setup_teardown(test_no_starttls, setup_reports, teardown_reports),
		cmocka_unit_test_setup_teardown(test_mode_testing, setup_reports, teardown_reports),
		cmocka_unit_test_setup_teardown(test_a_fault_of_the_policy, setup_reports, teardown_reports),
		cmocka_unit_test_setup_teardown(test_nobody_has_asked_for_reports, setup_reports, teardown_reports),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
