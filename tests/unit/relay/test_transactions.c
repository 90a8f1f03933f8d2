/* test_transactions.c - several transactions for one delivery, what the next hop's extensions change, and refusals of all mail. */
#include "harness.h"

#include <stdio.h>

static const char five[] = "a@x b@x c@x d@x e@x";

static void expect_all_taken(const struct result *r, unsigned n)
{
	assert_int_equal(r->n, n);
	assert_int_equal(r->gate, 0);
	for (unsigned i = 0; i < n; i++)
		expect(r, i, OK, 250, "2.0.0", "taken");
}

static void test_rcptmax(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=2";
	start(w);
	deliver(w, 1, five);
	expect_all_taken(result_of(w, 1), 5);
	assert_int_equal(w->sink.mails, 3);
	assert_int_equal(w->sink.sessions, 1);
	assert_int_equal(result_of(w, 1)->rcptmax, 2);
}

/* A limit that is not announced is found, and kept. */
static void test_too_many_recipients(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING";
	w->sink.rcpt_max = 2;
	start(w);
	deliver(w, 1, five);
	expect_all_taken(result_of(w, 1), 5);
	assert_int_equal(w->sink.mails, 3);
	assert_int_equal(result_of(w, 1)->rcptmax, 2);
	assert_true(holds(buf_view(&w->sink.commands), "RCPT TO:<e@x>\nMAIL"));
	buf_clear(&w->sink.commands);
	deliver(w, 2, "a@x perm@x c@x d@x");
	expect(result_of(w, 2), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 2), 1, PERM, 550, "5.1.1", "no such user");
	expect(result_of(w, 2), 3, OK, 250, "2.0.0", "taken");
	assert_true(holds(result_of(w, 2)->transcript, "S: 550 5.1.1 no such user\n"));
	assert_int_equal(w->sink.mails, 5);
	w->sink.no_rcpt = true;
	deliver(w, 3, "a@x b@x c@x");
	expect(result_of(w, 3), 0, TEMP, 452, "4.5.3", "too many");
	expect(result_of(w, 3), 2, TEMP, 452, "4.5.3", "too many");
	assert_int_equal(result_of(w, 3)->gate, 0);
}

static void test_mailmax(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=2 MAILMAX=1";
	start(w);
	deliver(w, 1, five);
	expect_all_taken(result_of(w, 1), 5);
	assert_int_equal(w->sink.sessions, 3);
}

/* A server that hangs up at its second transaction without a word costs a connection for each, and nothing else. */
static void test_hangs_up_between(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=2";
	w->sink.drop_at_mail = 2;
	start(w);
	deliver(w, 1, five);
	expect_all_taken(result_of(w, 1), 5);
	assert_int_equal(w->sink.sessions, 3);
	assert_int_equal(w->sink.messages, 3);
}

/* The text in a file is read for each transaction anew. */
static void test_file_twice(void **state)
{
	struct world *w = *state;
	struct str text = S("Subject: x\r\n\r\nfrom a file\r\n");
	FILE *file = tmpfile();

	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	fflush(file);
	w->sink.features = "LIMITS RCPTMAX=1";
	start(w);
	deliver_to(w, 1, S("upstream:hop"), "a@x b@x", S(""), fileno(file), text.n);
	expect_all_taken(result_of(w, 1), 2);
	assert_int_equal(w->sink.messages, 2);
	assert_true(holds(buf_view(&w->sink.text), "from a file\r\n"));
	fclose(file);
}

/* A text of that many bytes in a file, delivered to a@x. */
static void deliver_file(struct world *w, uint64_t lease, size_t n)
{
	FILE *file = tmpfile();

	fputs("Subject: x\r\n\r\n", file);
	for (size_t at = 14; at < n; at += 16)
		fputs(at + 16 < n ? ".a line of tex\r\n" : "the very end..\r\n", file);
	fflush(file);
	deliver_to(w, lease, S("upstream:hop"), "a@x", S(""), fileno(file), (uint64_t)ftell(file));
	result_of(w, lease);
	fclose(file);
}

