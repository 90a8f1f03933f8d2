/* test_written.c - the written forms of DNS records: zone file, table for forms, Route 53, one line. */
#include "posthouse/records.h"
#include "posthouse/units.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#define ORIGIN S("example.org")

static struct arena arena;
static struct buf out;

static int begin(void **state)
{
	buf_init(&out, MIB);
	return 0;
}

static int end(void **state)
{
	buf_fini(&out);
	arena_fini(&arena);
	return 0;
}

static void assert_text(struct str got, const char *expected)
{
	assert_string_equal(arena_cstr(&arena, got), expected);
}

static void assert_has(const char *part)
{
	struct str got = buf_view(&out);

	if (str_search(got, str_of(part)) == got.n)
		fail_msg("expected %s\nin\n%.*s", part, STR_ARG(got));
}

/* A text of n bytes that shows where it is cut. */
static struct str long_text(size_t n)
{
	char *p = arena_alloc(&arena, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 26);
	return str_make(p, n);
}

static void names_are_relative_where_they_can_be(void **state)
{
	static const char *const rows[][2] = {
		{ "example.org", "@" },
		{ "EXAMPLE.ORG", "@" },
		{ "relay.example.org", "relay" },
		{ "p1._domainkey.example.org", "p1._domainkey" },
		{ "other.test", "other.test." },
		{ "badexample.org", "badexample.org." }, /* no part of the zone */
		{ "org", "org." },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_text(dns_name_in(&arena, str_of(rows[i][0]), ORIGIN), rows[i][1]);
}

static void strings_have_255_bytes_at_most(void **state)
{
	static const size_t sizes[] = { 0, 1, 254, 255, 256, 510, 511, 4000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct str text = long_text(sizes[i]), joined = S(""), part;
		struct str rest = dns_value_text(&arena, &(struct dns_entry){ .type = "TXT", .value = text });

		while (str_split(&rest, ' ', &part)) {
			assert_true(part.n >= 2 && part.n <= 257 && part.p[0] == '"' && part.p[part.n - 1] == '"');
			joined = arena_printf(&arena, "%.*s%.*s", STR_ARG(joined), (int)part.n - 2, part.p + 1);
		}
		assert_true(str_eq(joined, text));
	}
}

static void bytes_that_quotes_cannot_have_are_escaped(void **state)
{
	struct dns_entry e = { .type = "TXT", .name = S("example.org"), .value = S("a\"b\\c;d\n\xc3\xa9") };

	assert_text(dns_entry_line(&arena, &e), "example.org.  TXT  \"a\\\"b\\\\c;d\\010\\195\\169\"");
	e.type = "CAA";
	e.value = S("0 issue \"letsencrypt.org\"");
	assert_text(dns_entry_line(&arena, &e), "example.org.  CAA  0 issue \"letsencrypt.org\"");
}

/* One of each kind. */
static struct dns_entries some(void)
{
	struct dns_entries list = { .arena = &arena };
	struct dns_entry *e;

	dns_entries_add(&list, "A", S("relay.example.org"), S("203.0.113.25"))->ttl = 300;
	e = dns_entries_add(&list, "TXT", S("relay.example.org"), S("v=spf1 a -all"));
	e->ttl = 300;
	e->comment = S("our greeting\nand reports");
	e = dns_entries_add(&list, "TXT", S("example.org"), S("v=spf1 ip4:203.0.113.25 mx ~all"));
	e->ttl = 300;
	e->state = ENTRY_CHANGED;
	e->was = S("v=spf1 mx ~all");
	dns_entries_add(&list, "TXT", S("p202703r._domainkey.example.org"), long_text(400))->ttl = 300;
	dns_entries_add(&list, "SRV", S("_submissions._tcp.example.org"), S("0 1 465 relay.example.org."))->ttl = 300;
	e = dns_entries_add(&list, "MX", S("example.org"), S("10 mx.mailbox.example."));
	e->state = ENTRY_GOOD;
	e->comment = S("your mailboxes");
	e = dns_entries_add(&list, "PTR", S("203.0.113.25"), S("relay.example.org"));
	e->state = ENTRY_ELSEWHERE;
	return list;
}

static void a_zone_file(void **state)
{
	struct dns_entries list = some();

	dns_write_zone(&out, &list, ORIGIN, S("written by a test"));
	assert_has("; example.org - written by a test. TTL 300 while you try");
	assert_has("\n$ORIGIN example.org.\n$TTL 300\nrelay                 A      203.0.113.25\n");
	assert_has("relay                 TXT    \"v=spf1 a -all\"      ; our greeting and reports\n");
	assert_has("; your record was: \"v=spf1 mx ~all\"; replace it, do not add a second one\n"
		   "@                     TXT    \"v=spf1 ip4:203.0.113.25 mx ~all\"\n");
	assert_has("p202703r._domainkey   TXT    ( \"abc");
	assert_has("\"   ; 255 bytes at most each,\n                               \"");
	assert_has("\" )");
	assert_has("; resolvers join them\n_submissions._tcp     SRV    0 1 465 relay.example.org.\n");
	assert_has("\n; good: MX 10 mx.mailbox.example.   (your mailboxes)\n");
	assert_has("\n; at the owner of the address, not here:  203.0.113.25 -> relay.example.org\n");
}

static void a_long_name_moves_the_column(void **state)
{
	struct dns_entries list = { .arena = &arena };

	dns_entries_add(&list, "A", S("relay.example.org"), S("203.0.113.25"));
	dns_entries_add(&list, "TXT", S("a-very-long-selector-of-theirs._domainkey.example.org"), S("x"));
	dns_write_zone(&out, &list, ORIGIN, S("written by a test"));
	assert_has("\na-very-long-selector-of-theirs._domainkey  TXT    \"x\"\n");
	assert_has("\nrelay                                      A      203.0.113.25\n");
}

static void a_table_for_forms(void **state)
{
	struct dns_entries list = some();

	dns_write_table(&out, &list, ORIGIN);
	assert_has(arena_cstr(&arena,
			      arena_printf(&arena, "\nTXT    p202703r._domainkey\n%.*s\n       p202703r._domainkey.example.org\n",
					   STR_ARG(long_text(400)))));
	assert_has("\nTXT    @\nv=spf1 ip4:203.0.113.25 mx ~all\n       example.org\n       replaces: v=spf1 mx ~all\n");
	assert_has("\nSRV    _submissions._tcp\n0 1 465 relay.example.org\n");
	assert_has("\nGood already: example.org.  MX  10 mx.mailbox.example. (your mailboxes)\n");
	assert_has("203.0.113.25 -> relay.example.org\n");
}

static void route53_has_a_set_for_each_name_and_type(void **state)
{
	struct dns_entries list = some();
	struct str text = long_text(400);

	dns_entries_add(&list, "A", S("relay.example.org"), S("203.0.113.26"))->ttl = 300;
	dns_write_route53(&out, &list);
	assert_has("relay.example.org  A  300\n203.0.113.25\n203.0.113.26\n");
	assert_has(arena_cstr(&arena, arena_printf(&arena, "p202703r._domainkey.example.org  TXT  300\n\"%.*s\" \"%.*s\"\n", 255,
						   text.p, 145, text.p + 255)));
}

static void records_of_keys(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *ec = EVP_EC_gen("P-256");
	struct str text = dkim_record_text(&arena, rsa);

	assert_true(str_starts(text, S("v=DKIM1; k=rsa; p=MIIBIjAN")) && text.n == 18 + 392);
	text = dkim_record_text(&arena, ed);
	assert_true(str_starts(text, S("v=DKIM1; k=ed25519; p=")) && text.n == 22 + 44);
	assert_int_equal(dkim_record_text(&arena, ec).n, 0);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(ec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_relative_where_they_can_be, begin, end),
		cmocka_unit_test_setup_teardown(strings_have_255_bytes_at_most, begin, end),
		cmocka_unit_test_setup_teardown(bytes_that_quotes_cannot_have_are_escaped, begin, end),
		cmocka_unit_test_setup_teardown(a_zone_file, begin, end),
		cmocka_unit_test_setup_teardown(a_long_name_moves_the_column, begin, end),
		cmocka_unit_test_setup_teardown(a_table_for_forms, begin, end),
		cmocka_unit_test_setup_teardown(route53_has_a_set_for_each_name_and_type, begin, end),
		cmocka_unit_test_setup_teardown(records_of_keys, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
