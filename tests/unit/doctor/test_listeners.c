/* test_listeners.c - our own listeners: open, protected, and closed to strangers. */
#include "table.h"

#include "posthouse/machine.h"

#define CONFIG DIRECT "listen = ( { port = 587; tls = \"starttls\"; } );"
#define OURS   .greeting = S("220 relay.example.org ESMTP"), .tls = true
#define CLEAR  S("250-relay.example.org\n250-SIZE 1000\n250 STARTTLS")
#define EHLO   .ehlo_clear = CLEAR, .ehlo = S("250-relay.example.org\n250 AUTH PLAIN LOGIN")

static struct machine_facts machine;

static struct table *begin(const char *config, enum relay_state relay)
{
	struct table *t = table_new(config);

	machine = (struct machine_facts){ .relay = { .state = relay } };
	table_options(t)->machine = &machine;
	table_records(t, WORLD);
	return t;
}

/* The loopback listener says that, to whatever is asked: also to a client of TLS 1.1. */
static void answers(struct fact_probe p, const char *id, enum doctor_result result, const char *words)
{
	struct table *t = begin(CONFIG, RELAY_RUNS);

	table_probe(t, "127.0.0.1", 587, p);
	table_end(t, id, result, words);
}

static void test_open(void **state)
{
	struct table *t;

	answers((struct fact_probe){ OURS, EHLO }, "listen.open", DOCTOR_FAILURE, "offers TLS before 1.2 to everybody");
	answers((struct fact_probe){ .greeting = S("220 relay.example.org ESMTP"), EHLO, .tls_why = S("no shared cipher") },
		"listen.open", DOCTOR_FAILURE, "makes no TLS connection: no shared cipher");
	answers((struct fact_probe){ .greeting = S("220 web ESMTP Postfix"), EHLO }, "listen.open", DOCTOR_FAILURE,
		"another program has this port: 220 web ESMTP Postfix");
	answers((struct fact_probe){ OURS, .ehlo_clear = S("250-x\n250-AUTH PLAIN\n250 STARTTLS") }, "listen.open",
		DOCTOR_FAILURE, "offers a login in clear text");
	answers((struct fact_probe){ OURS, .ehlo_clear = S("250-x\n250 AUTH=PLAIN") }, "listen.open", DOCTOR_FAILURE,
		"in clear text");
	answers((struct fact_probe){ .state = FACT_UNKNOWN, .refused = true, .why = S("connection refused") }, "listen.open",
		DOCTOR_FAILURE, "cannot be connected to from this machine: connection refused");
	/* one cause, one failure */
	t = begin(CONFIG, RELAY_ABSENT);
	table_probe(t, "127.0.0.1", 587, (struct fact_probe){ .state = FACT_UNKNOWN, .refused = true, .why = S("refused") });
	table_end(t, "listen.open", DOCTOR_SKIPPED, "relay.running");
	t = begin(CONFIG, RELAY_ABSENT);
	table_probe(t, "127.0.0.1", 587, (struct fact_probe){ .greeting = S("220 web ESMTP") });
	table_end(t, "listen.open", DOCTOR_FAILURE, "another program has this port");
}

/* From the machine itself the router's address often does not work: that is no failure. */
static void test_by_name(void **state)
{
	/* a listed device gets old TLS, so that this machine cannot see what others get */
	static const char config[] =
		CONFIG "devices = ( { networks = [ \"127.0.0.1\" ]; user = \"p\"; sender = \"p@example.org\"; "
		       "recipients = [ \"@example.org\" ]; i_know = true; } );";
	struct table *t = begin(config, RELAY_RUNS);

	table_probe(t, "127.0.0.1", 587, (struct fact_probe){ OURS, EHLO });
	table_probe(t, "203.0.113.25", 587, (struct fact_probe){ OURS, EHLO });
	table_run(t);
	expect(t, "listen.open", DOCTOR_OK, "*:587 answers");
	expect(t, "listen.open", DOCTOR_OK, "203.0.113.25:587 answers by the name");
	expect(t, "listen.open", DOCTOR_UNKNOWN, "2001:db8::25:587 does not answer, seen from this machine");
	expect(t, "listen.open", DOCTOR_UNKNOWN, "Many routers cannot loop back");
	table_free(t);
}

static void test_strangers(void **state)
{
	struct str refused[] = { S("530 5.7.0"), S("530 5.7.0"), S("250 ok"), S("530 5.7.0"), S("503 5.5.1"), S("250 ok") };
	struct str open_to_all[] = { S("250 ok"), S("550 5.7.1"), S("250 ok"), S("250 ok"), S("250 ok"), S("250 ok") };
	struct table *t;

	answers((struct fact_probe){ OURS, EHLO, .replies = refused, .replies_n = 6 }, "relay.open", DOCTOR_OK,
		"takes nothing without a login from 127.0.0.1");
	answers((struct fact_probe){ OURS, EHLO, .replies = refused, .replies_n = 6 }, "relay.open", DOCTOR_OK, NULL);
	answers((struct fact_probe){ OURS, EHLO, .replies = open_to_all, .replies_n = 6 }, "relay.open", DOCTOR_FAILURE,
		"*:587 takes mail for strangers from 127.0.0.1 without a login");
	t = begin(CONFIG, RELAY_RUNS);
	machine.addresses = (struct str_list){ (struct str[]){ S("203.0.113.25") }, 1 };
	table_probe(t, "203.0.113.25", 587, (struct fact_probe){ OURS, EHLO, .replies = open_to_all, .replies_n = 6 });
	table_end(t, "relay.open", DOCTOR_FAILURE, "from 203.0.113.25 without a login");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_open), cmocka_unit_test(test_by_name),
					    cmocka_unit_test(test_strangers) };

	return cmocka_run_group_tests_name("doctor_listeners", tests, fixture_open, fixture_close);
}
