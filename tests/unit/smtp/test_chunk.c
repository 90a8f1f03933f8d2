/* test_chunk.c - the server machine: texts that come by BDAT (RFC 3030). What dialogues can say is in tests/dialog/chunking*. */
#include "unit.h"

#include "posthouse/smtp_server.h"

#include <stdlib.h>

static struct smtp_server_config config;
static struct smtp_server *server;
static struct buf text, events; /* what came as TEXT; a letter for each other event */
static struct verdict fault, to_data, to_end;

static int setup(void **state)
{
	config = (struct smtp_server_config){
		.hostname = S("relay.example.org"),
		.message_size = 1000,
		.commands = 50,
		.errors = 1000,
	};
	server = smtp_server_new(&config);
	smtp_server_trust(server, false);
	buf_init(&text, 4 << 20);
	buf_init(&events, 1 << 16);
	fault = to_data = to_end = ok();
	smtp_server_greet(server);
	return 0;
}

static int teardown(void **state)
{
	smtp_server_free(server);
	buf_fini(&text);
	buf_fini(&events);
	return 0;
}

static void advance(void)
{
	static const char letters[] = "HTAaxMRD-E!QC";
	struct smtp_event e;

	while (smtp_server_next(server, &e)) {
		if (e.type == SMTP_TEXT) {
			buf_add(&text, e.bytes);
			continue;
		}
		buf_add_char(&events, letters[e.type]);
		if (e.type == SMTP_TEXT_END)
			fault = e.fault;
		if (e.type == SMTP_TEXT_END)
			smtp_server_reply(server, e.fault.class == OK ? to_end : e.fault);
		else if (e.type == SMTP_MAIL || e.type == SMTP_RCPT)
			smtp_server_reply(server, ok());
		else if (e.type == SMTP_DATA)
			smtp_server_reply(server, to_data);
	}
}

/* Say it in pieces: one of `split` bytes first, then of `step` bytes. */
static void say_cut(struct str bytes, size_t split, size_t step)
{
	for (size_t n = split > 0 ? split : step; bytes.n > 0; n = step) {
		assert_true(smtp_server_feed(server, str_head(bytes, n)));
		advance();
		bytes = str_from(bytes, n);
	}
}

static void say(struct str bytes)
{
	say_cut(bytes, 0, 60000);
}

/* The codes of all replies that wait, a line each. */
static void expect_replies(const char *want)
{
	struct buf got, *out = smtp_server_output(server);
	struct str rest = buf_view(out), line;

	buf_init(&got, 1 << 16);
	while (str_split(&rest, '\n', &line))
		if (line.n > 4 && line.p[3] == ' ')
			buf_printf(&got, "%.3s ", line.p);
	if (!str_eq(str_trim(buf_view(&got)), str_of(want)))
		fail_msg("expected %s, got %.*s", want, STR_ARG(buf_view(&got)));
	buf_fini(&got);
	buf_clear(out);
}

static void expect_events(const char *letters)
{
	if (!str_eq(buf_view(&events), str_of(letters)))
		fail_msg("expected events %s, got %.*s", letters, STR_ARG(buf_view(&events)));
	buf_clear(&events);
}

static void go_to_chunks(bool binary)
{
	say(binary ? S("EHLO a\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\n")
		   : S("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"));
	buf_clear(smtp_server_output(server));
	buf_clear(&events);
}

