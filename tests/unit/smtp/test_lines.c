/* test_lines.c - the server machine: what becomes of the ends of lines, in texts behind DATA and in chunks, however they are cut. */
#include "unit.h"

#include "posthouse/smtp_server.h"

#include <stdio.h>

struct heard {
	struct buf text;
	bool ended;
	unsigned mails;
	struct verdict fault;
};

static struct smtp_server_config config = { .hostname = { "relay.example.org", 17 } };

static void take(struct smtp_server *s, struct heard *h)
{
	struct smtp_event e;

	while (smtp_server_next(s, &e)) {
		h->mails += e.type == SMTP_MAIL;
		if (e.type == SMTP_TEXT) {
			assert_true(!h->ended && e.bytes.n > 0);
			buf_add(&h->text, e.bytes);
		}
		if (e.type == SMTP_TEXT_END) {
			h->ended = true;
			h->fault = e.fault;
		}
		if (e.type == SMTP_TEXT_END || (e.type >= SMTP_MAIL && e.type <= SMTP_DATA))
			smtp_server_reply(s, e.fault);
	}
}

/* Say it with a cut at byte `at`; or, when that is 0, byte by byte. */
static struct heard say(struct str before, struct str bytes, size_t at)
{
	struct smtp_server *s = smtp_server_new(&config);
	struct heard h = { 0 };

	buf_init(&h.text, 1 << 20);
	smtp_server_trust(s, false);
	smtp_server_greet(s);
	smtp_server_feed(s, S("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"));
	smtp_server_feed(s, before);
	take(s, &h);
	for (size_t n = at > 0 ? at : 1; bytes.n > 0; n = at > 0 ? bytes.n : 1) {
		assert_true(smtp_server_feed(s, str_head(bytes, n)));
		bytes = str_from(bytes, n);
		take(s, &h);
	}
	assert_int_equal(h.mails, 1); /* no second message, ever */
	smtp_server_free(s);
	return h;
}

static void expect(struct str before, struct str bytes, struct str text, unsigned code)
{
	for (size_t at = 0; at < bytes.n || at == 0; at++) {
		struct heard h = say(before, bytes, at);

		if (!h.ended || h.fault.code != code || (code == 0 && !str_eq(buf_view(&h.text), text)))
			fail_msg("\"%.*s\" cut at %zu: %s, fault %u, text \"%.*s\"", STR_ARG(bytes), at,
				 h.ended ? "ended" : "no end", h.fault.code, STR_ARG(buf_view(&h.text)));
		buf_fini(&h.text);
	}
}

