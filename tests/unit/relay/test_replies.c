/* test_replies.c - what a next hop's words do: to its gate, to other recipients, to connections. */
#include "harness.h"

#include "posthouse/meaning.h"

static const char listed[] = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";

static void expect_meaning(const struct result *r, unsigned i, enum trouble trouble, enum scope scope, uint64_t pause_s)
{
	assert_int_equal(meaning_trouble(r->meanings[i]), trouble);
	assert_int_equal(r->scopes[i], scope);
	assert_int_equal(r->pauses_ms[i], pause_s * 1000);
}

/* At an upstream's RCPT one domain cannot close it: its recipient waits, others go; the same about two domains means the upstream. */
static void test_two_domains(void **state)
{
	struct world *w = *state;

	w->sink.rcpt = listed;
	start(w);
	deliver(w, 1, "a@x.example");
	expect(result_of(w, 1), 0, TEMP, 554, "4.7.1", "blocked using");
	expect_meaning(result_of(w, 1), 0, TROUBLE_REPUTATION, SCOPE_HOP, 86400);
	assert_int_equal(result_of(w, 1)->gate, 0);
	deliver(w, 2, "b@X.example c@x.example");
	assert_int_equal(result_of(w, 2)->gate, 0);
	deliver(w, 3, "a@x.example good@y.example");
	assert_int_equal(result_of(w, 3)->gate, 0);
	expect(result_of(w, 3), 1, OK, 250, "2.0.0", "taken");
	w->sink.rcpt = "550 5.7.1 Unable to relay";
	deliver(w, 4, "a@y.example"); /* another complaint */
	assert_int_equal(result_of(w, 4)->gate, 0);
	deliver(w, 5, "a@z.example");
	assert_int_equal(result_of(w, 5)->gate, 2);
	assert_int_equal(meaning_trouble(result_of(w, 5)->gate_meaning), TROUBLE_SETUP);
	assert_int_equal(result_of(w, 5)->gate_pause_ms, 600000);
	w->sink.rcpt = listed;
	deliver(w, 6, "a@x.example b@y.example"); /* both at once */
	assert_int_equal(result_of(w, 6)->gate, 3);
	assert_int_equal(result_of(w, 6)->gate_pause_ms, 86400000);
}

/* Before a recipient was named, and after the text, one answer is enough. */
static void test_mail_and_data(void **state)
{
	struct world *w = *state;

	w->sink.mail = "550 5.7.1 Helo command rejected: Host not found";
	start(w);
	deliver(w, 1, "a@x.example");
	assert_int_equal(result_of(w, 1)->gate, 2);
	w->sink.mail = NULL;
	w->sink.final = "550 Send quota exceeded";
	deliver(w, 2, "a@x.example");
	assert_int_equal(result_of(w, 2)->gate, 3);
	assert_int_equal(result_of(w, 2)->gate_pause_ms, 3600000);
	w->sink.final = "451 4.3.0 host mx.x.example[192.0.2.1] said: 451 daily sending quota exceeded";
	deliver(w, 3, "a@x.example");
	assert_int_equal(result_of(w, 3)->gate, 0);
	expect_meaning(result_of(w, 3), 0, TROUBLE_TEMPORARY, SCOPE_MESSAGE, 0);
}

/* After the text what sounds like our set-up may be said of the text: one message cannot close the upstream, however often it is tried. */
static void test_two_messages(void **state)
{
	struct world *w = *state;

	w->sink.final = "554 5.7.1 Relay access denied";
	start(w);
	deliver(w, 1, "a@x.example b@y.example");
	expect(result_of(w, 1), 1, TEMP, 554, "4.7.1", "Relay access");
	expect_meaning(result_of(w, 1), 1, TROUBLE_SETUP, SCOPE_HOP, 600);
	assert_int_equal(result_of(w, 1)->gate, 0);
	w->like.id = 1001; /* the same message again */
	deliver(w, 2, "a@x.example b@y.example");
	w->like.id = 0;
	assert_int_equal(result_of(w, 2)->gate, 0);
	w->sink.final = NULL;
	deliver(w, 3, "a@x.example"); /* others are taken: it was about that message */
	expect(result_of(w, 3), 0, OK, 250, "2.0.0", "taken");
	w->sink.final = "554 5.7.1 Relay access denied";
	deliver(w, 4, "a@x.example");
	assert_int_equal(result_of(w, 4)->gate, 0);
	deliver(w, 5, "a@x.example"); /* another message, and none was taken */
	assert_int_equal(result_of(w, 5)->gate, 2);
	w->sink.final = "554 5.7.1 The relay does not accept executable attachments";
	deliver(w, 6, "a@x.example");
	expect(result_of(w, 6), 0, PERM, 554, "5.7.1", "executable");
	deliver(w, 7, "a@x.example");
	assert_int_equal(result_of(w, 7)->gate, 0);
	w->sink.final = "554 Message rejected: Sending paused for this account"; /* plainly us */
	deliver(w, 8, "a@x.example");
	assert_int_equal(result_of(w, 8)->gate, 3);
}

static void to_mx(struct world *w, uint64_t lease, const char *recipients)
{
	deliver_to(w, lease, S("mx:example.test"), recipients, S("Subject: x\r\n\r\nx\r\n"), -1, 0);
}

