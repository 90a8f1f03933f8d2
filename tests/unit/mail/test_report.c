/* test_report.c - delivery reports: both parts for a failure of each kind, and hostile texts. A mail parser's view: report_peer.py. */
#include "report_input.h"

#include "mail_test.h"

static struct report_recipient bob(void)
{
	return (struct report_recipient){ .address = S("bob@example.net"),
					  .verdict = perm(550, S("5.1.1"), S("no such user")),
					  .remote = S("mx.example.net [192.0.2.1]"),
					  .last_at = NOW - 60000 };
}

/* A report, header and body joined by their blank line. */
static struct str write_report(struct arena *a, const struct report_input *in, bool *is_8bit_out)
{
	struct str header, body;
	struct header h;

	mail_report(a, in, &header, &body, is_8bit_out);
	assert_int_equal(header_parse(a, header, &h).class, OK);
	struct str all = arena_printf(a, "%.*s\r\n%.*s", STR_ARG(header), STR_ARG(body)), rest = all, line;
	while (str_split(&rest, '\n', &line)) {
		assert_true(line.n <= 999); /* RFC 5322 2.1.1, with the CR */
		assert_true(rest.n == 0 || str_find(line, '\r') == line.n - 1);
	}
	return all;
}

static struct str report(struct arena *a, const struct report_recipient *r, size_t n, struct str original, bool *is_8bit_out)
{
	struct report_input in = report_base(r, n, original);

	return write_report(a, &in, is_8bit_out);
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

/* RFC 6533: what is said of internationalised mail, and when it is said in ASCII. */
static void test_internationalised(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	bool is_8bit;

	(void)state;
	/* an original recipient: the ASCII form stays in an ASCII report */
	r.orcpt = S("utf-8;j\\x{F6}rg@b\\x{FC}cher.example");
	struct str text = report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit);
	assert_false(is_8bit);
	assert_in(text, "report-type=delivery-status");
	assert_in(text, "Original-Recipient: utf-8; j\\x{F6}rg@b\\x{FC}cher.example\r\n");
	r.address = S("\xd0\xb4@example.net");
	r.orcpt = S("utf-8;\\x{434}\\x{1F4E7}\\x{5C}\\x{D800}\\x{110000}\\x{85}\\x{}\\x{4@example.net");
	text = report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit);
	assert_in(
		text,
		"Original-Recipient: utf-8; \xd0\xb4\xf0\x9f\x93\xa7\\x{5C}\\x{D800}\\x{110000}\xef\xbf\xbd\\x{}\\x{4@example.net\r\n");
	assert_in(text, "Final-Recipient: utf-8; \xd0\xb4@example.net\r\n");
	r.orcpt = S("rfc822;a\\x{F6}+2Bb@example.net");
	assert_in(report(&a, &r, 1, S("From: a@b\r\n"), &is_8bit), "Original-Recipient: rfc822; a\\x{F6}+b@example.net\r\n");
	/* a header in UTF-8 is no rfc822 header, whatever the addresses are; one in Latin-1 is nothing else */
	r = bob();
	text = report(&a, &r, 1, S("From: \xc3\xb6 <a@b>\r\n"), &is_8bit);
	assert_in(text, "report-type=delivery-status");
	assert_in(text, "Content-Type: message/global-headers\r\nContent-Description: Your message's header\r\n"
			"Content-Transfer-Encoding: 8bit\r\n\r\nFrom: \xc3\xb6 <a@b>\r\n");
	r.address = S("\xd0\xb4@example.net");
	assert_in(report(&a, &r, 1, S("From: \xf6 <a@b>\r\n"), &is_8bit), "Content-Type: text/rfc822-headers\r\n");
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

