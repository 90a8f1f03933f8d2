/* test_closed.c - an upstream that is closed until a person acts: the postmaster hears of it once, by another upstream. */
#include "stored.h"

#define POSTMASTER "postmaster@example.org"

static struct str only_isp[] = { { "isp", 3 } }, only_two[] = { { "two", 3 } }, here[] = { { "@example.org", 12 } };
static struct cfg_route by_domain[] = { { .recipients = { here, 1 }, .via = { only_two, 1 } }, { .via = { only_isp, 1 } } };
static struct cfg_upstream upstreams[2];

static const struct meaning refused = { .trouble = TROUBLE_LOGIN, .actor = ACTOR_ADMIN };
static const struct meaning forbidden = { .trouble = TROUBLE_SETUP, .actor = ACTOR_ADMIN };
static const struct meaning no_login = { TROUBLE_LOGIN, ACTOR_ADMIN, .hint = HINT_NO_LOGIN_OFFERED };
static const struct meaning broken_tls = { .trouble = TROUBLE_TLS, .actor = ACTOR_ADMIN };
static const struct meaning no_token = { .trouble = TROUBLE_LOGIN, .actor = ACTOR_NOBODY };

/* isp takes all mail but that to here, which two takes. */
static struct harness *prepare(struct harness *h)
{
	upstreams[0] = (struct cfg_upstream){ .name = S("isp"), .connections = 1 };
	upstreams[1] = (struct cfg_upstream){ .name = S("two"), .connections = 1 };
	h->config.upstreams = upstreams;
	h->config.upstreams_n = 2;
	h->config.routes = by_domain;
	h->config.routes_n = 2;
	h->config.postmaster = S(POSTMASTER);
	queue_ops.apply(harness_role());
	connect_submission(h);
	connect_relay(h);
	return h;
}

static int setup(void **state)
{
	*state = prepare(harness_new());
	return 0;
}

static struct nexthop *isp(struct harness *h)
{
	return harness_nexthop(h, "upstream:isp");
}

/* The delivery that isp has now. */
static struct delivery *probe(struct harness *h)
{
	for (;;) {
		for (size_t i = 0; i < h->deliveries_n; i++)
			if (!h->deliveries[i].answered && str_eq(h->deliveries[i].route, S("upstream:isp")))
				return &h->deliveries[i];
		if (isp(h)->status == NEXTHOP_DOWN)
			advance(h, isp(h)->down_until > fake_now ? isp(h)->down_until - fake_now : 0);
		run_some(h);
	}
}

/* isp fails in this way once more. A delivery that was on its way when isp closed says nothing new. */
static void meet(struct harness *h, enum nexthop_fault fault, struct meaning m, const char *reason)
{
	uint64_t before = isp(h) ? isp(h)->failures : 0;

	do {
		struct delivery *d = probe(h);

		answer_closed(h, d, fault, m, reason);
		UNTIL(h, d->settled);
	} while (isp(h)->failures == before);
	run_quiet(h);
}

static size_t notices(const char *part)
{
	return stored_notices(POSTMASTER, part);
}