static const struct {
	bool binary;
	struct str input, text;
	unsigned code; /* of the fault */
	const char *replies;
} texts[] = {
	{ false, S("BDAT 5 LAST\r\nabc\r\n"), S("abc\r\n"), 0, "250" },
	{ false, S("BDAT 3 LAST\r\nabc"), S("abc\r\n"), 0, "250" },
	{ true, S("BDAT 3 LAST\r\nabc"), S("abc"), 0, "250" },
	{ false, S("BDAT 0 LAST\r\n"), S(""), 0, "250" },
	{ true, S("BDAT 0 LAST\r\n"), S(""), 0, "250" },
	{ false, S("BDAT 0\r\nBDAT 00\r\nBDAT 001 last\r\nx"), S("x\r\n"), 0, "250 250 250" },
	{ false, S("BDAT 2\r\na\rBDAT 2 LAST\r\n\nb"), S("a\r\nb\r\n"), 0, "250 250" },
	{ true, S("BDAT 2\r\na\rBDAT 2 LAST\r\n\nb"), S("a\r\nb"), 0, "250 250" },
	{ false, S("BDAT 1\r\n\rBDAT 0\r\nBDAT 1\r\n\nBDAT 0 LAST\r\n"), S("\r\n"), 0, "250 250 250 250" },
	{ false, S("BDAT 6 LAST\r\n..\r\n.\r"), S(""), 550, "550" },
	{ false, S("BDAT 10 LAST\r\n..\r\n.\r\n.a."), S("..\r\n.\r\n.a.\r\n"), 0, "250" },
	{ false, S("BDAT 6 LAST\r\nQUIT\r\n"), S("QUIT\r\n"), 0, "250" },
	{ true, S("BDAT 8 LAST\r\n\0\n.\n\r.\r\n"), S("\0\n.\n\r.\r\n"), 0, "250" },
	{ true, S("BDAT 1\r\n\rBDAT 1\r\n\rBDAT 1 LAST\r\n\0"), S("\r\r\0"), 0, "250 250 250" },
	/* without BODY=BINARYMIME the rules of text hold, and what follows the first fault has its answer */
	{ false, S("BDAT 5 LAST\r\na\nb\r\n"), S("a\r\nb\r\n"), 0, "250" },
	{ false, S("BDAT 5 LAST\r\na\rb\r\n"), S(""), 550, "550" },
	{ false, S("BDAT 5 LAST\r\na\0b\r\n"), S(""), 550, "550" },
	{ false, S("BDAT 1 LAST\r\n\r"), S(""), 550, "550" },
	{ false, S("BDAT 1 LAST\r\n\n"), S("\r\n"), 0, "250" },
	{ false, S("BDAT 1\r\n\rBDAT 0 LAST\r\n"), S(""), 550, "250 550" },
	{ false, S("BDAT 1\r\n\rBDAT 1 LAST\r\n\r"), S(""), 550, "250 550" },
	{ false, S("BDAT 1\r\n\rBDAT 3 LAST\r\na\r\n"), S(""), 550, "250 550" },
	{ false, S("BDAT 1\r\naBDAT 1 LAST\r\n\n"), S("a\r\n"), 0, "250 250" },
	{ false, S("BDAT 3\r\na\r\nBDAT 1\r\n\nBDAT 3 LAST\r\nb\r\n"), S("a\r\n\r\nb\r\n"), 0, "250 250 250" },
	{ false, S("BDAT 6\r\n\r.\r\n\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\n"), S(""), 550, "550 550 550" },
	{ false, S("BDAT 3\r\n\r\n\0BDAT 6 LAST\r\nQUIT\r\n"), S("\r\n"), 550, "550 550" },
};

static void play_text(size_t i, size_t split, size_t step)
{
	teardown(NULL);
	setup(NULL);
	go_to_chunks(texts[i].binary);
	say_cut(texts[i].input, split, step);
	if (fault.code != texts[i].code || smtp_server_in_text(server) ||
	    (fault.class == OK && !str_eq(buf_view(&text), texts[i].text)))
		fail_msg("row %zu, cut at %zu, steps of %zu: code %u, \"%.*s\"", i, split, step, fault.code,
			 STR_ARG(buf_view(&text)));
	expect_replies(texts[i].replies);
	expect_events("DE");
	say(S("RSET\r\nMAIL FROM:<a@b>\r\nQUIT\r\n"));
	expect_replies("250 250 221");
	expect_events("MQ");
}

static void test_texts(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t step = 1; step <= texts[i].input.n; step++)
			play_text(i, 0, step);
		for (size_t split = 1; split < texts[i].input.n; split++)
			play_text(i, split, 1000);
	}
}

/* Without a message, too, nothing of a chunk is a command, however it is cut. */
static void test_chunks_out_of_place(void **state)
{
	struct str input = S("BDAT 12\r\nNOOP\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\nBDAT 0\r\nNOOP\r\n");

	for (size_t step = 1; step < input.n; step++) {
		teardown(NULL);
		setup(NULL);
		buf_clear(smtp_server_output(server));
		say_cut(input, 0, step);
		expect_replies("503 503 503 250");
		expect_events("");
	}
}

