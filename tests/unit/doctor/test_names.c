/* test_names.c - the name and the addresses of the relay: each fault of name.*, address.*, ptr.*, port25.* and ehlo.accepted, and
 * silence in a correct world. */
#include "table.h"

#include "posthouse/machine.h"
#include "posthouse/units.h"

#include <stdio.h>

#define PROBES                                                                                                                   \
	"gmail.com MX 5 mx.probe-a.test\noutlook.com MX 5 mx.probe-b.test\n"                                                     \
	"mx.probe-a.test A 198.51.100.1\nmx.probe-a.test AAAA 2001:db8:1::1\n"                                                   \
	"mx.probe-b.test A 198.51.100.2\nmx.probe-b.test AAAA 2001:db8:1::2\n"

static const struct fact_probe good_a = { .greeting = { "220 x1.probe-a.test ESMTP", 25 },
					  .ehlo = { "250-x1.probe-a.test Hello relay [203.0.113.25]\n250-STARTTLS", 58 } },
			       good_b = { .greeting = { "220 y.probe-b.test ESMTP", 24 }, .ehlo = { "250-y\n250 STARTTLS", 18 } },
			       no_tls = { .greeting = { "220 y.probe-b.test ESMTP", 24 }, .ehlo = { "250-y\n250 SIZE", 14 } },
			       elsewhere = { .greeting = { "220 proxy.isp.test ESMTP", 24 }, .ehlo = { "250 STARTTLS", 12 } },
			       refuses = { .greeting = { "220 y.probe-b.test ESMTP", 24 }, .ehlo = { "550 bad helo", 12 } },
			       busy = { .greeting = { "220 y.probe-b.test ESMTP", 24 }, .ehlo = { "554 go away", 11 } };

/* A run in the correct world, but for these lines in place of their names, and these servers. */
static struct table *run(const char *config, const char *lines, const struct fact_probe *a, const struct fact_probe *b)
{
	struct table *t = table_new(config);

	table_replaced(t, lines);
	table_records(t, PROBES);
	if (a) {
		table_probe(t, "198.51.100.1", 25, *a);
		table_probe(t, "2001:db8:1::1", 25, *a);
	}
	if (b) {
		table_probe(t, "198.51.100.2", 25, *b);
		table_probe(t, "2001:db8:1::2", 25, *b);
	}
	table_run(t);
	return t;
}

static void check(const char *config, const char *lines, const char *id, enum doctor_result result, const char *words)
{
	struct table *t = run(config, lines, &good_a, &good_b);

	expect(t, id, result, words);
	table_free(t);
}

static void test_silence(void **state)
{
	struct table *t = run(DIRECT, "", &good_a, &good_b);
	static const char *const groups[] = { "name.*", "address.*", "ptr.*", "ehlo.*", "port25.*", "domain.*" };

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		expect_silent(t, groups[i]);
	expect(t, "ptr.confirmed", DOCTOR_OK, "2001:db8::25");
	expect(t, "port25.open", DOCTOR_OK, "IPv6");
	table_free(t);
}

static void test_address_of_name(void **state)
{
	check(DIRECT, "relay.example.org TXT x", "name.address", DOCTOR_FAILURE, "has no address");
	check(DIRECT, "relay.example.org TXT x", "name.source", DOCTOR_SKIPPED, "name.address");
	check(ADDRESSES BASICS_UPSTREAM, "relay.example.org TXT x", "name.address", DOCTOR_WARNING, "has no address");
	check(DIRECT, "relay.example.org A 127.0.1.1", "name.address", DOCTOR_FAILURE, "127.0.1.1");
	check(DIRECT,
	      "relay.example.org CNAME web.example.org\nweb.example.org A 203.0.113.25\nweb.example.org AAAA 2001:db8::25",
	      "name.address", DOCTOR_ADVICE, "web.example.org");
	check(DIRECT, "relay.example.org SERVFAIL", "name.address", DOCTOR_UNKNOWN, "server failure");
	check(DIRECT, "relay.example.org A 203.0.113.99\nrelay.example.org AAAA 2001:db8::25", "name.source", DOCTOR_FAILURE,
	      "does not lead to 203.0.113.25");
	check(DIRECT, "relay.example.org A 203.0.113.25", "name.source", DOCTOR_FAILURE, "2001:db8::25");
	check(DIRECT, "relay.example.org A 104.16.1.1", "name.source", DOCTOR_FAILURE, "grey cloud");
	check("hostname = \"example.org\"; postmaster = \"p@example.org\"; " CERT DIRECT,
	      "example.org A 203.0.113.25\nexample.org AAAA 2001:db8::25", "name.apex", DOCTOR_ADVICE, "relay.example.org");
}

