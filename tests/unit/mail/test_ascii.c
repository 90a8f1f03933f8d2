/* test_ascii.c - header fields in 7 bits and in lines of 998 bytes. What other programs read in them: ascii_peer.py. */
#include "mail_test.h"

#define UE "\xc3\xbc" /* u umlaut */

/* field, what becomes of it */
static const struct {
	const char *in, *out;
} rows[] = {
	{ "Subject: plain\r\n", "Subject: plain\r\n" },
	{ "Subject: J" UE "rg\r\n", "Subject: =?utf-8?Q?J=C3=BCrg?=\r\n" },
	/* of text only what needs it, from the first to the last */
	{ "Subject: Re: all " UE "ber a " UE " bc\r\n", "Subject: Re: all =?utf-8?Q?=C3=BCber_a_=C3=BC?= bc\r\n" },
	{ "X-Any: (J" UE "rg) <x>\r\n", "X-Any: =?utf-8?Q?=28J=C3=BCrg=29?= <x>\r\n" },
	/* white space between encoded words is not shown, so it goes inside */
	{ "Subject: =?utf-8?q?a?= " UE "\r\n", "Subject: =?utf-8?q?a?= =?utf-8?Q?_=C3=BC?=\r\n" },
	{ "Subject: " UE " =?utf-8?q?a?=\r\n", "Subject: =?utf-8?Q?=C3=BC_?= =?utf-8?q?a?=\r\n" },
	{ "Subject: " UE " b =?utf-8?q?a?=\r\n", "Subject: =?utf-8?Q?=C3=BC?= b =?utf-8?q?a?=\r\n" },
	/* no UTF-8 */
	{ "Subject: J\xfcrg\r\n", "Subject: =?unknown-8bit?Q?J=FCrg?=\r\n" },
	/* folded anew */
	{ "Subject: a\r\n b " UE "\r\n", "Subject: a b =?utf-8?Q?=C3=BC?=\r\n" },
	/* names, comments, domains */
	{ "From: J" UE "rg M" UE "ller <a@b.example>\r\n", "From: =?utf-8?Q?J=C3=BCrg_M=C3=BCller?= <a@b.example>\r\n" },
	{ "From: J" UE "rg<a@b>\r\n", "From: =?utf-8?Q?J=C3=BCrg?= <a@b>\r\n" },
	{ "From: \"M" UE "ller, J\" <a@b>\r\n", "From: =?utf-8?Q?M=C3=BCller=2C_J?= <a@b>\r\n" },
	{ "From: \"a \\\"" UE "\\\" b\" <a@b>\r\n", "From: =?utf-8?Q?a_=22=C3=BC=22_b?= <a@b>\r\n" },
	{ "From: Dr. \"J. R.\" " UE " <a@b>\r\n", "From: Dr. \"J. R.\" =?utf-8?Q?=C3=BC?= <a@b>\r\n" },
	{ "To: a@b (J" UE "rg (x " UE ")), \"c\" <c@d>\r\n",
	  "To: a@b (=?utf-8?Q?J=C3=BCrg?= (x =?utf-8?Q?=C3=BC?=)), \"c\" <c@d>\r\n" },
	{ "To: Gr" UE "n: a@b, c@d;\r\n", "To: =?utf-8?Q?Gr=C3=BCn?= : a@b, c@d;\r\n" },
	{ "To: J" UE "rg @ x <a@b>, " UE "\r\n", "To: =?utf-8?Q?J=C3=BCrg?= @ x <a@b>, =?utf-8?Q?=C3=BC?=\r\n" },
	{ "Cc: a@b" UE "cher.example, <d@b" UE "cher.example>\r\n",
	  "Cc: a@xn--bcher-kva.example, <d@xn--bcher-kva.example>\r\n" },
	{ "To: a@[IPv6:::1], " UE " <b@c>\r\n", "To: a@[IPv6:::1], =?utf-8?Q?=C3=BC?= <b@c>\r\n" },
	/* parameters */
	{ "Content-Disposition: attachment; filename=\"Gr" UE "n.pdf\"\r\n",
	  "Content-Disposition: attachment; filename*=utf-8''Gr%C3%BCn.pdf\r\n" },
	{ "Content-Type: text/plain; name=" UE " a.txt; charset=utf-8\r\n",
	  "Content-Type: text/plain; name*=utf-8''%C3%BC%20a.txt; charset=utf-8\r\n" },
	{ "Content-Type: text/plain; name=\"\xfc;.txt\"\r\n", "Content-Type: text/plain; name*=unknown-8bit''%FC%3B.txt\r\n" },
	{ "Content-Disposition: attachment; filename=\"" UE "\"; filename*=utf-8''%C3%BC\r\n",
	  "Content-Disposition: attachment; filename*=utf-8''%C3%BC\r\n" },
	{ "Content-Disposition: attachment; filename*=utf-8''" UE "\r\n",
	  "Content-Disposition: attachment; filename*=utf-8''%C3%BC\r\n" },
	{ "Content-Disposition: attachment;\r\n filename=\"a long name with more than one line of " UE
	  " that is divided into several.pdf\"\r\n",
	  "Content-Disposition: attachment;\r\n filename*0*=utf-8''a%20long%20name%20with%20more%20than;\r\n"
	  " filename*1*=%20one%20line%20of%20%C3%BC%20that%20is%20d;\r\n filename*2*=ivided%20into%20several.pdf\r\n" },
	/* identifiers and URLs */
	{ "Message-ID: <" UE "@b>\r\n", "Message-ID: <%C3%BC@b>\r\n" },
	{ "List-Unsubscribe: <https://x/" UE ">\r\n", "List-Unsubscribe: <https://x/%C3%BC>\r\n" },
	{ "Date: Sat, 21 Nov 2026 19:37:54 +0000 (" UE ")\r\n",
	  "Date: Sat, 21 Nov 2026 19:37:54 +0000 (=?utf-8?Q?=C3=BC?=)\r\n" },
	{ "MIME-Version: 1.0 " UE "\r\n", "Downgraded-MIME-Version: 1.0 =?utf-8?Q?=C3=BC?=\r\n" },
	/* what a boundary is cannot be said otherwise */
	{ "Content-Type: multipart/mixed; boundary=" UE "\r\n", "Content-Type: multipart/mixed; boundary=" UE "\r\n" },
};

