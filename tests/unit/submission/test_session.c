/* test_session.c - what a client says and hears, and what queue hears of it: from the greeting to the end of the session. */
#include "harness.h"

#include "posthouse/store.h"

#include <stdlib.h>
#include <unistd.h>

static void test_message(void **state)
{
	struct world *w = *state;
	struct end *client;
	const struct offer *o = &w->offers[0];

	start(w);
	client = open_login(w);
	assert_true(str_eq(w->admitted, S("127.0.0.1")));
	talk(w, client, "MAIL FROM:<alice@example.org>", "250 2.1.0");
	talk(w, client, "RCPT TO:<bob@example.net>", "250 2.1.5");
	talk(w, client, "RCPT TO:<Bob@EXAMPLE.net>", "250 2.1.5");
	talk(w, client, "RCPT TO:<bob@example.NET>", "250 2.1.5");
	talk(w, client, "DATA", "354");
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0 Ok: queued as ");
	talk(w, client, "QUIT", "221 2.0.0");
	expect_end(w, client);
	assert_true(wait_for(w, &w->leaves, 1));

	assert_int_equal(w->offers_n, 1);
	assert_true(o->id != 0 && o->token != 0);
	assert_true(str_eq(o->login, S("alice@example.org")));
	assert_true(str_eq(o->sender, S("alice@example.org")));
	assert_true(
		str_eq(o->recipients, S("bob@example.net Bob@example.net "))); /* the local part is the recipient's own matter */
	assert_int_equal(o->place, PLACE_ROW);
	assert_int_equal(o->size, o->text.n);
	assert_true(str_starts(o->received, S("Received: by relay.example.org")) && holds(o->received, "ESMTPSA"));
	assert_true(str_eq(o->from, S("alice@example.org ")) && o->resenders.n == 0);
	assert_int_equal(o->digest.n, DKIM_DIGEST_SIZE);
	assert_true(str_starts(o->field, S("DKIM-Signature:")) && holds(o->field, "d=example.org; s=s1;"));
	assert_true(holds(o->text, "Subject: x\r\n") && holds(o->text, "Date: ") && str_ends(o->text, S("\r\n\r\nhello\r\n")));
}

/* Two messages of a session, pipelined: each has an id and a token of its own. */
static void test_pipelined(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_login(w);
	for (int i = 0; i < 2; i++) {
		say(client, "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n");
		expect_reply(w, client, "250 2.1.0");
		expect_reply(w, client, "250 2.1.5");
		expect_reply(w, client, "354");
		say(client, SMALL_TEXT);
		expect_reply(w, client, "250 2.0.0");
	}
	assert_int_equal(w->offers_n, 2);
	assert_true(w->offers[0].id != w->offers[1].id && w->offers[0].token != w->offers[1].token);
}

/* A wrong password and an unknown name sound alike; queue counts them. Without TLS and without a login there is no mail. */
static void test_login(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220");
	talk(w, client, "EHLO pc", "250");
	talk(w, client, RIGHT_PASSWORD, "538 5.7.11");
	assert_int_equal(w->logins, 0);
	client = open_session(w);
	talk(w, client, "MAIL FROM:<alice@example.org>", "530 5.7.0");
	talk(w, client, WRONG_PASSWORD, "535 5.7.8 Authentication failed\r\n");
	assert_int_equal(w->failures, 1);
	assert_true(str_eq(w->last_login, S("alice@example.org")));
	talk(w, client, "MAIL FROM:<alice@example.org>", "530 5.7.0");
	talk(w, client, RIGHT_PASSWORD, "235 2.7.0");
	talk(w, client, RIGHT_PASSWORD, "503 5.5.1");
	assert_int_equal(w->failures, 1);
	talk(w, client, "MAIL FROM:<alice@example.org>", "250 2.1.0");
}

/* Queue has the last word: a banned login does not hear that its password was right. */
static void test_banned(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->authorization = temp(454, S("4.7.0"), S("Too many failures"));
	start(w);
	client = open_session(w);
	talk(w, client, RIGHT_PASSWORD, "454 4.7.0 Too many failures");
	talk(w, client, "MAIL FROM:<alice@example.org>", "530 5.7.0");
	w->admission = temp(421, S("4.7.0"), S("Not from here"));
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "421 4.7.0 Not from here");
	expect_end(w, client);
}

