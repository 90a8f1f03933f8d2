/* test_relay.c - the relay role alone, and one upstream. The first argument is the program. */
#include "harness.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_outcomes(void **state)
{
	struct world *w = *state;
	struct result *r;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=50";
	start(w);
	deliver(w, 1, "a@x temp@x perm@x");
	r = result_of(w, 1);
	assert_int_equal(r->n, 3);
	assert_int_equal(r->numbers[2], 20);
	expect(r, 0, OK, 250, "2.0.0", "taken");
	expect(r, 1, TEMP, 450, "4.2.0", "come back");
	expect(r, 2, PERM, 550, "5.1.1", "no such user");
	assert_false(r->gate);
	assert_true(str_starts(r->remote, S("127.0.0.1 [127.0.0.1]:")));
	assert_int_equal(r->tls.n, 0);
	assert_true(str_search(r->transcript, S("S: 550 5.1.1 no such user\n")) < r->transcript.n);
	assert_true(str_eq(buf_view(&w->sink.text), S("Received: by us\r\nSubject: x\r\n\r\n.dot\r\n")));

	deliver(w, 2, "perm@x"); /* the same connection: RSET between */
	deliver(w, 3, "b@x");
	expect(result_of(w, 2), 0, PERM, 550, "5.1.1", "no such user");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_search(result_of(w, 3)->transcript, S("S: 250 2.0.0 taken\n")) < result_of(w, 3)->transcript.n);
	assert_in_range(w->sink.sessions, 1, 2);
	stop(w, 2000);
	assert_int_equal(w->sink.quits, w->sink.sessions);
}

/* A text in a file, larger than what is in flight at once, with dots at the borders of chunks. */
static void test_large(void **state)
{
	enum { LINES = 80000 };
	struct world *w = *state;
	struct buf text;
	int fd = memfd_create("text", MFD_CLOEXEC);

	buf_init(&text, (size_t)64 << 20);
	for (int i = 0; i < LINES; i++)
		buf_printf(&text, "%s%d of a long text that has dots%s\r\n", i % 3 ? "." : "", i, i % 7 ? "" : "\r\n.");
	assert_int_equal(write(fd, buf_view(&text).p, text.n), text.n);
	w->sink.features = "PIPELINING";
	start(w);
	deliver_to(w, 1, S("upstream:hop"), "a@x", S(""), fd, text.n);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.text.n, text.n + 17);
	assert_true(str_eq(str_from(buf_view(&w->sink.text), 17), buf_view(&text)));

	deliver_to(w, 2, S("upstream:hop"), "a@x", S(""), fd, text.n + 1); /* the file has lost its end: it must not look whole */
	expect(result_of(w, 2), 0, TEMP, 451, "4.3.0", "cannot be read");
	assert_int_equal(w->sink.messages, 1);
	close(fd);
	buf_fini(&text);
}

static void test_starttls_and_login(void **state)
{
	struct world *w = *state;
	struct result *r;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x perm@x");
	r = result_of(w, 1);
	expect(r, 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(r->tls, S("TLSv1.3/TLS_")));
	assert_int_equal(w->vault_steps, 1);
	assert_int_equal(w->sink.logins, 1);
	assert_true(str_search(r->transcript, S("C: AUTH PLAIN (credentials)\n")) < r->transcript.n);
	assert_true(str_search(r->transcript, S("AG1l")) == r->transcript.n);
}

static void test_implicit_tls_and_login(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_IMPLICIT);
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->vault_steps, 2);
}

static void test_login_refused(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->password = "wrong";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "5.7.8 no");
	assert_int_equal(w->sink.logins, 2); /* by PLAIN, and once by what is next */
	w->password = NULL;
	deliver(w, 2, "a@x");
	expect_reason(result_of(w, 2), "no key today");
	w->password = "secret";
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
}

static void test_certificate_of_somebody_else(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.tls_name = S("other.example.org");
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "certificate not accepted");
	assert_int_equal(w->sink.mails, 0);
}

