/* test_address.c - address lists: what is found, and what is refused because two readers could see two things. */
#include "mail_test.h"

#define NO ((const char *)-1) /* refused */

static const struct {
	const char *value;
	const char *want; /* addresses joined by a space; "" = a list without addresses */
} rows[] = {
	/* plain forms */
	{ "alice@example.org", "alice@example.org" },
	{ " <alice@example.org>", "alice@example.org" },
	{ " Alice <alice@example.org>", "alice@example.org" },
	{ " Alice Liddell<alice@example.org>", "alice@example.org" },
	{ " \"Liddell, Alice\" <alice@example.org>", "alice@example.org" },
	{ " alice@example.org, bob@example.net", "alice@example.org bob@example.net" },
	{ " Alice <a@b>, \"B\" <b@c>, d@e", "a@b b@c d@e" },
	{ " Alice\r\n\t<alice@example.org>\r\n ", "alice@example.org" },
	{ " alice@[192.0.2.1]", "alice@[192.0.2.1]" },
	{ " alice@[IPv6:2001:db8::1]", "alice@[IPv6:2001:db8::1]" },
	{ "a!#$%&'*+-/?=^_`{|}~b@c", "a!#$%&'*+-/?=^_`{|}~b@c" },
	{ "a.b.c@d.e.f", "a.b.c@d.e.f" },
	/* comments */
	{ " alice@example.org (Alice Liddell)", "alice@example.org" },
	{ " (one (two (three) \\) \\( )) <alice@example.org> (four)", "alice@example.org" },
	{ " Alice (the first, \"of\" all) <alice@example.org>", "alice@example.org" },
	{ " alice@example.org (Alice @ Home)", "alice@example.org" },
	{ " <(x)alice@example.org(y)>", "alice@example.org" },
	{ " (a,b) a@b (c,d), (e) c@d", "a@b c@d" },
	/* quoted strings */
	{ " \"evil@example.net\" <alice@example.org>", "alice@example.org" },
	{ " \"<evil@example.net>\" <alice@example.org>", "alice@example.org" },
	{ " \"a\\\"b\\\\\" <alice@example.org>", "alice@example.org" },
	{ " \"fol\r\n ded\" <alice@example.org>", "alice@example.org" },
	{ " \"alice\"@example.org", "alice@example.org" },
	{ " \"al\\ice\"@example.org", "alice@example.org" },
	{ " \"alice liddell\"@example.org", "\"alice liddell\"@example.org" },
	{ " \"a..b\"@example.org", "a..b@example.org" },
	{ " \".a\"@example.org", ".a@example.org" },
	{ " \"a.\"@example.org", "a.@example.org" },
	{ " \".\"@example.org", "\".\"@example.org" },
	{ " a..b@c", "a..b@c" },
	{ " <.a@b>, a.@b", ".a@b a.@b" },
	/* the root of DNS */
	{ " a@b.", "a@b" },
	{ " A <a@b.c.>, d@e.", "a@b.c d@e" },
	{ " \"\" <alice@example.org>", "alice@example.org" },
	/* display names as they are met */
	{ " =?UTF-8?Q?J=C3=B6rg?= <j@example.org>", "j@example.org" },
	{ " =?UTF-8?B?SsO2cmc=?= =?UTF-8?B?SsO2cmc=?=\r\n <j@example.org>", "j@example.org" },
	{ " =?utf-8?B?SsO2cmc=?=<j@example.org>", "j@example.org" },
	{ " J\xc3\xb6rg <j@example.org>", "j@example.org" },
	{ " J\xf6rg <j@example.org>", "j@example.org" },
	{ " John Q. Public <j@example.org>", "j@example.org" },
	{ " J. <j@example.org>", "j@example.org" },
	{ " Shop [orders] <j@example.org>", "j@example.org" },
	{ " alice@example.org <alice@example.org>", "alice@example.org" },
	{ " Alice@Example.ORG <alice@example.org>", "alice@example.org" },
	/* groups */
	{ " undisclosed-recipients:;", "" },
	{ " Team: a@b, B <b@c>;", "a@b b@c" },
	{ " Team: a@b;, c@d", "a@b c@d" },
	{ " c@d, \"The Team\" : a@b , ; (end)", "c@d a@b" },
	/* RFC 5322 4.4: empty elements */
	{ " ,a@b,,c@d,", "a@b c@d" },
	/* RFC 6532 */
	{ " j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example",
	  "j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example" },
	/* no addresses */
	{ "", NO },
	{ " ", NO },
	{ ",", NO },
	{ " (alice@example.org)", NO },
	{ " alice", NO },
	{ " Alice Liddell", NO },
	{ " <>", NO },
	{ " <alice>", NO },
	{ " <@example.org>", NO },
	{ " @example.org", NO },
	{ " alice@", NO },
	{ " root (Cron Daemon)", NO },
	/* two addresses where one may stand */
	{ " bob@example.net <alice@example.org>", NO },
	{ " <alice@example.org> <bob@example.net>", NO },
	{ " <alice@example.org> bob@example.net", NO },
	{ " Alice <alice@example.org> x", NO },
	{ " alice@example.org bob@example.net", NO },
	{ " Bob bob@example.net <alice@example.org>", NO },
	{ " \"x\" bob@example.net <alice@example.org>", NO },
	{ " <alice@example.org>bob@example.net", NO },
	{ " alice@example.org@example.net", NO },
	{ " <alice@example.org@example.net>", NO },
	{ " <alice@example.org,bob@example.net>", NO },
	{ " <alice@example.org", NO },
	{ " alice@example.org>", NO },
	{ " <<alice@example.org>>", NO },
	{ " a@b;c@d", NO },
	{ " a@b; c@d", NO },
	{ " a@b; ", NO },
	/* white space and comments within an address */
	{ " alice @example.org", NO },
	{ " alice@ example.org", NO },
	{ " alice(x)@example.org", NO },
	{ " alice@example(x).org", NO },
	{ " <alice@example.org(>, <evil@example.net)", NO },
	{ " ali\r\n ce@example.org", NO },
	{ " alice@example\r\n .org", NO },
	/* a comment that sloppy readers take for the address */
	{ " Alice (the <evil@example.net>, first) <alice@example.org>", NO },
	{ " alice@example.org (evil@example.net)", NO },
	{ " (<evil>) alice@example.org", NO },
	{ " <alice@example.org> (>evil@example.net)", NO },
	/* encoded words that become something else for who decodes first */
	{ " =?utf-8?Q?Alice_=3Cevil=40example.net=3E?= <alice@example.org>", NO },
	{ " =?utf-8?b?PGV2aWxAZXhhbXBsZS5uZXQ+?= <alice@example.org>", NO },
	{ " =?utf-8?b?PGV2aWxAZXhhbXBsZS5uZXQ?= <alice@example.org>", NO },
	{ " =?utf-8?b?P.G.V.2?= <alice@example.org>", NO },
	{ " \"=?utf-8?Q?=3Cevil=40example.net=3E?=\" <alice@example.org>", NO },
	{ " x =?utf-8?q?a?= =?utf-8?q?evil=40example.net=00?= <alice@example.org>", NO },
	{ " =?utf-8?q?a=0D=0AFrom:_evil?= <alice@example.org>", NO },
	{ " =?*en?q?x?= <alice@example.org>", NO },
	{ " =?utf-7?q?x?= =?*en?q?x?= <alice@example.org>", NO },
	{ " =?utf-8?Q?M=C3=BCller=2C_J=C3=B6rg_=40_Werk?= <alice@example.org>", "alice@example.org" },
	{ " =?utf-8?X?=3C?= <alice@example.org>", "alice@example.org" },
	{ " =?utf-8?Q?=3C <alice@example.org>", "alice@example.org" },
	{ " =?ISO-2022-JP?B?GyRCPEI+WxsoQg==?= <alice@example.org>",
	  "alice@example.org" }, /* "<" and ">" are halves of characters */
	{ " =?ISO-2022-JP?B?GyRCPEI+WxsoQjw=?= <alice@example.org>", NO },
	{ " =?utf-8?B?GyRCPEI+WxsoQg==?= <alice@example.org>", NO },
	/* UTF-8 that is not seen, or seen as something else */
	{ " alice\xe2\x80\x8b@example.org", NO }, /* zero width space */
	{ " alice\xe2\x80\xae@example.org", NO }, /* right to left override */
	{ " evil\xef\xbc\xa0x@example.org", NO }, /* full-width @ */
	{ " alice@evil.example\xe3\x80\x82"
	  "example.org",
	  NO },                                  /* ideographic full stop */
	{ " alice@example\xef\xbc\x8eorg", NO }, /* full-width full stop */
	{ " alice@exam\xc2\xad"
	  "ple.org",
	  NO },                               /* soft hyphen */
	{ " alice\xc2\x85@example.org", NO }, /* next line */
	/* the same to the eye, but other bytes, which the sender check compares */
	{ " j\xc3\xb6rg@example.org", "j\xc3\xb6rg@example.org" },
	{ " jo\xcc\x88rg@example.org", "jo\xcc\x88rg@example.org" },
	{ " \xd0\xb0lice@example.org", "\xd0\xb0lice@example.org" },
	/* local parts that look like something else */
	{ " =?utf-8?Q?evil=40example.net=3E?=@example.org", NO },
	{ " <=?utf-8?b?ZXZpbA==?=@example.org>", NO },
	{ " \"=?x?=\"@example.org", NO },
	{ " \"evil@example.net\"@example.org", NO },
	{ " \"a<b\"@example.org", NO },
	{ " \"a,b\"@example.org", NO },
	{ " \"\"@example.org", NO },
	{ " \"a\\\"b\"@example.org", NO },
	{ " \"a\"b@example.org", NO },
	{ " a.\"b\"@example.org", NO },
	{ " \"a\r\n b\"@example.org", NO },
	{ " .@b", NO },
	{ " ..@b", NO },
	{ " a\\@b@c", NO },
	/* domains */
	{ " a@b..", NO },
	{ " a@.", NO },
	{ " a@.b", NO },
	{ " a@b..c", NO },
	{ " a@b!c", NO },
	{ " a@b=c", NO },
	{ " a@[", NO },
	{ " a@[]", NO },
	{ " a@[192.0.2.1", NO },
	{ " a@[192.0.2.1]b", NO },
	{ " a@[a b]", NO },
	{ " a@[a\\]b]", NO },
	{ " a@b[c]", NO },
	/* broken text */
	{ " (alice@example.org", NO },
	{ " alice@example.org (x", NO },
	{ " alice@example.org (x\\)", NO },
	{ " alice@example.org )", NO },
	{ " \"Alice <alice@example.org>", NO },
	{ " \"Alice\\\" <alice@example.org>", NO },
	{ " Alice\n <alice@example.org>", NO },
	{ " Alice\r <alice@example.org>", NO },
	{ " Alice\r\n<alice@example.org>", NO },
	{ " \"a\r\nb\" <a@b>", NO },
	{ " \"a\x01\" <a@b>", NO },
	{ " (a\x01) <a@b>", NO },
	{ " \x01 <a@b>", NO },
	{ " \x7f <a@b>", NO },
	{ " j\xf6rg@example.org", NO },
	{ " a@b\xff", NO },
	{ " a@b\xc0\xae", NO },
	{ "\\a@b", NO },
	/* groups */
	{ " Team: a@b", NO },
	{ " Team: a@b;;", NO },
	{ " Team: In: a@b;;", NO },
	{ " : a@b;", NO },
	{ " Team: a@b; c@d", NO },
	{ " a@b: c@d;", NO },
	{ ";", NO },
	{ " Team:", NO },
	/* routes: a reader that knows none sees the first address */
	{ " <@one.example:alice@example.org>", NO },
	{ " <@one.example,@two.example:alice@example.org>", NO },
	{ " <@one.example alice@example.org>", NO },
	{ " <@one.example:>", NO },
	{ " <@:alice@example.org>", NO },
	{ " <@one.example,alice@example.org>", NO },
	{ " @one.example:alice@example.org", NO },
};