/* A message of this header section only, converted. */
static struct verdict convert(struct arena *a, unsigned what, struct str section, struct str *section_out)
{
	struct downgrade *c = downgrade_new(what, DOWNGRADE_SAMPLE);
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	struct verdict v = downgrade_feed(c, section, &out);
	if (v.class == OK)
		v = downgrade_feed(c, S("\r\n"), &out);
	if (v.class == OK)
		v = downgrade_end(c, &out);
	v = verdict_keep(a, v);
	*section_out = arena_str(a, str_head(buf_view(&out), out.n > 2 ? out.n - 2 : 0));
	buf_fini(&out);
	downgrade_free(c);
	return v;
}

static struct str convert_field(struct arena *a, unsigned what, struct str whole)
{
	struct str out;

	assert_int_equal(convert(a, what, whole, &out).class, OK);
	return out;
}

static void test_rows(void **state)
{
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_str(convert_field(&a, DOWNGRADE_HEADERS, str_of(rows[i].in)), str_of(rows[i].out));
	}
	arena_fini(&a);
}

/* Every line of at most 76 characters, and the longest words do not divide a character. */
static void test_lines(void **state)
{
	struct arena a = { 0 };
	struct str line, in = S("Subject: ");

	(void)state;
	for (int i = 0; i < 60; i++)
		in = arena_printf(&a, "%.*s%s", STR_ARG(in), i % 7 ? "\xe6\x97\xa5\xe6\x9c\xac" : UE " \xf0\x9f\x8e\x89");
	struct str out = convert_field(&a, DOWNGRADE_HEADERS, arena_printf(&a, "%.*s\r\n", STR_ARG(in)));
	while (str_split(&out, '\n', &line)) {
		assert_true(line.n <= 77);
		assert_true(line.n == 0 || str_starts(line, S("Subject: =?utf-8?")) || str_starts(line, S(" =?utf-8?")));
	}
	arena_fini(&a);
}

