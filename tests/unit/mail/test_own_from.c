/* test_own_from.c - messages for a provider that insists on its own address: From, Reply-To and Sender; the rest byte by byte. */
#include "mail_test.h"

#define OWN "relay@mail.example"

static const char body[] = "\r\n.\r\nGr\xc3\xbc\xc3\x9f"
			   "e \xff\r\n\r\nno end of line";

static const struct {
	const char *section, *want; /* NULL: as it was */
} rows[] = {
	{ "From: Alice <alice@example.org>\r\nTo: b@x\r\n",
	  "From: Alice <" OWN ">\r\nReply-To: Alice <alice@example.org>\r\nTo: b@x\r\n" },
	{ "From: alice@example.org\r\n", "From: \"alice at example.org\" <" OWN ">\r\nReply-To: alice@example.org\r\n" },
	{ "From: <alice@example.org>\r\n", "From: \"alice at example.org\" <" OWN ">\r\nReply-To: <alice@example.org>\r\n" },
	/* a name that is an address would be read as the author */
	{ "From: \"alice@example.org\" <alice@example.org>\r\n",
	  "From: \"alice at example.org\" <" OWN ">\r\nReply-To: \"alice@example.org\" <alice@example.org>\r\n" },
	{ "From: \"L, Alice\" <alice@example.org>\r\n",
	  "From: \"L, Alice\" <" OWN ">\r\nReply-To: \"L, Alice\" <alice@example.org>\r\n" },
	{ "From: alice@example.org (Alice)\r\n", "From: Alice <" OWN ">\r\nReply-To: alice@example.org (Alice)\r\n" },
	{ "From: =?utf-8?q?Jos=C3=A9?= <j@example.org>\r\n",
	  "From: =?utf-8?Q?Jos=C3=A9?= <" OWN ">\r\nReply-To: =?utf-8?q?Jos=C3=A9?= <j@example.org>\r\n" },
	{ "From: Alice\r\n <alice@example.org>,\r\n Bob <bob@example.net>\r\nSender: Alice <alice@example.org>\r\n",
	  "From: Alice <" OWN ">\r\nReply-To: Alice\r\n <alice@example.org>,\r\n Bob <bob@example.net>\r\n" },
	{ "From: The two: alice@example.org, bob@example.net;\r\n",
	  "From: The two <" OWN ">\r\nReply-To: The two: alice@example.org, bob@example.net;\r\n" },
	/* answers go where they went */
	{ "Reply-To: list@example.org\r\nFrom: Alice <alice@example.org>\r\n",
	  "Reply-To: list@example.org\r\nFrom: Alice <" OWN ">\r\n" },
	/* it is its own already */
	{ "From:  (x) \"R\" <Relay@mail.example> \r\nSender: " OWN "\r\n", NULL },
	{ "From: R <" OWN ">\r\nSender: other@example.org\r\n", "From: R <" OWN ">\r\n" },
	/* others stay: who has resent it, and unusual lines */
	{ "Resent-From: carol@example.org\r\nX-Empty:\r\nFrom: Alice <alice@example.org>\r\nSubject:  a\r\n\tb\r\n",
	  "Resent-From: carol@example.org\r\nX-Empty:\r\nFrom: Alice <" OWN
	  ">\r\nReply-To: Alice <alice@example.org>\r\nSubject:  a\r\n\tb\r\n" },
	{ "Subject: x\r\n", "Subject: x\r\nFrom: " OWN "\r\n" },
	{ "From: nobody at all\r\n", "From: nobody at all <" OWN ">\r\n" },
};

static void convert(struct arena *a, unsigned what, struct str text, size_t step, struct str *out, struct str *header_out)
{
	struct downgrade *c = downgrade_new(what, DOWNGRADE_SAMPLE);
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	downgrade_own_from(c, S(OWN));
	for (size_t at = 0; at < text.n; at += step)
		assert_int_equal(downgrade_feed(c, str_head(str_from(text, at), step), &b).class, OK);
	assert_int_equal(downgrade_end(c, &b).class, OK);
	*out = arena_str(a, buf_view(&b));
	*header_out = arena_str(a, downgrade_header(c));
	downgrade_free(c);
	buf_fini(&b);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t step = 1; step < 100; step += 33) {
			struct arena a = { 0 };
			struct str in = arena_printf(&a, "%s%s", rows[i].section, body), out, header;
			struct str want = str_of(rows[i].want ? rows[i].want : rows[i].section);

			convert(&a, DOWNGRADE_FROM, in, step, &out, &header);
			assert_str(header, want);
			assert_str(out, arena_printf(&a, "%.*s%s", STR_ARG(want), body));
			arena_fini(&a);
		}
}

/* A long name, and many authors: no line is too long, and a reader finds the same in Reply-To. */
static void test_long(void **state)
{
	struct arena a = { 0 };
	struct str value = S(" "), out, header;
	struct str_list before, after;
	struct header h;

	for (size_t i = 0; i < 50; i++)
		value = arena_printf(&a, "%.*s%sA name of six words or so <a%zu@example.org>", STR_ARG(value), i ? ", " : "", i);
	convert(&a, DOWNGRADE_FROM, arena_printf(&a, "From:%.*s\r\n\r\nx\r\n", STR_ARG(value)), 10000, &out, &header);
	assert_int_equal(header_parse(&a, header, &h).class, OK);
	assert_true(header_addresses(&a, value, &before));
	assert_true(header_addresses(&a, header_find(&h, S("Reply-To"))->value, &after));
	assert_int_equal(after.n, before.n);
	for (size_t at = 0, n; at < out.n; at += n + 2) {
		n = str_search(str_from(out, at), S("\r\n"));
		assert_in_range(n, 0, 78);
	}
	arena_fini(&a);
}

/* Together with a conversion: nothing beyond ASCII is left. */
static void test_converted(void **state)
{
	struct arena a = { 0 };
	struct str out, header;

	convert(&a, DOWNGRADE_7BIT | DOWNGRADE_FROM, S("From: Jos\xc3\xa9 <j@example.org>\r\n\r\n\xc3\xbc\r\n"), 7, &out,
		&header);
	assert_true(str_is_ascii(out));
	assert_true(str_starts(header, S("From: =?utf-8?")) &&
		    str_search(header, S("<" OWN ">\r\nReply-To: =?utf-8?")) < header.n);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_long),
					    cmocka_unit_test(test_converted) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