static void test_lengths(void **state)
{
	static const struct {
		struct str line;
	} bad[] = {
		{ S("BDAT\r\n") },
		{ S("BDAT LAST\r\n") },
		{ S("BDAT x\r\n") },
		{ S("BDAT -1\r\n") },
		{ S("BDAT +1\r\n") },
		{ S("BDAT 1 2\r\n") },
		{ S("BDAT 1 LASTS\r\n") },
		{ S("BDAT 0x10\r\n") },
		{ S("BDAT 1LAST\r\n") },
		{ S("BDAT 1 LAST x\r\n") },
		{ S("BDAT 18446744073709551616\r\n") },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned ready = 0; ready < 2; ready++) {
			teardown(NULL);
			setup(NULL);
			if (ready)
				go_to_chunks(false);
			buf_clear(smtp_server_output(server));
			say(bad[i].line);
			say(S("NOOP\r\n"));
			expect_replies("501");
			expect_events("C");
		}
	}
}

static void test_size(void **state)
{
	char bytes[1100];

	memset(bytes, 'x', sizeof(bytes));
	go_to_chunks(false);
	say(S("BDAT 600\r\n"));
	say(str_make(bytes, 600));
	say(S("BDAT 400 LAST\r\n"));
	say(str_make(bytes, 400));
	expect_replies("250 250");
	expect_events("DE");
	assert_int_equal(text.n, 1002);

	go_to_chunks(false);
	buf_clear(&text);
	say(S("BDAT 600\r\n"));
	say(str_make(bytes, 600));
	say(S("BDAT 401\r\n"));
	say(str_make(bytes, 401));
	say(S("BDAT 1 LAST\r\nxNOOP\r\n"));
	expect_replies("250 552 552 250");
	expect_events("DE");
	assert_int_equal(fault.code, 552);
	assert_int_equal(text.n, 600); /* nothing of the chunk that is too large */

	say(S("RSET\r\n"));
	go_to_chunks(true);
	say(S("BDAT 1001 LAST\r\n"));
	say(str_make(bytes, 1001));
	say(S("MAIL FROM:<a@b>\r\n"));
	expect_replies("552 250");
	expect_events("DEM");
}

static void test_absurd_size(void **state)
{
	static const struct {
		struct str line;
	} absurd[] = { { S("BDAT 16777217\r\n") }, { S("BDAT 18446744073709551615 LAST\r\n") } };

	for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		for (unsigned ready = 0; ready < 2; ready++) {
			teardown(NULL);
			setup(NULL);
			if (ready)
				go_to_chunks(false);
			buf_clear(smtp_server_output(server));
			say(absurd[i].line);
			expect_replies("552");
			expect_events(ready ? "DC" : "C");
		}
	}
}

/* What is thrown away is bounded as a whole, not by chunk. */
static void test_endless_chunks(void **state)
{
	static char bytes[1 << 20];
	struct buf *out = smtp_server_output(server);
	unsigned chunks = 0;

	config.commands = 0;
	while (chunks < 20 && !(events.n > 0 && buf_view(&events).p[0] == 'C')) {
		say(S("BDAT 1048576\r\n"));
		say(str_make(bytes, sizeof(bytes)));
		chunks++;
	}
	assert_int_equal(chunks, 17);
	expect_events("C");
	assert_true(str_search(buf_view(out), S("552 5.3.4")) < out->n);
}

static void test_user_refuses(void **state)
{
	to_data = temp(451, S("4.3.0"), S("Not now"));
	go_to_chunks(false);
	say(S("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<a@b>\r\n"));
	expect_replies("451 451 503");
	expect_events("D!");
	to_data = ok();
	say(S("RSET\r\n"));
	expect_events("");
	go_to_chunks(false);
	to_end = perm(550, S("5.7.1"), S("No"));
	say(S("BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<a@b>\r\n"));
	expect_replies("550 250");
	expect_events("DEM");
	to_data = temp(451, S("4.3.0"), S("Not now"));
	say(S("RCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<a@b>\r\n"));
	expect_replies("250 451 250");
	expect_events("RD!M");
	to_data = temp(421, S("4.7.0"), S("Go away"));
	say(S("RCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT\r\n"));
	expect_replies("250 421");
	expect_events("RDC");
}

