/* test_trust.c - which certificate of an upstream is the right one: tls = "dane", tls_fingerprints, and what does not fit together. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define FRONT                                                                                                                    \
	"hostname = \"relay.example.org\"; postmaster = \"p@example.org\"; certificates = ( { chain = \"chain.pem\"; key = "     \
	"\"key.pem\"; } );\n"
#define DIGITS "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define COLONS "9F:86:D0:81:88:4C:7D:65:9A:2F:EA:A0:C5:5A:D0:15:A3:BF:4F:1B:2B:0B:82:2C:D1:5D:6C:15:B0:F0:0A:08"

static struct config *load(const char *upstream, struct config_faults *faults)
{
	char text[2000];

	snprintf(text, sizeof text, FRONT "upstreams = ( { name = \"u\"; %s } );\n", upstream);
	return fixture_load(text, faults);
}

/* As msmtp, Postfix and openssl print them. */
static void one_form(void **state)
{
	static const char *const forms[] = { "sha256:" DIGITS, DIGITS, COLONS, "sha256:" COLONS };

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		char upstream[300];
		struct config_faults faults;
		struct config *c;

		snprintf(upstream, sizeof upstream, "host = \"h.example\"; tls_fingerprints = [ \"%s\" ];", forms[i]);
		c = load(upstream, &faults);
		if (faults.n > 0)
			fail_msg("%s: %s", forms[i], fixture_faults(&faults));
		assert_int_equal(c->upstreams[0].tls_fingerprints.n, 1);
		assert_true(str_eq(c->upstreams[0].tls_fingerprints.at[0], S("sha256:" DIGITS)));
		assert_false(c->delivery.uses_dane);
		config_free(c);
	}
}

#define PIN "tls_fingerprints = [ \"" DIGITS "\" ]; "

static const struct {
	const char *upstream, *fault; /* or warning */
} bad[] = {
	{ "host = \"h\"; tls_fingerprints = [ \"sha256:12\" ];", "64 hexadecimal digits" },
	{ "host = \"h\"; tls_fingerprints = [ \"md5:" DIGITS "\" ];", "64 hexadecimal digits" },
	{ "host = \"h\"; tls_fingerprints = [ \"" DIGITS "00\" ];", "64 hexadecimal digits" },
	{ "host = \"h\"; tls_fingerprints = [ \"9:f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\" ];",
	  "64 hexadecimal digits" },
	{ "host = \"h\"; tls = \"none\"; " PIN, "otherwise mail goes without them too" },
	{ "host = \"h\"; tls = \"opportunistic\"; " PIN, "otherwise mail goes without them too" },
	{ "host = \"h\"; tls = \"dane\"; " PIN, "either tls = \"dane\" or tls_fingerprints" },
	{ "host = \"192.0.2.1\"; tls = \"dane\";", "expected a host name beside tls" },
	{ "host = \"h\"; tls = \"dane\"; tls_name = \"n.example\";", "tls_name is not used" },
	{ "host = \"h\"; tls = \"dane\"; ca = \"chain.pem\";", "ca is not used with tls" },
	{ "host = \"h\"; ca = \"chain.pem\"; " PIN, "ca is not used with tls_fingerprints" },
};

static void contradictions(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct config_faults faults;
		struct config *c = load(bad[i].upstream, &faults);

		if (!strstr(fixture_faults(&faults), bad[i].fault))
			fail_msg("%s: %s", bad[i].upstream, fixture_faults(&faults));
		config_free(c);
	}
}

/* The resolver has to validate for it. */
static void dane(void **state)
{
	struct config_faults faults;
	struct config *c = load("host = \"h.example\"; tls = \"dane\";", &faults);

	assert_int_equal(faults.n, 0);
	assert_int_equal(c->upstreams[0].port, 587);
	assert_true(c->delivery.uses_dane);
	config_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(one_form), cmocka_unit_test(contradictions),
						   cmocka_unit_test(dane) };

	return cmocka_run_group_tests_name("config trust", tests, fixture_open, fixture_close);
}
