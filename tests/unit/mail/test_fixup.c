/* test_fixup.c - what a header section becomes; the date and Received. */
#include "mail_test.h"

#define NOW     1795289874000 /* Sat, 21 Nov 2026 19:37:54 */
#define MINIMAL "From: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n"

static struct verdict fix(struct arena *a, const char *section, const char *sender, struct fixup_result *out)
{
	struct fixup_input in = { .section = str_of(section),
				  .hostname = S("relay.example.org"),
				  .id = 0,
				  .now_ms = NOW,
				  .envelope_sender = str_of(sender) };

	return mail_fixup(a, &in, out);
}

static const struct {
	const char *section, *sender, *want;
} good[] = {
	{ MINIMAL, "a@b", MINIMAL },
	/* nothing that stays is touched, but for white space before a colon, which hides a field from many readers */
	{ "X-Odd \t:  a  \r\n\t b\t\r\n" MINIMAL "Subject:\r\n \r\n x\r\nTo: a, b,\r\n", "a@b",
	  "X-Odd:  a  \r\n\t b\t\r\n" MINIMAL "Subject:\r\n x\r\nTo: a, b,\r\n" },
	/* lines of white space alone, in which many see the end of the header */
	{ MINIMAL "Subject: x\r\n \t\r\n y\r\n  \r\nX: y\r\n\t\r\nZ: \r\n \r\n\t\r\n", "a@b",
	  MINIMAL "Subject: x\r\n y\r\nX: y\r\nZ: \r\n" },
	/* removed */
	{ "Bcc: secret@b\r\n" MINIMAL "bCC : one,\r\n two\r\nReturn-Path: <x>\r\nResent-Bcc: y\r\nX: y\r\n", "a@b",
	  MINIMAL "X: y\r\n" },
	/* added */
	{ "From: a@b\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "From: a@b\r\nMessage-ID: <m@b>\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nFrom: a@b\r\n" },
	{ "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "", "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	{ "From: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\n", "a@b",
	  "From: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <0000000000000@relay.example.org>\r\n" },
	/* bytes beyond ASCII, UTF-8 or not */
	{ MINIMAL "Subject: J\xc3\xb6rg\r\nComments: J\xf6rg\xff\r\n", "a@b",
	  MINIMAL "Subject: J\xc3\xb6rg\r\nComments: J\xf6rg\xff\r\n" },
	/* two that say the same are one; an empty one says nothing */
	{ MINIMAL "Content-Type: text/plain\r\ncontent-type:\tTEXT/plain \r\n", "a@b", MINIMAL "Content-Type: text/plain\r\n" },
	{ MINIMAL
	  "Content-Type: text/html; Charset=\"UTF-8\"; boundary=aB\r\nX: y\r\nContent-Type: Text/HTML ;boundary=\"aB\";charset=utf-8;(c)\r\n",
	  "a@b", MINIMAL "Content-Type: text/html; Charset=\"UTF-8\"; boundary=aB\r\nX: y\r\n" },
	{ MINIMAL "Content-Type: a/b; name=\"x \\\"y;\"\r\nContent-Type: a/b;\r\n\tname=\"x \\\"y;\"\r\n", "a@b",
	  MINIMAL "Content-Type: a/b; name=\"x \\\"y;\"\r\n" },
	{ MINIMAL "Content-Disposition: attachment; filename=a\r\nContent-Disposition: ATTACHMENT; Filename=\"a\"\r\n", "a@b",
	  MINIMAL "Content-Disposition: attachment; filename=a\r\n" },
	{ MINIMAL
	  "MIME-Version: 1.0\r\nMIME-Version: 1.0 (made by x)\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8BIT\r\n",
	  "a@b", MINIMAL "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n" },
	{ MINIMAL "TLS-Required: No\r\ntls-required:\tno (as above)\r\n", "a@b", MINIMAL "TLS-Required: No\r\n" },
	{ "from: a@b\r\n" MINIMAL
	  "Subject: x\r\n y\r\nSubject:  x y \r\nMessage-Id:<m@b>\r\nDate:1 Jan 2026\r\n 10:00 Z\r\nSender: a@b\r\nSender: a@b\r\n",
	  "a@b", "from: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nSubject: x\r\n y\r\nSender: a@b\r\n" },
	{ "Subject:\r\nFrom:\r\n" MINIMAL "Subject: x\r\nReferences: <1>\r\nReferences: \r\nSubject:\r\n", "a@b",
	  MINIMAL "Subject: x\r\nReferences: <1>\r\n" },
	/* lists are joined */
	{ MINIMAL
	  "To: a@b\r\nCc: c\r\nTo: d@e,\r\n f@g,\r\nSubject: x\r\nto:\r\nCc: h@i\r\nReply-To: j@k\r\nTO: T:;\r\nReply-To: l@m\r\n",
	  "a@b", MINIMAL "To: a@b,\r\n d@e,\r\n f@g,\r\n T:;\r\nCc: c,\r\n h@i\r\nSubject: x\r\nReply-To: j@k,\r\n l@m\r\n" },
	/* what readers cannot use makes room */
	{ "Message-ID:\r\nDate: \r\nFrom: a@b\r\n", "a@b",
	  "From: a@b\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\nMessage-ID: <0000000000000@relay.example.org>\r\n" },
	{ "Message-id: 1\r\n 2\r\nDate: yesterday\r\nFrom: a@b\r\n", "a@b",
	  "X-Original-Message-id: 1 2\r\nX-Original-Date: yesterday\r\nFrom: a@b\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\n"
	  "Message-ID: <0000000000000@relay.example.org>\r\n" },
	/* results in our name are forged, those of others are theirs */
	{ MINIMAL
	  "Authentication-Results: relay.example.org; spf=pass\r\nauthentication-results: (x)\r\n \"Relay.Example.ORG.\" 1; dkim=pass\r\n"
	  "Authentication-Results: relay.example.org\r\nAuthentication-Results: relay.example.organic; none\r\nAuthentication-Results: x; none\r\n",
	  "a@b", MINIMAL "Authentication-Results: relay.example.organic; none\r\nAuthentication-Results: x; none\r\n" },
	/* several authors: one of them, or another, sends */
	{ "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "e@f",
	  "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nSender: e@f\r\n" },
	{ "From: T: a@b, c@d;\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "e@f",
	  "From: T <a@b>, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nSender: e@f\r\n" },
	{ "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nSender: c@d\r\n", "e@f",
	  "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nSender: c@d\r\n" },
	{ "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "",
	  "From: a@b, c@d\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	{ "From: \"a, b\" <a@b>\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "e@f",
	  "From: \"a, b\" <a@b>\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	/* nobody: as if the field were not there */
	{ "From:\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\nFrom: a@b\r\n" },
	{ "From: <>\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "From: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	{ "From: undisclosed:;\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "From: a@b\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	{ "From: The Printer\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n", "a@b",
	  "From: The Printer <a@b>\r\nDate: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n" },
	{ MINIMAL "Sender:\r\n", "a@b", MINIMAL },
	{ MINIMAL "Sender: <>\r\n", "a@b", MINIMAL },
	/* several of what may be several */
	{ MINIMAL "Comments: 1\r\nComments: 2\r\nReceived: 1\r\nReceived: 2\r\n", "a@b",
	  MINIMAL "Comments: 1\r\nComments: 2\r\nReceived: 1\r\nReceived: 2\r\n" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct arena a = { 0 };
		struct fixup_result r;
		struct header again;
		struct verdict v = fix(&a, good[i].section, good[i].sender, &r);
		if (v.class != OK)
			fail_msg("\"%s\": %.*s", good[i].section, STR_ARG(v.text));
		assert_str(r.section, str_of(good[i].want));
		/* the fields are those of the new section */
		assert_int_equal(header_parse(&a, r.section, &again).class, OK);
		assert_int_equal(again.n, r.header.n);
		for (size_t k = 0; k < again.n; k++) {
			assert_str(r.header.fields[k].name, again.fields[k].name);
			assert_str(r.header.fields[k].value, again.fields[k].value);
			assert_ptr_equal(r.header.fields[k].whole.p, again.fields[k].whole.p);
			assert_int_equal(r.header.fields[k].whole.n, again.fields[k].whole.n);
		}
		arena_fini(&a);
	}
}

static const struct {
	const char *section, *sender;
	int code;
	const char *in_text;
} bad[] = {
	{ "From: a@b\r\nFROM : c@d\r\n", "a@b", 550, "two From fields that differ: \"a@b\" and \"c@d\"" },
	{ "From: a@b\r\nFrom: A@b\r\n", "a@b", 550, "two From" },
	{ MINIMAL "Sender: a@b\r\nSender: x <a@b>\r\n", "a@b", 550, "two Sender" },
	{ MINIMAL "Date: e\r\n", "a@b", 550, "two Date fields that differ" },
	{ MINIMAL "Message-Id: <x>\r\n", "a@b", 550, "two Message-ID fields that differ: \"<m@b>\" and \"<x>\"" },
	{ MINIMAL "Subject: A\r\nsubject: a\r\n", "a@b", 550, "two Subject" },
	{ MINIMAL "References: 1\r\nReferences: 2\r\n", "a@b", 550, "two References" },
	{ MINIMAL "In-Reply-To: 1\r\nIn-Reply-To: 2\r\n", "a@b", 550, "two In-Reply-To" },
	{ MINIMAL "Content-Type: multipart/mixed; boundary=abc\r\nContent-Type: multipart/mixed; boundary=ABC\r\n", "a@b", 550,
	  "\"multipart/mixed; boundary=abc\" and \"multipart/mixed; boundary=ABC\"" },
	{ MINIMAL "Content-Type: text/plain; charset=utf-8\r\nContent-Type: text/plain\r\n", "a@b", 550, "two Content-Type" },
	{ MINIMAL "Content-Type: a/b; name=\"x y\"\r\nContent-Type: a/b; name=\"xy\"\r\n", "a@b", 550, "two Content-Type" },
	{ MINIMAL "Content-Type: a/b; n=x; n=y\r\nContent-Type: a/b; n=y; n=x\r\n", "a@b", 550, "two Content-Type" },
	{ MINIMAL "Content-Disposition: inline; filename=a\r\nContent-Disposition: inline; filename=A\r\n", "a@b", 550,
	  "two Content-Disposition" },
	{ MINIMAL "MIME-Version: 1.0\r\nMIME-Version: 2.0\r\n", "a@b", 550, "two MIME-Version fields that differ" },
	{ MINIMAL "Content-Type: text/plain\r\nContent-Type: text/html\r\n", "a@b", 550, "two Content-Type" },
	{ MINIMAL "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", "a@b", 550,
	  "two Content-Transfer-Encoding" },
	{ MINIMAL "Content-ID: 1\r\nContent-ID: 1\r\nContent-ID: 2\r\n", "a@b", 550, "two Content-ID" },
	{ MINIMAL "Content-Disposition: 1\r\nContent-Disposition: 2\r\n", "a@b", 550, "two Content-Disposition" },
	{ MINIMAL "Content-Description: 1\r\nContent-Description: 2\r\n", "a@b", 550, "two Content-Description" },
	{ "From: <a@b> <c@d>\r\n", "a@b", 550, "From field cannot be read: \"<a@b> <c@d>\" is neither" },
	{ "From: a@b c@d\r\n", "a@b", 550, "\"a@b c@d\"" },
	{ "From: a @ b\r\n", "a@b", 550, "\"a @ b\"" },
	{ "From: =?utf-7?q?+ADw-x+AD4-?= <a@b>\r\n", "a@b", 550, "charset \"utf-7\"" },
	{ "From: =?*en?q?x?= <a@b>\r\n", "a@b", 550, "charset \"(none)\"" },
	{ "From: =?utf-7?q?+ADw-x+AD4-?= y =?*en?q?x?= <a@b>\r\n", "a@b", 550, "charset \"(none)\"" },
	{ "From: a@b (=?*en?q?x?=)\r\n", "a@b", 550, "charset \"(none)\"" },
	{ "From: =?iso-2022-jp?q?=3Cx=3E?= <a@b>\r\n", "a@b", 550, "angle brackets" },
	{ "Subject: x\r\n", "not an address", 550, "no From" },
	{ "Subject: x\r\n", "a@b\r\nX: y", 550, "no From" },
	{ MINIMAL "Sender: a@b, c@d\r\n", "a@b", 550, "Sender" },
	{ "From: a@b\r\nno field\r\n", "a@b", 550, "neither a field" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct arena a = { 0 };
		struct fixup_result r;
		struct verdict v = fix(&a, bad[i].section, bad[i].sender, &r);
		if (v.class != PERM || v.code != bad[i].code || str_search(v.text, str_of(bad[i].in_text)) == v.text.n)
			fail_msg("\"%s\": %d %.*s", bad[i].section, v.code, STR_ARG(v.text));
		arena_fini(&a);
	}
}

/* What a Message-ID or a Date is for readers, and is not. */
static void test_identity(void **state)
{
	static const struct {
		const char *value;
		bool is_date, is_id;
	} values[] = {
		/* dates as clients write them */
		{ "Sat, 21 Nov 2026 19:37:54 +0000", true, false },
		{ " Sat, 21 Nov 2026 19:37:54 +0100 (CET) ", true, false },
		{ "21 Nov 2026 19:37 GMT", true, false },
		{ "Sat,21 Nov 2026 19:37:54 -0000", true, false },
		{ "sat, 1 nov 26 9:37:60 EST", true, false },
		{ "Sat 21 Nov 2026 19:37:54 CEST", true, false },
		{ "Sat, 21 Nov 2026\r\n 19 : 37 : 54 (x (y)) UT", true, false },
		{ "29 Feb 2024 00:00:00 Z", true, false },
		{ "Sat, 21 Nov 2026 19:37:54", false, false },
		{ "Sat Nov 21 19:37:54 2026", false, false },
		{ "2026-11-21T19:37:54Z", false, false },
		{ "Sat, 21 Nov 2026 19:37:54 +01:00", false, false },
		{ "Sat, 21 Nov 2026 19:37:54 +100", false, false },
		{ "Sat, 21 Nov 2026 19:37:54 GMT+0100", false, false },
		{ "Sat, 31 Nov 2026 19:37:54 +0100", false, false },
		{ "Sat, 0 Nov 2026 19:37:54 +0100", false, false },
		{ "Sat, 21 Nov 2026 24:00:00 +0100", false, false },
		{ "Sat, 21 Nov 2026 19:60:00 +0100", false, false },
		{ "Samstag, 21 Nov 2026 19:00:00 +0100", false, false },
		{ "Sat, 21 November 2026 19:00:00 +0100", false, false },
		{ "Sat, 21 Nov 20260 19:00:00 +0100", false, false },
		{ "Sat, 21 Nov 2026 19:00:00 +0100 x", false, false },
		{ "(21 Nov 2026 19:00 Z)", false, false },
		{ "", false, false },
		/* ids */
		{ "<a@b>", false, true },
		{ " (x)\r\n <a.b..c=d@[127.0.0.1]> (y)", false, true },
		{ "<\"a:b\"@c@d>", false, true },
		{ "<a/b|c@d_e>", false, true },
		{ "<ab>", false, false },
		{ "<@b>", false, false },
		{ "<a@>", false, false },
		{ "a@b", false, false },
		{ "<a@b", false, false },
		{ "<a b@c>", false, false },
		{ "<a\r\n @c>", false, false },
		{ "<<a@b>>", false, false },
		{ "<a@b> <c@d>", false, false },
		{ "<a@b>, x", false, false },
		{ "<>", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct arena a = { 0 };
		struct fixup_result r;
		struct str section =
			arena_printf(&a, "From: a@b\r\nDate: %s\r\nMessage-ID: %s\r\n", values[i].value, values[i].value);
		assert_int_equal(fix(&a, arena_cstr(&a, section), "a@b", &r).class, OK);
		bool kept_date = str_eq(str_trim(header_find(&r.header, S("Date"))->value), str_trim(str_of(values[i].value)));
		bool kept_id =
			str_eq(str_trim(header_find(&r.header, S("Message-ID"))->value), str_trim(str_of(values[i].value)));
		if (kept_date != values[i].is_date || kept_id != values[i].is_id)
			fail_msg("\"%s\": %d %d", values[i].value, kept_date, kept_id);
		assert_int_equal(header_find(&r.header, S("X-Original-Date")) != NULL, !kept_date && *values[i].value != '\0');
		assert_int_equal(header_find(&r.header, S("X-Original-Message-ID")) != NULL,
				 !kept_id && *values[i].value != '\0');
		arena_fini(&a);
	}
}

/* Who sends on what another has written: all of them are told, and what they show. */
static void test_resent(void **state)
{
	static const struct {
		const char *fields, *resent, *fault;
		bool is_resent;
	} rows[] = {
		{ "", "", "", false },
		{ "Resent-To: x@y\r\n", "", "", false },
		{ "Resent-From: D <d@e>\r\nResent-To: x@y\r\n", "d@e", "", true },
		{ "Resent-From: d@e\r\nResent-Sender: f@g\r\nResent-From: h@i, j@k\r\n", "h@i j@k f@g d@e", "", true },
		{ "Resent-From: \"l@m\" <d@e>\r\n", "d@e l@m", "", true },
		{ "Resent-Sender: d@e\r\n", "d@e", "", false },
		{ "Resent-From: <d@e> <f@g>\r\n", "", "Resent-From field cannot be read", false },
		{ "Resent-From: d@e\r\nResent-From:\r\n", "d@e", "Resent-From field has no address", true },
		{ "Resent-From: Desk: D <d@e>\r\n", "d@e", "", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct fixup_result r;
		struct str all = S(""), section = arena_printf(&a, "%s" MINIMAL, rows[i].fields);
		assert_int_equal(fix(&a, arena_cstr(&a, section), "a@b", &r).class, OK);
		for (size_t k = 0; k < r.resent.n; k++)
			all = arena_printf(&a, "%.*s%s%.*s", STR_ARG(all), k ? " " : "", STR_ARG(r.resent.at[k]));
		assert_str(all, str_of(rows[i].resent));
		assert_int_equal(r.is_resent, rows[i].is_resent);
		assert_int_equal(r.resent_fault.class, *rows[i].fault == '\0' ? OK : PERM);
		assert_true(*rows[i].fault == '\0' ||
			    str_search(r.resent_fault.text, str_of(rows[i].fault)) < r.resent_fault.text.n);
		assert_int_equal(r.from.n + r.shown.n, 1);
		arena_fini(&a);
	}
}

/* What a client repeats costs no more memory than it should. */
static void test_repeats_are_bounded(void **state)
{
	static const struct {
		const char *first, *last, *again; /* between the first two there is much space */
		bool taken;
	} rows[] = {
		{ "Subject: a", "b\r\n", "Subject: a b\r\n", false },
		{ "Resent-From: x", "<a@b>\r\n", "Resent-From: \"a@b\" <a@b>\r\n", true },
		{ "To: x", "<a@b>\r\n", "To: a@b\r\n", true },
		{ "Authentication-Results: \"\xc3\xb6", "\r\n", "Authentication-Results: relay.example.org\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 }, made = { 0 };
		struct fixup_result r;
		struct buf section;
		buf_init(&section, HEADER_MAX);
		struct str space = arena_printf(&made, "%*s", HEADER_MAX / 2, "");
		assert_true(buf_add(&section, S(MINIMAL)) && buf_add(&section, str_of(rows[i].first)) &&
			    buf_add(&section, space) && buf_add(&section, str_of(rows[i].last)));
		while (section.n < HEADER_MAX - 20000 && buf_add(&section, str_of(rows[i].again))) {
		}
		const char *text = arena_cstr(&made, buf_view(&section));
		assert_int_equal(fix(&a, text, "a@b", &r).class, rows[i].taken ? OK : PERM);
		assert_true(a.used_bytes < 64 * HEADER_MAX);
		buf_fini(&section);
		arena_fini(&a);
		arena_fini(&made);
	}
}

static void test_received_loop(void **state)
{
	(void)state;
	for (int n = 50; n <= 51; n++) {
		struct arena a = { 0 };
		struct fixup_result r;
		struct str section = S(MINIMAL);
		for (int i = 0; i < n; i++)
			section = arena_printf(&a, "Received: %d\r\n%.*s", i, STR_ARG(section));
		struct verdict v = fix(&a, arena_cstr(&a, section), "a@b", &r);
		assert_int_equal(v.class, n == 50 ? OK : PERM);
		if (n == 51) {
			assert_int_equal(v.code, 554);
			assert_str(v.enhanced, S("5.4.6"));
		}
		arena_fini(&a);
	}
}

static void test_results(void **state)
{
	struct arena a = { 0 };
	struct fixup_result r;
	struct str id;

	(void)state;
	assert_int_equal(fix(&a, "From: A <a@b>, c@d\r\nSender: \"x\" <c@d>\r\nMessage-ID:\r\n\t<m@b> (x)\r\n", "a@b", &r).class,
			 OK);
	assert_int_equal(r.from.n, 2);
	assert_str(r.from.at[0], S("a@b"));
	assert_str(r.from.at[1], S("c@d"));
	assert_str(r.sender, S("c@d"));
	assert_str(str_trim(header_find(&r.header, S("Message-ID"))->value), S("<m@b> (x)"));
	assert_false(r.has_8bit);
	assert_int_equal(fix(&a, "From: \xc3\xb6 <a@b>\r\n", "a@b", &r).class, OK);
	assert_true(r.has_8bit);
	assert_str(r.sender, S(""));
	id = str_trim(header_find(&r.header, S("Message-ID"))->value);
	assert_true(str_starts(id, S("<")) && str_ends(id, S("@relay.example.org>")));
	/* what is removed does not count */
	assert_int_equal(fix(&a, "From: a@b\r\nBcc: \xc3\xb6 <a@b>\r\n", "a@b", &r).class, OK);
	assert_false(r.has_8bit);
	/* no From and no sender: a report */
	assert_int_equal(fix(&a, "", "", &r).class, OK);
	assert_int_equal(r.from.n, 0);
	/* no From: the sender's, and it counts as one */
	assert_int_equal(fix(&a, "", "a@b", &r).class, OK);
	assert_int_equal(r.from.n, 1);
	assert_str(header_find(&r.header, S("from"))->value, S(" a@b"));
	arena_fini(&a);
}

static void test_many_from(void **state)
{
	struct arena a = { 0 };
	struct fixup_result r;
	struct str list = S("a@b");

	(void)state;
	for (int i = 1; i < 100; i++)
		list = arena_printf(&a, "%.*s, a@b", STR_ARG(list));
	assert_int_equal(fix(&a, arena_cstr(&a, arena_printf(&a, "From: %.*s\r\n", STR_ARG(list))), "a@b", &r).class, OK);
	assert_int_equal(fix(&a, arena_cstr(&a, arena_printf(&a, "From: %.*s, a@b\r\n", STR_ARG(list))), "a@b", &r).class, PERM);
	arena_fini(&a);
}

static void test_date(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} rows[] = {
		{ 0, "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ NOW + 999, "Sat, 21 Nov 2026 19:37:54 +0000" },
		{ 1709164800000, "Thu, 29 Feb 2024 00:00:00 +0000" },
		{ 4102444799000, "Thu, 31 Dec 2099 23:59:59 +0000" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_str(mail_date(&a, rows[i].ms), str_of(rows[i].want));
	assert_true(mail_date(&a, UINT64_MAX).n > 0);
	arena_fini(&a);
}

static const struct {
	const char *client, *helo, *for_recipient, *want;
} received[] = {
	{ "", "", "b@c",
	  "by relay.example.org (Posthouse) with ESMTPSA id 0000000000000\r\n\tfor <b@c>; Sat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "", "", "",
	  "by relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "", "", "b@c\r\nX: y",
	  "by relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "", "", "\xc3\xb6@c",
	  "by relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	/* a name without an address is not told */
	{ "", "laptop.example", "",
	  "by relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "192.0.2.1", "laptop.example", "b@c",
	  "from laptop.example ([192.0.2.1])\r\n\tby relay.example.org (Posthouse) with ESMTPSA id 0000000000000\r\n"
	  "\tfor <b@c>; Sat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "2001:db8::1", "[IPv6:2001:db8::1]", "",
	  "from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n"
	  "\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "::ffff:192.0.2.1", "", "",
	  "from [192.0.2.1] ([192.0.2.1])\r\n\tby relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n"
	  "\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
	{ "fe80::1%eth0", "x;\r\nFrom: evil@\xc3\xb6(\"\\<>) y", "",
	  "from xFromevily ([IPv6:fe80::1])\r\n\tby relay.example.org (Posthouse) with ESMTPSA id 0000000000000;\r\n"
	  "\tSat, 21 Nov 2026 19:37:54 +0000\r\n" },
};

static struct str make_received(struct arena *a, struct str client, struct str helo, struct str for_recipient)
{
	struct received_input in = { .hostname = S("relay.example.org"),
				     .with = S("ESMTPSA"),
				     .now_ms = NOW,
				     .for_recipient = for_recipient,
				     .client = client,
				     .helo = helo };

	return mail_received(a, &in);
}

static void test_received(void **state)
{
	struct arena a = { 0 };
	char long_name[2000];

	(void)state;
	for (size_t i = 0; i < sizeof received / sizeof *received; i++)
		assert_str(make_received(&a, str_of(received[i].client), str_of(received[i].helo),
					 str_of(received[i].for_recipient)),
			   arena_printf(&a, "Received: %s", received[i].want));
	struct received_input here = { .hostname = S("relay.example.org"),
				       .with = S("ESMTP"),
				       .local_user = S("a\r\nb, uid 33") };
	assert_true(str_starts(mail_received(&a, &here), S("Received: from localhost (local user ab, uid 33)\r\n\tby relay")));
	memset(long_name, 'a', sizeof long_name);
	assert_true(make_received(&a, S("192.0.2.1"), str_make(long_name, sizeof long_name), S("")).n < 500);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity), cmocka_unit_test(test_resent),    cmocka_unit_test(test_repeats_are_bounded),
		cmocka_unit_test(test_good),     cmocka_unit_test(test_bad),       cmocka_unit_test(test_received_loop),
		cmocka_unit_test(test_results),  cmocka_unit_test(test_many_from), cmocka_unit_test(test_date),
		cmocka_unit_test(test_received),
	};

	return cmocka_run_group_tests_name("fixup", tests, NULL, NULL);
}