/* RFC 3030: in one chunk, in several, and these one by one; a small text has its dots as they are. */
static void test_chunks(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	start(w);
	deliver_to(w, 1, S("upstream:hop"), "a@x perm@x", S("Subject: x\r\n\r\n.\r\n..\r\n"), -1, 0);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 1), 1, PERM, 550, "5.1.1", "no such user");
	assert_true(holds(buf_view(&w->sink.text), "\r\n\r\n.\r\n..\r\n"));
	assert_int_equal(w->sink.chunks, 1);
	deliver_file(w, 2, 300000);
	expect_all_taken(result_of(w, 2), 1);
	assert_true(w->sink.text.n >= 300000 && holds(buf_view(&w->sink.text), "the very end..\r\n"));
	assert_int_equal(w->sink.chunks, 6);
	assert_int_equal(w->sink.last_chunks, 2);
	deliver(w, 3, "perm@x");
	expect(result_of(w, 3), 0, PERM, 550, "5.1.1", "no such user");
	assert_int_equal(w->sink.chunks, 6);
	assert_int_equal(w->sink.sessions, 1);
	assert_int_equal(w->sink.datas, 0);
}

static void test_chunks_one_by_one(void **state)
{
	struct world *w = *state;

	w->sink.features = "CHUNKING";
	start(w);
	deliver_file(w, 1, 300000);
	expect_all_taken(result_of(w, 1), 1);
	assert_true(w->sink.text.n >= 300000 && holds(buf_view(&w->sink.text), "the very end..\r\n"));
	assert_int_equal(w->sink.chunks, 5);
}

/* What follows a refused chunk never becomes a message; the last one is an ordinary refusal, and the connection is used again. */
static void test_chunk_refused(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	w->sink.refuse_chunk = 2;
	w->upstream.connections = 1; /* the third message waits for RSET */
	start(w);
	deliver_file(w, 1, 5000000);
	expect(result_of(w, 1), 0, PERM, 552, "5.3.4", "enough");
	assert_int_equal(w->sink.last_chunks, 0);
	w->sink.refuse_chunk = 1;
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, PERM, 552, "5.3.4", "enough");
	w->sink.refuse_chunk = 0;
	deliver(w, 3, "a@x");
	expect_all_taken(result_of(w, 3), 1);
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.messages, 1);
	assert_int_equal(w->sink.rsets, 1);
}

/* Who offers CHUNKING and does not know BDAT gets DATA: this message, on another connection, and those that follow. */
static void test_chunks_unknown(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	w->sink.no_bdat = true;
	start(w);
	deliver_file(w, 1, 300000);
	expect_all_taken(result_of(w, 1), 1);
	assert_int_equal(w->sink.sessions, 2);
	deliver(w, 2, "a@x");
	expect_all_taken(result_of(w, 2), 1);
	assert_int_equal(w->sink.sessions, 2);
	assert_int_equal(w->sink.datas, 2);
}

static void test_lost_after_last_chunk(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nCHUNKING";
	w->sink.drop_at_dot = true;
	start(w);
	deliver(w, 1, "a@x");
	expect(result_of(w, 1), 0, TEMP, 421, "4.4.2", "outcome unknown");
}

static void test_dsn(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nDSN";
	w->like.envelope.envid = S("QQ314159");
	w->like.envelope.ret = RET_HDRS;
	w->orcpt = S("rfc822;a+2Bb@x");
	w->notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	start(w);
	deliver(w, 1, "a@x");
	expect_all_taken(result_of(w, 1), 1);
	assert_int_equal(result_of(w, 1)->dsn, 1);
	assert_true(str_eq(buf_view(&w->sink.commands), S("MAIL FROM:<s@example.org> RET=HDRS ENVID=QQ314159\n"
							  "RCPT TO:<a@x> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x\n")));
	w->sink.features = "PIPELINING";
	stop(w, 2000);
}