static void test_rows(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena a = { 0 };
		struct str value = exact(str_of(rows[i].value)), joined = S("");
		struct str_list found;
		bool good = header_addresses(&a, value, &found);
		for (size_t k = 0; k < found.n; k++)
			joined = arena_printf(&a, "%.*s%s%.*s", STR_ARG(joined), k ? " " : "", STR_ARG(found.at[k]));
		if (rows[i].want == NO ? good : !good || !str_eq(joined, str_of(rows[i].want))) {
			print_error("\"%s\": %s \"%.*s\"\n", rows[i].value, good ? "found" : "refused", STR_ARG(joined));
			wrong++;
		}
		if (!good)
			assert_int_equal(found.n, 0);
		exact_free(value);
		arena_fini(&a);
	}
	assert_int_equal(wrong, 0);
}

static void test_nul_is_refused(void **state)
{
	static const struct str values[] = {
		{ "a@b\0", 4 }, { "a\0@b", 4 }, { "\"a\0\" <a@b>", 11 }, { "(\0) a@b", 7 }, { "\0", 1 }
	};
	struct arena a = { 0 };
	struct str_list found;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		assert_false(header_addresses(&a, values[i], &found));
	arena_fini(&a);
}

/* Input as large as a header section costs neither stack nor much memory or time. */
static void test_large(void **state)
{
	static const struct {
		char fill[5];
		bool want;
	} large[] = { { "(", false },    { "<", false },  { "\"", false }, { "a@b,", true }, { "x:;,", true },
		      { "\"\"", false }, { "a.", false }, { "=?", false }, { "\\", false } };

	(void)state;
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		struct arena a = { 0 };
		struct str_list found;
		char *p = xmalloc(HEADER_MAX);
		for (size_t k = 0; k < HEADER_MAX; k++)
			p[k] = large[i].fill[k % strlen(large[i].fill)];
		assert_int_equal(header_addresses(&a, str_make(p, HEADER_MAX), &found), large[i].want);
		assert_true(a.used_bytes < 32 * HEADER_MAX);
		free(p);
		arena_fini(&a);
	}
}

static void test_length(void **state)
{
	struct arena a = { 0 };
	struct str_list found;
	char text[400];

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text + 64, "@", 1);
	assert_true(header_addresses(&a, str_make(text, 320), &found));
	assert_false(header_addresses(&a, str_make(text, 321), &found));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
