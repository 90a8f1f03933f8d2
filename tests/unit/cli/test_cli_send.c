/* test_cli_send.c - lines, header section, recipients and aliases of a message that a program hands in. */
#include "unit.h"

#include "send.h"

#include <stdio.h>

/* ---- lines ---- */

static struct str lines_of(struct arena *a, struct str text, bool dot_ends, size_t piece)
{
	struct send_lines l = { .dot_ends = dot_ends };
	struct str out;
	struct buf b;

	buf_init(&b, 3 * text.n + 10);
	for (size_t i = 0; i < text.n; i += piece)
		send_lines_feed(&l, str_head(str_from(text, i), piece), &b);
	send_lines_end(&l, &b);
	out = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return out;
}

static void lines(void **state)
{
	static const struct {
		bool dot_ends;
		struct str in, out;
	} rows[] = {
		{ false, S(""), S("") },
		{ false, S("a\nb"), S("a\r\nb\r\n") },
		{ false, S("a\r\nb\r\n"), S("a\r\nb\r\n") },
		{ false, S("a\r\r\nb\n"), S("a\r\nb\r\n") },
		{ false, S("a: b\n\nx\ry\n"), S("a: b\r\n\r\nx\r\ny\r\n") },
		{ false, S("a: b\rBcc: c\n\n"), S("a: b Bcc: c\r\n\r\n") },
		{ false, S("\n\r10%\r20%\n"), S("\r\n10%\r\n20%\r\n") },
		{ false, S("a\0b\n"), S("ab\r\n") },
		{ false, S("a\r"), S("a\r\n") },
		{ false, S("a\n.\nb\n"), S("a\r\n.\r\nb\r\n") },
		{ false, S("a\n."), S("a\r\n.\r\n") },
		{ true, S("a\n.\nb\n"), S("a\r\n") },
		{ true, S("a\n.\r\nb\n"), S("a\r\n") },
		{ true, S("a\n."), S("a\r\n") },
		{ true, S(".\n"), S("") },
		{ true, S("a\n..\n.b\n.\n"), S("a\r\n..\r\n.b\r\n") },
		{ true, S("a.\nb .\n"), S("a.\r\nb .\r\n") },
		{ true, S("\n.\rb\n"), S("\r\n.\r\nb\r\n") },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t piece = 1; piece < 20; piece++) {
			struct str out = lines_of(&a, rows[i].in, rows[i].dot_ends, piece);

			if (!str_eq(out, rows[i].out))
				fail_msg("row %zu, pieces of %zu: \"%.*s\"", i, piece, STR_ARG(out));
		}
	arena_fini(&a);
}

/* ---- recipients ---- */

static struct str joined(struct arena *a, const struct str_list *list)
{
	struct str out = S("");

	for (size_t i = 0; i < list->n; i++)
		out = arena_printf(a, "%.*s%s%.*s", STR_ARG(out), i ? " " : "", STR_ARG(list->at[i]));
	return out;
}

static void recipients(void **state)
{
	static const struct {
		const char *section, *recipients;
	} rows[] = {
		{ "To: bob@example.net\r\n", "bob@example.net" },
		{ "To: bob\r\nCc: Root <root>, carol@example.net\r\nBcc: dave@example.net\r\n",
		  "bob root carol@example.net dave@example.net" },
		{ "to: \"Doe, John\" <john@example.net>,\r\n bob@example.net (Bob)\r\n", "john@example.net bob@example.net" },
		{ "To: undisclosed-recipients:;\r\nBcc: bob@example.net\r\n", "bob@example.net" },
		{ "To: friends: bob@example.net, carol@example.net;\r\n", "bob@example.net carol@example.net" },
		{ "To:\r\nCc: \r\nBcc: bob@example.net\r\nBcc: carol@example.net\r\n", "bob@example.net carol@example.net" },
		{ "Subject: x\r\n", "" },
		{ "To: a@b.example <c@d.example>\r\n",
		  "! the field To is no list of addresses that can be read in one way: a@b.example <c@d.example>" },
		{ "Resent-To: eve@example.net\r\nResent-From: me\r\nTo: bob@example.net\r\n", "eve@example.net" },
		{ "Resent-Bcc: eve@example.net\r\nResent-Cc: x\r\nSubject: s\r\nTo: bob@example.net\r\n", "eve@example.net x" },
		{ "Resent-To: new@example.net\r\nReceived: x\r\nResent-To: old@example.net\r\nTo: bob@example.net\r\n",
		  "new@example.net" },
		{ "Resent-To: new@example.net\r\nResent-Date: x\r\nResent-To: old@example.net\r\n", "new@example.net" },
		{ "Resent-Date: x\r\nTo: bob@example.net\r\n", "bob@example.net" },
		{ "X-To: x@example.net\r\nTo : bob@example.net\r\n", "bob@example.net" },
	};
	const struct send_header_wishes wishes = { .recipients = true, .author = S("alice") };
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str_list list = { NULL, 0 };
		struct str section, got;
		const char *fault = send_header(&a, str_of(rows[i].section), &wishes, &section, &list);

		got = fault ? arena_printf(&a, "! %s", fault) : joined(&a, &list);
		if (!str_eq(got, str_of(rows[i].recipients)))
			fail_msg("%s: \"%.*s\"", rows[i].section, STR_ARG(got));
	}
	arena_fini(&a);
}

