/* test_tls.c - delivery.tls and the list tls: what they say about a domain, and what does not fit together. */
#include "fixture.h"

#include "posthouse/mx_route.h"
#include "posthouse/policy.h"

#include <stdio.h>

static const char entries[] =
	BASICS "delivery = { tls = \"encrypted\"; };\n"
	       "tls = ( { destinations = [ \"@bank.example\", \"@.bank.example\" ]; require = \"verified\";\n"
	       "          ca = \"chain.pem\"; names = [ \"MX.bank.example\" ]; },\n"
	       "        { destinations = [ \"@Broken.example\" ]; require = \"none\"; },\n"
	       "        { destinations = [ \"@broken.example\", \"@dü.example\" ]; require = \"dane\"; } );\n";

/* The first entry that fits counts. */
static void demands(void **state)
{
	static const struct {
		const char *domain;
		enum tls_require require;
		size_t names;
	} rows[] = {
		{ "bank.example", TLS_REQUIRE_VERIFIED, 1 },      { "mail.bank.example", TLS_REQUIRE_VERIFIED, 1 },
		{ "nobank.example", TLS_REQUIRE_ENCRYPTED, 0 },   { "broken.example", TLS_REQUIRE_NONE, 0 },
		{ "a.broken.example", TLS_REQUIRE_ENCRYPTED, 0 }, { "[192.0.2.1]", TLS_REQUIRE_ENCRYPTED, 0 },
	};
	struct config *c = fixture_good(entries);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cfg_tls_demand d = tls_demand_of(c, str_of(rows[i].domain), TLS_REQUIRE_DEFAULT, TLS_WISH_NONE);

		if (d.require != rows[i].require || d.names.n != rows[i].names)
			fail_msg("%s: %u", rows[i].domain, d.require);
		assert_int_equal(d.ca_pem.n > 0, d.names.n > 0);
	}
	assert_true(str_eq(c->tls[0].demand.names.at[0], S("mx.bank.example")));
	assert_ptr_equal(tls_entry_of(c, S("broken.example")), &c->tls[1]);
	assert_null(tls_entry_of(c, S("example.org")));
	config_free(c);
	c = fixture_good(BASICS);
	assert_int_equal(tls_demand_of(c, S("example.org"), TLS_REQUIRE_DEFAULT, TLS_WISH_NONE).require, TLS_REQUIRE_DEFAULT);
	config_free(c);
}

/* The word of a route counts instead of that of the entry; what the entry knows about the certificate counts for "verified". */
static void demands_of_routes(void **state)
{
	static const struct {
		const char *domain;
		enum tls_require route;
		enum tls_wish wish;
		enum tls_require require;
		size_t names;
	} rows[] = {
		{ "bank.example", TLS_REQUIRE_DEFAULT, TLS_WISH_NONE, TLS_REQUIRE_VERIFIED, 1 },
		{ "bank.example", TLS_REQUIRE_VERIFIED, TLS_WISH_NONE, TLS_REQUIRE_VERIFIED, 1 },
		{ "bank.example", TLS_REQUIRE_ENCRYPTED, TLS_WISH_NONE, TLS_REQUIRE_ENCRYPTED, 0 },
		{ "bank.example", TLS_REQUIRE_DANE, TLS_WISH_NONE, TLS_REQUIRE_DANE, 0 },
		{ "bank.example", TLS_REQUIRE_NONE, TLS_WISH_REQUIRE, TLS_REQUIRE_NONE, 0 },
		{ "broken.example", TLS_REQUIRE_VERIFIED, TLS_WISH_NONE, TLS_REQUIRE_VERIFIED, 0 },
		{ "example.org", TLS_REQUIRE_VERIFIED, TLS_WISH_OPTIONAL, TLS_REQUIRE_VERIFIED, 0 },
		{ "example.org", TLS_REQUIRE_NONE, TLS_WISH_NONE, TLS_REQUIRE_NONE, 0 },
		{ "example.org", TLS_REQUIRE_DEFAULT, TLS_WISH_OPTIONAL, TLS_REQUIRE_DEFAULT, 0 },
	};
	struct config *c = fixture_good(entries);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cfg_tls_demand d = tls_demand_of(c, str_of(rows[i].domain), rows[i].route, rows[i].wish);

		if (d.require != rows[i].require || d.names.n != rows[i].names || (d.ca_pem.n > 0) != (rows[i].names > 0))
			fail_msg("row %zu: %u", i, d.require);
	}
	config_free(c);
	c = fixture_good(BASICS "routes = ( { senders = [ \"a@example.org\" ]; via = [ \"mx\" ]; tls = \"dane\"; },"
				" { via = [ \"mx\" ]; } ); delivery = { dane = false; };");
	assert_int_equal(c->routes[0].tls, TLS_REQUIRE_DANE);
	assert_int_equal(c->routes[1].tls, TLS_REQUIRE_DEFAULT);
	assert_int_equal(c->routes[1].place, 2);
	assert_true(c->delivery.uses_dane);
	config_free(c);
}

