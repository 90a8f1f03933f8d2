/* test_extensions.c - next hops that offer what they cannot do: extensions, mechanisms of logins. */
#include "harness.h"

static void expect_taken(const struct result *r, unsigned n)
{
	assert_int_equal(r->n, n);
	assert_int_equal(r->gate, 0);
	for (unsigned i = 0; i < n; i++)
		expect(r, i, OK, 250, "2.0.0", "taken");
}

/* Who hangs up on several commands at once gets one after the other: this message, on another connection, and those that follow. */
static void test_pipelining(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	w->sink.no_pipelining = true;
	start(w);
	deliver(w, 1, "a@x b@x c@x");
	expect_taken(result_of(w, 1), 3);
	assert_true(str_eq(result_of(w, 1)->without, S("PIPELINING")));
	assert_int_equal(w->sink.sessions, 2);
	deliver(w, 2, "a@x b@x");
	expect_taken(result_of(w, 2), 2);
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.messages, 2);
}

/* A parameter is left out after the command that had it was refused, or the connection lost; and it is not tried again. */
static void test_parameters(void **state)
{
	static const struct {
		const char *features, *word, *answer, *without;
		unsigned utf8, body;
	} rows[] = {
		{ "DSN", "RET=", "555 5.5.4 Unsupported option: RET=HDRS", "DSN", 0, 0 },
		{ "DSN", "NOTIFY=", "501 5.5.4 syntax error in parameters", "DSN", 0, 0 },
		{ "DSN", "ENVID=", NULL, "DSN", 0, 0 },
		{ "PIPELINING\nDSN", "NOTIFY=", "504 not implemented", "DSN", 0, 0 },
		{ "8BITMIME", "BODY=8BITMIME", "501 Syntax error", "8BITMIME", 0, BODY_8BITMIME },
		{ "8BITMIME", "BODY=8BITMIME", NULL, "8BITMIME", 0, BODY_8BITMIME },
		{ "8BITMIME", "BODY=8BITMIME", "550 5.7.1 BODY parameter is not allowed here", "8BITMIME", 0, BODY_8BITMIME },
	};
	struct world *w = *state;

	w->like.envelope.envid = S("QQ314159");
	w->like.envelope.ret = RET_HDRS;
	w->notify = NOTIFY_FAILURE;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct str text =
			S("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
			  "gr\xc3\xbc\xc3\x9f"
			  "e\r\n");

		if (i > 0) { /* another next hop: what was learnt is of its address */
			teardown(state);
			setup(state);
			w = *state;
			w->like.envelope.envid = S("QQ314159");
			w->like.envelope.ret = RET_HDRS;
			w->notify = NOTIFY_FAILURE;
		}
		w->sink.features = rows[i].features;
		w->sink.word = rows[i].word;
		w->sink.word_is = rows[i].answer;
		w->like.envelope.body = rows[i].body;
		w->like.envelope.utf8 = rows[i].utf8;
		start(w);
		for (uint64_t lease = 1; lease <= 2; lease++) {
			deliver_to(w, lease, S("upstream:hop"), "a@x b@y", text, -1, 0);
			expect_taken(result_of(w, lease), 2);
			if (!str_eq(result_of(w, lease)->without, str_of(rows[i].without)))
				fail_msg("row %u: without %.*s", i, STR_ARG(result_of(w, lease)->without));
			assert_false(result_of(w, lease)->dsn);
		}
		assert_int_equal(w->sink.messages, 2);
		assert_in_range(w->sink.mails, 2, 3);
	}
}

/* What is really about the message stays so, and costs one more try at most. */
static void test_real_refusals(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nDSN\n8BITMIME";
	w->sink.mail = "501 5.1.7 that is no address";
	w->notify = NOTIFY_FAILURE;
	w->like.envelope.ret = RET_HDRS;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, PERM, 501, "5.1.7", "no address");
	assert_int_equal(w->sink.mails, 1);
	w->sink.mail = "501 bad syntax";
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, PERM, 501, "", "bad syntax");
	assert_in_range(w->sink.mails, 2, 3);
	assert_true(holds(result_of(w, 2)->transcript, "goes again without DSN"));
	w->sink.mail = NULL; /* it was not that: nothing is remembered */
	deliver(w, 3, "a@x");
	expect_taken(result_of(w, 3), 1);
	assert_int_equal(result_of(w, 3)->dsn, 1);
}