static void test_reset(void **state)
{
	go_to_chunks(false);
	say(S("BDAT 1\r\naRSET\r\n"));
	expect_events("D!");
	go_to_chunks(false);
	say(S("BDAT 1\r\na"));
	assert_false(smtp_server_in_text(server));
	say(S("BDAT 2\r\nb"));
	assert_true(smtp_server_in_text(server));
	say(S("cHELO x\r\n"));
	expect_events("D!H");
	go_to_chunks(false);
	say(S("BDAT 1\r\n\rRSET\r\n")); /* a CR that waits is forgotten */
	go_to_chunks(false);
	buf_clear(&text);
	say(S("BDAT 2 LAST\r\n\r\n"));
	expect_replies("250");
	assert_true(str_eq(buf_view(&text), S("\r\n")));
}

static void test_commands(void **state)
{
	config.message_size = 0;
	go_to_chunks(false);
	for (unsigned i = 0; i < 500; i++)
		say(S("BDAT 1\r\nx"));
	buf_clear(smtp_server_output(server));
	for (unsigned i = 0; i < 60; i++)
		say(S("BDAT 0\r\n"));
	expect_events("DC"); /* that leads nowhere */
	assert_true(str_search(buf_view(smtp_server_output(server)), S("421 4.7.0")) < smtp_server_output(server)->n);
}

static void test_shut(void **state)
{
	go_to_chunks(false);
	say(S("BDAT 3\r\na"));
	smtp_server_shut(server, temp(421, S("4.3.2"), S("Shutting down")), false);
	say(S("bcBDAT 1 LAST\r\nd"));
	expect_replies("250 421");
	expect_events("DC");
	teardown(NULL);
	setup(NULL);
	go_to_chunks(false);
	say(S("BDAT 3\r\na"));
	smtp_server_shut(server, temp(421, S("4.4.2"), S("Idle")), true);
	say(S("bcBDAT 1 LAST\r\nd"));
	expect_replies("421");
	expect_events("DC");
}

/* A long text of lines, whose chunks and packets end anywhere, comes out as it went in. */
static void test_long_text(void **state)
{
	static char bytes[300000];
	struct buf input;
	uint32_t random = 1;

	for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
		random = random * 1103515245 + 12345;
		bytes[i] = (char)((random >> 16) % 40 == 0 ? '.' : 'a' + (random >> 16) % 26);
		if ((random >> 16) % 50 == 0) {
			bytes[i] = '\r';
			bytes[++i] = '\n';
		}
	}
	memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
	config.message_size = 0;
	config.commands = 0;
	go_to_chunks(false);
	buf_init(&input, 1 << 20);
	for (size_t at = 0, n; at < sizeof(bytes); at += n) {
		random = random * 1103515245 + 12345;
		n = (random >> 16) % 3000 + 1;
		if (n > sizeof(bytes) - at)
			n = sizeof(bytes) - at;
		buf_printf(&input, "BDAT %zu%s\r\n", n, at + n == sizeof(bytes) ? " LAST" : "");
		buf_add(&input, str_make(bytes + at, n));
	}
	for (struct str rest = buf_view(&input); rest.n > 0; rest = str_from(rest, 777)) {
		assert_true(smtp_server_feed(server, str_head(rest, 777)));
		advance();
		buf_clear(smtp_server_output(server));
	}
	assert_int_equal(fault.class, OK);
	expect_events("DE");
	assert_true(str_eq(buf_view(&text), str_make(bytes, sizeof(bytes))));
	buf_fini(&input);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_texts),          T(test_chunks_out_of_place), T(test_lengths), T(test_size),     T(test_absurd_size),
		T(test_endless_chunks), T(test_user_refuses),        T(test_reset),   T(test_commands), T(test_shut),
		T(test_long_text),
	};

	return cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
}
