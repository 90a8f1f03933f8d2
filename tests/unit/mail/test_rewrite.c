/* test_rewrite.c - addresses completed, rewritten and forced, and everything around them as it was; long lines folded. */
#include "mail_test.h"

#define REST "Date: 1 Jan 2026 10:00 Z\r\nMessage-ID: <m@b>\r\n"

/* old.example becomes new.example; root@lan.example as sender becomes a quoted local part; nothing else changes. */
static struct str rewrite(void *ctx, struct arena *a, bool is_sender, struct str address)
{
	size_t at = str_rfind(address, '@');

	++*(unsigned *)ctx;
	if (is_sender && str_ieq(address, S("root@lan.example")))
		return S("\"the root\"@new.example");
	if (str_ieq(str_from(address, at + 1), S("old.example")))
		return arena_printf(a, "%.*s@new.example", STR_ARG(str_head(address, at)));
	return address;
}

struct setting {
	const char *domain, *force;
	bool rewriting;
};

static struct verdict fix(struct arena *a, struct str section, const struct setting *s, unsigned *calls, struct fixup_result *out)
{
	struct fixup_input in = { .section = section,
				  .hostname = S("relay.example.org"),
				  .now_ms = 1795289874000,
				  .envelope_sender = S("env@example.org"),
				  .domain = str_of(s->domain),
				  .rewrite = s->rewriting ? rewrite : NULL,
				  .rewrite_ctx = calls,
				  .force_from = str_of(s->force) };

	return mail_fixup(a, &in, out);
}

static const struct setting complete = { "example.org", "", false }, both = { "example.org", "", true }, only = { "", "", true },
			    forced = { "example.org", "scan@example.org", true }, unusable = { "", "not an address", false };

