/* test_report.c - delivery reports: both parts for a failure of each kind, and hostile texts. A mail parser's view: report_peer.py. */
#include "mail_test.h"

#define NOW 1795289874000

static struct report_recipient bob(void)
{
	return (struct report_recipient){ .address = S("bob@example.net"),
					  .verdict = perm(550, S("5.1.1"), S("no such user")),
					  .remote = S("mx.example.net [192.0.2.1]"),
					  .last_at = NOW - 60000 };
}

/* The report on one recipient, header and body joined by their blank line. */
static struct str report(struct arena *a, const struct report_recipient *r, size_t n, struct str original, bool *is_8bit_out)
{
	struct report_input in = { .kind = REPORT_FAILURE,
				   .hostname = S("relay.example.org"),
				   .id = 2,
				   .now_ms = NOW,
				   .to = S("alice@example.org"),
				   .original_id = 1,
				   .original_at = NOW - 120000,
				   .envid = S("env+2Bid"),
				   .recipients = r,
				   .n = n,
				   .original_header = original,
				   .boundary_seed = S("00112233445566778899aabb") };
	struct str header, body;
	struct header h;

	mail_report(a, &in, &header, &body, is_8bit_out);
	assert_int_equal(header_parse(a, header, &h).class, OK);
	struct str all = arena_printf(a, "%.*s\r\n%.*s", STR_ARG(header), STR_ARG(body)), rest = all, line;
	while (str_split(&rest, '\n', &line)) {
		assert_true(line.n <= 999); /* RFC 5322 2.1.1, with the CR */
		assert_true(rest.n == 0 || str_find(line, '\r') == line.n - 1);
	}
	return all;
}

static void expect_in(struct str text, const char *part, int line)
{
	if (str_search(text, str_of(part)) < text.n)
		return;
	print_error("%.*s\n", STR_ARG(text));
	print_error("line %d: \"%s\" is missing\n", line, part);
	_fail(__FILE__, line);
}
#define assert_in(text, part)     expect_in((text), (part), __LINE__)
#define assert_not_in(text, part) assert_true(str_search((text), S(part)) == (text).n)

static void test_whole(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	bool is_8bit;

	(void)state;
	r.orcpt = S("rfc822;bob+2Bx@example.net");
	struct str text =
		report(&a, &r, 1, S("From: alice@example.org\r\nSubject: Dinner\r\nMessage-ID: <m@example.org>\r\n"), &is_8bit);
	assert_false(is_8bit);
	assert_in(text, "From: Mail Delivery System <mailer-daemon@relay.example.org>\r\nTo: <alice@example.org>\r\n");
	assert_in(text, "Date: Sat, 21 Nov 2026 19:37:54 +0000\r\n");
	assert_in(text, "Message-ID: <0000000000002@relay.example.org>\r\n");
	assert_in(text, "In-Reply-To: <m@example.org>\r\nReferences: <m@example.org>\r\nAuto-Submitted: auto-replied\r\n");
	assert_in(text,
		  "multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_posthouse_00112233445566778899aabb\"\r\n");
	assert_in(text, "\r\n\r\n--=_posthouse_00112233445566778899aabb\r\nContent-Type: text/plain; charset=us-ascii\r\n");
	assert_in(text, "Subject: Dinner\r\n    Sent: Sat, 21 Nov 2026 19:35:54 +0000\r\n");
	assert_in(text, "    bob@example.net\r\n        This address does not exist there.");
	assert_in(text, "The server mx.example.net [192.0.2.1] answered: 550 5.1.1 no\r\n        such user\r\n");
	assert_in(text, "Content-Type: message/delivery-status\r\n");
	assert_in(text, "\r\n\r\nOriginal-Envelope-Id: env+id\r\nReporting-MTA: dns; relay.example.org\r\n"
			"Arrival-Date: Sat, 21 Nov 2026 19:35:54 +0000\r\nX-Posthouse-Id: 0000000000001\r\n\r\n"
			"Original-Recipient: rfc822; bob+x@example.net\r\nFinal-Recipient: rfc822; bob@example.net\r\n"
			"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\n"
			"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
			"Last-Attempt-Date: Sat, 21 Nov 2026 19:36:54 +0000\r\n\r\n--=_posthouse_");
	assert_in(text, "Content-Type: text/rfc822-headers\r\n");
	assert_in(text, "\r\n\r\nFrom: alice@example.org\r\nSubject: Dinner\r\nMessage-ID: <m@example.org>\r\n\r\n--=_posthouse_"
			"00112233445566778899aabb--\r\n");
	arena_fini(&a);
}