static void test_no_dsn(void **state)
{
	struct world *w = *state;

	w->like.envelope.envid = S("QQ314159");
	w->notify = NOTIFY_NEVER;
	start(w);
	deliver(w, 1, "a@x");
	expect_all_taken(result_of(w, 1), 1);
	assert_int_equal(result_of(w, 1)->dsn, 0);
	assert_true(str_eq(buf_view(&w->sink.commands), S("MAIL FROM:<s@example.org>\nRCPT TO:<a@x>\n")));
}

/* Domains can be written in ASCII, local parts cannot. */
static void test_utf8(void **state)
{
	struct world *w = *state;

	w->like.envelope.utf8 = 1 | 2;
	w->like.envelope.sender = S("s@b\xc3\xbc"
				    "cher.example");
	start(w);
	deliver(w, 1,
		"a@b\xc3\xbc"
		"cher.example j\xc3\xbcrg@x b@x");
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "taken");
	expect(result_of(w, 1), 1, PERM, 550, "5.6.7", "SMTPUTF8");
	expect(result_of(w, 1), 2, OK, 250, "2.0.0", "taken");
	assert_true(str_eq(buf_view(&w->sink.commands),
			   S("MAIL FROM:<s@xn--bcher-kva.example>\nRCPT TO:<a@xn--bcher-kva.example>\nRCPT TO:<b@x>\n")));
	w->like.envelope.sender = S("j\xc3\xbcrg@x");
	deliver(w, 2, "a@x");
	expect(result_of(w, 2), 0, PERM, 550, "5.6.7", "the sender's address");
	w->like.envelope.sender = S("s@x");
	w->like.envelope.utf8 = 1 | 4; /* of the header only addresses need it: test_downgrade.c */
	deliver(w, 3, "a@x");
	expect_all_taken(result_of(w, 3), 1);
	assert_int_equal(w->sink.sessions, 1);
}

static void test_utf8_known(void **state)
{
	struct world *w = *state;

	w->sink.features = "SMTPUTF8\n8BITMIME";
	w->like.envelope.utf8 = 1 | 2;
	start(w);
	deliver(w, 1, "j\xc3\xbcrg@x");
	expect_all_taken(result_of(w, 1), 1);
	deliver(w, 2, "a@x");
	expect_all_taken(result_of(w, 2), 1);
	assert_true(str_eq(buf_view(&w->sink.commands), S("MAIL FROM:<s@example.org> SMTPUTF8\nRCPT TO:<j\xc3\xbcrg@x>\n"
							  "MAIL FROM:<s@example.org>\nRCPT TO:<a@x>\n")));
}

static void test_too_large(void **state)
{
	struct world *w = *state;

	w->sink.features = "SIZE 20";
	start(w);
	deliver(w, 1, "a@x b@x");
	expect(result_of(w, 1), 0, PERM, 552, "5.3.4", "larger");
	expect(result_of(w, 1), 1, PERM, 552, "5.3.4", "larger");
	assert_int_equal(w->sink.mails, 0);
}

/* Quotas are the upstream's, not the message's: whatever the class of the reply. */
static void test_quota_at_mail(void **state)
{
	struct world *w = *state;

	w->sink.features = "PIPELINING\nLIMITS RCPTMAX=2";
	w->sink.mail = "550 5.4.5 Daily user sending limit exceeded";
	start(w);
	deliver(w, 1, five);
	expect_reason(result_of(w, 1), "Daily user sending limit");
	assert_int_equal(result_of(w, 1)->gate, 3);
	for (unsigned i = 0; i < 5; i++)
		expect(result_of(w, 1), i, TEMP, 550, "4.4.5", "Daily user");
	assert_int_equal(w->sink.mails, 1); /* the others are not tried */
	w->sink.mail = "530 5.7.0 Authentication required";
	deliver(w, 2, "a@x");
	assert_int_equal(result_of(w, 2)->gate, 2);
	w->sink.mail = "421 4.3.2 shutting down";
	deliver(w, 3, "a@x");
	assert_int_equal(result_of(w, 3)->gate, 1);
	w->sink.mail = "550 5.7.1 this sender is not welcome";
	deliver(w, 4, "a@x");
	expect(result_of(w, 4), 0, PERM, 550, "5.7.1", "not welcome");
	assert_int_equal(result_of(w, 4)->gate, 0);
}