static const struct {
	const struct setting *setting;
	const char *section, *want; /* NULL: as it was */
	const char *from;           /* addresses joined by a space */
} rows[] = {
	/* completed: every form, every field, nothing else */
	{ &complete, "From: alice\r\n", "From: alice@example.org\r\n", "alice@example.org" },
	{ &complete, "From: root (Cron Daemon)\r\n", "From: root@example.org (Cron Daemon)\r\n", "root@example.org" },
	{ &complete, "From: Alice Liddell <alice>\r\n", "From: Alice Liddell <alice@example.org>\r\n", "alice@example.org" },
	{ &complete, "From: <alice>\r\n", "From: <alice@example.org>\r\n", "alice@example.org" },
	{ &complete, "From:\t< (x) alice\r\n\t(y) >  \r\n", "From: alice@example.org\r\n", "alice@example.org" },
	{ &complete, "From: alice <alice>\r\n", "From: alice <alice@example.org>\r\n", "alice@example.org" },
	{ &complete, "From: \"a b\" <\"a b\">\r\n", "From: \"a b\" <\"a b\"@example.org>\r\n", "\"a b\"@example.org" },
	{ &complete, "From: a.b, c@d,e\r\nSender: a.b\r\n",
	  "From: a.b@example.org, c@d,e@example.org\r\nSender: a.b@example.org\r\n", "a.b@example.org c@d e@example.org" },
	{ &complete, "From: a@b\r\nTo: bob, carol (c), \"D, E\" <de>,\r\n dora@x\r\n",
	  "From: a@b\r\nTo: bob@example.org, carol@example.org (c), \"D, E\" <de@example.org>,\r\n dora@x\r\n", "a@b" },
	{ &complete, "From: a@b\r\nTo: T: bob, x@y;, carol\r\n",
	  "From: a@b\r\nTo: T: bob@example.org, x@y;, carol@example.org\r\n", "a@b" },
	{ &complete,
	  "From: a@b\r\nCc: c\r\nReply-To: r\r\nResent-From: f\r\nResent-Sender: s\r\nResent-To: t\r\nResent-Cc: c\r\nResent-Reply-To: r\r\n"
	  "Disposition-Notification-To: d\r\nReturn-Receipt-To: R <r>\r\n",
	  "From: a@b\r\nCc: c@example.org\r\nReply-To: r@example.org\r\nResent-From: f@example.org\r\nResent-Sender: s@example.org\r\n"
	  "Resent-To: t@example.org\r\nResent-Cc: c@example.org\r\nResent-Reply-To: r@example.org\r\n"
	  "Disposition-Notification-To: d@example.org\r\nReturn-Receipt-To: R <r@example.org>\r\n",
	  "a@b" },
	/* not readable: as it was, byte by byte */
	{ &complete, "From: a@b\r\nTo: Alice Liddell\r\nCc: bob, carol dora\r\nReply-To: <>\r\n", NULL, "a@b" },
	{ &complete, "From: a@b\r\nTo: bob <x@y> <z>\r\nCc: =?utf-8?q?bob?=\r\nReply-To: bob (x\r\n", NULL, "a@b" },
	{ &complete, "From: a@b\r\nTo: undisclosed-recipients:;\r\nCc:\r\nReply-To: (none)\r\n", NULL, "a@b" },
	{ &complete, "From: a@b\r\nTo: bob; carol\r\nReply-To: j\xf6rg\r\n", NULL, "a@b" },
	{ &complete, "From: a@b\r\nCc: a..b, .c\r\n", "From: a@b\r\nCc: a..b@example.org, .c@example.org\r\n", "a@b" },
	{ &complete, "From: a@B.\r\nCc: <c@d.>, \"x\"@y.\r\n", "From: a@B\r\nCc: <c@d>, x@y\r\n", "a@B" },
	/* other fields are no addresses */
	{ &complete, "From: a@b\r\nSubject: alice\r\nX-To: alice\r\nErrors-To: alice\r\n", NULL, "a@b" },
	/* not asked for */
	{ &only, "From: a@b\r\nTo: bob, carol@old.example\r\n", NULL, "a@b" },
	{ &only, "From: alice\r\n", "From: alice <env@example.org>\r\n", "env@example.org" },
	/* rewritten: display names, comments, folds, order stay */
	{ &only, "From: \"Alice, \\\"L\\\"\"\r\n\t<alice@old.example> (y)\r\n",
	  "From: \"Alice, \\\"L\\\"\"\r\n\t<alice@new.example> (y)\r\n", "alice@new.example" },
	{ &only, "From: a@b\r\nTo: \"Alice, \\\"L\\\"\" (x)\r\n\t<alice@old.example> (y)\r\n",
	  "From: a@b\r\nTo: \"Alice, \\\"L\\\"\" (x)\r\n\t<alice@new.example> (y)\r\n", "a@b" },
	{ &only, "From: =?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?_alice=40old?= <j@OLD.example>\r\n",
	  "From: =?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?_alice=40old?= <j@new.example>\r\n", "j@new.example" },
	{ &only, "From: alice@old.example <alice@old.example>\r\n", "From: \"alice@new.example\" <alice@new.example>\r\n",
	  "alice@new.example" },
	{ &only, "From: Alice@Old.example (x) <alice@old.example>\r\n", "From: \"Alice@new.example (x)\" <alice@new.example>\r\n",
	  "alice@new.example" },
	{ &only, "From: \"alice@old.example\" <alice@old.example>\r\n", "From: \"alice@new.example\" <alice@new.example>\r\n",
	  "alice@new.example" },
	{ &only, "From: Old: a@old.example,\r\n b@old.example ; , c@other.example\r\nSender: a@old.example\r\n",
	  "From: Old <a@new.example>, b@new.example, c@other.example\r\nSender: a@new.example\r\n",
	  "a@new.example b@new.example c@other.example" },
	{ &only, "From: \"alice\"@old.example\r\n", "From: alice@new.example\r\n", "alice@new.example" },
	{ &only, "From: \"alice\"@other.example\r\n", "From: alice@other.example\r\n", "alice@other.example" },
	{ &only, "From: root@lan.example <root@lan.example>\r\nTo: root@lan.example\r\n",
	  "From: =?us-ascii?Q?=22the_root=22=40new=2Eexample?= <\"the root\"@new.example>\r\nTo: root@lan.example\r\n",
	  "\"the root\"@new.example" },
	{ &only, "from : J\xf6rg <a@old.example>\r\n", "from: J\xf6rg <a@new.example>\r\n", "a@new.example" },
	{ &only, "From: a@b\r\nTo: a@old.example, broken <\r\nSubject: a@old.example\r\n", NULL, "a@b" },
	/* one after the other */
	{ &both, "From: a@b\r\nTo: x, y@old.example\r\n", "From: a@b\r\nTo: x@example.org, y@new.example\r\n", "a@b" },
	/* forced: the first name stays, nothing else */
	{ &forced, "From: Scanner <root@old.example>\r\nSender: x\r\n", "From: Scanner <scan@example.org>\r\n",
	  "scan@example.org" },
	{ &forced, "Sender: x y z\r\nFrom:Scanner<x>\r\nSender: y\r\n", "From: Scanner <scan@example.org>\r\n",
	  "scan@example.org" },
	{ &forced, "From: =?utf-8?Q?J=C3=B6rgs?= (x)\r\n =?utf-8?Q?Ger=C3=A4t?= (y) <x@y>\r\n",
	  "From: =?utf-8?Q?J=C3=B6rgs_=28x=29_Ger=C3=A4t_=28y=29?= <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: a@b, \"B, C\" <c@d>, D <d@e>\r\n", "From: \"B, C\" <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: Multi Function Printer\r\n", "From: Multi Function Printer <scan@example.org>\r\n",
	  "scan@example.org" },
	{ &forced, "From: Printer <>\r\n", "From: Printer <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: Printer <@\r\n", "From: =?utf-8?Q?Printer_=E2=80=B9=40?= <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: x <y> <z>\r\nFrom: evil@example.net\r\n",
	  "From: =?utf-8?Q?x_=E2=80=B9y=E2=80=BA_=E2=80=B9z=E2=80=BA?= <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: \"open <x@y>\r\n", "From: =?us-ascii?Q?=22open?= <scan@example.org>\r\n", "scan@example.org" },
	{ &forced, "From: \"evil@x\" <x@y>\r\n", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "From: =?utf-8?q?=3Cevil=40x=3E?= <x@y>\r\n", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "From: evil@x <x@y>\r\n", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "From:\r\n", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "From: \x01\r\n", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "", "From: scan@example.org\r\n", "scan@example.org" },
	{ &forced, "From: a@old.example\r\nReply-To: x@old.example\r\n", "From: scan@example.org\r\nReply-To: x@new.example\r\n",
	  "scan@example.org" },
};