static const struct {
	struct verdict verdict;
	const char *remote, *status, *diagnostic, *words;
} rows[] = {
	{ { PERM, 550, { "5.1.1", 5 }, { "x", 1 } }, "mx.b [::1]", "5.1.1", "smtp; 550 5.1.1 x", "does not exist" },
	{ { PERM, 552, { "5.2.2", 5 }, { "full", 4 } }, "mx.b", "5.2.2", "smtp; 552 5.2.2 full", "mailbox is full" },
	{ { PERM, 554, { "", 0 }, { "no", 2 } }, "mx.b", "5.0.0", "smtp; 554 no", "refused for this address" },
	{ { PERM, 550, { "5.7.1", 5 }, { "5.7.1 spam", 10 } }, "mx.b", "5.7.1", "smtp; 550 5.7.1 spam", "by its rules" },
	{ { PERM, 550, { "5.9999.1", 8 }, { "x", 1 } }, "mx.b", "5.0.0", "smtp; 550 5.9999.1 x", "refused for this" },
	{ { PERM, 550, { "2.0.0", 5 }, { "x", 1 } }, "mx.b", "5.0.0", "smtp; 550 2.0.0 x", "refused for this" },
	{ { PERM, 0, { "5.4.7", 5 }, { "time over", 9 } }, "", "5.4.7", "x-posthouse; 5.4.7 time over", "within the time" },
	{ { TEMP, 451, { "4.3.0", 5 }, { "later", 5 } }, "mx.b", "4.3.0", "smtp; 451 4.3.0 later", "tried again and again" },
	{ { TEMP, 421, { "", 0 }, { "", 0 } }, "mx.b", "4.0.0", "smtp; 421", "tried again and again" },
};

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct report_recipient r = bob();
		bool is_8bit;
		r.verdict = rows[i].verdict;
		r.remote = str_of(rows[i].remote);
		struct str text = report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit);
		assert_in(text, arena_printf(&a, "\r\nStatus: %s\r\n", rows[i].status).p);
		assert_in(text, arena_printf(&a, "\r\nDiagnostic-Code: %s\r\n", rows[i].diagnostic).p);
		assert_in(text, rows[i].words);
		assert_int_equal(str_search(text, S("Remote-MTA: dns; mx.b\r\n")) < text.n, rows[i].remote[0] != '\0');
		arena_fini(&a);
	}
}

/* Nothing in a foreign text can begin a line, a field or a part. */
static void test_hostile_texts(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	bool is_8bit;

	(void)state;
	r.verdict.text = S("no\r\n\r\n--=_posthouse_00112233445566778899aabb--\r\nBcc: x\x1b[2J\0y");
	r.remote = S("mx\r\nX-Evil: 1");
	r.orcpt = S("rfc822;x+0D+0AX-Evil: 2");
	r.address = S("bob@example.net\r\nX-Evil: 3");
	struct str text = report(&a, &r, 1, S("From: a@b\r\nSubject: x\r\n y\r\n"), &is_8bit);
	assert_not_in(text, "\nX-Evil");
	assert_not_in(text, "\nBcc");
	assert_not_in(text, "\x1b");
	assert_not_in(text, "\nno\r\n");
	struct str end = S("--=_posthouse_00112233445566778899aabb--\r\n");
	assert_int_equal(str_search(text, S("\n--=_posthouse_00112233445566778899aabb--")), text.n - end.n - 1);
	arena_fini(&a);
}

