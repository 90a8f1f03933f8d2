/* test_requirements.c - what a message demands of its next hops: REQUIRETLS, DELIVERBY, MT-PRIORITY. */
#include "harness.h"

#include "posthouse/clock.h"

/* The MAIL command that the next hop has seen, whole. */
static void expect_mail(struct world *w, const char *line)
{
	struct str seen = buf_view(&w->sink.commands);

	seen = str_head(seen, str_find(seen, '\n'));
	if (!str_eq(seen, str_of(line)))
		fail_msg("%.*s, expected %s", STR_ARG(seen), line);
	buf_clear(&w->sink.commands);
}

static void expect_refused(struct world *w, uint64_t lease, unsigned code, const char *enhanced, const char *text)
{
	const struct result *r = result_of(w, lease);

	for (unsigned i = 0; i < r->n; i++)
		expect(r, i, PERM, code, enhanced, text);
	assert_int_equal(r->gate, 0); /* the next hop is not to blame */
	assert_int_equal(w->sink.mails, 0);
}

/* ---- RFC 8689 ---- */

static void test_requiretls(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->sink.features = "STARTTLS\nPIPELINING\nREQUIRETLS";
	w->like.envelope.options = OPTION_REQUIRETLS;
	start(w);
	deliver(w, 1, "a@x b@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 1), 1, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org> REQUIRETLS");
	w->like.envelope.options = 0;
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org>");
}

static void test_requiretls_implicit(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_IMPLICIT);
	w->sink.features = "REQUIRETLS";
	w->like.envelope.options = OPTION_REQUIRETLS;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org> REQUIRETLS");
}

/* The connection is good for the next message, which demands nothing. */
static void test_requiretls_unknown(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->like.envelope.options = OPTION_REQUIRETLS;
	start(w);
	deliver(w, 1, "a@x b@x");
	expect_refused(w, 1, 550, "5.7.30", "does not offer it");
	assert_true(result_of(w, 1)->unfit);
	w->like.envelope.options = 0;
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	assert_int_equal(w->sink.sessions, 1);
}

/* Without TLS, or with TLS that nobody verified, the next hop is not even asked. */
static void test_requiretls_unverified(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_OPPORTUNISTIC);
	w->sink.features = "STARTTLS\nREQUIRETLS";
	w->like.envelope.options = OPTION_REQUIRETLS;
	start(w);
	deliver(w, 1, "a@x");
	expect_refused(w, 1, 550, "5.7.10", "without verified TLS");
	assert_true(result_of(w, 1)->unfit);
	w->upstream.tls = UPSTREAM_NONE;
	assert_true(configure(w));
	deliver(w, 2, "a@x");
	expect_refused(w, 2, 550, "5.7.10", "without verified TLS");
	assert_int_equal(w->sink.sessions, 0);
}

/* ---- RFC 2852 ---- */

static void by(struct world *w, int64_t left_ms, unsigned mode)
{
	w->like.envelope.deliver_by = (uint64_t)((int64_t)clock_now_ms() + left_ms);
	w->like.envelope.deliver_by_mode = mode;
}

/* What is left when the machine is not very slow. */
static void expect_by(struct world *w, int64_t least, int64_t most, const char *mode)
{
	struct str seen = buf_view(&w->sink.commands);
	bool negative;
	uint64_t n;

	seen = str_head(seen, str_find(seen, '\n'));
	assert_true(holds(seen, " BY="));
	seen = str_from(seen, str_search(seen, S(" BY=")) + 4);
	assert_true(str_eq(str_from(seen, str_find(seen, ';') + 1), str_of(mode)));
	negative = str_starts(seen, S("-"));
	assert_true(str_to_u64(str_head(str_from(seen, negative), str_find(seen, ';') - negative), &n));
	assert_in_range((negative ? -(int64_t)n : (int64_t)n) - least, 0, most - least);
	buf_clear(&w->sink.commands);
}

static void test_deliverby(void **state)
{
	struct world *w = *state;

	w->sink.features = "DELIVERBY 60\nPIPELINING";
	start(w);
	by(w, 600000, BY_RETURN);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_by(w, 540, 600, "R");
	by(w, 600000, BY_NOTIFY | BY_TRACE);
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_by(w, 540, 600, "NT");
	/* Who is only to be told may be told that it is late already; so may one with little time. */
	by(w, -100000, BY_NOTIFY);
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	expect_by(w, -160, -100, "N");
}

static void test_deliverby_over(void **state)
{
	struct world *w = *state;

	w->sink.features = "DELIVERBY";
	start(w);
	by(w, -1, BY_RETURN);
	deliver(w, 1, "a@x b@x");
	expect_refused(w, 1, 554, "5.4.7", "is over");
	assert_int_equal(w->sink.sessions, 0); /* why ask? */
}

static void test_deliverby_too_late_for_it(void **state)
{
	struct world *w = *state;

	w->sink.features = "DELIVERBY 3600";
	start(w);
	by(w, 600000, BY_RETURN);
	deliver(w, 1, "a@x");
	expect_refused(w, 1, 554, "5.4.7", "more time");
	by(w, 600000, BY_NOTIFY); /* for which that is no condition */
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
}

static void test_deliverby_unknown(void **state)
{
	struct world *w = *state;

	start(w);
	by(w, 600000, BY_RETURN | BY_TRACE);
	deliver(w, 1, "a@x");
	expect_refused(w, 1, 554, "5.4.7", "cannot promise");
	by(w, 600000, BY_NOTIFY);
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org>");
}

/* It is over while the message waits for a connection. */
static void test_deliverby_over_in_between(void **state)
{
	struct world *w = *state;

	w->sink.features = "DELIVERBY";
	w->sink.hold = true;
	w->upstream.connections = 1;
	start(w);
	deliver(w, 1, "a@x");
	assert_true(run_until_count(w, &w->sink.messages, 1));
	by(w, 300, BY_RETURN);
	deliver(w, 2, "b@x");
	while (clock_now_ms() < w->like.envelope.deliver_by)
		run_for(w->loop, 20);
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 2), 0, PERM, 554, "5.4.7", "is over");
	assert_int_equal(w->sink.mails, 1);
}

/* ---- RFC 6710 ---- */

static void test_priority(void **state)
{
	struct world *w = *state;

	w->sink.features = "MT-PRIORITY MIXER";
	w->config.delivery.reuse = 3;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org>");
	w->like.envelope.priority = PRIORITY_MAX;
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org> MT-PRIORITY=9");
	w->like.envelope.priority = 0;
	deliver(w, 3, "a@x");
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org> MT-PRIORITY=-9");
	w->sink.features = ""; /* on the next connection */
	deliver(w, 4, "a@x");
	expect(result_of(w, 4), 0, OK, 250, "2.0.0", "taken");
	expect_mail(w, "MAIL FROM:<s@example.org>");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_requiretls),
		RELAY_TEST(test_requiretls_implicit),
		RELAY_TEST(test_requiretls_unknown),
		RELAY_TEST(test_requiretls_unverified),
		RELAY_TEST(test_deliverby),
		RELAY_TEST(test_deliverby_over),
		RELAY_TEST(test_deliverby_too_late_for_it),
		RELAY_TEST(test_deliverby_unknown),
		RELAY_TEST(test_deliverby_over_in_between),
		RELAY_TEST(test_priority),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