static void test_no_login_in_clear(void **state)
{
	struct world *w = *state;

	w->sink.features = "AUTH PLAIN";
	w->upstream.login = S("me");
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "never sent without TLS");
	assert_int_equal(w->sink.credentials.n, 0);
}

static void test_starttls_missing(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->sink.features = "PIPELINING";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "does not offer STARTTLS");
}

static void test_opportunistic(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_OPPORTUNISTIC);
	w->upstream.ca_pem = S("");
	w->sink.break_tls = true;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(result_of(w, 1)->tls.n, 0);
	assert_int_equal(w->sink.sessions, 2);
	stop(w, 2000);
}

static void test_opportunistic_encrypted(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_OPPORTUNISTIC);
	w->upstream.ca_pem = S("");
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	assert_true(str_starts(result_of(w, 1)->tls, S("TLSv1.3/")));
}

static void test_next_hop_at_fault(void **state)
{
	struct world *w = *state;

	w->config.sandbox = SANDBOX_OFF; /* a reload brings another port: master would start the role again */
	w->sink.greeting = "554 5.7.1 not for you";
	start(w);
	deliver(w, 1, "a@x b@x");
	expect_reason(result_of(w, 1), "5.7.1 not for you");
	assert_int_equal(result_of(w, 1)->n, 2);
	deliver_to(w, 2, S("upstream:nowhere"), "a@x", S("x\r\n"), -1, 0);
	expect_reason(result_of(w, 2), "upstream:nowhere is not configured");
	w->sink.greeting = NULL;
	w->upstream.port = 1; /* nobody listens there */
	assert_true(configure(w));
	for (unsigned i = 3; i < 8; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 3; i < 8; i++)
		expect_reason(result_of(w, i), "refused");
	w->upstream.port = w->sink.port;
	w->upstream.host = S("localhost"); /* perhaps ::1 first, where nobody listens */
	assert_true(configure(w));
	deliver(w, 9, "a@x");
	expect(result_of(w, 9), 0, OK, 250, "2.0.0", "taken");
	w->upstream.host = S("no-such-host.invalid");
	assert_true(configure(w));
	deliver(w, 10, "a@x");
	assert_true(result_of(w, 10)->gate);
}

static void test_lost_after_the_dot(void **state)
{
	struct world *w = *state;

	w->sink.drop_at_dot = true;
	start(w);
	deliver(w, 1, "a@x perm@x");
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown");
	expect(result_of(w, 1), 1, PERM, 550, "5.1.1", "no such user");
	assert_false(result_of(w, 1)->gate);
	assert_int_equal(w->sink.mails, 1);
}

/* A connection that died while it was idle is no failure of the message; one that dies at once is. */
static void test_dead_when_idle(void **state)
{
	struct world *w = *state;

	w->sink.drop_at_mail = 2;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.messages, 2);
	w->sink.drop_every_mail = true;
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, TEMP, 421, "4.4.2", "connection lost at MAIL");
	assert_false(result_of(w, 3)->gate);
	assert_int_equal(w->sink.mails, 5); /* the idle one, and once more */
}

static void test_quota(void **state)
{
	struct world *w = *state;

	w->sink.final = "550 5.4.5 daily limit exceeded";
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "daily limit");
	expect(result_of(w, 1), 0, TEMP, 550, "4.4.5", "daily limit");
}

static void test_connections_are_limited(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	w->config.delivery.reuse = 5;
	start(w);
	for (unsigned i = 1; i <= 100; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 1; i <= 100; i++)
		expect(result_of(w, i), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.messages, 100);
	assert_in_range(w->sink.most_open, 2, 8); /* 4, and those whose end the sink has not seen yet */
	assert_in_range(w->sink.sessions, 20, 24);
}

/* A next hop that allows fewer connections than the configuration is not at fault. */
static void test_fewer_connections_than_wished(void **state)
{
	struct world *w = *state;

	w->sink.sessions_max = 1;
	w->sink.features = "PIPELINING";
	start(w);
	for (unsigned i = 1; i <= 50; i++)
		deliver(w, i, "a@x");
	for (unsigned i = 1; i <= 50; i++)
		expect(result_of(w, i), 0, OK, 250, "2.0.0", "taken");
	assert_in_range(w->sink.sessions, 1, 4);
}

