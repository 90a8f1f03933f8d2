/* test_server.c - the server machine: text and its end, limits, order of events. What dialogues can say is in tests/dialog. */
#include "unit.h"

#include "posthouse/smtp_server.h"

#include <stdio.h>
#include <stdlib.h>

static struct smtp_server_config config;
static struct smtp_server *server;
static struct buf text, log_line; /* what came as TEXT; a letter for each event */
static struct verdict fault;
static bool answer_end;

static int setup(void **state)
{
	config = (struct smtp_server_config){
		.hostname = S("relay.example.org"),
		.mechanisms = S("PLAIN"),
		.message_size = 1000,
		.recipients = 3,
		.commands = 50,
		.errors = 5,
		.can_starttls = true,
	};
	server = smtp_server_new(&config);
	buf_init(&text, 1 << 20);
	buf_init(&log_line, 1 << 16);
	fault = ok();
	answer_end = true;
	return 0;
}

static int teardown(void **state)
{
	smtp_server_free(server);
	buf_fini(&text);
	buf_fini(&log_line);
	return 0;
}

/* Take all events, say yes to each, keep the text. */
static void advance(void)
{
	static const char letters[] = "HTAaxMRDte!QC";
	struct smtp_event e;

	while (smtp_server_next(server, &e)) {
		if (e.type != SMTP_TEXT || log_line.n == 0 || buf_view(&log_line).p[log_line.n - 1] != 't')
			buf_add_char(&log_line, letters[e.type]);
		if (e.type == SMTP_TEXT)
			buf_add(&text, e.bytes);
		else if (e.type == SMTP_TEXT_END && (fault = e.fault, true) && answer_end)
			smtp_server_reply(server, e.fault);
		else if (e.type <= SMTP_AUTH_RESPONSE && e.type >= SMTP_STARTTLS)
			smtp_server_reply(server, ok());
		else if (e.type >= SMTP_MAIL && e.type <= SMTP_DATA)
			smtp_server_reply(server, ok());
	}
}

static void say(struct str bytes, size_t step)
{
	for (; bytes.n > 0; bytes = str_from(bytes, step)) {
		assert_true(smtp_server_feed(server, str_head(bytes, step)));
		advance();
	}
}

/* Does the output end with a line that begins so? Then forget it. */
static void expect_last(const char *begin)
{
	struct buf *out = smtp_server_output(server);
	struct str v = buf_view(out), last = v;

	for (size_t at = 0; at + 2 < v.n; at++)
		if (v.p[at] == '\n')
			last = str_from(v, at + 1);
	if (!str_starts(last, str_of(begin)))
		fail_msg("expected %s, got %.*s", begin, STR_ARG(v));
	buf_clear(out);
}

static void expect_events(const char *letters)
{
	if (!str_eq(buf_view(&log_line), str_of(letters)))
		fail_msg("expected events %s, got %.*s", letters, STR_ARG(buf_view(&log_line)));
	buf_clear(&log_line);
}

static unsigned refusals, refusal_code;
static char refused_sender[32];

static void note_refusal(void *ctx, const struct smtp_refusal *r)
{
	refusals++;
	refusal_code = r->verdict.code;
	snprintf(refused_sender, sizeof refused_sender, "%.*s", STR_ARG(r->sender));
}

/* What the machine refuses by itself is told, of a client that is logged in. */
static void test_refusals_are_told(void **state)
{
	config.refused = note_refusal;
	refusals = 0;
	smtp_server_greet(server);
	say(S("EHLO a\r\nMAIL FROM:<a@b> SIZE=9999\r\n"), 1000);
	expect_last("530 ");
	assert_int_equal(refusals, 0);
	say(S("AUTH PLAIN AAAA\r\nMAIL FROM:<a@b> SIZE=9999\r\n"), 1000);
	expect_last("552 5.3.4");
	assert_int_equal(refusals, 1);
	assert_int_equal(refusal_code, 552);
	assert_string_equal(refused_sender, "a@b");
	say(S("MAIL FROM:<a@b>\r\nRCPT TO:<c>\r\n"), 1000);
	assert_int_equal(refusals, 2);
	assert_int_equal(refusal_code, 553);
	say(S("RCPT TO:<c@d>\r\nBDAT x\r\n"), 1000);
	expect_last("501 ");
	assert_int_equal(refusals, 3);
}