/* Four messages meet the fault, and probes meet it again: one notification, which goes by the other upstream. */
static void test_told_once(void **state)
{
	struct harness *h = *state;
	const struct delivery *d;

	for (uint64_t id = 1; id <= 4; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	meet(h, FAULT_OURS, refused, "smtp.isp.example: 5.7.8 wrong\nSubject: password");
	UNTIL(h, notices("") == 1);
	assert_int_equal(notices("    smtp.isp.example: 5.7.8 wrong Subject: password\r\n"), 1);
	assert_int_equal(notices("Subject: Mail through the upstream isp waits until somebody acts"), 1);
	assert_int_equal(notices("does not accept this relay's login.\r\n"), 1);
	assert_int_equal(notices("    posthouse upstream test isp\r\n"), 1);
	assert_int_equal(notices("posthouse upstream login"), 0);
	assert_int_equal(notices("\r\nMessages in the whole queue: 4\r\n"), 1);
	UNTIL(h, h->deliveries_n >= 2 && str_eq(h->deliveries[h->deliveries_n - 1].route, S("upstream:two")));
	d = &h->deliveries[h->deliveries_n - 1];
	assert_true(str_eq(d->addresses[0], S(POSTMASTER)));
	for (int i = 0; i < 4; i++)
		meet(h, FAULT_OURS, refused, "smtp2.isp.example: 5.7.8 wrong password, session 123");
	assert_int_equal(isp(h)->failures, 5);
	assert_int_equal(notices(""), 1);
	assert_true(str_search(harness_stats(h), S("session 123")) < harness_stats(h).n);
	for (uint64_t id = 1; id <= 4; id++)
		assert_int_equal(recipient(id, 1)->state, RCPT_WAITING);
}

/* Told again: another reason, or the same after the upstream has worked. Not what passes by itself, nor after that. */
static void test_told_again(void **state)
{
	struct harness *h = *state;
	struct delivery *d;

	for (uint64_t id = 1; id <= 3; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	meet(h, FAULT_UNREACHABLE, (struct meaning){ .trouble = TROUBLE_TEMPORARY }, "connection refused");
	meet(h, FAULT_OURS, no_token, "4.4.3 the provider of the token does not answer");
	meet(h, FAULT_OURS, broken_tls, "the connection ended in the handshake");
	meet(h, FAULT_POLICY, (struct meaning){ TROUBLE_QUOTA, ACTOR_ADMIN }, "daily quota");
	assert_int_equal(notices(""), 0);
	meet(h, FAULT_OURS, forbidden, "5.7.57 not allowed");
	assert_int_equal(notices("not allowed"), 1);
	meet(h, FAULT_UNREACHABLE, (struct meaning){ .trouble = TROUBLE_TEMPORARY }, "connection refused");
	meet(h, FAULT_OURS, forbidden, "5.7.57 not allowed");
	assert_int_equal(notices(""), 1);
	meet(h, FAULT_OURS, no_login, "no way to log in");
	assert_int_equal(notices(" 465 "), 1);
	assert_int_equal(notices(""), 2);
	d = probe(h);
	answer(h, d, ok_text(250, S(""), S("Ok")));
	UNTIL(h, d->settled);
	assert_int_equal(isp(h)->status, NEXTHOP_UP);
	run_quiet(h);
	assert_int_equal(notices(""), 2); /* that it works is in the log */
	meet(h, FAULT_OURS, no_login, "no way to log in");
	assert_int_equal(notices(""), 3);
}

/* The next life of the role knows what was told. */
static void test_told_before(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	meet(h, FAULT_OURS, refused, "5.7.8 wrong password");
	UNTIL(h, notices("") == 1);
	*state = h = prepare(harness_again(h, fake_now + 3600000));
	UNTIL(h, isp(h));
	meet(h, FAULT_OURS, refused, "5.7.8 wrong password");
	assert_int_equal(isp(h)->failures, 2);
	assert_int_equal(notices(""), 1);
	meet(h, FAULT_OURS, forbidden, "5.7.57 not allowed");
	assert_int_equal(notices(""), 2);
}

/* The only upstream is closed: the notification waits with the rest, and is no cause of another one. */
static void test_no_other_way(void **state)
{
	struct harness *h = *state;
	struct delivery *d;

	h->config.routes_n = 1;
	by_domain[0].via.at = only_isp;
	upstreams[0].oauth.provider = OAUTH_CUSTOM;
	upstreams[0].oauth.grant = GRANT_REFRESH_TOKEN;
	queue_ops.apply(harness_role());
	submit_and_wait(h, 1, "a@example.org", "b@example.org");
	for (int i = 0; i < 5; i++)
		meet(h, FAULT_OURS, refused, "4.7.8 the sign-in was refused");
	assert_int_equal(notices("    posthouse upstream login isp\r\n"), 1);
	assert_int_equal(notices(""), 1);
	for (size_t done = 0; done < 2; done++) {
		d = probe(h);
		answer(h, d, ok_text(250, S(""), S("Ok")));
		UNTIL(h, d->settled);
	}
	assert_int_equal(stored_number("SELECT count(*) FROM message WHERE finished_at IS NULL"), 0);
	assert_int_equal(stored_messages(), 2);
	by_domain[0].via.at = only_two;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told_once, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_told_again, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_told_before, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_no_other_way, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
