/* test_routes.c - routes that upstreams.senders make, and weights in via. */
#include "fixture.h"

#include <stdio.h>

/* "senders [recipients] -> via" of each route, with ';' between. */
static void expect_routes(const struct config *c, const char *wanted)
{
	struct buf b;

	buf_init(&b, 10000);
	for (size_t i = 0; i < c->routes_n; i++) {
		const struct cfg_route *r = &c->routes[i];

		buf_add(&b, i > 0 ? S("; ") : S(""));
		for (size_t k = 0; k < r->senders.n; k++)
			buf_printf(&b, "%.*s ", STR_ARG(r->senders.at[k]));
		for (size_t k = 0; k < r->recipients.n; k++)
			buf_printf(&b, "[%.*s] ", STR_ARG(r->recipients.at[k]));
		buf_add(&b, S("->"));
		for (size_t k = 0; k < r->via.n; k++)
			buf_printf(&b, " %.*s", STR_ARG(r->via.at[k]));
	}
	buf_add_char(&b, '\0');
	assert_string_equal(b.p + b.from, wanted);
	buf_fini(&b);
}

/* upstreams.senders come before routes; who takes the mail of other senders, and reports. What is dumped loads to the same. */
static void sender_routes(void **state)
{
	static const char basics[] = "hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\";\n"
				     "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n";
#define A        "{ name = \"a\"; host = \"h\"; senders = [ \"a@x\", \"@y\" ]; }"
#define B        "{ name = \"b\"; host = \"h\"; senders = [ \"b@x\" ]; }"
#define C        "{ name = \"c\"; host = \"h\"; }"
#define D        "{ name = \"d\"; host = \"h\"; }"
#define A_ROUTES "a@x @y -> a; <> [a@x] [@y] -> a"
#define B_ROUTES "b@x -> b; <> [b@x] -> b"
	static const struct {
		const char *text, *routes, *warning;
	} rows[] = {
		{ "upstreams = ( " A ", " B ", " C ", " D " );", A_ROUTES "; " B_ROUTES "; -> c d", NULL },
		{ "upstreams = ( " C ", " B " );", B_ROUTES "; -> c", NULL },
		{ "upstreams = ( " A ", " B " );", A_ROUTES "; " B_ROUTES "; <> -> a b", "mail of other senders" },
		{ "upstreams = ( " B " ); routes = ( { via = [ \"mx\" ]; } );", B_ROUTES "; -> mx", NULL },
		{ "upstreams = ( " B ", " C
		  " ); routes = ( { senders = [ \"<>\" ]; via = [ \"c\", \"b\" ]; }, { via = [ \"b\" ]; } );",
		  B_ROUTES "; <> -> c b; -> b", NULL },
		{ "upstreams = ( " B ", " C ", { name = \"e\"; host = \"h\"; senders = [ \"b@x\" ]; } );",
		  "b@x -> b e; <> [b@x] -> b e; -> c", NULL },
		{ "upstreams = ( " B ", " C ", { name = \"e\"; host = \"h\"; senders = [ \"e@x\", \"B@x\" ]; } );",
		  B_ROUTES "; e@x B@x -> e; <> [e@x] [B@x] -> e; -> c", "goes by \"b\", which comes before \"e\"" },
		{ "upstreams = ( { name = \"b\"; host = \"h\"; senders = [ \"*\" ]; } ); routes = ( { via = [ \"mx\" ]; } );",
		  "* -> b; -> mx", "never reached: \"b\" serves all senders" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_faults faults;
		char text[4096];
		struct config *c;
		struct buf b;

		snprintf(text, sizeof(text), "%s%s", basics, rows[i].text);
		c = fixture_load(text, &faults);
		if (faults.n != (rows[i].warning ? 1 : 0))
			fail_msg("%s: %s", rows[i].text, fixture_faults(&faults));
		if (rows[i].warning && (!faults.at[0].warning || !strstr(fixture_faults(&faults), rows[i].warning)))
			fail_msg("%s: %s", rows[i].text, fixture_faults(&faults));
		expect_routes(c, rows[i].routes);
		buf_init(&b, 1 << 20);
		assert_true(config_dump(c, &b));
		buf_add_char(&b, '\0');
		config_free(c);
		c = fixture_load(b.p + b.from, &faults);
		expect_routes(c, rows[i].routes);
		config_free(c);
		buf_fini(&b);
	}
}

/* rewrite_from needs an address. */
static void rewrite_from(void **state)
{
	static const struct {
		const char *keys, *fault;
	} rows[] = {
		{ "rewrite_from = true;", "expected from_address" },
		{ "rewrite_from = true; from_address = \"a@b.example\";", NULL },
		{ "rewrite_from = true; login = \"a@b.example\"; password_file = \"password\";", NULL },
		{ "rewrite_from = true; login = \"a\"; password_file = \"password\";", "expected from_address" },
		{ "from_address = \"a@b.example\";", "not used without" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_faults faults;
		struct config *c;
		char text[1024];

		snprintf(text, sizeof(text),
			 "hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\";\n"
			 "certificates = ( { chain = \"chain.pem\"; key = \"key.pem\"; } );\n"
			 "upstreams = ( { name = \"isp\"; host = \"h\"; %s } );\n",
			 rows[i].keys);
		c = fixture_load(text, &faults);
		if (rows[i].fault ? faults.n != 1 || !strstr(fixture_faults(&faults), rows[i].fault) : faults.n > 0)
			fail_msg("%s: %s", rows[i].keys, fixture_faults(&faults));
		config_free(c);
	}
}

/* What is said of such a `via`; NULL: it is good. */
static void weights(void **state)
{
	static const struct {
		const char *via, *fault;
	} rows[] = {
		{ "\"isp:3\", \"mx:1000\"", NULL },
		{ "\"isp:0\"", "a weight from 1 to 1000" },
		{ "\"isp:1001\"", "a weight from 1 to 1000" },
		{ "\"isp:\"", "a weight from 1 to 1000" },
		{ "\"isp:1:1\"", "a weight from 1 to 1000" },
		{ "\"isp:-1\"", "a weight from 1 to 1000" },
		{ "\"isp:1\", \"mx:1000\", \"isp\"", "\"isp\" is named already" },
		{ "\"isp\", \"other:3\"", "there is none called \"other\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_faults faults;
		struct config *c;
		char text[1024];

		snprintf(text, sizeof(text), "%sroutes = ( { via = [ %s ]; } );\n", BASICS, rows[i].via);
		c = fixture_load(text, &faults);
		if (rows[i].fault ? faults.n != 1 || !strstr(fixture_faults(&faults), rows[i].fault) : faults.n > 0)
			fail_msg("%s: %s", rows[i].via, fixture_faults(&faults));
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sender_routes), cmocka_unit_test(weights),
					    cmocka_unit_test(rewrite_from) };

	return cmocka_run_group_tests_name("config routes", tests, fixture_open, fixture_close);
}