/* The rest of the section comes first, so that fields that are added come after it as those that were there. */
static void test_rows(void **state)
{
	unsigned calls, wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct fixup_result r, again;
		struct str want = arena_printf(&a, REST "%s", rows[i].want ? rows[i].want : rows[i].section), joined = S("");
		struct str section = exact(arena_printf(&a, REST "%s", rows[i].section));
		struct verdict v = fix(&a, section, rows[i].setting, &calls, &r);
		exact_free(section); /* the result must not point into it */
		if (v.class != OK)
			fail_msg("\"%s\": %.*s", rows[i].section, STR_ARG(v.text));
		for (size_t k = 0; k < r.from.n; k++)
			joined = arena_printf(&a, "%.*s%s%.*s", STR_ARG(joined), k ? " " : "", STR_ARG(r.from.at[k]));
		struct str got = r.section; /* a Sender that was added is another test's */
		if (str_ends(got, S("Sender: env@example.org\r\n")))
			got.n -= strlen("Sender: env@example.org\r\n");
		if (!str_eq(got, want) || !str_eq(joined, str_of(rows[i].from))) {
			print_error("got \"%.*s\" (%.*s), want \"%.*s\"\n", STR_ARG(got), STR_ARG(joined), STR_ARG(want));
			wrong++;
		}
		assert_int_equal(fix(&a, r.section, rows[i].setting, &calls, &again).class, OK);
		assert_str(again.section, r.section);
		arena_fini(&a);
	}
	assert_int_equal(wrong, 0);
}

/* What cannot be sent. */
static void test_refused(void **state)
{
	static const struct {
		const struct setting *setting;
		const char *section, *in_text;
	} bad[] = {
		{ &complete, "From: alice@example.org bob@example.org\r\n", "From field" },
		{ &complete, "From: a@b\r\nSender: b, c\r\n", "Sender" },
		{ &complete, "From: a\r\nFrom: b\r\n", "two From fields that differ" },
		{ &forced, "From: a@b\r\nSubject: x\r\nSubject: y\r\n", "two Subject" },
		{ &unusable, "", "no From" },
		{ &unusable, "From: a@b\r\n", "From field" },
	};
	struct arena a = { 0 };
	struct fixup_result r;
	unsigned calls;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct verdict v = fix(&a, str_of(bad[i].section), bad[i].setting, &calls, &r);
		if (v.class != PERM || v.code != 550 || str_search(v.text, str_of(bad[i].in_text)) == v.text.n)
			fail_msg("\"%s\": %d %.*s", bad[i].section, v.code, STR_ARG(v.text));
	}
	arena_fini(&a);
}

/* The call-back is asked about each address once, and about none that we add. */
static void test_calls(void **state)
{
	struct arena a = { 0 };
	struct fixup_result r;
	unsigned calls = 0;

	(void)state;
	assert_int_equal(fix(&a, S("From: a@b, c@d\r\nTo: T: e;, f <f@g>\r\nSubject: x@y\r\n"), &both, &calls, &r).class, OK);
	assert_int_equal(calls, 4);
	assert_str(r.sender, S("env@example.org"));
	assert_int_equal(fix(&a, S("Subject: x@y\r\n"), &both, &calls, &r).class, OK);
	assert_int_equal(calls, 4);
	assert_str(r.from.at[0], S("env@example.org"));
	arena_fini(&a);
}