static void test_inner_view(void **state)
{
	struct table *t = table_new(ADDRESSES BASICS_UPSTREAM);

	table_replaced(t, "relay.example.org TXT x");
	table_view(t, VIEW_CLIENTS, "relay.example.org A 192.168.1.5");
	table_run(t);
	expect(t, "name.address", DOCTOR_OK, "this network only");
	table_free(t);
	t = table_new(DIRECT);
	table_replaced(t, "");
	table_view(t, VIEW_CLIENTS, "relay.example.org A 192.168.1.5");
	table_run(t);
	expect(t, "name.address", DOCTOR_OK, "private address");
	table_free(t);
}

static void test_reverse(void **state)
{
	const struct doctor_finding *f;
	struct table *t = run(DIRECT, "2001:db8::25 TXT x", &good_a, &good_b);

	f = expect(t, "ptr.exists", DOCTOR_FAILURE, "2001:db8::25 has no reverse name");
	assert_true(str_eq(f->remedy.config, S("delivery = { ipv6 = false; };")));
	expect(t, "ptr.exists", DOCTOR_OK, "203.0.113.25");
	expect(t, "ptr.confirmed", DOCTOR_SKIPPED, "ptr.exists");
	expect(t, "ptr.generic", DOCTOR_SKIPPED, "ptr.exists");
	table_free(t);
	check(DIRECT, "203.0.113.25 SERVFAIL", "ptr.exists", DOCTOR_UNKNOWN, "server failure");
	check(DIRECT, "203.0.113.25 CNAME 25.0-25.113.0.203.in-addr.arpa\n25.0-25.113.0.203.in-addr.arpa PTR relay.example.org",
	      "ptr.confirmed", DOCTOR_OK, "203.0.113.25");
	check(DIRECT, "203.0.113.25 PTR other.example.org\nother.example.org A 203.0.113.9", "ptr.confirmed", DOCTOR_FAILURE,
	      "other.example.org, which does not lead back");
	check(DIRECT, "relay.example.org A 203.0.113.25", "ptr.confirmed", DOCTOR_SKIPPED, "name.source");
	check(DIRECT, "relay.example.org TXT x", "ptr.confirmed", DOCTOR_SKIPPED, "name.address");
	check(DIRECT, "203.0.113.25 PTR relay2.example.org\nrelay2.example.org A 203.0.113.25", "ptr.name", DOCTOR_WARNING,
	      "relay2.example.org");
	check(DIRECT, "203.0.113.25 PTR relay.example.org\n203.0.113.25 PTR b.example.org", "ptr.name", DOCTOR_ADVICE,
	      "2 reverse");
	check("doctor = { addresses = [ \"192.168.1.5\" ]; }; auth = { realm = \"example.org\"; }; ", "", "ptr.exists",
	      DOCTOR_SKIPPED, "private");
	check("doctor = { addresses = [ \"192.168.1.5\" ]; }; auth = { realm = \"example.org\"; }; ", "", "address.public",
	      DOCTOR_WARNING, "private address");
	check("doctor = { addresses = [ \"192.168.1.5\" ]; }; auth = { realm = \"example.org\"; }; ", "", "name.source",
	      DOCTOR_SKIPPED, "address.public");
}

static void generic(const char *name, bool is)
{
	char lines[200];

	snprintf(lines, sizeof lines, "203.0.113.25 PTR %s\n%s A 203.0.113.25", name, name);
	check(DIRECT, lines, "ptr.generic", is ? DOCTOR_WARNING : DOCTOR_OK, "203.0.113.25");
}