static void sections(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "From: alice\r\nDate: Sat, 21 Nov 2026 19:37:54 +0000\r\n" },
		{ "From: bob\r\nDate: x\r\nBcc: c\r\n d\r\nTo: e\r\nbcc : f\r\n", "From: bob\r\nDate: x\r\nTo: e\r\n" },
		{ "Resent-Bcc: c\r\nDate: x\r\n", "Date: x\r\nFrom: alice\r\n" },
		{ "Date: x\r\nFrom: root (Cron Daemon)\r\n", "Date: x\r\nFrom: root (Cron Daemon)\r\n" },
	};
	const struct send_header_wishes wishes = { .author = S("alice"), .now_ms = 1795289874000 };
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str_list list = { NULL, 0 };
		struct str section;

		assert_null(send_header(&a, str_of(rows[i].in), &wishes, &section, &list));
		if (!str_eq(section, str_of(rows[i].out)))
			fail_msg("%s: \"%.*s\"", rows[i].in, STR_ARG(section));
		assert_int_equal(list.n, 0);
	}
	arena_fini(&a);
}

static void authors(void **state)
{
	static const struct {
		const char *name, *out;
	} rows[] = {
		{ "", "alice" },
		{ " ", "alice" },
		{ "Alice Liddell", "\"Alice Liddell\" <alice>" },
		{ "A \"B\" \\ <x@y>", "\"A \\\"B\\\" \\\\ <x@y>\" <alice>" },
		{ "J\xc3\xb6rg", "=?utf-8?B?SsO2cmc=?= <alice>" },
		{ "a\r\nBcc: b", "=?utf-8?B?Ye+/ve+/vUJjYzogYg==?= <alice>" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str out = send_author(&a, str_of(rows[i].name), S("alice"));

		if (!str_eq(out, str_of(rows[i].out)))
			fail_msg("%s: \"%.*s\"", rows[i].name, STR_ARG(out));
	}
	assert_true(str_eq(send_gecos_name(&a, S("Alice Liddell,Room 1,,"), S("alice")), S("Alice Liddell")));
	assert_true(str_eq(send_gecos_name(&a, S("& of &,"), S("alice")), S("Alice of Alice")));
	assert_true(str_eq(send_gecos_name(&a, S(",,,"), S("alice")), S("")));
	arena_fini(&a);
}

/* ---- aliases ---- */

static void note(void *ctx, const char *text)
{
	struct str_list *told = ctx;
	static struct arena a;

	arena_reset(&a);
	send_list_add(&a, told, arena_str(&a, str_of(text)));
}

static void aliases(void **state)
{
	static const char file[] = "# comment\n"
				   "postmaster: root\n"
				   "Root: alice,\n"
				   "  bob@example.net,\n"
				   "# within\n"
				   "\t\"Carol, C.\" <carol@example.net>\n"
				   "loop: pool\npool: loop, dave\n"
				   "self: \\self, eve@example.net\n"
				   "program: \"|/usr/bin/vacation -a, b\"\n"
				   "both: /var/mail/x, :include:/etc/list, frank@example.net\n"
				   "\"with blank\": x@example.net\n"
				   "empty:\n"
				   "no colon\n"
				   "last: bob@example.net";
	static const struct {
		const char *in, *out;
		size_t told;
	} rows[] = {
		{ "root", "alice bob@example.net carol@example.net", 0 },
		{ "POSTMASTER bob@example.net", "alice bob@example.net carol@example.net", 0 },
		{ "root@example.org", "root@example.org", 0 },
		{ "nobody", "nobody", 0 },
		{ "loop", "loop dave", 0 },
		{ "self", "self eve@example.net", 0 },
		{ "program", "program", 1 },
		{ "both", "frank@example.net", 2 },
		{ "empty", "empty", 0 },
		{ "last last LAST", "bob@example.net", 0 },
	};
	struct arena a = { 0 };
	const struct send_aliases *all = send_aliases_read(&a, str_of(file));

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str_list list = { NULL, 0 }, told = { NULL, 0 };
		struct str rest = str_of(rows[i].in), word, got;

		while (str_split(&rest, ' ', &word))
			send_list_add(&a, &list, word);
		assert_true(send_aliases_expand(&a, all, &list, note, &told));
		got = joined(&a, &list);
		if (!str_eq(got, str_of(rows[i].out)) || told.n != rows[i].told)
			fail_msg("%s: \"%.*s\", %zu told", rows[i].in, STR_ARG(got), told.n);
	}
	arena_fini(&a);
}

/* One recipient more than there can be: nobody may be left out without a word. */
static void too_many(void **state)
{
	struct arena a = { 0 };
	struct str_list list = { NULL, 0 }, again = { NULL, 0 };
	struct buf file;

	buf_init(&file, 1024 * 1024);
	buf_printf(&file, "all: last@example.net");
	for (int i = 0; i < SEND_RECIPIENTS_MAX; i++) {
		send_list_add(&a, i % 2 ? &list : &again, arena_printf(&a, "r%d@example.net", i));
		buf_printf(&file, ", r%d@example.net", i);
	}
	for (size_t i = 0; i < again.n; i++)
		send_list_add(&a, &list, again.at[i]);
	again = list;
	send_list_add(&a, &again, S("r1@example.net")); /* named twice is no further one */
	assert_true(send_aliases_expand(&a, NULL, &again, NULL, NULL));
	assert_int_equal(again.n, SEND_RECIPIENTS_MAX);
	send_list_add(&a, &list, S("last@example.net"));
	assert_false(send_aliases_expand(&a, NULL, &list, NULL, NULL));
	list = (struct str_list){ NULL, 0 };
	send_list_add(&a, &list, S("all"));
	assert_false(send_aliases_expand(&a, send_aliases_read(&a, buf_view(&file)), &list, NULL, NULL));
	buf_fini(&file);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),   cmocka_unit_test(recipients), cmocka_unit_test(sections),
		cmocka_unit_test(authors), cmocka_unit_test(aliases),    cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
