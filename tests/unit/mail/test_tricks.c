/* test_tricks.c - ways to send as somebody else by odd syntax: each is refused, or seen as every mail reader sees it. */
#include "mail_test.h"

#define NO ((const char *)-1) /* refused */

/* alice@example.org is what the login owns; whoever reads the message must not see evil@example.net as its author. */
static const struct {
	struct str section;
	const char
		*seen; /* addresses of From, "|", that of Sender; "|" and those that names show, which the login must own too */
	const char *seen_completed; /* the same when "example.org" completes addresses; NULL: the same */
} rows[] = {
	{ S("From: Alice <alice@example.org>\r\n"), "alice@example.org|", NULL },
	/* two From, also by odd names */
	{ S("From: alice@example.org\r\nFrom: evil@example.net\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\nfRoM: evil@example.net\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\nFrom : evil@example.net\r\n"), NO, NULL },
	{ S("From : evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From\t: evil@example.net\r\n"), "evil@example.net|", NULL },
	{ S("From: alice@example.org\r\n From: evil@example.net\r\n"), NO, NULL },
	{ S("From\r\n : evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S(" From: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\n\tevil@example.net\r\n"), NO, NULL },
	{ S("X: y\r\n\r\nFrom: evil@example.net\r\n"), NO, NULL },
	{ S("X: y\nFrom: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("X: y\rFrom: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("X: y\r\r\nFrom: alice@example.org\r\n"), NO, NULL },
	/* names with bytes beyond ASCII, or that are not seen */
	{ S("\xef\xbb\xbf"
	    "From: evil@example.net\r\nFrom: alice@example.org\r\n"),
	  NO, NULL },
	{ S("Fr\xd0\xbem: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("\xef\xbc\xa6rom: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From\xc2\xa0: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From\0: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("\0From: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From\x08: evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("=?utf-8?q?From?=: evil@example.net\r\nFrom: alice@example.org\r\n"), "alice@example.org|", NULL },
	{ S("From evil@example.net Sat Nov 21 19:37:54 2026\r\nFrom: alice@example.org\r\n"), NO, NULL },
	{ S("From; evil@example.net\r\nFrom: alice@example.org\r\n"), NO, NULL },
	/* several addresses in one */
	{ S("From: alice@example.org, evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: alice@example.org; evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: alice@example.org evil@example.net\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\n ,evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: <alice@example.org><evil@example.net>\r\n"), NO, NULL },
	{ S("From: <alice@example.org> <evil@example.net>\r\n"), NO, NULL },
	{ S("From: <alice@example.org>\\, <evil@example.net>\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: Alice <alice@example.org> evil@example.net\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: alice@example.org <evil@example.net>\r\n"), "evil@example.net||alice@example.org", NULL },
	{ S("From: evil@example.net <alice@example.org>\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: alice@example.org,<evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: alice@example.org,\r\n"), "alice@example.org|", NULL },
	{ S("From: ,,alice@example.org\r\n"), "alice@example.org|", NULL },
	{ S("From: alice@example.org, evil\r\n"), NO, "alice@example.org evil@example.org|env@example.org" },
	{ S("From: evil@example.net alice\r\n"), "evil@example.net|", NULL },
	{ S("From: evil@example.net <alice>\r\n"), "evil@example.net|", "alice@example.org||evil@example.net" },
	{ S("From: <alice@example.org\r\n"), "alice@example.org|", NULL },
	{ S("From: <<evil@example.net> alice@example.org>\r\n"), "evil@example.net||alice@example.org", NULL },
	{ S("From: alice@example.org@example.net\r\n"), NO, NULL },
	{ S("From: @example.net\r\n"), NO, NULL },
	{ S("From: <>\r\n"), "env@example.org|", NULL },
	{ S("From: alice\r\n"), "env@example.org|", "alice@example.org|" },
	{ S("From: Evil User <alice>\r\n"), "env@example.org|", "alice@example.org|" },
	/* source routes */
	{ S("From: <@example.net:alice@example.org>\r\n"), "alice@example.org|", NULL },
	{ S("From: <@example.net,@a.example:alice@example.org>\r\n"), "alice@example.org|", NULL },
	{ S("From: @example.net:alice@example.org\r\n"), NO, NULL },
	{ S("From: alice%example.net@example.org\r\n"), "alice%example.net@example.org|", NULL },
	{ S("From: example.net!evil@example.org\r\n"), "example.net!evil@example.org|", NULL },
	/* groups */
	{ S("From: evil@example.net: alice@example.org;\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: Friends: alice@example.org;\r\n"), "alice@example.org|", NULL },
	{ S("From: Friends: alice@example.org; evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org",
	  NULL },
	{ S("From: Friends: alice@example.org, evil@example.net;\r\n"), "alice@example.org evil@example.net|env@example.org",
	  NULL },
	{ S("From: A: B: alice@example.org;;\r\n"), "alice@example.org|", NULL },
	{ S("From: Friends: alice@example.org\r\n"), "alice@example.org|", NULL },
	{ S("From: Friends:;\r\n"), "env@example.org|", NULL },
	/* comments */
	{ S("From: alice@example.org (evil@example.net)\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: (<evil@example.net>) alice@example.org\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: alice(<evil@example.net>)@example.org\r\n"), NO, NULL },
	{ S("From: alice@(evil)example.org\r\n"), NO, NULL },
	{ S("From: alice@example.org(, evil@example.net\r\n"), "alice@example.org evil@example.net|env@example.org", NULL },
	{ S("From: alice@example.org (\\), evil@example.net (x)\r\n"), "alice@example.org evil@example.net|env@example.org",
	  NULL },
	{ S("From: alice (x)\r\n"), "env@example.org|", "alice@example.org|" },
	{ S("From: alice@example.org (Alice)\r\n"), "alice@example.org|", NULL },
	/* quoted strings */
	{ S("From: \"evil@example.net\" <alice@example.org>\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: \"<evil@example.net>\" <alice@example.org>\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: \"x\\\" <evil@example.net>, \\\"\" <alice@example.org>\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: \"x\\\\\" <evil@example.net>, \\\"\" <alice@example.org>\r\n"),
	  "evil@example.net alice@example.org|env@example.org", NULL },
	{ S("From: \"evil@example.net\"@example.org\r\n"), NO, NULL },
	{ S("From: \"evil@example.net> \"@example.org\r\n"), NO, NULL },
	{ S("From: \"evil@example.net\\\"\"@example.org\r\n"), NO, NULL },
	{ S("From: \"alice\"@example.org\r\n"), "alice@example.org|", NULL },
	{ S("From: \"alice\"evil@example.net\r\n"), "evil@example.net|", NULL },
	{ S("From: <\"evil@example.net\">\r\n"), NO, NULL },
	{ S("From: \"evil@example.net\"\r\n"), NO, NULL },
	/* encoded words */
	{ S("From: =?utf-8?q?evil=40example.net?=\r\n"), "env@example.org||evil@example.net", NULL },
	{ S("From: =?utf-8?q?evil=40example.net?= <alice@example.org>\r\n"), "alice@example.org||evil@example.net",
	  NULL }, /* as a quoted name */
	{ S("From: =?utf-8?q?=3Cevil=40example.net=3E=2C?= <alice@example.org>\r\n"), "alice@example.org||evil@example.net",
	  NULL },
	{ S("From: =?utf-8?b?PGV2aWxAZXhhbXBsZS5uZXQ+LA==?= <alice@example.org>\r\n"), "alice@example.org||evil@example.net",
	  NULL },
	{ S("From: =?utf-8?b?ZXZpbEBleGFtcGxlLm5ldAA=?= <alice@example.org>\r\n"), "alice@example.org||evil@example.net", NULL },
	{ S("From: =?utf-8?q?evil=40example.net=0a?=@example.org\r\n"), NO, NULL },
	{ S("From: <=?utf-8?q?evil=40example.net=00?=@example.org>\r\n"), NO, NULL },
	{ S("From: alice@=?utf-8?q?example.net?=\r\n"), NO, NULL },
	{ S("From: =?utf-8?q?alice?=\r\n"), "env@example.org|", NULL },
	/* NUL, control characters, overlong, broken */
	{ S("From: evil@example.net\0 <alice@example.org>\r\n"), NO, NULL },
	{ S("From: alice@example.org\0.example.net\r\n"), NO, NULL },
	{ S("From: \x1b[2Kevil <alice@example.org>\r\n"), "alice@example.org|", NULL },
	{ S("From: alice@example.org\x0b\r\n"), "alice@example.org|", NULL },
	{ S("From: evil@example.net\\0@example.org\r\n"), NO, NULL },
	{ S("From: alice@example.org."), NO, NULL },
	{ S("From: alice@example.org.\r\n"), "alice@example.org|", NULL },
	{ S("From: alice@example.org..\r\n"), NO, NULL },
	{ S("From: alice@.example.org\r\n"), NO, NULL },
	{ S("From: al..ice@example.org\r\n"), "al..ice@example.org|", NULL },
	{ S("From: .@example.org\r\n"), NO, NULL },
	{ S("From: alice@example..org\r\n"), NO, NULL },
	{ S("From:\r\n"), "env@example.org|", NULL },
	{ S("From: \r\n \r\n\t\r\n"), "env@example.org|", NULL },
	{ S("From:\r\n \r\n alice@example.org\r\n"), "alice@example.org|", NULL },
	/* white space within an address */
	{ S("From: alice @ example.org\r\n"), NO, NULL },
	{ S("From: evil@example.net. example.org\r\n"), "evil@example.net|", NULL },
	{ S("From: evil@example.net\r\n .example.org\r\n"), "evil@example.net|", NULL },
	{ S("From: al ice@example.org\r\n"), "ice@example.org|", NULL },
	/* UTF-8: never another form of the same text */
	{ S("From: j\xc3\xb6rg@example.org\r\n"), "j\xc3\xb6rg@example.org|", NULL },
	{ S("From: jo\xcc\x88rg@example.org\r\n"), "jo\xcc\x88rg@example.org|", NULL },
	{ S("From: evil\xef\xbc\xa0"
	    "example.net@example.org\r\n"),
	  NO, NULL },
	{ S("From: alice@\xef\xbd\x85xample.org\r\n"), "alice@\xef\xbd\x85xample.org|", NULL },
	{ S("From: alice@example.org\xe2\x80\xae\r\n"), NO, NULL },
	{ S("From: alice\xc0\x80@example.org\r\n"), NO, NULL },
	{ S("From: \xff\xfe <alice@example.org>\r\n"), "alice@example.org|", NULL },
	/* Sender */
	{ S("From: alice@example.org\r\nSender: evil@example.net\r\n"), "alice@example.org|evil@example.net", NULL },
	{ S("From: alice@example.org\r\nSender : evil@example.net\r\n"), "alice@example.org|evil@example.net", NULL },
	{ S("From: alice@example.org\r\nSender: alice@example.org\r\nSENDER: evil@example.net\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\nSender: alice@example.org, evil@example.net\r\n"), NO, NULL },
	{ S("From: alice@example.org\r\nSender: Friends:;\r\n"), "alice@example.org|", NULL },
	{ S("From: alice@example.org\r\nSender: evil\r\n"), "alice@example.org|", "alice@example.org|evil@example.org" },
	{ S("From: alice@example.org\r\nSender: Evil User\r\n"), "alice@example.org|", NULL },
	{ S("Sender: evil@example.net\r\n"), "env@example.org|evil@example.net", NULL },
	/* no author */
	{ S("From: alice@example.org\r\nResent-From: evil@example.net\r\nReply-To: evil@example.net\r\n"), "alice@example.org|",
	  NULL },
};

/* What a caller is told about a section: "addresses|sender". */
static struct str seen(struct arena *a, struct str section, const char *domain, struct fixup_result *r)
{
	struct fixup_input in = { .section = section,
				  .hostname = S("relay.example.org"),
				  .envelope_sender = S("env@example.org"),
				  .domain = str_of(domain) };
	struct str joined = S("");

	if (mail_fixup(a, &in, r).class != OK)
		return str_make(NO, 0);
	for (size_t k = 0; k < r->from.n; k++)
		joined = arena_printf(a, "%.*s%s%.*s", STR_ARG(joined), k ? " " : "", STR_ARG(r->from.at[k]));
	joined = arena_printf(a, "%.*s|%.*s", STR_ARG(joined), STR_ARG(r->sender));
	for (size_t k = 0; k < r->shown.n; k++)
		joined = arena_printf(a, "%.*s%s%.*s", STR_ARG(joined), k ? " " : "|", STR_ARG(r->shown.at[k]));
	return joined;
}

/* What is stored has one From, written so that nobody overlooks it, and gives the same addresses when it is read again. */
static void check_stored(struct arena *a, const struct fixup_result *r)
{
	struct str_list again;
	size_t n = 0;

	for (size_t i = 0; i < r->header.n; i++) {
		if (!str_ieq(r->header.fields[i].name, S("From")))
			continue;
		n++;
		assert_true(str_istarts(r->header.fields[i].whole, S("From:")));
		assert_true(header_addresses(a, r->header.fields[i].value, &again));
		assert_int_equal(again.n, r->from.n);
		for (size_t k = 0; k < again.n; k++)
			assert_str(again.at[k], r->from.at[k]);
	}
	assert_int_equal(n, 1);
}

static void test_tricks(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (int completing = 0; completing <= 1; completing++) {
			struct arena a = { 0 };
			struct fixup_result r;
			const char *want = completing && rows[i].seen_completed ? rows[i].seen_completed : rows[i].seen;
			struct str section = exact(rows[i].section), got = seen(&a, section, completing ? "example.org" : "", &r);
			if (want == NO ? got.n > 0 : !str_eq(got, str_of(want))) {
				print_error("%d \"%.*s\": \"%.*s\"\n", completing, STR_ARG(rows[i].section), STR_ARG(got));
				wrong++;
			}
			if (got.n > 0)
				check_stored(&a, &r);
			exact_free(section);
			arena_fini(&a);
		}
	}
	assert_int_equal(wrong, 0);
}

/* RFC 5321 4.5.3.1: an address that is longer than any can be. */
static void test_overlong(void **state)
{
	struct arena a = { 0 };
	struct fixup_result r;
	char local[400];

	(void)state;
	memset(local, 'a', sizeof local);
	for (size_t n = 308; n <= 309; n++) {
		struct str section = arena_printf(&a, "From: %.*s@example.org\r\n", (int)n, local);
		assert_int_equal(seen(&a, section, "", &r).n > 0, n == 308);
		section = arena_printf(&a, "From: %.*s\r\n", (int)n, local);
		assert_int_equal(seen(&a, section, "example.org", &r).n > 0, n == 308);
	}
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tricks), cmocka_unit_test(test_overlong) };

	return cmocka_run_group_tests_name("tricks", tests, NULL, NULL);
}