/* An MX host may dislike us for one recipient only; a list or our address it names for all. */
static void test_two_recipients(void **state)
{
	struct world *w = *state;

	names_open(&w->names, w->loop);
	w->config.delivery.resolver = arena_printf(&w->arena, "127.0.0.1@%u", w->names.port);
	open_mx(w, 0, "127.0.0.2");
	names_add_mx(&w->names, "example.test", 10, "mx1.example.test");
	names_add_address(&w->names, "mx1.example.test", "127.0.0.2");
	w->mx[0].rcpt = "550 5.7.1 Blocked";
	start(w);
	to_mx(w, 1, "a@example.test");
	expect_meaning(result_of(w, 1), 0, TROUBLE_REPUTATION, SCOPE_HOP, 86400);
	assert_int_equal(result_of(w, 1)->gate, 0);
	to_mx(w, 2, "a@example.test");
	assert_int_equal(result_of(w, 2)->gate, 0);
	to_mx(w, 3, "b@example.test");
	assert_int_equal(result_of(w, 3)->gate, 3);
	w->mx[0].rcpt = "550 User blocked";
	to_mx(w, 4, "a@example.test c@example.test");
	assert_int_equal(result_of(w, 4)->gate, 0);
	expect(result_of(w, 4), 1, PERM, 550, "", "User blocked");
	w->mx[0].rcpt = listed;
	to_mx(w, 5, "d@example.test");
	assert_int_equal(result_of(w, 5)->gate, 3);
}

/* What an upstream holds against a sender, or our set-up there, waits for who can mend it, and closes nothing for others. */
static void test_senders(void **state)
{
	static const struct {
		const char *mail, *final;
		enum trouble trouble;
		enum scope scope;
	} rows[] = {
		{ "553 5.7.1 <s@example.org>: Sender address rejected: not owned by user me", NULL, TROUBLE_SETUP, SCOPE_SENDER },
		{ "550 5.7.1 You are not allowed to send as this address", NULL, TROUBLE_SETUP, SCOPE_SENDER },
		{ NULL, "554 5.7.1 Sender domain is listed at dbl.spamhaus.org", TROUBLE_REPUTATION, SCOPE_DOMAIN },
		{ NULL, "421 4.7.27 Your email has been rate limited because SPF did not pass", TROUBLE_AUTHENTICATION,
		  SCOPE_DOMAIN },
	};
	struct world *w = *state;

	start(w);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		w->sink.mail = rows[i].mail;
		w->sink.final = rows[i].final;
		deliver(w, 1 + i, "a@x.example b@y.example");
		assert_int_equal(result_of(w, 1 + i)->gate, 0);
		assert_int_equal(result_of(w, 1 + i)->verdicts[1].class, TEMP);
		expect_meaning(result_of(w, 1 + i), 1, rows[i].trouble, rows[i].scope, 3600 * (i == 2 ? 24 : 1));
	}
}

/* A throttle is over in seconds, and fewer connections are made meanwhile. */
static void test_throttled(void **state)
{
	struct world *w = *state;
	char recipient[] = "a@x.example";

	w->upstream.connections = 8;
	w->sink.final = "451 4.7.0 too many concurrent sessions";
	start(w);
	deliver(w, 1, recipient);
	assert_int_equal(result_of(w, 1)->gate, 3);
	assert_int_equal(result_of(w, 1)->gate_pause_ms, 30000);
	w->sink.final = NULL;
	w->sink.hold = true;
	w->sink.most_open = 0;
	for (uint64_t lease = 2; lease < 10; lease++)
		deliver_to(w, lease, S("upstream:hop"), recipient, S("Subject: x\r\n\r\nx\r\n"), -1, 0);
	assert_true(run_until_count(w, &w->sink.messages, 5));
	sink_release(&w->sink);
	for (uint64_t lease = 2; lease < 10; lease++)
		assert_int_equal(result_of(w, lease)->verdicts[0].class, OK);
	assert_int_equal(w->sink.most_open, 4);
}

/* RFC 5321 4.5.3.1.10, in whatever words: what follows the recipients that were taken goes in another transaction. */
static void test_split(void **state)
{
	static const char *const answers[] = {
		"550 5.5.3 Too many recipients for this sender",
		"451 4.5.3 enough for now",
		"451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.",
	};
	struct world *w = *state;

	start(w);
	for (unsigned i = 0; i < 3; i++) {
		w->sink.rcpt = NULL;
		w->sink.rcpt_after = answers[i];
		w->sink.rcpt_max = 1;
		deliver(w, 1 + i, "a@x.example b@y.example c@z.example");
		for (unsigned k = 0; k < 3; k++)
			expect(result_of(w, 1 + i), k, OK, 250, "2.0.0", "taken");
	}
	w->sink.rcpt = "452 Too many recipients received this hour"; /* that is no matter of transactions */
	w->sink.rcpt_max = 0;
	deliver(w, 9, "good@x.example b@y.example");
	expect(result_of(w, 9), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 9), 1, TEMP, 452, "", "this hour");
	expect_meaning(result_of(w, 9), 1, TROUBLE_RATE, SCOPE_HOP, 3600);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_two_domains),   RELAY_TEST(test_two_messages), RELAY_TEST(test_two_recipients),
		RELAY_TEST(test_mail_and_data), RELAY_TEST(test_senders),      RELAY_TEST(test_throttled),
		RELAY_TEST(test_split),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
