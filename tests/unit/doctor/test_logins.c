/* test_logins.c - what a stolen password, or a host without one, could do. */
#include "table.h"

#include "posthouse/machine.h"

#include "posthouse/units.h"

#define NOW 1772456531204 /* the table's */

static struct machine_facts machine;

static struct table *run_with(const char *config, struct machine_facts m)
{
	struct table *t = table_new(config);

	machine = m;
	table_options(t)->machine = &machine;
	table_records(t, WORLD);
	table_run(t);
	return t;
}

static void plant_on(const char *config, struct machine_facts m, const char *id, enum doctor_result result, const char *words)
{
	struct table *t = run_with(config, m);

	if (words)
		expect(t, id, result, words);
	else
		expect_silent(t, id);
	table_free(t);
}

#define NOTHING ((struct machine_facts){ 0 })
#define DEVICE(networks, more)                                                                                                   \
	DIRECT "devices = ( { networks = [ " networks " ]; user = \"p\"; sender = \"p@example.org\"; " more " } );"
#define OWN "recipients = [ \"@example.org\" ]; "

static void test_senders(void **state)
{
	plant_on(DIRECT, NOTHING, "login.*", DOCTOR_OK, NULL);
	plant(DIRECT "senders = ( { user = \"alice\"; addresses = [ \"alice@example.org\", \"*\" ]; } );", "", "login.senders",
	      DOCTOR_WARNING, "alice is allowed to send as everybody");
	plant(DIRECT "senders = ( { user = \"alice\"; addresses = [ \"@gmail.com\" ]; } );", "", "login.senders", DOCTOR_WARNING,
	      "everybody at a foreign provider (\"@gmail.com\")");
	plant(DIRECT "senders = ( { user = \"alice\"; addresses = [ \"me@gmail.com\", \"@example.org\" ]; } );", "",
	      "login.senders", DOCTOR_OK, "");
	plant(DIRECT "senders = ( { user = \"alice\"; addresses = [ \"@.co.uk\" ]; } );", "", "login.senders", DOCTOR_WARNING,
	      "as everybody in \"@.co.uk\"");
	plant(DIRECT "senders = ( { user = \"alice\"; addresses = [ \"@.example.co.uk\", \"@.lan\" ]; } );", "", "login.senders",
	      DOCTOR_OK, "");
}

#define OTHERS(more) "senders = ( { user = \"alice\"; addresses = [ \"bob@bank.test\" ]; } ); " more
#define BANK(spf)    "bank.test SOA 1\nbank.test MX 10 mx.mailbox.test\nbank.test TXT " spf "\n"

static void test_domain_of_somebody_else(void **state)
{
	plant(DIRECT OTHERS(""), BANK("v=spf1 ip4:203.0.113.99 -all"), "login.senders", DOCTOR_WARNING,
	      "\"bob@bank.test\", which seems to be somebody else's");
	/* its owner lets us, or says nothing */
	plant(DIRECT OTHERS(""), BANK("v=spf1 ip4:203.0.113.25 ip6:2001:db8::25 -all"), "login.senders", DOCTOR_OK, "");
	plant(DIRECT OTHERS(""), BANK("nothing"), "login.senders", DOCTOR_OK, "");
	/* a second domain that goes by the user's provider */
	plant(DIRECT BASICS_UPSTREAM OTHERS(
		      "routes = ( { senders = [ \"@bank.test\" ]; via = [ \"isp\" ]; }, { via = [ \"mx\" ]; } );"),
	      BANK("v=spf1 ip4:203.0.113.99 -all"), "login.senders", DOCTOR_OK, "");
}

static void test_limits(void **state)
{
	plant(DIRECT "limits = { breaker = \"off\"; };", "", "login.limits", DOCTOR_FAILURE, "the breaker is off");
	plant("auth = { realm = \"example.org\"; }; limits = { breaker = \"off\"; };" BASICS_UPSTREAM
	      "routes = ( { via = [ \"isp\" ]; } );",
	      "", "login.limits", DOCTOR_WARNING, "the breaker is off");
	plant(DIRECT "limits = { breaker = \"off\"; messages = [ \"500/1d\" ]; };", "", "login.limits", DOCTOR_OK, "");
	plant(ADDRESSES "auth = { realm = \"example.org\"; failures = \"\"; };", "", "login.limits", DOCTOR_WARNING,
	      "failed logins are not counted");
}

static void test_passwords(void **state)
{
	struct account_fact accounts[] = {
		{ S("alice@example.org"), S("phone"), .expires_at = NOW + 10 * DAY_MS },
		{ S("bob@example.org"), S(""), .expires_at = NOW - DAY_MS },
		{ S("carol@example.org"), S(""), .expires_at = NOW + 30 * DAY_MS },
		{ S("dave@example.org"), S("") },
	};
	struct machine_facts m = { .accounts = { true, accounts, 4 } };
	struct table *t = run_with(DIRECT, m);

	expect(t, "login.passwords", DOCTOR_ADVICE, "alice@example.org/phone its password ends on 2026-03-12");
	expect(t, "login.passwords", DOCTOR_ADVICE, "posthouse user passwd alice@example.org/phone");
	expect(t, "login.passwords", DOCTOR_ADVICE, "bob@example.org its password has ended on 2026-03-01");
	table_free(t);
	m.accounts.at += 2;
	m.accounts.n = 2;
	plant_on(DIRECT, m, "login.passwords", DOCTOR_OK, "no password ends");
}