/* A local part that only SMTPUTF8 can carry: named, in a message within the field becomes text. */
static void test_address(void **state)
{
	static const char *const with[] = { "j" UE "rg@x.example", "a@b, <j" UE "rg@x.example>", "J" UE " <j" UE "rg@x.example>",
					    "g: j" UE "rg@x.example;", "(j@k) j" UE "rg@x.example (" UE ")" };
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		struct str out, field = arena_printf(&a, "To: %s\r\n", with[i]);
		struct verdict v = convert(&a, DOWNGRADE_HEADERS, field, &out);
		assert_int_equal(v.class, PERM);
		assert_int_equal(v.code, 550);
		assert_str(v.enhanced, S("5.6.7"));
		assert_true(str_search(v.text, S("<j" UE "rg@x.example> in the field To")) < v.text.n);
		field = arena_printf(&a, "Content-Type: message/rfc822\r\n\r\n%.*s", STR_ARG(field));
		out = convert_field(&a, DOWNGRADE_7BIT, field);
		assert_true(str_search(out, S("\r\nDowngraded-To: ")) < out.n);
		for (size_t k = 0; k < out.n; k++)
			assert_true((unsigned char)out.p[k] < 0x80);
	}
	arena_fini(&a);
}

static struct str repeat(struct arena *a, const char *text, size_t n)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < n; i++)
		buf_add(&b, str_of(text));
	struct str out = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return out;
}

/* Fields with a line that is too long: before, what is repeated, after; whether that line can go. */
static void test_long(void **state)
{
	static const struct {
		const char *before, *again, *after;
		bool can;
	} longs[] = {
		{ "Subject: ", "word ", "end", true },
		{ "Subject: ", "x", "", true },
		{ "X-Spam-Report: \"", "word ", "", true }, /* a quote that does not end */
		{ "X-Data: ", "QUJD", "=", true },
		{ "To: ", "a@b.example,", "c@d", true },
		{ "To: \"", "long name ", "\" <a@b>", true },
		{ "To: ", "x", " <a@b>", true },
		{ "To: a@b (", "comment ", ")", true },
		{ "References: ", "<a@b.example>", "", true },
		{ "Content-Type: text/plain; name=\"", "x", "\"", true },
		{ "Content-Disposition: attachment;filename=", "x", "", true },
		{ "Authentication-Results: x; reason=\"", "word ", "\"", true },
		/* RFC 2369 2: no white space within the brackets */
		{ "List-Unsubscribe: <https://x.example/", "u", ">", false },
		{ "Message-ID: <", "u", "@x>", false },
	};
	struct arena a = { 0 };
	struct str line;

	(void)state;
	for (size_t i = 0; i < sizeof longs / sizeof *longs; i++) {
		bool too_long = false;
		struct str middle = repeat(&a, longs[i].again, 1300);
		struct str in = arena_printf(&a, "%s%.*s%s\r\n", longs[i].before, STR_ARG(middle), longs[i].after);
		struct str rest = convert_field(&a, DOWNGRADE_LINES, in);

		while (str_split(&rest, '\n', &line))
			too_long = too_long || line.n > 999;
		if (too_long == longs[i].can)
			print_error("%s\n", longs[i].before);
		assert_int_equal(too_long, !longs[i].can);
	}
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests_name("ascii", tests, NULL, NULL);
}