/* Envelope and header must be the login's own. What is refused never reaches queue. */
static void test_senders(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_login(w);
	talk(w, client, "MAIL FROM:<mallory@example.org>",
	     "550 5.7.1 <mallory@example.org> is not an address of alice@example.org");
	begin_message(w, client);
	say(client, "From: Bank <bank@example.com>\r\n\r\nhello\r\n.\r\n");
	expect_reply(w, client, "550 5.7.1");
	talk(w, client, "MAIL FROM:<>", "250 2.1.0");
	talk(w, client, "RCPT TO:<bob@example.net>", "250 2.1.5");
	talk(w, client, "DATA", "354");
	say(client, "From: mallory@example.org\r\n\r\nhello\r\n.\r\n");
	expect_reply(w, client, "550 5.7.1");
	assert_int_equal(w->offers_n, 0);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
	assert_int_equal(w->offers_n, 1);
}

/* Over the limit: what says so is refused at once, what does not is read to its end, and nothing of it is taken for a command. */
static void test_size(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->config.limits.message_size = 3000;
	start(w);
	client = open_login(w);
	talk(w, client, "MAIL FROM:<alice@example.org> SIZE=3001", "552 5.3.4");
	begin_message(w, client);
	say(client, "From: alice@example.org\r\n\r\n");
	for (int i = 0; i < 200; i++)
		say(client, "MAIL FROM:<alice@example.org>\r\n");
	talk(w, client, ".", "552 5.3.4");
	assert_int_equal(w->offers_n, 0);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
}

/* What does not fit a datagram goes to a file of queue's. */
static void test_large(void **state)
{
	struct world *w = *state;
	struct end *client;
	char *text;

	start(w);
	client = open_login(w);
	begin_message(w, client);
	say(client, "From: alice@example.org\r\n\r\n");
	for (int i = 0; i < 4000; i++)
		say(client, "This line has thirty-two bytes.\r\n");
	talk(w, client, ".", "250 2.0.0");
	assert_int_equal(w->offers[0].place, PLACE_FILE);
	assert_int_equal(w->offers[0].text.n, 0);
	assert_true(w->offers[0].size > 4000 * 33);
	text = xmalloc(w->offers[0].size + 1);
	assert_int_equal(pread(w->spool, text, w->offers[0].size + 1, 0), w->offers[0].size);
	assert_true(str_ends(str_make(text, w->offers[0].size), S("thirty-two bytes.\r\nThis line has thirty-two bytes.\r\n")));
	free(text);
	w->spool_verdict = temp(452, S("4.3.1"), S("The disk is full"));
	begin_message(w, client);
	say(client, "From: alice@example.org\r\n\r\n");
	for (int i = 0; i < 4000; i++)
		say(client, "This line has thirty-two bytes.\r\n");
	talk(w, client, ".", "452 4.3.1 The disk is full");
	assert_int_equal(w->offers_n, 1);
	assert_int_equal(w->abandoned, 1);
}

/* So many commands without a message, then 421. */
static void test_commands(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220");
	for (int i = 0; i < 150; i++)
		say(client, "NOOP\r\n");
	for (int i = 0; i < 100; i++)
		expect_reply(w, client, "250");
	expect_reply(w, client, "421 4.7.0 Too many commands");
	expect_end(w, client);
}

/* A client that floods is cut off, and is not waited for: it may not read the 421. Others are served meanwhile. */
static void test_flood(void **state)
{
	struct world *w = *state;
	struct end *client, *other;

	start(w);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220");
	for (int i = 0; i < 200000; i++)
		say(client, "NOOP\r\n");
	other = open_client(w, DOOR_DIRECT);
	expect_reply(w, other, "220");
	talk(w, other, "EHLO pc", "250");
	assert_true(wait_for(w, &client->ends, 1));
	assert_true(client->received < 200 * strlen("250 2.0.0 Ok\r\n"));
	talk(w, other, "NOOP", "250");
}

/* RFC 3207 4.2: what came in the clear behind STARTTLS is no command inside TLS. */
static void test_injection(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220");
	talk(w, client, "EHLO pc", "250");
	say(client, "STARTTLS\r\nEHLO injected\r\n" RIGHT_PASSWORD "\r\n");
	expect_reply(w, client, "220");
	start_tls(w, client);
	talk(w, client, "VRFY bob", "252"); /* and no reply to anything before it */
	talk(w, client, RIGHT_PASSWORD, "503 5.5.1 Say EHLO first");
	assert_int_equal(w->logins, 0);
}

/* The load balancer's header counts where it is listed, and is a command like others where it is not. */
static void test_proxy(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	client = open_client(w, DOOR_PROXIED);
	say(client, "PROXY TCP4 192.0.2.9 198.51.100.1 4000 587\r\nEHLO pc\r\n");
	expect_reply(w, client, "220");
	expect_reply(w, client, "250");
	assert_true(str_eq(w->admitted, S("192.0.2.9")));
	client = open_client(w, DOOR_PROXIED);
	say(client, "EHLO pc\r\n");
	expect_end(w, client);
	assert_int_equal(w->admissions, 1);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220");
	talk(w, client, "PROXY TCP4 192.0.2.9 198.51.100.1 4000 587", "500 5.5.1");
	assert_true(str_eq(w->admitted, S("127.0.0.1")));
}