/* A header of addresses without domain would become many times as large. */
static void test_growth_is_bounded(void **state)
{
	struct arena a = { 0 };
	struct fixup_result r;
	struct buf section;
	unsigned calls;

	(void)state;
	buf_init(&section, HEADER_MAX);
	assert_true(buf_add(&section, S("From: a@b\r\nTo: ")));
	while (section.n < 100000 && buf_add(&section, S("a, "))) {
	}
	assert_true(buf_add(&section, S("a\r\n")));
	struct verdict v = fix(&a, buf_view(&section), &complete, &calls, &r);
	assert_int_equal(v.class, PERM);
	assert_int_equal(v.code, 552);
	assert_str(v.enhanced, S("5.3.4"));
	assert_true(a.used_bytes < 8 * HEADER_MAX);
	assert_int_equal(fix(&a, buf_view(&section), &only, &calls, &r).class, OK);
	buf_fini(&section);
	arena_fini(&a);
}

/* A text with "#N " for N times "x", and then the rest. */
static struct str expand(struct arena *a, const char *text)
{
	char *out = arena_alloc(a, 20000);
	size_t used = 0;

	while (*text) {
		if (*text != '#') {
			out[used++] = *text++;
			continue;
		}
		for (long n = strtol(text + 1, (char **)(uintptr_t)&text, 10); n > 0; n--)
			out[used++] = 'x';
	}
	return str_make(out, used);
}

static const struct {
	const char *field, *want; /* NULL: as it was */
} folds[] = {
	{ "X: #995\r\n", NULL },
	{ "X: #990 #4\r\n", NULL }, /* 998 */
	{ "X: #990 #5\r\n", "X: #990\r\n #5\r\n" },
	{ "X: #300 #300 #300 #300 #300 #300 #300\r\n", "X: #300 #300 #300\r\n #300 #300 #300\r\n #300\r\n" },
	{ "List-Post: <#1200>\r\n", NULL }, /* no place, and no text that could be encoded: test_ascii.c */
	{ "List-Post: <#1200> #5\r\n", "List-Post: <#1200>\r\n #5\r\n" },
	{ "List-Post: #5 <#1200> #5\r\n", "List-Post: #5\r\n <#1200>\r\n #5\r\n" },
	{ "X: #990 \t  #50\r\n", "X: #990\r\n \t  #50\r\n" },
	{ "List-Post: <#998> \t \r\n", NULL }, /* a line of white space would end the header for some */
	{ "X: #500\r\n #500 #500\r\n", "X: #500\r\n #500\r\n #500\r\n" },
	{ "X: #500\r\n #400 #500 \r\n #5\r\n", NULL },
	/* quoted strings and comments */
	{ "X: #500 \"#300 #300\" #5\r\n", "X: #500\r\n \"#300 #300\" #5\r\n" },
	{ "X: #400 \"#300 \\\" #300\" #5\r\n", "X: #400\r\n \"#300 \\\" #300\" #5\r\n" },
	{ "X: #400 (#300 (\" #5) \\) #300) #5\r\n", "X: #400\r\n (#300 (\" #5) \\) #300) #5\r\n" },
	/* and within them, where it must be */
	{ "X: #100 \"#500 #500\" #5\r\n", "X: #100 \"#500\r\n #500\" #5\r\n" },
	{ "X: (#500 (\" #5) \\) #500) #5\r\n", "X: (#500 (\" #5) \\)\r\n #500) #5\r\n" },
	{ "X: #500 ) #300 \\\" #300\r\n", "X: #500 ) #300\r\n \\\" #300\r\n" },
	{ "X: #500 \" #500 #500\r\n", "X: #500 \"\r\n #500\r\n #500\r\n" },
	{ "Subject: \"#500 (#500 #500\r\n", "Subject: \"#500\r\n (#500\r\n #500\r\n" },
	{ "To: \"#300 #300\" <a@b>, \"#20 #500\" <c@d>, <e@f>\r\n",
	  "To: \"#300 #300\" <a@b>,\r\n \"#20 #500\" <c@d>, <e@f>\r\n" },
};

static void test_folds(void **state)
{
	static const struct setting none = { "", "", false };
	unsigned calls, wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
		struct arena a = { 0 };
		struct fixup_result r, again;
		struct str before = S("From: a@b\r\n" REST);
		struct str field = expand(&a, folds[i].field), want = folds[i].want ? expand(&a, folds[i].want) : field;
		struct str section = exact(arena_printf(&a, "%.*s%.*s", STR_ARG(before), STR_ARG(field)));
		assert_int_equal(fix(&a, section, &none, &calls, &r).class, OK);
		if (!str_eq(str_from(r.section, before.n), want)) {
			print_error("\"%s\": got \"%.*s\"\n", folds[i].field, STR_ARG(str_from(r.section, before.n)));
			wrong++;
		}
		assert_int_equal(fix(&a, r.section, &none, &calls, &again).class, OK);
		assert_str(again.section, r.section);
		exact_free(section);
		arena_fini(&a);
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_calls), cmocka_unit_test(test_growth_is_bounded),
		cmocka_unit_test(test_folds),
	};

	return cmocka_run_group_tests_name("rewrite", tests, NULL, NULL);
}