static void test_chunking_lost(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	w->sink.drop_at_bdat = true;
	start(w);
	deliver(w, 1, "a@x"); /* one chunk, the last: nobody knows what became of it */
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown");
	deliver(w, 1 + 1, "a@x"); /* so the next attempt does without */
	expect_taken(result_of(w, 2), 1);
	assert_int_equal(w->sink.datas, 1);
	assert_true(str_eq(result_of(w, 2)->without, S("CHUNKING")));
}

/* A server that always hangs up is no reason to believe anything of it. */
static void test_always_lost(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nDSN";
	w->notify = NOTIFY_FAILURE;
	w->like.envelope.ret = RET_HDRS;
	w->sink.drop_every_mail = true;
	start(w);
	deliver(w, 1, "a@x");
	assert_int_equal(result_of(w, 1)->verdicts[0].class, TEMP);
	assert_in_range(w->sink.sessions, 1, 4);
	w->sink.drop_every_mail = false;
	buf_clear(&w->sink.commands);
	deliver(w, 2, "a@x");
	expect_taken(result_of(w, 2), 1);
	assert_true(holds(buf_view(&w->sink.commands), "RET=HDRS"));
	assert_int_equal(result_of(w, 2)->without.n, 0);
}

static void test_avoid(void **state)
{
	struct str avoid[] = { S("DSN"), S("chunking"), S("PIPELINING") };
	struct world *w = *state;

	w->sink.features = "PIPELINING\nDSN\nCHUNKING";
	w->sink.no_pipelining = true;
	w->upstream.avoid = (struct str_list){ avoid, 3 };
	w->like.envelope.ret = RET_HDRS;
	w->notify = NOTIFY_FAILURE;
	start(w);
	deliver(w, 1, "a@x b@x");
	expect_taken(result_of(w, 1), 2);
	assert_int_equal(w->sink.datas, 1);
	assert_int_equal(w->sink.sessions, 1);
	assert_true(str_eq(buf_view(&w->sink.commands), S("MAIL FROM:<s@example.org>\nRCPT TO:<a@x>\nRCPT TO:<b@x>\n")));
}

/* ---- logins ---- */

/* A wrong password is tried by one connection, whatever waits; with the right one the others follow. */
static void test_first_login(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->upstream.connections = 5;
	w->sink.auth = "535 5.7.8 wrong";
	start(w);
	for (uint64_t lease = 1; lease <= 8; lease++)
		deliver_to(w, lease, S("upstream:hop"), "a@x", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	for (uint64_t lease = 1; lease <= 8; lease++)
		assert_int_equal(result_of(w, lease)->gate, 2);
	assert_int_equal(w->sink.sessions, 1);
	assert_int_equal(w->sink.logins, 2); /* by two mechanisms */
	w->sink.auth = NULL;
	w->sink.hold = true;
	w->sink.most_open = 0;
	for (uint64_t lease = 11; lease <= 15; lease++)
		deliver_to(w, lease, S("upstream:hop"), "a@x", S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	assert_true(run_until_count(w, &w->sink.messages, 5));
	assert_int_equal(w->sink.most_open, 5);
	sink_release(&w->sink);
	for (uint64_t lease = 11; lease <= 15; lease++)
		assert_int_equal(result_of(w, lease)->verdicts[0].class, OK);
}

/* What worked after a refusal goes first from then on. */
static void test_next_mechanism(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->config.delivery.reuse = 1;
	w->sink.not_by = "PLAIN";
	start(w);
	deliver(w, 1, "a@x");
	expect_taken(result_of(w, 1), 1);
	assert_int_equal(w->sink.logins, 2);
	deliver(w, 2, "a@x");
	expect_taken(result_of(w, 2), 1);
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.logins, 3);
}

static void test_mechanisms(void **state)
{
	struct str mechanisms[] = { S("LOGIN") };
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->upstream.mechanisms = (struct str_list){ mechanisms, 1 };
	start(w);
	deliver(w, 1, "a@x");
	expect_taken(result_of(w, 1), 1);
	assert_true(str_starts(buf_view(&w->sink.credentials), S("AUTH LOGIN|")));
}

/* ---- tokens ---- */

static void use_token(struct world *w, unsigned refusals, const char *refusal)
{
	use_tls(w, UPSTREAM_STARTTLS);
	w->sink.features = "STARTTLS\nAUTH PLAIN LOGIN XOAUTH2\nPIPELINING";
	w->sink.refusals = refusals;
	w->sink.refusal = refusal;
	w->upstream.login = S("me");
	w->upstream.oauth.provider = OAUTH_MICROSOFT;
	start(w);
	deliver(w, 1, "a@x");
}

/* A refused token, and one that expires soon, is replaced, and the delivery does not notice. */
static void test_token_renewed(void **state)
{
	struct world *w = *state;

	use_token(w, 1, "535 5.7.3 Authentication unsuccessful");
	expect_taken(result_of(w, 1), 1);
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.logins, 2); /* nor was another mechanism tried */
	assert_int_equal(w->renewals, 1);
	assert_int_equal(w->vault_steps, 2);
}