static void go_to_text(void)
{
	smtp_server_greet(server);
	say(S("EHLO a\r\nAUTH PLAIN AAAA\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"), 1000);
	expect_last("354 ");
	buf_clear(&log_line);
}

/* Input after 354, the text that must come of it, or the code of its fault; all must be taken, and NOOP answered behind it. `refused`: where
 * submission.bare_newline wants it. */
static const struct {
	struct str input, text;
	unsigned code;
	bool refused;
} texts[] = {
	{ S(".\r\n"), S(""), 0 },
	{ S("\r\n.\r\n"), S("\r\n"), 0 },
	{ S("a\r\n.\r\n"), S("a\r\n"), 0 },
	{ S("a\r\n..\r\n.\r\n"), S("a\r\n.\r\n"), 0 },
	{ S("..\r\n.\r\n"), S(".\r\n"), 0 },
	{ S(".a\r\n...b\r\na.b\r\n.\r\n"), S("a\r\n..b\r\na.b\r\n"), 0 },
	{ S("a\r\n\r\n\r\n.c\r\n.\r\n"), S("a\r\n\r\n\r\nc\r\n"), 0 },
	{ S("\t\xff\x80\r\n.\r\n"), S("\t\xff\x80\r\n"), 0 },
	/* ends that are none, before the true one: refused, or lines of the text */
	{ S("a\n.\n\r\n.\r\n"), S("a\r\n.\r\n\r\n"), 0, .refused = true },
	{ S("a\n.\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n"), 0, .refused = true },
	{ S("a\r\n.\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n"), 0, .refused = true },
	{ S("a\r\n.\rb\r\n.\r\n"), S(""), 550 },
	{ S("a\r.\r\r\n.\r\n"), S(""), 550 },
	{ S("a\r.\r\nb\r\n.\r\n"), S(""), 550 },
	{ S("a\r\n.\r\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n"), 0, .refused = true },
	{ S("a\n\r\n\r.\r\n\r\n.\r\n"), S(""), 550 },
	{ S("a\r\n\n.\r\nb\r\n.\r\n"), S("a\r\n\r\n.\r\nb\r\n"), 0, .refused = true },
	{ S("a\n\r.\r\nb\r\n.\r\n"), S(""), 550 },
	{ S("\n.\r\nb\r\n.\r\n"), S("\r\n.\r\nb\r\n"), 0, .refused = true },
	{ S("\r.\r\nb\r\n.\r\n"), S(""), 550 },
	{ S("a\r\r\n.\r\n"), S("a\r\n"), 0, .refused = true },
	{ S("\n\r\n.\r\n"), S("\r\n\r\n"), 0, .refused = true },
	{ S("\r\r\n.\r\n"), S("\r\n"), 0, .refused = true },
	{ S("a\0b\r\n.\r\n"), S(""), 550 },
	{ S("a\0.\r\n\0\r\n.\r\n"), S(""), 550 },
};

static void check_text(size_t i, size_t step, bool refuse)
{
	unsigned code = refuse && texts[i].refused ? 550 : texts[i].code;

	teardown(NULL);
	setup(NULL);
	config.refuse_bare_newline = refuse;
	go_to_text();
	say(texts[i].input, step);
	if (fault.code != code || smtp_server_in_text(server) || (fault.class == OK && !str_eq(buf_view(&text), texts[i].text)))
		fail_msg("row %zu in steps of %zu: code %u, \"%.*s\"", i, step, fault.code, STR_ARG(buf_view(&text)));
	expect_last(code == 0 ? "250 " : "550 5.6.");
	say(S("NOOP\r\n"), 100);
	expect_last("250 2.0.0");
}