static void test_uses_of_passwords(void **state)
{
	struct account_fact accounts[] = {
		{ S("alice@example.org"), S(""), .used_at = NOW - DAY_MS },
		{ S("bob@example.org"), S(""), .created_at = NOW - 30 * DAY_MS },
		{ S("carol@example.org"), S("phone"), .created_at = NOW - 400 * DAY_MS, .used_at = NOW - 181 * DAY_MS },
		{ S("dave@example.org"), S("") },
		{ S("eve@example.org"), S(""), .expires_at = NOW - 9 * DAY_MS, .tried_at = NOW - 6 * DAY_MS },
		{ S("fay@example.org"), S(""), .expires_at = NOW - 9 * DAY_MS, .tried_at = NOW - 8 * DAY_MS },
	};
	struct machine_facts m = { .accounts = { true, accounts, 6, NOW - 200 * DAY_MS } };
	struct table *t = run_with(DIRECT, m);

	expect(t, "login.passwords", DOCTOR_ADVICE, "carol@example.org/phone nobody has used its password since 2025-09-02");
	expect(t, "login.passwords", DOCTOR_ADVICE, "posthouse user remove carol@example.org/phone");
	expect(t, "login.passwords", DOCTOR_ADVICE, "dave@example.org nobody has used its password since 2025-08-14");
	expect(t, "login.passwords", DOCTOR_WARNING,
	       "eve@example.org its password has ended on 2026-02-21, and somebody has used");
	expect(t, "login.passwords", DOCTOR_ADVICE, "fay@example.org its password has ended");
	table_free(t);
	/* what was counted for a short time only says nothing */
	m.accounts.n = 4;
	m.accounts.uses_since = NOW - 179 * DAY_MS;
	accounts[2].used_at = 0;
	plant_on(DIRECT, m, "login.passwords", DOCTOR_OK, "all are in use");
	m.accounts.uses_since = 0;
	plant_on(DIRECT, m, "login.passwords", DOCTOR_OK, "all are in use");
}

static void test_devices(void **state)
{
	struct machine_facts m = { .gateways = { (struct str[]){ S("198.51.100.1") }, 1 } };

	plant_on(DEVICE("\"198.51.100.16/28\"", OWN "tls = \"legacy\";"), m, "login.devices", DOCTOR_OK, NULL);
	plant_on(DEVICE("\"198.51.100.0/24\"", OWN "i_know = true;"), NOTHING, "*devices", DOCTOR_OK, NULL);
	plant_on(DEVICE("\"198.51.100.0/24\"", OWN "tls = \"legacy\";"), NOTHING, "login.devices", DOCTOR_WARNING,
		 "198.51.100.0/24 more than 16 addresses are let in with tls = \"legacy\"");
	plant_on(DEVICE("\"198.51.100.0/24\"", OWN "tls = \"none\";"), NOTHING, "login.devices", DOCTOR_WARNING, "\"none\"");
	plant_on(DEVICE("\"198.51.100.7\"", "recipients = [ \"*\" ]; "), NOTHING, "login.devices", DOCTOR_WARNING,
		 "198.51.100.7 this device is allowed to send to everybody");
	/* the gateway is one fault, told once */
	plant_on(DEVICE("\"198.51.100.0/24\"", OWN), m, "relay.open", DOCTOR_FAILURE,
		 "198.51.100.0/24 in devices: holds the default gateway");
	plant_on(DEVICE("\"198.51.100.0/24\"", OWN), m, "login.devices", DOCTOR_SKIPPED, "relay.open");
	plant_on(DEVICE("\"10.0.0.0/8\"", OWN "i_know = true; "), NOTHING, "relay.open", DOCTOR_FAILURE, "larger than a /16");
	plant_on(DEVICE("\"127.0.0.0/8\"", OWN "i_know = true; "), NOTHING, "relay.open", DOCTOR_FAILURE, "larger than a /16");
	plant_on(
		DEVICE("\"198.51.100.7\"", OWN
		       "i_know = true; ") "listen = ( { port = 587; tls = \"starttls\"; proxy_protocol = [ \"198.51.100.0/28\" ]; } );",
		NOTHING, "relay.open", DOCTOR_FAILURE, "holds the proxy 198.51.100.0/28");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_senders),   cmocka_unit_test(test_domain_of_somebody_else), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_passwords), cmocka_unit_test(test_uses_of_passwords),       cmocka_unit_test(test_devices)
	};

	return cmocka_run_group_tests_name("doctor_logins", tests, fixture_open, fixture_close);
}