/* Still trying: the last answer in words that ask for nothing, and until when. */
static void test_delay(void **state)
{
	static const struct {
		struct verdict verdict;
		const char *status, *words;
	} cases[] = {
		{ { TEMP, 451, { "4.7.1", 5 }, { "greylisted", 10 } }, "4.7.1", "wants to see the message again" },
		{ { TEMP, 450, { "", 0 }, { "no", 2 } }, "4.0.0", "has not taken the message yet" },
		{ { TEMP, 452, { "4.2.2", 5 }, { "full", 4 } }, "4.2.2", "mailbox is full." },
		{ { TEMP, 0, { "4.4.1", 5 }, { "refused", 7 } }, "4.4.1", "could not be reached." },
		{ { TEMP, 535, { "5.7.8", 5 }, { "bad", 3 } }, "4.7.8", "accept this relay's login" },
		{ { OK, 0, { "", 0 }, { "", 0 } }, "4.0.0", "could not be tried yet" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena a = { 0 };
		struct report_recipient r = bob();
		struct report_input in = report_base(&r, 1, S("From: a@b\r\n"));
		bool is_8bit;
		r.verdict = cases[i].verdict;
		in.kind = REPORT_DELAY;
		in.will_retry_until = NOW + 86400000;
		in.return_full = true;
		struct str text = write_report(&a, &in, &is_8bit);
		assert_in(text, "\r\nSubject: Your message has not been delivered yet\r\n");
		assert_in(text, "to the address below yet.");
		assert_in(text, "until Sun, 22 Nov 2026 19:37:54");
		assert_in(text, "ou need");
		assert_in(text, "Action: delayed\r\n");
		assert_in(text, arena_printf(&a, "\r\nStatus: %s\r\n", cases[i].status).p);
		assert_in(text, "\r\nWill-Retry-Until: Sun, 22 Nov 2026 19:37:54 +0000\r\n");
		assert_in(text, cases[i].words);
		assert_in(text, "text/rfc822-headers"); /* never all of it: RFC 3461 4.3 */
		arena_fini(&a);
	}
}

static void test_success(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	struct report_input in = report_base(&r, 1, S("From: a@b\r\n"));
	bool is_8bit;

	(void)state;
	r.verdict = ok_text(250, S("2.1.5"), S("Ok: queued as X"));
	in.kind = REPORT_SUCCESS;
	struct str text = write_report(&a, &in, &is_8bit);
	assert_in(text, "\r\nSubject: Your message was delivered\r\n");
	assert_in(text, "Action: delivered\r\nStatus: 2.1.5\r\nRemote-MTA: dns; mx.example.net\r\n"
			"Diagnostic-Code: smtp; 250 2.1.5 Ok: queued as X\r\n");
	assert_not_in(text, "Will-Retry");
	r.verdict = ok();
	in.kind = REPORT_RELAYED;
	text = write_report(&a, &in, &is_8bit);
	assert_in(text, "\r\nSubject: Your message was handed on\r\n");
	assert_in(text, "sends no confirmations");
	assert_in(text, "Action: relayed\r\nStatus: 2.0.0\r\n");
	assert_not_in(text, "Diagnostic-Code");
	arena_fini(&a);
}

/* RET=FULL */
static void test_full(void **state)
{
	static const char *const odd[] = { "a\rb\r\n", "a\nb\r\n", "\n", "x\r" };
	struct arena a = { 0 };
	struct report_recipient r = bob();
	struct report_input in = report_base(&r, 1, S("From: a@b\r\n"));
	bool is_8bit;
	char *long_line = xmalloc(999);

	(void)state;
	in.return_full = true;
	in.original_body = S("Hello\r\n\r\nBob\r\n");
	struct str text = write_report(&a, &in, &is_8bit);
	assert_false(is_8bit);
	assert_in(
		text,
		"Content-Type: message/rfc822\r\nContent-Description: Your message\r\n\r\nFrom: a@b\r\n\r\nHello\r\n\r\nBob\r\n\r\n--=_posth");
	assert_in(text, "The next part is for programs. The last one is your message.");
	in.original_body = S("J\xf6rg");
	text = write_report(&a, &in, &is_8bit);
	assert_true(is_8bit);
	assert_in(text, "Your message\r\nContent-Transfer-Encoding: 8bit\r\n\r\nFrom: a@b\r\n\r\nJ\xf6rg\r\n--=_posth");
	/* RFC 6533 */
	r.address = S("j\xc3\xb6rg@example.net");
	in.original_header = S("From: \xc3\xb6@b\r\n");
	text = write_report(&a, &in, &is_8bit);
	assert_in(text, "Content-Type: message/global\r\n");
	/* what only BINARYMIME could carry */
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		in.original_body = str_of(odd[i]);
		text = write_report(&a, &in, &is_8bit);
		assert_in(text, "message/global-headers");
	}
	memset(long_line, 'x', 999);
	in.original_body = str_make(long_line, 999);
	assert_not_in(write_report(&a, &in, &is_8bit), "message/rfc822");
	in.original_body = str_make(long_line, 998);
	in.original_header = S("From: a@b\r\n");
	assert_in(write_report(&a, &in, &is_8bit), "message/rfc822");
	free(long_line);
	arena_fini(&a);
}

