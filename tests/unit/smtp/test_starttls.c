/* test_starttls.c - the server machine: nothing that came in the clear counts under TLS (RFC 3207 section 4.2, CVE-2011-0411 and its
 * kin), however it is cut into packets, and whenever it comes: with STARTTLS, before the answer, or before the handshake is done. */
#include "unit.h"

#include "posthouse/smtp_server.h"

static const struct smtp_server_config config = {
	.hostname = { "relay.example.org", 17 },
	.mechanisms = { "PLAIN LOGIN", 11 },
	.message_size = 1000,
	.recipients = 3,
	.commands = 50,
	.errors = 50,
	.can_starttls = true,
};

/* What stands behind "STARTTLS\r\n" in the clear. */
static const struct {
	struct str line;
} injected[] = {
	{ S("NOOP\r\n") },
	{ S("NOOP") },
	{ S("NOOP\r") },
	{ S("\n") },
	{ S("\r\n") },
	{ S("EHLO evil\r\nAUTH PLAIN AAAA\r\nMAIL FROM:<a@b>\r\n") },
	{ S("AUTH LOGIN\r\nYQ==\r\nYg==\r\n") },
	{ S("AUTH PLAIN AAAA") },
	{ S("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\nhalf a text") },
	{ S("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 10 LAST\r\nhalf") },
	{ S("BDAT 500\r\nhalf") },
	{ S("BDAT 18446744073709551615 LAST\r\n") },
	{ S("STARTTLS\r\n") },
	{ S("QUIT\r\n") },
	{ S("\x16\x03\x01\x02\x00") }, /* the beginning of a handshake: net/ reads the real one */
};

/* A long line that has no end, and one that is refused before its end. */
static char long_line[3000];

static struct smtp_server *server;
static unsigned starttls, others;

/* Act on what must not be more than EHLO and one STARTTLS. */
static void advance(bool answer)
{
	struct smtp_event e;

	while (smtp_server_next(server, &e)) {
		starttls += e.type == SMTP_STARTTLS;
		others += e.type != SMTP_STARTTLS && e.type != SMTP_HELO;
	}
	if (starttls == 1 && answer) {
		starttls++;
		smtp_server_reply(server, ok());
		while (smtp_server_next(server, &e))
			others++;
	}
}

/* `early`: how many of the bytes behind STARTTLS come before it is answered; the others come after that. */
static void play(struct str behind, size_t early, size_t step)
{
	struct str end = S("EHLO x\r\nNOOP\r\nMAIL FROM:<a@b>\r\n"), v;
	struct buf *out;

	server = smtp_server_new(&config);
	out = smtp_server_output(server);
	starttls = others = 0;
	smtp_server_greet(server);
	assert_true(smtp_server_feed(server, S("EHLO x\r\n")));
	advance(false);
	assert_true(smtp_server_feed(server, S("STARTTLS\r\n")));
	assert_true(smtp_server_feed(server, str_head(behind, early)));
	advance(true);
	assert_int_equal(starttls, 2);
	buf_clear(out);
	for (struct str rest = str_from(behind, early); rest.n > 0; rest = str_from(rest, step)) {
		assert_true(smtp_server_feed(server, str_head(rest, step)));
		advance(true);
	}
	assert_int_equal(out->n, 0); /* between 220 and the handshake nothing is said */
	smtp_server_tls_started(server);
	advance(true);
	assert_int_equal(out->n, 0);
	for (; end.n > 0; end = str_from(end, step)) {
		assert_true(smtp_server_feed(server, str_head(end, step)));
		advance(true);
	}
	v = buf_view(out);
	assert_int_equal(others, 0);
	assert_int_equal(starttls, 2);
	assert_true(str_starts(v, S("250-relay.example.org\r\n")));
	assert_true(str_search(v, S("STARTTLS")) == v.n);
	assert_true(str_ends(v, S("\r\n250 2.0.0 Ok\r\n530 5.7.0 Authentication required\r\n")));
	smtp_server_free(server);
}

static void test_injected(void **state)
{
	for (size_t i = 0; i < sizeof(injected) / sizeof(injected[0]); i++)
		for (size_t early = 0; early <= injected[i].line.n; early++)
			for (size_t step = 1; step <= 64; step = step * 2 + 1)
				play(injected[i].line, early, step);
}

static void test_long_lines(void **state)
{
	memset(long_line, 'x', sizeof(long_line));
	for (size_t early = 0; early <= sizeof(long_line); early += 500)
		play(str_make(long_line, sizeof(long_line)), early, 999);
}

/* What was refused or half said before STARTTLS ends with it too. */
static void test_before(void **state)
{
	static const struct {
		struct str line;
	} before[] = {
		{ S("AUTH PLAIN\r\n*\r\n") },
		{ S("a\nb\r\n") },
		{ S("BDAT 5\r\nNOOP\n") },
	};
	struct smtp_event e;

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		server = smtp_server_new(&config);
		smtp_server_greet(server);
		assert_true(smtp_server_feed(server, S("EHLO x\r\n")));
		assert_true(smtp_server_feed(server, before[i].line));
		assert_true(smtp_server_feed(server, S("STARTTLS\r\nNOOP\r\n")));
		for (bool tls = false; !tls;) {
			assert_true(smtp_server_next(server, &e));
			tls = e.type == SMTP_STARTTLS;
			if (tls)
				smtp_server_reply(server, ok());
			else if (e.type == SMTP_AUTH)
				smtp_server_reply(server, ok_text(334, S(""), S("")));
		}
		smtp_server_tls_started(server);
		buf_clear(smtp_server_output(server));
		assert_true(smtp_server_feed(server, S("NOOP\r\n")));
		assert_false(smtp_server_next(server, &e));
		assert_true(str_eq(buf_view(smtp_server_output(server)), S("250 2.0.0 Ok\r\n")));
		smtp_server_free(server);
	}
}

/* A refused STARTTLS leaves the session as it was, and what stands behind it counts: there is no other layer that it could slip into. */
static void test_refused(void **state)
{
	struct smtp_event e;
	struct str v;

	server = smtp_server_new(&config);
	smtp_server_greet(server);
	assert_true(smtp_server_feed(server, S("EHLO x\r\nSTARTTLS\r\nNOOP\r\n")));
	assert_true(smtp_server_next(server, &e));
	assert_true(smtp_server_next(server, &e));
	assert_int_equal(e.type, SMTP_STARTTLS);
	smtp_server_reply(server, temp(454, S("4.7.0"), S("TLS not available")));
	assert_false(smtp_server_next(server, &e));
	v = buf_view(smtp_server_output(server));
	assert_true(str_ends(v, S("\r\n454 4.7.0 TLS not available\r\n250 2.0.0 Ok\r\n")));
	smtp_server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_injected),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("starttls", tests, NULL, NULL);
}