/* What was delivered stays so when a quota ends the rest. */
static void test_quota_in_between(void **state)
{
	struct world *w = *state;

	w->sink.features = "LIMITS RCPTMAX=2";
	w->sink.hold = true;
	start(w);
	deliver(w, 1, five);
	assert_true(run_until_count(w, &w->sink.messages, 1));
	w->sink.mail = "451 4.7.0 sending rate exceeded";
	sink_release(&w->sink);
	expect(result_of(w, 1), 0, OK, 250, "2.0.0", "at last");
	expect(result_of(w, 1), 1, OK, 250, "2.0.0", "at last");
	expect(result_of(w, 1), 2, TEMP, 451, "4.7.0", "sending rate");
	expect(result_of(w, 1), 4, TEMP, 451, "4.7.0", "sending rate");
	assert_int_equal(result_of(w, 1)->gate, 3);
}

static void test_login_faults(void **state)
{
	struct world *w = *state;

	use_tls(w, UPSTREAM_STARTTLS);
	w->upstream.login = S("me");
	w->sink.auth = "454 4.7.0 Too many login attempts";
	start(w);
	deliver(w, 1, "a@x");
	assert_int_equal(result_of(w, 1)->gate, 3);
	assert_true(holds(result_of(w, 1)->transcript, "S: 454 4.7.0 Too many login attempts\n"));
	w->sink.auth = "535 5.7.8 wrong";
	deliver(w, 2, "a@x");
	assert_int_equal(result_of(w, 2)->gate, 2);
	w->sink.features = "STARTTLS\nAUTH SCRAM-SHA-256 PLAIN";
	w->sink.auth = "235 2.7.0 come in, whoever you are";
	deliver(w, 3, "a@x");
	assert_int_equal(result_of(w, 3)->gate, 2);
	expect_reason(result_of(w, 3), "has not shown");
	w->vault_done = true;
	deliver(w, 4, "a@x");
	expect_all_taken(result_of(w, 4), 1);
}

/* A server that sends a byte now and then does not hold us longer than a silent one. */
static void test_drip(void **state)
{
	struct world *w = *state;

	w->config.delivery.timeouts.greeting_ms = 300;
	w->sink.drip = true;
	start(w);
	deliver(w, 1, "a@x");
	expect_reason(result_of(w, 1), "no answer in time at greeting");
	assert_int_equal(result_of(w, 1)->gate, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_rcptmax),
		RELAY_TEST(test_too_many_recipients),
		RELAY_TEST(test_mailmax),
		RELAY_TEST(test_hangs_up_between),
		RELAY_TEST(test_file_twice),
		RELAY_TEST(test_chunks),
		RELAY_TEST(test_chunks_one_by_one),
		RELAY_TEST(test_chunk_refused),
		RELAY_TEST(test_chunks_unknown),
		RELAY_TEST(test_lost_after_last_chunk),
		RELAY_TEST(test_dsn),
		RELAY_TEST(test_no_dsn),
		RELAY_TEST(test_utf8),
		RELAY_TEST(test_utf8_known),
		RELAY_TEST(test_too_large),
		RELAY_TEST(test_quota_at_mail),
		RELAY_TEST(test_quota_in_between),
		RELAY_TEST(test_login_faults),
		RELAY_TEST(test_drip),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