/* How often a text is in another. */
static size_t times(struct str text, const char *what)
{
	size_t n = 0;

	for (size_t at; (at = str_search(text, str_of(what))) < text.n; n++)
		text = str_from(text, at + 1);
	return n;
}

/* A refused report in other forms: as it was under another author, with the header only, without it; the latter in 7 bits and short lines. */
static void test_again(void **state)
{
	struct arena a = { 0 };
	struct report_recipient r = bob();
	struct str header, body;
	bool is_8bit;

	(void)state;
	r.verdict.text = S("Gr\xc3\xbc\xc3\x9f"
			   "e. The next part is for programs. x");
	struct report_input in = report_base(&r, 1, S("Subject: \xc3\xbc\r\nContent-Type: multipart/signed; boundary=b\r\n"));
	in.return_full = true;
	in.original_body = S("--b\r\n\r\n\xc3\xbc THE BODY\r\n\r\n--b--\r\n");
	mail_report(&a, &in, &header, &body, &is_8bit);
	assert_true(is_8bit);
	struct again_input again = { .header = header,
				     .body = body,
				     .hostname = S("relay.example.org"),
				     .from = S("me@isp.example"),
				     .id = 3,
				     .now_ms = NOW + 1000 };

	mail_report_again(&a, &again, &header, &body, &is_8bit);
	assert_str(body, again.body);
	assert_true(is_8bit);
	assert_in(header, "From: Mail Delivery System <me@isp.example>\r\nTo: <alice@example.org>\r\n");
	assert_in(header, "Date: Sat, 21 Nov 2026 19:37:55 +0000\r\nMessage-ID: <0000000000003@relay.example.org>\r\n");
	for (again.returns = AGAIN_HEADER; again.returns <= AGAIN_WORDS; again.returns++) {
		bool with_header = again.returns == AGAIN_HEADER;
		mail_report_again(&a, &again, &header, &body, &is_8bit);
		assert_false(is_8bit);
		assert_in(header, "Content-Transfer-Encoding: 7bit\r\n");
		assert_int_equal(times(body, "--=_posthouse_00112233445566778899aabb"), with_header ? 4 : 3);
		assert_true(str_ends(body, S("\r\n--=_posthouse_00112233445566778899aabb--")) ||
			    str_ends(body, S("\r\n--=_posthouse_00112233445566778899aabb--\r\n")));
		assert_in(body, "Gr=C3=BC=C3=9Fe. The next part is for");
		assert_in(body, with_header ? "The last one is your message's header." : "Your message is not returned");
		assert_int_equal(times(body, "your message."), 0);
		assert_int_equal(times(body, "Subject: =C3=BC"), with_header ? 2 : 1);
		assert_int_equal(times(body, "THE BODY"), 0);
		assert_in(body, "Content-Type: message/delivery-status\r\n");
	}
	arena_fini(&a);
}

static void test_notice(void **state)
{
	struct arena a = { 0 };
	struct notification_input in = {
		.hostname = S("relay.example.org"),
		.from = S("mailer-daemon@relay.example.org"),
		.id = 2,
		.now_ms = NOW,
		.to = S("postmaster@example.org"),
		.subject = S("A report could not be delivered\r\nX-Evil: 1 \xc3\xb6"),
		.words = S("A report to bob@example.net could not be delivered, and so nobody has been told about it.\n\n"
			   "    550 no\r\t such user, and many other words that this server has to say about it\n"
			   "The end")
	};
	struct str header, body;
	bool is_8bit;

	(void)state;
	mail_notification(&a, &in, &header, &body, &is_8bit);
	assert_false(is_8bit);
	assert_str(header,
		   S("From: Mail Delivery System <mailer-daemon@relay.example.org>\r\nTo: <postmaster@example.org>\r\n"
		     "Subject: A report could not be delivered X-Evil: 1 ?\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\n"
		     "Message-ID: <0000000000002@relay.example.org>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		     "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n"));
	assert_str(body,
		   S("A report to bob@example.net could not be delivered, and so nobody has\r\nbeen told about it.\r\n\r\n"
		     "    550 no such user, and many other words that this server has to say\r\n    about it\r\nThe end\r\n"));
	in.words = S("J\xc3\xb6rg\xff");
	mail_notification(&a, &in, &header, &body, &is_8bit);
	assert_true(is_8bit);
	assert_str(body, S("J\xc3\xb6rg\xef\xbf\xbd\r\n"));
	assert_in(header, "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n");
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_8bit),
		cmocka_unit_test(test_internationalised),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_original_fields),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_notice),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
