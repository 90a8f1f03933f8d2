/* test_lookup.c - look-ups against a real name server: nsd with test.zone. Arguments: the program nsd, the directory of the zones. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const char *zones;

/* Domains whose answer is always the same. */
static const struct row {
	const char *domain, *enhanced, *hosts, *addresses; /* of the first host that has some; enhanced "" = OK */
	unsigned code;
} rows[] = {
	{ "order.test", "", "m1.test:10 m2.test:20 m3.test:30", "192.0.2.1", 0 },
	{ "Order.TEST.", "", "m1.test:10 m2.test:20 m3.test:30", "192.0.2.1", 0 },
	{ "implicit.test", "", "implicit.test:0", "192.0.2.50", 0 },
	{ "implicit6.test", "", "implicit6.test:0", "2001:db8::50", 0 },
	{ "implicitalias.test", "", "implicitalias.test:0", "192.0.2.50", 0 },
	{ "aliased.test", "", "m1.test:10 m2.test:20 m3.test:30", "192.0.2.1", 0 },
	{ "alias2.test", "", "m1.test:10 m2.test:20 m3.test:30", "192.0.2.1", 0 },
	{ "viaalias.test", "", "hostalias.test:10", "192.0.2.1", 0 },
	{ "only6.test", "", "m6.test:10", "2001:db8::6", 0 },
	{ "twice.test", "", "m1.test:10 m2.test:20", "192.0.2.1", 0 },
	{ "cases.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "under_score.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "anything.wild.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "literal.test", "", "m1.test:20", "192.0.2.1", 0 },
	{ "nullish.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "partly.test", "", "missing.test:10 m1.test:20", "192.0.2.1", 0 },
	{ "mixedlame.test", "", "mail.lame.test:10 m1.test:20", "192.0.2.1", 0 },
	{ "m\xc3\xbcnchen.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "M\xc3\x9cNCHEN.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "m\xc3\xbcnchen\xe3\x80\x82test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "xn--mnchen-3ya.test", "", "m1.test:10", "192.0.2.1", 0 },
	{ "localhost", "", "localhost:0", "127.0.0.1 ::1", 0 }, /* answered by the library within the asking */
	{ "[192.0.2.7]", "", "[192.0.2.7]:0", "192.0.2.7", 0 },
	{ "[IPv6:2001:db8::7]", "", "[IPv6:2001:db8::7]:0", "2001:db8::7", 0 },
	{ "[ipv6:2001:db8::7]", "", "[ipv6:2001:db8::7]:0", "2001:db8::7", 0 },

	{ "null.test", "5.1.10", "", NULL, 556 },
	{ "nothere.test", "5.1.2", "", NULL, 550 },
	{ "dangling.test", "5.1.2", "", NULL, 550 },
	{ "nomail.test", "5.1.2", "nomail.test:0", NULL, 550 },
	{ "gone.test", "5.4.4", "missing.test:10", NULL, 550 },
	{ "noaddress.test", "5.4.4", "text.test:10", NULL, 550 },
	{ "oddities.test", "5.4.4", "odd.test:10", NULL, 550 },
	{ "literalonly.test", "5.4.4", "", NULL, 550 },
	{ "lamehost.test", "4.4.3", "mail.lame.test:10", NULL, 451 },
	{ "lame.test", "4.4.3", "", NULL, 451 },
	{ "circle.test", "4.4.3", "", NULL, 451 },
	{ "elsewhere.example", "4.4.3", "", NULL, 451 }, /* nsd refuses: it does not know that zone */

	{ "", "5.1.2", "", NULL, 550 },
	{ ".", "5.1.2", "", NULL, 550 },
	{ "a..test", "5.1.2", "", NULL, 550 },
	{ ".test", "5.1.2", "", NULL, 550 },
	{ "a b.test", "5.1.2", "", NULL, 550 },
	{ "a\\046b.test", "5.1.2", "", NULL, 550 },
	{ "192.0.2.1", "5.1.2", "", NULL, 550 },
	{ "\xff\xfe.test", "5.1.2", "", NULL, 550 },
	{ "m\xc3\xbc\xef\xbc\xa0nchen.test", "5.1.2", "", NULL, 550 }, /* a full-width "@" */
	{ "0123456789012345678901234567890123456789012345678901234567890123.test", "5.1.2", "", NULL, 550 },
	{ "[300.1.2.3]", "5.1.2", "", NULL, 550 },
	{ "[0.0.0.0]", "5.1.2", "", NULL, 550 },
	{ "[IPv6:192.0.2.7]", "5.1.2", "", NULL, 550 },
	{ "[192.0.2.7", "5.1.2", "", NULL, 550 },
	{ "[]", "5.1.2", "", NULL, 550 },
};

static void check_row(struct fixture *f, const struct row *r)
{
	size_t host = 0;

	look_up(f, r->domain);
	if (!str_eq(f->verdict.enhanced, str_of(r->enhanced)) || f->verdict.code != r->code ||
	    strcmp(host_list(f), r->hosts) != 0)
		fail_msg("%s: %u %.*s %.*s, hosts %s", r->domain, f->verdict.code, STR_ARG(f->verdict.enhanced),
			 STR_ARG(f->verdict.text), host_list(f));
	assert_true(f->verdict.code == 0 || f->verdict.text.n > 0);
	assert_int_equal(f->verdict.class, r->code == 0 ? OK : r->code < 500 ? TEMP : PERM);
	if (!r->addresses)
		return;
	while (host < f->n && f->hosts[host].addresses_n == 0) {
		assert_int_not_equal(f->hosts[host].failure.class, OK);
		host++;
	}
	assert_string_equal(address_list(f, host), r->addresses);
}

static void test_domains(void **state)
{
	struct fixture *f = *state;

	open_dns(f, nsd_port(), NULL, true, true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(f, &rows[i]);
}

/* The same from the cache, all at once. */
static void test_together(void **state)
{
	struct fixture *f = *state;
	size_t n = 300;

	open_dns(f, nsd_port(), NULL, true, true);
	for (unsigned round = 0; round < 2; round++) {
		f->calls = 0;
		for (size_t i = 0; i < n; i++)
			dns_mx(f->dns, arena_printf(&f->arena, "d%zu.wild.test", i), 2525, NULL, on_hosts, f);
		assert_true(run_until(f, (unsigned)n, 20000));
		assert_int_equal(f->calls, n);
		assert_int_equal(f->verdict.class, OK);
	}
}

/* Equals come in every order, the others never before them. */
static void test_equals(void **state)
{
	struct fixture *f = *state;
	unsigned first[3] = { 0 };

	open_dns(f, nsd_port(), NULL, true, true);
	for (unsigned i = 0; i < 200; i++) {
		look_up(f, "equals.test");
		assert_int_equal(f->n, 4);
		assert_true(str_eq(f->hosts[3].name, S("m4.test")));
		assert_true(f->hosts[0].name.p[1] >= '1' && f->hosts[0].name.p[1] <= '3');
		first[f->hosts[0].name.p[1] - '1']++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(first[i], 30, 110); /* of 200; 66 are expected */
}

/* 192.0.2.x, 2001:db8::x in turn, and the first one at random. */
static void test_families(void **state)
{
	struct fixture *f = *state;
	unsigned first[3] = { 0 };

	open_dns(f, nsd_port(), NULL, true, true);
	for (unsigned i = 0; i < 60; i++) {
		look_up(f, "families.test");
		assert_int_equal(f->hosts[0].addresses_n, 5);
		for (unsigned k = 0; k < 5; k++)
			assert_int_equal(f->hosts[0].addresses[k].ss_family, k == 1 || k == 3 ? AF_INET6 : AF_INET);
		first[address_list(f, 0)[strlen("192.0.2.1")] - '1']++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(first[i] > 0);
	open_dns(f, nsd_port(), NULL, true, false);
	look_up(f, "families.test");
	assert_int_equal(f->hosts[0].addresses_n, 3);
	look_up(f, "only6.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.4")));
	look_up(f, "[IPv6:2001:db8::7]");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.4")));
	open_dns(f, nsd_port(), NULL, false, true);
	look_up(f, "families.test");
	assert_int_equal(f->hosts[0].addresses_n, 2);
	assert_int_equal(f->hosts[0].addresses[0].ss_family, AF_INET6);
	look_up(f, "[192.0.2.7]");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.4")));
}

/* A domain with more hosts, or a host with more addresses, than anybody needs. */
static void test_bounds(void **state)
{
	struct fixture *f = *state;

	open_dns(f, nsd_port(), NULL, true, true);
	look_up(f, "many.test");
	assert_int_equal(f->verdict.class, OK);
	assert_int_equal(f->n, 20);
	look_up(f, "big.test"); /* by TCP */
	assert_int_equal(f->verdict.class, OK);
	assert_int_equal(f->n, 20);
	assert_string_equal(address_list(f, 0), "192.0.2.61");
	look_up(f, "crowded.test");
	assert_int_equal(f->hosts[0].addresses_n, 16);
}

/* RFC 5321 5.1: ourselves, by name, alias or address, and all that are no better are left out. */
static void test_loops(void **state)
{
	struct fixture *f = *state;

	open_dns(f, nsd_port(), NULL, true, true);
	f->own.at[0] = S("US.test.");
	f->own.n = 1;
	look_up(f, "loop.test");
	assert_string_equal(host_list(f), "m1.test:10");
	look_up(f, "loopalias.test");
	assert_string_equal(host_list(f), "m1.test:10");
	look_up(f, "loopaddress.test");
	assert_string_equal(host_list(f), "m1.test:10 m9.test:20");
	look_up(f, "best.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")) && f->verdict.code == 554);
	assert_int_equal(f->n, 0);
	look_up(f, "us.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")));
	look_up(f, "alsous.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")));
	f->own.at[0] = S("192.0.2.99");
	f->own.at[1] = S("2001:db8::7");
	f->own.n = 2;
	look_up(f, "loopaddress.test");
	assert_string_equal(host_list(f), "m1.test:10");
	look_up(f, "best.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")));
	look_up(f, "[192.0.2.99]");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")));
	look_up(f, "[IPv6:2001:db8:0::7]");
	assert_true(str_eq(f->verdict.enhanced, S("5.4.6")));
}