/* At a stop the idle hear 421; who waits for the answer to a message hears that first. Then the process ends with 0. */
static void test_stop(void **state)
{
	struct world *w = *state;
	struct end *idle, *busy;

	w->silent_at_submit = true;
	start(w);
	idle = open_session(w);
	busy = open_login(w);
	begin_message(w, busy);
	say(busy, SMALL_TEXT);
	assert_true(wait_for(w, &w->offers_n, 1));
	played_stop(&w->role, 20000);
	expect_reply(w, idle, "421 4.3.2");
	expect_end(w, idle);
	assert_int_equal(w->role.stopped, 0);
	answer_submit(w, ok());
	expect_reply(w, busy, "250 2.0.0 Ok: queued as ");
	expect_reply(w, busy, "421 4.3.2");
	expect_end(w, busy);
	stream_close(idle->st);
	stream_close(busy->st);
	played_wait(&w->role);
}

static unsigned answers;
static size_t rows_n;
static uint64_t closed_n;

static void on_sessions(void *ctx, struct verdict v, const struct msg_sessions *m, int fd)
{
	assert_non_null(m);
	for (size_t i = 0; i < m->rows.n; i++) {
		assert_true(str_eq(m->rows.at[i].login, S("alice@example.org")));
		assert_true(str_starts(m->rows.at[i].tls, S("TLSv1.")));
		assert_true(str_eq(m->rows.at[i].client, S("127.0.0.1")) && m->rows.at[i].since > 0);
		assert_true(str_eq(m->rows.at[i].state, i == 0 ? S("idle") : S("waits for an answer")));
	}
	rows_n = m->rows.n;
	answers++;
}

static void on_sessions_closed(void *ctx, struct verdict v, const struct msg_sessions_closed *m, int fd)
{
	assert_non_null(m);
	closed_n = m->count;
	answers++;
}

/* An administrator lists the sessions, and ends them: an idle one at once, one whose message is with queue after the answer. */
static void test_dismissed(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = *state;
	struct msg_session_close m = { .user = S("bob@example.org"), .reason = S("test") };
	struct channel *console;
	struct end *idle, *busy;

	answers = 0;
	w->silent_at_submit = true;
	start(w);
	played_connect(&w->role, ROLE_CONSOLE, &none);
	console = w->role.peers[ROLE_CONSOLE];
	idle = open_login(w);
	busy = open_login(w);
	begin_message(w, busy);
	say(busy, SMALL_TEXT);
	assert_true(wait_for(w, &w->offers_n, 1));
	ipc_call_session_page(console, &(struct msg_session_page){ 0 }, -1, on_sessions, w);
	assert_true(wait_for(w, &answers, 1));
	assert_int_equal(rows_n, 2);
	ipc_call_session_close(console, &m, -1, on_sessions_closed, w);
	assert_true(wait_for(w, &answers, 2));
	assert_int_equal(closed_n, 0);
	m.user = S("alice@example.org");
	ipc_call_session_close(console, &m, -1, on_sessions_closed, w);
	assert_true(wait_for(w, &answers, 3));
	assert_int_equal(closed_n, 2);
	expect_reply(w, idle, "421 4.3.2");
	expect_end(w, idle);
	answer_submit(w, ok());
	expect_reply(w, busy, "250 2.0.0 Ok: queued as ");
	expect_reply(w, busy, "421 4.3.2");
	expect_end(w, busy);
	ipc_call_session_page(console, &(struct msg_session_page){ 0 }, -1, on_sessions, w);
	assert_true(wait_for(w, &answers, 4));
	assert_int_equal(rows_n, 0);
	stream_close(idle->st);
	stream_close(busy->st);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SUBMISSION_TEST(test_message),   SUBMISSION_TEST(test_pipelined), SUBMISSION_TEST(test_login),
		SUBMISSION_TEST(test_banned),    SUBMISSION_TEST(test_senders),   SUBMISSION_TEST(test_size),
		SUBMISSION_TEST(test_large),     SUBMISSION_TEST(test_commands),  SUBMISSION_TEST(test_flood),
		SUBMISSION_TEST(test_injection), SUBMISSION_TEST(test_proxy),     SUBMISSION_TEST(test_stop),
		SUBMISSION_TEST(test_dismissed),
	};

	program = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests_name("submission session", tests, NULL, NULL);
}