static void test_token_expires_soon(void **state)
{
	struct world *w = *state;

	use_token(w, 1, "454 4.7.0 Temporary: the token will expire soon");
	expect_taken(result_of(w, 1), 1);
	assert_int_equal(w->renewals, 1);
}

/* Refused twice in a row: somebody must look, and each later try of queue's is one try. */
static void test_token_refused_again(void **state)
{
	struct world *w = *state;

	use_token(w, 2, "535 5.7.8 Username and Password not accepted");
	expect_reason(result_of(w, 1), "5.7.8 Username and Password not accepted");
	assert_int_equal(result_of(w, 1)->gate, 2);
	assert_int_equal(w->sink.logins, 2);
	assert_int_equal(w->renewals, 2);
	w->sink.refusals = 1;
	deliver(w, 2, "a@x");
	assert_int_equal(result_of(w, 2)->gate, 2);
	assert_int_equal(w->sink.logins, 3);
	deliver(w, 3, "a@x");
	expect_taken(result_of(w, 3), 1);
}

/* Another token does not help. */
static void test_token_is_not_the_cause(void **state)
{
	struct world *w = *state;

	use_token(w, 1, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant");
	expect_reason(result_of(w, 1), "is disabled for the Tenant");
	assert_int_equal(result_of(w, 1)->gate, 2);
	assert_int_equal(w->renewals, 0);
	assert_int_equal(w->sink.logins, 1);
}

/* Vault has no token: it waits for the provider, or a person must sign in. */
static void test_no_token(void **state)
{
	struct world *w = *state;

	w->password = NULL;
	w->vault_code = "4.7.0";
	w->vault_text = "the provider does not answer, next try in 300 seconds";
	use_token(w, 0, NULL);
	expect_reason(result_of(w, 1), "the provider does not answer");
	assert_int_equal(result_of(w, 1)->gate, 1);
	assert_int_equal(result_of(w, 1)->gate_pause_ms, 300000);
	w->vault_code = "4.7.8";
	w->vault_text = "posthouse upstream login hop";
	deliver(w, 2, "a@x");
	expect_reason(result_of(w, 2), "4.7.8 posthouse upstream login hop");
	assert_int_equal(result_of(w, 2)->gate, 2);
	assert_int_equal(w->sink.logins, 0);
	assert_int_equal(w->renewals, 0);
}

/* The upstream offers only what wants a password, which this upstream's login has none of. */
static void test_no_mechanism_for_a_token(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->upstream.oauth.provider = OAUTH_GOOGLE;
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "no way to log in");
	assert_int_equal(w->vault_steps, 0);
	assert_int_equal(w->sink.logins, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_pipelining),
		RELAY_TEST(test_parameters),
		RELAY_TEST(test_real_refusals),
		RELAY_TEST(test_chunking_lost),
		RELAY_TEST(test_always_lost),
		RELAY_TEST(test_avoid),
		RELAY_TEST(test_first_login),
		RELAY_TEST(test_next_mechanism),
		RELAY_TEST(test_mechanisms),
		RELAY_TEST(test_token_renewed),
		RELAY_TEST(test_token_expires_soon),
		RELAY_TEST(test_token_refused_again),
		RELAY_TEST(test_token_is_not_the_cause),
		RELAY_TEST(test_no_token),
		RELAY_TEST(test_no_mechanism_for_a_token),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
