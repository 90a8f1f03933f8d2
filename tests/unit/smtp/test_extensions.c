/* test_extensions.c - the server machine: what extensions bring into events and answers. Their use and misuse is in tests/dialog. */
#include "unit.h"

#include "posthouse/smtp_server.h"

#define NOW_MS 1795301717000 /* 2026-11-21T22:55:17Z */

static struct smtp_server_config config;
static struct smtp_server *server;

static uint64_t now_ms(void)
{
	return NOW_MS;
}

static int setup(void **state)
{
	config = (struct smtp_server_config){
		.hostname = S("relay.example.org"),
		.mechanisms = S("PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS"),
		.domain = S("example.org"),
		.message_size = 1000,
		.future_release_s = 3600,
		.now_ms = now_ms,
		.commands = 50,
		.errors = 50,
	};
	server = smtp_server_new(&config);
	smtp_server_tls_started(server);
	smtp_server_trust(server, true);
	smtp_server_greet(server);
	return 0;
}

static int teardown(void **state)
{
	smtp_server_free(server);
	return 0;
}

/* Say it, and forget all answers up to the event that must come of it. */
static struct smtp_event event_of(struct str line, enum smtp_event_type type)
{
	struct smtp_event e;

	assert_true(smtp_server_feed(server, line));
	do {
		if (!smtp_server_next(server, &e))
			fail_msg("no event of %.*s, but %.*s", STR_ARG(line), STR_ARG(buf_view(smtp_server_output(server))));
	} while (e.type != type);
	buf_clear(smtp_server_output(server));
	return e;
}

/* Answer the last event; this must be what is said. */
static void expect_answer(struct verdict v, struct str line)
{
	struct str got;

	smtp_server_reply(server, v);
	got = buf_view(smtp_server_output(server));
	if (!str_eq(got, line))
		fail_msg("expected %.*s, got %.*s", STR_ARG(line), STR_ARG(got));
	buf_clear(smtp_server_output(server));
}

static void test_mail(void **state)
{
	struct smtp_event e =
		event_of(S("EHLO x\r\nMAIL FROM:<\xc3\x84"
			   "B@\xc3\x84.Example> SMTPUTF8 BODY=BINARYMIME HOLDFOR=60 BY=120;RT MT-PRIORITY=-3 REQUIRETLS\r\n"),
			 SMTP_MAIL);

	assert_true(str_eq(e.address, S("\xc3\x84"
					"B@xn--4ca.example"))); /* the domain alone has one form */
	assert_true(e.mail.utf8 && e.mail.require_tls && e.mail.priority != PRIORITY_NORMAL);
	assert_int_equal(e.mail.body, BODY_BINARYMIME);
	assert_true(e.mail.release_at == NOW_MS + 60000);
	assert_int_equal(e.mail.by_s, 120);
	assert_int_equal(e.mail.by_mode, BY_RETURN | BY_TRACE);
	assert_int_equal(e.mail.priority, PRIORITY_NORMAL - 3);
	expect_answer(ok(), S("250 2.1.0 Ok\r\n"));
	e = event_of(S("RCPT TO:<\xf0\x9f\x98\x80@x> ORCPT=utf-8;\xf0\x9f\x98\x80@x\r\n"), SMTP_RCPT);
	assert_true(str_eq(e.address, S("\xf0\x9f\x98\x80@x")));
	assert_true(str_eq(e.rcpt.orcpt, S("utf-8;\\x{1F600}@x")));
	expect_answer(ok(), S("250 2.1.5 Ok\r\n"));
	event_of(S("RSET\r\n"), SMTP_RESET);
	e = event_of(S("MAIL FROM:<a@b>\r\n"), SMTP_MAIL);
	assert_false(e.mail.utf8 || e.mail.require_tls || e.mail.priority != PRIORITY_NORMAL || e.mail.release_at > 0);
	assert_int_equal(e.mail.by_mode, BY_NONE);
	assert_int_equal(e.mail.priority, PRIORITY_NORMAL);
	expect_answer(ok(), S("250 2.1.0 Ok\r\n"));
}

/* What the user of the machine says is said. RFC 6710 section 4.1: another priority than asked for. */
static void test_own_words(void **state)
{
	event_of(S("EHLO x\r\nMAIL FROM:<a@b> MT-PRIORITY=9\r\n"), SMTP_MAIL);
	expect_answer(ok_text(250, S("2.3.6"), S("4 is the highest priority that you may ask for")),
		      S("250 2.3.6 4 is the highest priority that you may ask for\r\n"));
	event_of(S("RCPT TO:<c@d>\r\n"), SMTP_RCPT);
	expect_answer(ok_text(0, S("2.1.5"), S("Fine")), S("250 2.1.5 Fine\r\n"));
	event_of(S("RCPT TO:<c@d>\r\n"), SMTP_RCPT);
	expect_answer(temp(450, S("4.7.1"), S("Too many, wait 5 minutes")), S("450 4.7.1 Too many, wait 5 minutes\r\n"));
}