/* Queue dies: its leases are nobody's; the next queue begins anew, with the same numbers. */
static void test_queue_dies(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	channel_close(w->queue, "dies");
	w->queue = NULL;
	run_for(w->loop, 50);
	sink_release(&w->sink);
	run_for(w->loop, 50);
	w->queue = connect_peer(w, ROLE_QUEUE, &queue_handlers);
	deliver(w, 2, "c@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->results_n, 1);
	assert_int_equal(w->sink.messages, 2);
}

static void test_withdrawn(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	ipc_send_withdraw(w->queue, &(struct msg_withdraw){ .lease = 1 }, -1);
	ipc_send_withdraw(w->queue, &(struct msg_withdraw){ .lease = 2 }, -1);
	expect(result_of(w, 2), 0, TEMP, 0, "", "withdrawn");
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "at last");
	assert_int_equal(w->sink.mails, 1);
}

/* At the end what runs may finish, what waits goes back. */
static void test_drain(void **state)
{
	struct world *w = *state;

	w->upstream.connections = 1;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	deliver(w, 2, "b@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	ipc_send_stop(w->master, &(struct msg_stop){ .grace_ms = 5000 }, -1);
	expect(result_of(w, 2), 0, TEMP, 0, "", "withdrawn");
	assert_int_equal(w->stopped, 0);
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "at last");
	stop(w, 5000);
	assert_int_equal(w->sink.quits, 1);
}

/* A next hop without an answer is broken off when the grace is over. */
static void test_grace(void **state)
{
	struct world *w = *state;

	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	stop(w, 300);
	expect(result_of(w, 1), 0, TEMP, 421, "4.3.2", "outcome unknown: broken off");
}

static void test_time_limits(void **state)
{
	struct world *w = *state;

	w->config.delivery.timeouts.data_ms = 300;
	w->sink.hold = true;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown: no answer in time at end of data");
}

static void test_reload(void **state)
{
	struct world *w = *state;

	w->config.sandbox = SANDBOX_OFF; /* a reload brings another port: master would start the role again */
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	w->upstream.tls = UPSTREAM_STARTTLS;
	w->upstream.ca_pem = S("this is no certificate");
	assert_false(configure(w));
	assert_true(str_starts(w->configure_verdict.text, S("upstream hop: ca: ")));
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 1);
	sink_open(&w->other, w->loop);
	w->upstream.tls = UPSTREAM_NONE;
	w->upstream.port = w->other.port;
	assert_true(configure(w));
	assert_true(run_until_count(w, &w->sink.quits, 1)); /* the idle connection to what was */
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->other.messages, 1);
	assert_int_equal(w->sink.messages, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_outcomes),
		RELAY_TEST(test_large),
		RELAY_TEST(test_starttls_and_login),
		RELAY_TEST(test_implicit_tls_and_login),
		RELAY_TEST(test_login_refused),
		RELAY_TEST(test_certificate_of_somebody_else),
		RELAY_TEST(test_no_login_in_clear),
		RELAY_TEST(test_starttls_missing),
		RELAY_TEST(test_opportunistic),
		RELAY_TEST(test_opportunistic_encrypted),
		RELAY_TEST(test_next_hop_at_fault),
		RELAY_TEST(test_lost_after_the_dot),
		RELAY_TEST(test_dead_when_idle),
		RELAY_TEST(test_quota),
		RELAY_TEST(test_connections_are_limited),
		RELAY_TEST(test_fewer_connections_than_wished),
		RELAY_TEST(test_queue_dies),
		RELAY_TEST(test_withdrawn),
		RELAY_TEST(test_drain),
		RELAY_TEST(test_grace),
		RELAY_TEST(test_time_limits),
		RELAY_TEST(test_reload),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