static void test_texts(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t step = 1; step <= texts[i].input.n; step++) {
			check_text(i, step, false);
			check_text(i, step, true);
		}
	}
}

static void test_end_is_not_seen_early(void **state)
{
	static const struct str inputs[] = {
		{ "a\n.\n", 4 },   { "a\r\n.\n", 5 }, { "a\n.\r\n", 5 },     { "a\r.\r", 4 },
		{ "a\r\n.\r", 5 }, { "a\r.\r\n", 5 }, { "a\r\n.\r\r\n", 7 }, { "a\r\n\r.\r\n", 7 },
		{ "a.\r\n", 4 },   { "\n.\r\n", 4 },  { "a\r\n..\r\n", 7 },
	};

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		teardown(NULL);
		setup(NULL);
		go_to_text();
		say(inputs[i], 1);
		assert_true(smtp_server_in_text(server));
		assert_int_equal(smtp_server_output(server)->n, 0);
	}
}

static void test_size(void **state)
{
	char bytes[1003];

	for (unsigned over = 0; over < 2; over++) {
		teardown(NULL);
		setup(NULL);
		go_to_text();
		memset(bytes, 'x', sizeof(bytes));
		say(str_make(bytes, 998 + over), 100);
		say(S("\r\n.\r\n"), 100);
		assert_int_equal(fault.code, over ? 552 : 0);
		expect_last(over ? "552 5.3.4" : "250 ");
		assert_true(text.n <= 1000);
	}
}

static void test_endless_text(void **state)
{
	char bytes[4096];

	go_to_text();
	memset(bytes, 'x', sizeof(bytes));
	for (unsigned i = 0; i < 16 * 256 + 2; i++)
		say(str_make(bytes, sizeof(bytes)), sizeof(bytes));
	expect_events("C");
	expect_last("552 5.3.4");
}

static void test_many_dots(void **state)
{
	go_to_text();
	config.message_size = 0;
	for (unsigned i = 0; i < 1000; i++)
		say(S("..\r\n"), 3);
	say(S(".\r\n"), 3);
	assert_int_equal(fault.class, OK);
	assert_int_equal(text.n, 3000);
}

static void test_events(void **state)
{
	smtp_server_greet(server);
	say(S("EHLO x\r\nAUTH PLAIN =\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@D.example>\r\nRSET\r\n"
	      "MAIL FROM:<>\r\nHELO y\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\nNOOP\r\n"),
	    1000);
	expect_events("HAMR!M!HMRDteQ");
	expect_last("221 ");
}

static void test_no_event_before_the_answer(void **state)
{
	struct smtp_event e;

	smtp_server_greet(server);
	say(S("EHLO x\r\nAUTH PLAIN AAAA\r\n"), 1000);
	buf_clear(smtp_server_output(server));
	assert_true(smtp_server_feed(server, S("MAIL FROM:<a@B.Example> SIZE=10\r\nRCPT TO:<C@D>\r\nNOOP\r\n")));
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.type, SMTP_MAIL);
	assert_true(str_eq(e.address, S("a@b.example")));
	assert_int_equal(e.mail.size, 10);
	assert_false(smtp_server_next(server, &e));
	assert_int_equal(smtp_server_output(server)->n, 0);
	smtp_server_reply(server, temp(451, S("4.7.5"), S("two\nlines\x01\xff")));
	assert_true(str_eq(buf_view(smtp_server_output(server)), S("451-4.7.5 two\r\n451 4.7.5 lines ?\r\n")));
	assert_false(smtp_server_next(server, &e));
	expect_last("250 2.0.0");
	assert_int_equal(smtp_server_errors(server), 1);
}