/* What follows DATA, up to the end of the text; what the text is; the fault. */
static const struct {
	struct str sent, text;
	unsigned code;
} data[] = {
	/* line ends */
	{ S("a\nb\n\r\n.\r\n"), S("a\r\nb\r\n\r\n") },
	{ S("a\nb\r\n.\r\n"), S("a\r\nb\r\n") },
	{ S("\n\n\na\r\n.\r\n"), S("\r\n\r\n\r\na\r\n") },
	{ S("a\r\r\nb\r\r\n.\r\n"), S("a\r\nb\r\n") },
	{ S("a\r\r\r\r\nb\r\n.\r\n"), S("a\r\nb\r\n") },
	{ S("\r\r\n\r\n\n.\n\r\n.\r\n"), S("\r\n\r\n\r\n.\r\n\r\n") },
	{ S("a\n\r\nb\n\r\r\nc\r\n.\r\n"), S("a\r\n\r\nb\r\n\r\nc\r\n") },
	/* ends of data that are none, and become lines of the text */
	{ S("a\n.\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S("a\n.\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S("a\r\n.\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S("a\r\n.\r\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S("a\r\r\n.\r\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S("a\n.\r\r\nb\r\n.\r\n"), S("a\r\n.\r\nb\r\n") },
	{ S(".\n.\n\r\n.\r\n"), S(".\r\n.\r\n\r\n") },
	{ S("a\n.\r\n.\r\n"), S("a\r\n.\r\n") },
	{ S("a\n.\nMAIL FROM:<e@f>\nRCPT TO:<g@h>\nDATA\nx\n.\nQUIT\n\r\n.\r\n"),
	  S("a\r\n.\r\nMAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n\r\n") },
	/* stuffed dots: behind CRLF only, and where something follows */
	{ S("..\r\n...a\r\n.a\r\n.\r\n"), S(".\r\n..a\r\na\r\n") },
	{ S("..\n...a\n.a\n\r\n.\r\n"), S(".\r\n...a\r\n.a\r\n\r\n") },
	{ S("a\n.b\n..c\r\n..d\n..\n\r\n.\r\n"), S("a\r\n.b\r\n..c\r\n.d\r\n..\r\n\r\n") },
	{ S("a\r\r\n..b\r\r\n..\r\r\n.\r\n"), S("a\r\n.b\r\n.\r\n") },
	/* a CR that ends no line */
	{ S("a\rb\r\n.\r\n"), S(""), 550 },
	{ S("a\r\rb\n\r\n.\r\n"), S(""), 550 },
	{ S("a\n\rb\r\n.\r\n"), S(""), 550 },
	{ S("a\r.\rb\r\n.\r\n"), S(""), 550 },
	{ S("a\r\n.\rb\r\n.\r\n"), S(""), 550 },
	{ S("a\r\n.\r\rb\n.\n\r\n.\r\n"), S(""), 550 },
	{ S("a\n\0\n\r\n.\r\n"), S(""), 550 },
};

static void test_text_behind_data(void **state)
{
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		expect(S("DATA\r\n"), data[i].sent, data[i].text, data[i].code);
		expect(S("DATA\r\r\n"), data[i].sent, data[i].text, data[i].code);
	}
}

/* The end of an empty text takes its CRLF from DATA, where there is one. */
static void test_data_that_ends_with_lf(void **state)
{
	expect(S("DATA\r\n"), S(".\r\n"), S(""), 0);
	expect(S("DATA\n"), S(".\r\n.\r\n"), S(".\r\n"), 0);
	expect(S("DATA\n"), S("..a\r\n.\r\n"), S("..a\r\n"), 0);
}

/* The same lines in chunks that are cut anywhere, where no dot means anything. */
static void test_chunks(void **state)
{
	static const struct {
		struct str sent, text;
		unsigned code;
	} rows[] = {
		{ S("a\nb\n"), S("a\r\nb\r\n") },
		{ S("a\nb"), S("a\r\nb\r\n") },
		{ S("a\r\r\nb\r\n\n"), S("a\r\nb\r\n\r\n") },
		{ S("\n.\n..\r\n.\r\n.\r\r\r\n"), S("\r\n.\r\n..\r\n.\r\n.\r\n") },
		{ S("a\rb\n"), S(""), 550 },
		{ S("a\n\r"), S(""), 550 },
		{ S("a\r\r"), S(""), 550 },
	};
	char bytes[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str sent = rows[i].sent;

		for (size_t first = 0; first < sent.n; first++) {
			struct str head = str_head(sent, first), tail = str_from(sent, first);
			int n = snprintf(bytes, sizeof(bytes), "BDAT %zu\r\n%.*sBDAT %zu LAST\r\n%.*s", head.n, STR_ARG(head),
					 tail.n, STR_ARG(tail));

			expect(S(""), str_make(bytes, (size_t)n), rows[i].text, rows[i].code);
		}
	}
}

/* What counts is the text as it goes on. */
static void test_size(void **state)
{
	config.message_size = 6;
	expect(S("DATA\r\n"), S("a\nb\r\n.\r\n"), S("a\r\nb\r\n"), 0);
	expect(S("DATA\r\n"), S("a\nb\n\n\r\n.\r\n"), S(""), 552);
	expect(S("DATA\r\n"), S("a\r\r\r\r\r\nb\r\n.\r\n"), S("a\r\nb\r\n"), 0);
	expect(S("DATA\r\n"), S("abcdefg\0\r\n.\r\n"), S(""), 552);
	expect(S("DATA\r\n"), S("abcde\0\r\n.\r\n"), S(""), 550);
	expect(S("DATA\r\n"), S("abcdefg\rh\r\n.\r\n"), S(""), 552);
	expect(S(""), S("BDAT 4 LAST\r\na\nb\n"), S("a\r\nb\r\n"), 0);
	expect(S(""), S("BDAT 4 LAST\r\n\n\n\n\n"), S(""), 552);
	expect(S(""), S("BDAT 3\r\na\n\nBDAT 2 LAST\r\n\n\n"), S(""), 552);
	config.message_size = 0;
}

/* Lines of LF alone that are more than the input holds, and CRs without an end, in packets as they come. */
static void test_much(void **state)
{
	struct smtp_server *s = smtp_server_new(&config);
	struct heard h = { 0 };
	char lines[60000];

	buf_init(&h.text, 4 << 20);
	smtp_server_trust(s, false);
	smtp_server_greet(s);
	smtp_server_feed(s, S("EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n"));
	take(s, &h);
	memset(lines, '\n', sizeof(lines));
	for (unsigned i = 0; i < 10; i++) {
		assert_true(smtp_server_feed(s, str_make(lines, sizeof(lines))));
		take(s, &h);
	}
	assert_int_equal(h.text.n, 20 * sizeof(lines));
	memset(lines, '\r', sizeof(lines));
	for (unsigned i = 0; i < 10; i++) {
		assert_true(smtp_server_feed(s, str_make(lines, sizeof(lines))));
		take(s, &h);
	}
	assert_true(smtp_server_feed(s, S("\n.\r\n")));
	take(s, &h);
	assert_true(h.ended && h.fault.class == OK);
	assert_int_equal(h.text.n, 20 * sizeof(lines) + 2);
	buf_fini(&h.text);
	smtp_server_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_behind_data),
		cmocka_unit_test(test_data_that_ends_with_lf),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