static void test_generic(void **state)
{
	static const char *const bad[] = { "25-113-0-203.isp.test", "ip203-0-113-25.isp.test", "host25.113.isp.test",
					   "cb007119.isp.test",     "203000113025.isp.test",   "p5.dyn.isp.test",
					   "dhcp12.isp.test",       "a-pool-1.isp.test" };
	static const char *const good[] = { "mx25.isp.test", "mail.dynamo.test", "relay-0-1.isp.test", "homer.isp.test" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		generic(bad[i], true);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		generic(good[i], false);
	check("hostname = \"home.example.org\"; postmaster = \"p@example.org\"; " CERT DIRECT,
	      "203.0.113.25 PTR home.example.org\nhome.example.org A 203.0.113.25", "ptr.generic", DOCTOR_OK, "203.0.113.25");
}

static void test_port25(void **state)
{
	struct table *t = run(DIRECT, "", NULL, NULL);

	expect(t, "port25.open", DOCTOR_FAILURE, "blocked");
	table_free(t);
	t = run(DIRECT, "", NULL, &good_b);
	expect(t, "port25.open", DOCTOR_OK, "IPv4");
	table_free(t);
	t = run(DIRECT, "", &elsewhere, &elsewhere);
	expect(t, "port25.intercepted", DOCTOR_WARNING, "proxy.isp.test where mx.probe-a.test");
	table_free(t);
	t = run(DIRECT, "", &good_b, &good_b);
	expect(t, "port25.intercepted", DOCTOR_WARNING, "");
	table_free(t);
	t = run(DIRECT, "mx.probe-a.test A 198.51.100.1", &no_tls, &no_tls);
	expect(t, "port25.intercepted", DOCTOR_WARNING, "");
	table_free(t);
	t = run(DIRECT, "", &good_a, &refuses);
	expect(t, "ehlo.accepted", DOCTOR_FAILURE, "550 bad helo");
	table_free(t);
	t = run(DIRECT, "", &good_a, &busy);
	expect(t, "ehlo.accepted", DOCTOR_UNKNOWN, "554");
	table_free(t);
	t = table_new(DIRECT);
	table_replaced(t, "gmail.com SERVFAIL\noutlook.com SERVFAIL");
	table_run(t);
	expect(t, "port25.open", DOCTOR_UNKNOWN, "DNS");
	table_free(t);
}

/* A delivery of today proves that the port is open, by its family; one server that is away proves nothing. */
static void test_port25_by_history(void **state)
{
	static const struct machine_facts m = { .reached.v6 = { "mx.example.net [2001:db8:9::1]:25", 34 } };
	struct table *t = table_new(DIRECT);

	table_world(t, PROBES);
	table_options(t)->machine = &m;
	table_only(t, "port25.open");
	table_run(t);
	expect(t, "port25.open", DOCTOR_OK, "mx.example.net [2001:db8:9::1]:25 has answered a delivery");
	expect(t, "port25.open", DOCTOR_FAILURE, "IPv4 cannot connect");
	table_free(t);
	t = table_new("doctor = { probe = [ \"gmail.com\" ]; addresses = [ \"203.0.113.25\" ]; }; "
		      "auth = { realm = \"example.org\"; }; ");
	table_world(t, PROBES);
	table_only(t, "port25.open");
	table_run(t);
	expect(t, "port25.open", DOCTOR_UNKNOWN, "one server only, mx.probe-a.test");
	table_free(t);
}

/* Where S comes from: the answer to EHLO, the kernel, a guess; and what an upstream changes. */
static void test_source(void **state)
{
	struct table *t = run("auth = { realm = \"example.org\"; };", "", &good_a, &good_b);
	struct str kernel[] = { S("198.18.0.1") }, last[] = { S("203.0.113.77") }, temporary[] = { S("2001:db8::25") };

	assert_true(str_eq(doctor_situation(table_doctor(t))->addresses[0].text, S("203.0.113.25")));
	assert_true(str_starts(doctor_situation(table_doctor(t))->addresses_from, S("as a mail server sees it")));
	table_free(t);
	t = table_new("auth = { realm = \"example.org\"; };");
	table_replaced(t, "");
	table_options(t)->kernel = (struct str_list){ kernel, 1 };
	table_options(t)->last_addresses = (struct str_list){ last, 1 };
	table_run(t);
	assert_true(str_search(doctor_situation(table_doctor(t))->addresses_from, S("guess")) <
		    doctor_situation(table_doctor(t))->addresses_from.n);
	expect(t, "address.public", DOCTOR_WARNING, "was 203.0.113.77");
	table_free(t);
	t = table_new(DIRECT);
	table_replaced(t, "");
	table_options(t)->temporary = (struct str_list){ temporary, 1 };
	table_run(t);
	expect(t, "address.temporary", DOCTOR_WARNING, "2001:db8::25");
	table_free(t);
	t = table_new(BASICS_UPSTREAM);
	table_replaced(t, "203.0.113.25 TXT x");
	table_run(t);
	expect(t, "ptr.exists", DOCTOR_SKIPPED, "delivers for you");
	table_free(t);
}

static void test_domains(void **state)
{
	check(DIRECT "senders = ( { user = \"a\"; addresses = [ \"@nothere.test\" ]; } );", "", "domain.exists", DOCTOR_FAILURE,
	      "does not exist");
	check(DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@gmail.com\" ]; } );", "", "domain.ours", DOCTOR_FAILURE,
	      "gmail");
	check(DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@yahoo.co.uk\" ]; } );", "", "domain.ours", DOCTOR_FAILURE,
	      "yahoo");
	check("hostname = \"nas.lan\"; postmaster = \"me@gmail.com\"; " CERT
	      "upstreams = ( { name = \"g\"; host = \"smtp.gmail.com\"; } );",
	      "", "domain.servers", DOCTOR_SKIPPED, "not your domain");
	check(DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@yahoo.example.org\" ]; } );",
	      "yahoo.example.org A 203.0.113.1", "domain.exists", DOCTOR_OK, "");
}

/* The second server of the zone says this. */
static void servers(const char *second, enum doctor_result result, const char *words)
{
	struct table *t = table_new(DIRECT);

	table_replaced(t, "example.org NS ns1.example.org\nexample.org NS ns2.example.org\nexample.org SOA 7\n"
			  "ns1.example.org A 203.0.113.53\nns2.example.org A 203.0.113.54\nns2.example.org TXT x");
	table_server(t, "203.0.113.54", second);
	table_only(t, "domain.servers");
	table_run(t);
	expect(t, "domain.servers", result, words);
	table_free(t);
}

/* A new version needs time to come to all servers. */
static void test_servers(void **state)
{
	servers("example.org SOA 7", DOCTOR_OK, "agree");
	servers("example.org SOA 6", DOCTOR_ADVICE,
		"ns2.example.org has version 6 of example.org, but ns1.example.org has a newer");
	servers("example.org SERVFAIL", DOCTOR_ADVICE, "in an hour");
	table_age = HOUR_MS;
	servers("example.org SOA 6", DOCTOR_WARNING, "has version 6");
	servers("example.org SOA 8", DOCTOR_WARNING, "ns1.example.org has version 7");
	servers("example.org SOA 4294967290", DOCTOR_WARNING, "ns2.example.org has version 4294967290"); /* RFC 1982 */
	servers("example.org SERVFAIL", DOCTOR_WARNING, "does not answer");
	servers("example.org SOA 7", DOCTOR_OK, "agree");
	table_age = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),           cmocka_unit_test(test_address_of_name),
		cmocka_unit_test(test_inner_view),        cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_generic),           cmocka_unit_test(test_port25),
		cmocka_unit_test(test_port25_by_history), cmocka_unit_test(test_source),
		cmocka_unit_test(test_domains),           cmocka_unit_test(test_servers),
	};

	return cmocka_run_group_tests_name("doctor_names", tests, fixture_open, fixture_close);
}