/* Parameters of RFC 3461 come as they were given, and end with their command. */
static void test_dsn_parameters(void **state)
{
	struct smtp_event e;

	smtp_server_greet(server);
	say(S("EHLO x\r\nAUTH PLAIN AAAA\r\n"), 1000);
	assert_true(smtp_server_feed(server, S("MAIL FROM:<a@b> RET=HDRS ENVID=QQ+2B1\r\nRCPT TO:<c@d> NOTIFY=SUCCESS,DELAY "
					       "ORCPT=rfc822;C+3Dx@d\r\nRCPT TO:<e@f> NOTIFY=NEVER\r\nRCPT TO:<g@h>\r\n")));
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.mail.ret, RET_HDRS);
	assert_true(str_eq(e.mail.envid, S("QQ+2B1")));
	smtp_server_reply(server, ok());
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.rcpt.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_true(str_eq(e.rcpt.orcpt, S("rfc822;C+3Dx@d")));
	smtp_server_reply(server, ok());
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.rcpt.notify, NOTIFY_NEVER);
	assert_int_equal(e.rcpt.orcpt.n, 0);
	smtp_server_reply(server, ok());
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.rcpt.notify, 0);
	smtp_server_reply(server, ok());
}

static void test_recipients(void **state)
{
	go_to_text();
	say(S(".\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@d>\r\nRCPT TO:<2@d>\r\nRCPT TO:<3@d>\r\nRCPT TO:<postmaster>\r\n"), 1000);
	expect_last("452 4.5.3");
	expect_events("eMRRR");
	say(S("RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n"), 1000);
	expect_last("250 2.1.5");
	assert_int_equal(smtp_server_errors(server), 0);
}

static void test_too_many_errors(void **state)
{
	smtp_server_greet(server);
	say(S("A\r\nB\r\nC\r\nD\r\n"), 1000);
	expect_last("500 5.5.1");
	say(S("E\r\nF\r\n"), 1000);
	expect_last("421 4.7.0");
	expect_events("C");
}

static void test_too_many_commands(void **state)
{
	smtp_server_greet(server);
	for (unsigned i = 0; i < 50; i++)
		say(S("NOOP\r\n"), 1000);
	expect_last("250 ");
	say(S("NOOP\r\n"), 1000);
	expect_last("421 4.7.0");
	expect_events("C");
}

static void test_messages_allow_more_commands(void **state)
{
	go_to_text();
	say(S(".\r\n"), 1000);
	for (unsigned i = 0; i < 100; i++)
		say(S("MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n"), 1000);
	expect_last("250 2.0.0");
}

static void send_one(const char *recipients)
{
	say(S("MAIL FROM:<>\r\n"), 1000);
	say(str_of(recipients), 1000);
	say(S("DATA\r\n.\r\n"), 1000);
	expect_last("250 2.0.0");
}

/* The limit of errors is for who has no success. */
static void test_success_forgives(void **state)
{
	char line[3000] = "RCPT TO:<";

	config.errors = 6;
	go_to_text();
	say(S(".\r\nMAIL FROM:<>\r\n"), 1000);
	memset(line + 9, 'x', sizeof(line) - 9);
	for (unsigned i = 0; i < 8; i++) {
		say(str_make(line, sizeof(line)), 1000);
		say(S("\r\n"), 1000);
		expect_last("500 5.5.2 Line too long");
	}
	say(S("RCPT TO:<c@d>\r\nDATA\r\n.\r\n"), 1000);
	expect_last("250 2.0.0");
	for (unsigned i = 0; i < 500; i++)
		send_one("RCPT TO:<a@>\r\nRCPT TO:<@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f> FOO\r\n");
	assert_int_equal(smtp_server_errors(server), 0);
	for (unsigned i = 0; i < 500; i++) { /* two others a message: three are taken back */
		say(S("A\r\nB\r\n"), 1000);
		send_one("RCPT TO:<c@d>\r\n");
	}
	assert_int_equal(smtp_server_errors(server), 0);
	say(S("A\r\nB\r\nC\r\nD\r\nE\r\n"), 1000);
	send_one("RCPT TO:<c@d>\r\n");
	assert_int_equal(smtp_server_errors(server), 2);
	say(S("A\r\nB\r\nC\r\n"), 1000);
	expect_last("500 ");
	say(S("D\r\n"), 1000);
	expect_last("421 4.7.0");
}