static void test_completion(void **state)
{
	static const struct {
		struct str given, is;
	} rows[] = {
		{ S("<alice>"), S("alice@example.org") },           { S("Alice"), S("Alice@example.org") },
		{ S("<\"a b@c\">"), S("\"a b@c\"@example.org") },   { S("<a@B.example>"), S("a@b.example") },
		{ S("<postmaster>"), S("postmaster@example.org") }, { S("<>"), S("") },
	};
	struct buf line;

	buf_init(&line, 1000);
	event_of(S("EHLO x\r\n"), SMTP_HELO);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_event e;

		buf_clear(&line);
		buf_printf(&line, "MAIL FROM:%.*s\r\n", STR_ARG(rows[i].given));
		e = event_of(buf_view(&line), SMTP_MAIL);
		if (!str_eq(e.address, rows[i].is))
			fail_msg("%.*s became %.*s", STR_ARG(rows[i].given), STR_ARG(e.address));
		expect_answer(ok(), S("250 2.1.0 Ok\r\n"));
		event_of(S("RSET\r\n"), SMTP_RESET);
	}
	buf_fini(&line);
	event_of(S("MAIL FROM:<>\r\n"), SMTP_MAIL);
	expect_answer(ok(), S("250 2.1.0 Ok\r\n"));
	assert_true(str_eq(event_of(S("RCPT TO:<bob>\r\n"), SMTP_RCPT).address, S("bob@example.org")));
	expect_answer(ok(), S("250 2.1.5 Ok\r\n"));
	assert_true(str_eq(event_of(S("RCPT TO:PostMaster\r\n"), SMTP_RCPT).address, S("PostMaster")));
	expect_answer(ok(), S("250 2.1.5 Ok\r\n"));
}

/* A mechanism of any name is listed as it came, and taken when it is asked for. */
static void test_mechanisms(void **state)
{
	struct smtp_event e;
	struct str v;

	config.auth_equals = true;
	assert_true(smtp_server_feed(server, S("EHLO x\r\n")));
	while (smtp_server_next(server, &e))
		;
	v = buf_view(smtp_server_output(server));
	assert_true(str_search(v, S("\r\n250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"
				    "250-AUTH=PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n")) < v.n);
	assert_true(str_search(v, S("\r\n250-FUTURERELEASE 3600 2026-11-21T23:55:17Z\r\n")) < v.n);
	e = event_of(S("AUTH scram-sha-256-plus cD10bHMtZXhwb3J0ZXI=\r\n"), SMTP_AUTH);
	assert_true(str_eq(e.mechanism, S("scram-sha-256-plus")));
	assert_true(str_eq(e.initial, S("p=tls-exporter")));
	expect_answer(ok_text(235, S("2.7.0"), S("")), S("235 2.7.0 Authentication successful\r\n"));
}

/* No second transaction begins with what the first was allowed. */
static void test_utf8_ends_with_the_transaction(void **state)
{
	struct smtp_event e;
	struct str v;

	event_of(S("EHLO x\r\nMAIL FROM:<a@b> SMTPUTF8 BODY=BINARYMIME\r\n"), SMTP_MAIL);
	expect_answer(perm(550, S("5.7.1"), S("No")), S("550 5.7.1 No\r\n"));
	event_of(S("MAIL FROM:<a@b>\r\n"), SMTP_MAIL);
	expect_answer(ok(), S("250 2.1.0 Ok\r\n"));
	assert_true(smtp_server_feed(server, S("RCPT TO:<\xc3\xa4@b>\r\n")));
	assert_false(smtp_server_next(server, &e));
	v = buf_view(smtp_server_output(server));
	assert_true(str_starts(v, S("553 5.6.7 ")));
	buf_clear(smtp_server_output(server));
	event_of(S("RCPT TO:<c@d>\r\n"), SMTP_RCPT);
	expect_answer(ok(), S("250 2.1.5 Ok\r\n"));
	event_of(S("DATA\r\n"), SMTP_DATA);
	expect_answer(ok(), S("354 End data with <CR><LF>.<CR><LF>\r\n"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_mail), T(test_own_words), T(test_completion), T(test_mechanisms), T(test_utf8_ends_with_the_transaction),
	};

	return cmocka_run_group_tests_name("extensions", tests, NULL, NULL);
}