static void test_8bit(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	bool is_8bit;

	(void)state;
	/* a remote text: the part for people has it, the part for programs has question marks */
	r.verdict.text = S("Empf\xc3\xa4nger unbekannt \xff");
	struct str text = report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit);
	assert_true(is_8bit);
	assert_in(text, "Content-Transfer-Encoding: 8bit\r\n\r\n--");
	assert_in(text, "charset=utf-8\r\nContent-Description: What happened\r\nContent-Transfer-Encoding: 8bit\r\n");
	assert_in(text, "Empf\xc3\xa4nger unbekannt \xef\xbf\xbd\r\n");
	assert_in(text, "Diagnostic-Code: smtp; 550 5.1.1 Empf?nger unbekannt ?\r\n");
	assert_in(text, "Content-Type: message/delivery-status\r\nContent-Description: For programs\r\n\r\n");
	/* the original's header alone */
	r = bob();
	text = report(&a, &r, 1, S("From: a@b\r\nX-Name: J\xf6rg\r\n"), &is_8bit);
	assert_true(is_8bit);
	assert_in(text, "charset=us-ascii\r\nContent-Description: What happened\r\n\r\n");
	assert_in(text,
		  "text/rfc822-headers\r\nContent-Description: Your message's header\r\nContent-Transfer-Encoding: 8bit\r\n");
	/* an address: RFC 6533 */
	r.address = S("j\xc3\xb6rg@example.net");
	text = report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit);
	assert_true(is_8bit);
	assert_in(text, "report-type=global-delivery-status");
	assert_in(text, "Content-Type: message/global-delivery-status\r\n");
	assert_in(text, "Final-Recipient: utf-8; j\xc3\xb6rg@example.net\r\n");
	arena_fini(&a);
}

static void test_long_texts(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r[3] = { bob(), bob(), bob() };
	struct buf original;
	bool is_8bit;
	char *p = xmalloc(100000);

	(void)state;
	memset(p, 'x', 100000);
	r[0].verdict.text = str_make(p, 100000);
	r[1].remote = str_make(p, 100000);
	for (size_t i = 0; i + 1 < 100000; i += 2)
		memcpy(p + i, "\xc3\xb6", 2);
	r[2].verdict.text = str_make(p + 1, 99999);
	buf_init(&original, HEADER_MAX);
	while (buf_add(&original, S("X-Line: 0123456789 0123456789 0123456789 0123456789 0123456789\r\n"))) {
	}
	struct str text = report(&a, r, 3, buf_view(&original), &is_8bit);
	assert_true(text.n < 80000);
	assert_in(text, "beginning of your");
	assert_in(text, "0123456789\r\n\r\n--=_posthouse");
	buf_fini(&original);
	free(p);
	arena_fini(&a);
}

/* Original fields that could do harm in ours are left out. */
static void test_original_fields(void **state)
{
	static const char *const odd_ids[] = { "<a b>", "x", "<a><b>", "<\xc3\xb6>", "", "<a> <b>" };
	struct arena a = { 0 };
	struct report_recipient r = bob();
	bool is_8bit;

	(void)state;
	for (size_t i = 0; i < sizeof odd_ids / sizeof *odd_ids; i++) {
		struct str original = arena_printf(&a, "Message-ID: %s\r\n", odd_ids[i]);
		assert_not_in(report(&a, &r, 1, original, &is_8bit), "In-Reply-To");
	}
	struct str text = report(&a, &r, 1, S("Subject: =?utf-8?Q?x?=\r\n"), &is_8bit);
	assert_not_in(text, "    Subject:");
	text = report(&a, &r, 1, S(""), &is_8bit);
	assert_in(text, "The last one is your");
	text = report(&a, &r, 1, S("no header\r\n"), &is_8bit);
	assert_not_in(text, "no header");
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_verdicts),   cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_8bit),  cmocka_unit_test(test_long_texts), cmocka_unit_test(test_original_fields),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