/* Recipients that are refused count when their message comes to nothing. */
static void test_refused_recipients_alone(void **state)
{
	config.errors = 6;
	go_to_text();
	say(S(".\r\nMAIL FROM:<>\r\n"), 1000);
	for (unsigned i = 0; i < 900; i++) {
		say(S("RCPT TO:<a@>\r\n"), 1000);
		expect_last("501 5.1.3");
	}
	assert_int_equal(smtp_server_errors(server), 0);
	say(S("RSET\r\n"), 1000);
	assert_int_equal(smtp_server_errors(server), 900);
	expect_last("250 ");
	say(S("FOO\r\n"), 1000);
	expect_last("421 4.7.0");
}

/* Nobody says RCPT for ever. */
static void test_refused_recipients_without_end(void **state)
{
	unsigned n = 0;

	go_to_text();
	say(S(".\r\nMAIL FROM:<>\r\n"), 1000);
	for (; n < 5000 && str_search(buf_view(smtp_server_output(server)), S("421 ")) == smtp_server_output(server)->n; n++) {
		buf_clear(smtp_server_output(server));
		say(S("RCPT TO:<a@>\r\n"), 1000);
	}
	assert_int_equal(n, 1000 + 50);
}

static void test_long_lines(void **state)
{
	char line[20000];

	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	smtp_server_greet(server);
	say(str_make(line, 2046), 1000);
	say(S("\r\n"), 1);
	expect_last("250 ");
	say(str_make(line, 2047), 1000);
	expect_last("500 5.5.2");
	say(str_make(line, 5000), 1);
	say(S("\r\n"), 1);
	assert_int_equal(smtp_server_output(server)->n, 0);
	say(S("NOOP\r\nEHLO x\r\n"), 1);
	expect_last("250 ");
	memset(line, 'A', sizeof(line));
	memcpy(line, "AUTH PLAIN ", 11);
	buf_clear(&log_line);
	say(str_make(line, 11 + 12272), 4096);
	say(S("\r\n"), 1);
	expect_last("235 ");
	expect_events("A");
}

static void test_endless_line(void **state)
{
	char line[1000];

	memset(line, 'x', sizeof(line));
	smtp_server_greet(server);
	for (unsigned i = 0; i < 80; i++)
		say(str_make(line, sizeof(line)), 1000);
	expect_last("421 4.7.0");
	expect_events("C");
}

static void test_auth_line_too_long(void **state)
{
	struct smtp_event e;
	char line[13000];

	memset(line, 'A', sizeof(line));
	smtp_server_greet(server);
	assert_true(smtp_server_feed(server, S("EHLO x\r\nAUTH PLAIN\r\n")));
	assert_true(smtp_server_next(server, &e));
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.type, SMTP_AUTH);
	assert_false(e.has_initial);
	smtp_server_reply(server, ok_text(334, S(""), S("a challenge")));
	expect_last("334 YSBjaGFsbGVuZ2U=");
	say(str_make(line, sizeof(line)), 1000);
	expect_last("500 5.5.6");
	expect_events("x");
	say(S("\r\nMAIL FROM:<a@b>\r\n"), 1000);
	expect_last("530 5.7.0");
}