/* DNSSEC: a validated answer is marked, an altered one is no answer. */
static void test_security(void **state)
{
	struct str unsigned_zone = S("plain.signed.test");
	struct fixture *f = *state;
	char anchors[4096];

	snprintf(anchors, sizeof(anchors), "%s/anchors", zones);
	open_dns(f, nsd_port(), anchors, true, true);
	look_up(f, "signed.test");
	assert_int_equal(f->verdict.class, OK);
	assert_true(f->hosts[0].secure && f->hosts[0].mx_secure);
	look_up(f, "plain.signed.test");
	assert_true(f->hosts[0].secure && f->hosts[0].mx_secure); /* that there is no MX was proved too */
	look_up(f, "half.signed.test");
	assert_int_equal(f->verdict.class, OK);
	assert_true(f->hosts[0].mx_secure);
	assert_false(f->hosts[0].secure);
	look_up(f, "nothere.signed.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.1.2")));
	look_up(f, "order.test");
	assert_int_equal(f->verdict.class, OK);
	assert_false(f->hosts[0].secure || f->hosts[0].mx_secure);
	look_up(f, "alias2.test");
	assert_true(str_eq(f->hosts[0].domain_end, S("order.test")));
	assert_true(str_eq(f->hosts[0].end, f->hosts[0].name));
	look_up(f, "viaalias.test");
	assert_true(str_eq(f->hosts[0].end, S("m1.test")));
	look_up(f, "bogus.test");
	assert_int_equal(f->verdict.class, TEMP);
	assert_true(str_eq(f->verdict.enhanced, S("4.4.3")));
	assert_true(str_search(f->verdict.text, S("not authentic")) < f->verdict.text.n);
	assert_true(str_search(f->verdict.text, S("delivery.unsigned_zones")) < f->verdict.text.n);
	f->unsigned_zones = (struct str_list){ .at = &unsigned_zone, .n = 1 };
	open_dns(f, nsd_port(), anchors, true, true);
	look_up(f, "plain.signed.test");
	assert_int_equal(f->verdict.class, OK);
	assert_false(f->hosts[0].secure || f->hosts[0].mx_secure);
	look_up(f, "signed.test");
	assert_true(f->hosts[0].secure && f->hosts[0].mx_secure);
	open_dns(f, nsd_port(), NULL, true, true);
	look_up(f, "bogus.test");
	assert_true(str_eq(f->hosts[0].name, S("evil.bogus.test")));
	look_up(f, "signed.test");
	assert_false(f->hosts[0].secure || f->hosts[0].mx_secure);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_domains, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_together, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_equals, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_families, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bounds, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_loops, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_security, fixture_setup, fixture_teardown),
	};
	int failed;

	if (argc != 3)
		return 2;
	zones = argv[2];
	nsd_start(argv[1], zones);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nsd_stop();
	return failed;
}