/* What the name of a next hop says, is what was written into it. */
static void names_of_routes(void **state)
{
	static const char *const strange[] = { "upstream:isp", "mx:", "mx:/verified", "mx:/none/requiretls", "", "m" };
	struct arena a = { 0 };
	struct mx_route r;

	for (enum tls_require q = TLS_REQUIRE_DEFAULT; q <= TLS_REQUIRE_DANE; q++)
		for (enum tls_wish w = TLS_WISH_NONE; w <= TLS_WISH_OPTIONAL; w++) {
			struct str name = mx_route_name(&a, &(struct mx_route){ S("none.dane"), q, w });

			assert_true(mx_route_read(name, &r));
			assert_true(str_eq(r.domain, S("none.dane")) && r.require == q && r.wish == w);
		}
	assert_true(str_eq(mx_route_name(&a, &(struct mx_route){ S("a.example"), TLS_REQUIRE_VERIFIED, TLS_WISH_REQUIRE }),
			   S("mx:a.example/verified/requiretls")));
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		assert_false(mx_route_read(str_of(strange[i]), &r));
	arena_fini(&a);
}

static void faults(void **state)
{
	static const struct row rows[] = {
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"verified\"; ca = \"chain.pem\"; } );", 5, NULL },
		{ "tls = ( { destinations = [ \"@b.example\" ]; } );", 5, "require" },
		{ "tls = ( { require = \"none\"; } );", 5, "destinations" },
		{ "tls = ( { destinations = [ ]; require = \"none\"; } );", 5, "expected at least one element" },
		{ "tls = ( { destinations = [ \"a@b.example\" ]; require = \"none\"; } );", 5, "a domain: \"@b\"" },
		{ "tls = ( { destinations = [ \"b.example\" ]; require = \"none\"; } );", 5, "a domain: \"@b\"" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"opportunistic\"; } );", 5, "\"verified\"" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"verified\"; ca = \"key.pem\"; } );", 5,
		  "expected certificates" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"verified\"; ca = \"missing.pem\"; } );", 5,
		  "missing.pem" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"verified\"; names = [ \"*.b.example\" ]; } );", 5,
		  "a full host name" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"none\"; names = [ \"mx.b.example\" ]; } );", 5,
		  "expected require = \"verified\" beside names" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"encrypted\"; ca = \"chain.pem\"; } );", 5,
		  "expected require = \"verified\" beside ca" },
		{ "tls = ( { destinations = [ \"@b.example\" ]; require = \"dane\"; ca = \"chain.pem\"; } );", 5,
		  "expected no ca beside require = \"dane\"" },
		{ "tls = ( { destinations = [ \"*\" ]; require = \"none\"; }, { destinations = [ \"@b.example\" ]; require = \"none\"; } );",
		  5, "\"@b.example\" has no effect: element 1", true },
		{ "tls = ( { destinations = [ \"@.b.example\" ]; require = \"none\"; },"
		  " { destinations = [ \"@a.b.example\" ]; require = \"none\"; } );",
		  5, "\"@a.b.example\" has no effect: element 1", true },
		{ "tls = ( { destinations = [ \"@.b.example\" ]; require = \"none\"; },"
		  " { destinations = [ \"@b.example\", \"@ab.example\", \"*\" ]; require = \"none\"; } );",
		  5, NULL },
		{ "delivery = { tls = \"verified\"; };", 5, NULL },
		{ "routes = ( { via = [ \"isp\", \"mx\" ]; tls = \"verified\"; } );", 5, NULL },
		{ "routes = ( { via = [ \"isp\" ]; tls = \"none\"; } );", 5, "routes.tls: expected \"mx\" in via" },
		{ "routes = ( { via = [ \"isp\", \"mx\" ]; tls = \"opportunistic\"; } );", 5, "\"verified\"" },
		{ "delivery = { tls = \"dane\"; };", 5, "\"opportunistic\"" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config_faults f;
		struct config *c;
		char text[4096];

		snprintf(text, sizeof text, "%s%s\n", BASICS, rows[i].text);
		c = fixture_load(text, &f);
		if (rows[i].words ? f.n != 1 || f.at[0].line != rows[i].line || f.at[0].warning != rows[i].warning ||
					    !strstr(fixture_faults(&f), rows[i].words)
				  : f.n > 0)
			fail_msg("%s: %s", rows[i].text, fixture_faults(&f));
		config_free(c);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(demands), cmocka_unit_test(demands_of_routes),
						   cmocka_unit_test(names_of_routes), cmocka_unit_test(faults) };

	return cmocka_run_group_tests_name("config tls", tests, fixture_open, fixture_close);
}