static void test_starttls_discards(void **state)
{
	smtp_server_greet(server);
	say(S("EHLO x\r\nSTARTTLS\r\nEHLO evil\r\nAUTH PLAIN AAAA\r\nMAIL FROM:<a@b>\r\n"), 1000);
	expect_last("220 2.0.0");
	expect_events("HT");
	say(S("NOOP\r\nEHLO ev"), 1);
	smtp_server_tls_started(server);
	say(S("il\r\nNOOP\r\n"), 1000);
	expect_last("250 2.0.0");
	say(S("MAIL FROM:<a@b>\r\n"), 1000);
	expect_last("530 ");
	say(S("EHLO x\r\nSTARTTLS\r\n"), 1000);
	expect_last("503 5.5.1");
	expect_events("H");
}

static void test_implicit_tls(void **state)
{
	config.tls_required = true;
	smtp_server_tls_started(server);
	smtp_server_greet(server);
	say(S("EHLO x\r\nAUTH PLAIN AAAA\r\nAUTH PLAIN AAAA\r\n"), 1000);
	expect_last("503 5.5.1");
	expect_events("HA");
}

static void test_refuse(void **state)
{
	smtp_server_refuse(server, temp(421, S("4.3.2"), S("Too many sessions")));
	say(S("EHLO x\r\n"), 1000);
	advance();
	expect_events("C");
	expect_last("421 4.3.2 Too many");
}

static void test_shut(void **state)
{
	go_to_text();
	answer_end = false;
	smtp_server_shut(server, temp(421, S("4.3.2"), S("Shutting down")), false);
	say(S("a\r\n.\r\nNOOP\r\n"), 1000);
	expect_events("te");
	smtp_server_reply(server, ok());
	expect_last("250 ");
	advance();
	expect_last("421 4.3.2");
	expect_events("C");
}

static void test_shut_now(void **state)
{
	go_to_text();
	answer_end = false;
	say(S("a\r\n.\r\n"), 1000);
	smtp_server_shut(server, temp(421, S("4.3.2"), S("Idle")), true);
	smtp_server_reply(server, ok()); /* comes too late, and is harmless */
	expect_last("421 4.3.2");
	buf_clear(&log_line);
	advance();
	expect_events("C");
}

static void test_much_output_waits(void **state)
{
	struct buf *out = smtp_server_output(server);
	size_t answers = 0;

	config.commands = 0;
	smtp_server_greet(server);
	for (unsigned i = 0; i < 5000; i++)
		assert_true(smtp_server_feed(server, S("NOOP\r\n")));
	for (unsigned i = 0; i < 10 && out->n != 0; i++) {
		advance();
		assert_true(out->n < 20000);
		for (size_t k = 0; k < out->n; k++)
			answers += buf_view(out).p[k] == '\n';
		buf_clear(out);
		advance();
	}
	assert_int_equal(answers, 5001);
}

static void test_room(void **state)
{
	char bytes[1000];
	size_t room = smtp_server_room(server);

	memset(bytes, '\0', sizeof(bytes));
	for (; room >= sizeof(bytes); room -= sizeof(bytes)) {
		assert_int_equal(smtp_server_room(server), room);
		assert_true(smtp_server_feed(server, str_make(bytes, sizeof(bytes))));
	}
	assert_false(smtp_server_feed(server, str_make(bytes, sizeof(bytes))));
	assert_true(smtp_server_feed(server, str_make(bytes, room)));
	assert_int_equal(smtp_server_room(server), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_texts),
		T(test_end_is_not_seen_early),
		T(test_size),
		T(test_refusals_are_told),
		T(test_endless_text),
		T(test_many_dots),
		T(test_events),
		T(test_no_event_before_the_answer),
		T(test_dsn_parameters),
		T(test_recipients),
		T(test_too_many_errors),
		T(test_too_many_commands),
		T(test_messages_allow_more_commands),
		T(test_success_forgives),
		T(test_refused_recipients_alone),
		T(test_refused_recipients_without_end),
		T(test_long_lines),
		T(test_endless_line),
		T(test_auth_line_too_long),
		T(test_starttls_discards),
		T(test_implicit_tls),
		T(test_refuse),
		T(test_shut),
		T(test_shut_now),
		T(test_much_output_waits),
		T(test_room),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
