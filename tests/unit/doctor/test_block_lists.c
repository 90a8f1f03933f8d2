/* test_block_lists.c - block lists: listings, lists that are dead or refuse, and answers that resolvers invent. */
#include "table.h"

#include <stdio.h>

#define V6      "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
#define V6_TEST "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
/* The test entries of RFC 5782, as these lists have them. */
#define ZEN                                                                                                                                 \
	"2.0.0.127.zen.spamhaus.org A 127.0.0.2\n2.0.0.127.zen.spamhaus.org A 127.0.0.4\n2.0.0.127.zen.spamhaus.org A 127.0.0.10\n" V6_TEST \
	".zen.spamhaus.org A 127.0.0.2\n"
#define OTHERS                                                                                                                   \
	"2.0.0.127.bl.spamcop.net A 127.0.0.2\n2.0.0.127.psbl.surriel.com A 127.0.0.2\n"                                         \
	"test.dbl.spamhaus.org A 127.0.1.2\n"
#define LISTS ZEN OTHERS
#define S4    "25.113.0.203"

static void silent(const char *config, const char *records)
{
	struct table *t = table_new(config);

	table_records(t, WORLD);
	table_records(t, records);
	table_run(t);
	expect_silent(t, "dnsbl.*");
	table_free(t);
}

static void test_silent(void **state)
{
	silent(DIRECT, LISTS);
	silent(DIRECT, LISTS "26.113.0.203.zen.spamhaus.org A 127.0.0.2\n"); /* a neighbour */
	plant(DIRECT, LISTS, "dnsbl.address", DOCTOR_OK, "zen.spamhaus.org does not list 203.0.113.25");
	plant(DIRECT, LISTS, "dnsbl.domain", DOCTOR_OK, "dbl.spamhaus.org does not list relay.example.org");
	plant(DIRECT, LISTS, "dnsbl.policy", DOCTOR_OK, "can send mail directly");
}

static void test_listed(void **state)
{
	static const struct {
		const char *record;
		enum doctor_result result;
		const char *words;
	} rows[] = {
		{ S4 ".zen.spamhaus.org A 127.0.0.4", DOCTOR_FAILURE, "lists 203.0.113.25 (127.0.0.4, XBL" },
		{ S4 ".zen.spamhaus.org A 127.0.0.3", DOCTOR_FAILURE, "CSS" },
		{ S4 ".zen.spamhaus.org A 127.0.0.2", DOCTOR_FAILURE, "https://check.spamhaus.org/" },
		{ S4 ".zen.spamhaus.org A 127.0.0.9", DOCTOR_FAILURE, "DROP" },
		{ S4 ".bl.spamcop.net A 127.0.0.2", DOCTOR_FAILURE, "ends by itself a day after the last report" },
		{ S4 ".psbl.surriel.com A 127.0.0.2", DOCTOR_WARNING, "psbl.surriel.com lists 203.0.113.25" },
		{ V6 ".zen.spamhaus.org A 127.0.0.3", DOCTOR_FAILURE, "by /64, so that a neighbour" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char records[4096];

		snprintf(records, sizeof records, "%s%s\n", LISTS, rows[i].record);
		plant(DIRECT, records, "dnsbl.address", rows[i].result, rows[i].words);
	}
}

/* The range is declared to send no mail directly: that is no listing, and needs another remedy. */
static void test_policy(void **state)
{
	struct table *t = table_new(DIRECT);

	plant(DIRECT, LISTS S4 ".zen.spamhaus.org A 127.0.0.10\n", "dnsbl.policy", DOCTOR_FAILURE,
	      "127.0.0.10, PBL, by its provider");
	plant(DIRECT, LISTS S4 ".zen.spamhaus.org A 127.0.0.11\n", "dnsbl.policy", DOCTOR_FAILURE, "upstreams = (");
	table_records(t, WORLD LISTS S4 ".zen.spamhaus.org A 127.0.0.11\n");
	table_run(t);
	expect_silent(t, "dnsbl.address");
	table_free(t);
	/* behind an upstream nobody asks */
	t = table_new(ADDRESSES BASICS_UPSTREAM "routes = ( { via = [ \"isp\" ]; } );");
	table_records(t, WORLD LISTS S4 ".zen.spamhaus.org A 127.0.0.11\n");
	table_run(t);
	expect_silent(t, "dnsbl.*");
	table_free(t);
}

/* What is no listing, although it looks like one. */
static void test_not_believed(void **state)
{
	static const struct {
		const char *records;
		const char *id, *words;
	} rows[] = {
		{ "2.0.0.127.zen.spamhaus.org A 127.255.255.254\n" S4 ".zen.spamhaus.org A 127.255.255.254\n", "dnsbl.address",
		  "zen.spamhaus.org refused our query (127.255.255.254)\nNot a listing: its owner does not answer public resolvers" },
		{ "2.0.0.127.zen.spamhaus.org A 127.255.255.252\n", "dnsbl.address", "its name is mistyped" },
		{ "2.0.0.127.zen.spamhaus.org A 127.255.255.255\n", "dnsbl.address", "asked too often" },
		{ ZEN S4 ".zen.spamhaus.org A 127.255.255.255\n", "dnsbl.address", "refused our query (127.255.255.255)" },
		{ "2.0.0.127.zen.spamhaus.org SERVFAIL x\n", "dnsbl.address", "does not answer: server failure" },
		{ ZEN S4 ".zen.spamhaus.org SERVFAIL x\n", "dnsbl.address", "no answer about 203.0.113.25" },
		{ "", "dnsbl.address", "zen.spamhaus.org does not have its own test entry" },
		/* a closed list, whose name now answers to everything */
		{ ZEN "1.0.0.127.zen.spamhaus.org A 127.0.0.2\n" S4 ".zen.spamhaus.org A 127.0.0.2\n", "dnsbl.address",
		  "lists even what no list has" },
		/* a resolver that shows advertisements */
		{ "2.0.0.127.zen.spamhaus.org A 198.51.100.7\n" S4 ".zen.spamhaus.org A 198.51.100.7\n", "dnsbl.address",
		  "gave the address 198.51.100.7" },
		{ ZEN S4 ".zen.spamhaus.org A 198.51.100.7\n", "dnsbl.address", "which is none of its codes" },
		{ ZEN S4 ".zen.spamhaus.org A 127.0.0.77\n", "dnsbl.address", "answered 127.0.0.77 about 203.0.113.25" },
		{ "example.org.dbl.spamhaus.org A 127.0.1.255\n", "dnsbl.domain", "refused our query (127.0.1.255)" },
		{ "example.org.dbl.spamhaus.org A 127.255.255.254\n", "dnsbl.domain", "Not a listing" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct table *t = table_new(DIRECT);

		table_records(t, WORLD OTHERS);
		table_records(t, rows[i].records);
		table_run(t);
		expect(t, rows[i].id, DOCTOR_UNKNOWN, rows[i].words);
		if (rows[i].words[0] == 'z')
			expect(t, "dnsbl.policy", DOCTOR_SKIPPED, "dnsbl.address");
		table_free(t);
	}
}

static void test_domains(void **state)
{
	plant(DIRECT, LISTS "example.org.dbl.spamhaus.org A 127.0.1.2\n", "dnsbl.domain", DOCTOR_FAILURE,
	      "lists example.org (127.0.1.2, a domain of spam)");
	plant(DIRECT, LISTS "relay.example.org.dbl.spamhaus.org A 127.0.1.104\n", "dnsbl.domain", DOCTOR_FAILURE, "broken into");
	plant("doctor = { addresses = [ \"203.0.113.25\" ]; lists = [ \"multi.uribl.com\" ]; }; auth = { realm = \"example.org\"; };",
	      "test.multi.uribl.com A 127.0.0.14\nexample.org.multi.uribl.com A 127.0.0.1\n", "dnsbl.domain", DOCTOR_UNKNOWN,
	      "refused our query (127.0.0.1)");
}

/* Lists that are not in the table, and a zone with the key of a customer, which is not shown. */
static void test_other_lists(void **state)
{
#define WITH(zones) "doctor = { addresses = [ \"203.0.113.25\" ]; lists = [ " zones " ]; }; auth = { realm = \"example.org\"; };"
	plant(WITH("\"bl.corp.test\""), "2.0.0.127.bl.corp.test A 127.0.0.2\n" S4 ".bl.corp.test A 127.0.0.5\n", "dnsbl.address",
	      DOCTOR_WARNING, "bl.corp.test lists 203.0.113.25 (127.0.0.5");
	plant(WITH("\"dnsbl-3.uceprotect.net\""),
	      "2.0.0.127.dnsbl-3.uceprotect.net A 127.0.0.2\n" S4 ".dnsbl-3.uceprotect.net A 127.0.0.2\n", "dnsbl.address",
	      DOCTOR_ADVICE, "do not pay");
	plant(WITH("\"abcd1234.zen.dq.spamhaus.net\""),
	      "2.0.0.127.abcd1234.zen.dq.spamhaus.net A 127.0.0.2\n" S4 ".abcd1234.zen.dq.spamhaus.net A 127.0.0.4\n",
	      "dnsbl.address", DOCTOR_FAILURE, "zen.dq.spamhaus.net lists 203.0.113.25 (127.0.0.4, XBL");
	silent(WITH(""), "");
#undef WITH
}

/* The key as a value of its own, for the lists in their usual names too. */
static void test_key_of_a_customer(void **state)
{
#define WITH(zones)                                                                                                              \
	"doctor = { addresses = [ \"203.0.113.25\" ]; lists = [ " zones                                                          \
	" ]; spamhaus_key = \"Abcd1234\"; }; auth = { realm = \"example.org\"; };"
	plant(WITH("\"zen.spamhaus.org\""),
	      "2.0.0.127.abcd1234.zen.dq.spamhaus.net A 127.0.0.2\n" S4 ".abcd1234.zen.dq.spamhaus.net A 127.0.0.4\n",
	      "dnsbl.address", DOCTOR_FAILURE, "zen.spamhaus.org lists 203.0.113.25 (127.0.0.4, XBL");
	plant(WITH("\"dbl.dq.spamhaus.net\""),
	      "test.abcd1234.dbl.dq.spamhaus.net A 127.0.1.2\nexample.org.abcd1234.dbl.dq.spamhaus.net A 127.0.1.2\n",
	      "dnsbl.domain", DOCTOR_FAILURE, "dbl.dq.spamhaus.net lists example.org (127.0.1.2, a domain of spam)");
#undef WITH
}

static void test_key_is_not_shown(void **state)
{
	static const char *const texts[][2] = {
		{ "25.113.0.203.abcd1234.zen.dq.spamhaus.net", "25.113.0.203.KEY.zen.dq.spamhaus.net" },
		{ "abcd1234.dbl.dq.spamhaus.net", "KEY.dbl.dq.spamhaus.net" },
		{ "<a.k1.zen.dq.spamhaus.net. A IN>, <b.k1.zen.dq.spamhaus.net>",
		  "<a.KEY.zen.dq.spamhaus.net. A IN>, <b.KEY.zen.dq.spamhaus.net>" },
		{ "zen.dq.spamhaus.net does not answer", "zen.dq.spamhaus.net does not answer" },
		{ "zen.spamhaus.org", "zen.spamhaus.org" },
		{ ".dq.spamhaus.net", ".dq.spamhaus.net" },
		{ "", "" },
	};
	struct arena a = { 0 };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct str text = text_without_key(&a, str_of(texts[i][0]));

		assert_true(str_eq(text, str_of(texts[i][1])));
	}
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),           cmocka_unit_test(test_listed),
		cmocka_unit_test(test_policy),           cmocka_unit_test(test_not_believed),
		cmocka_unit_test(test_domains),          cmocka_unit_test(test_other_lists),
		cmocka_unit_test(test_key_is_not_shown), cmocka_unit_test(test_key_of_a_customer),
	};

	return cmocka_run_group_tests_name("doctor_block_lists", tests, fixture_open, fixture_close);
}
