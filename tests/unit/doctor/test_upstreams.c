/* test_upstreams.c - the servers that deliver for us: reached by the running relay, or without a login where none runs. */
#include "table.h"

#include "posthouse/meaning.h"
#include "posthouse/smtp_client.h"
#include "posthouse/units.h"

#define UP(more)                                                                                                                 \
	ADDRESSES "auth = { realm = \"example.org\"; }; upstreams = ( { name = \"isp\"; host = \"smtp.isp.test\"; " more         \
		  " } ); routes = ( { via = [ \"isp\" ]; } );"
#define HOST_A  "smtp.isp.test A 203.0.113.81\n"
#define LOGIN   "login = \"me@example.org\"; password = \"x\"; "
#define GREETED .greeting = S("220 smtp.isp.test ESMTP")
#define GOOD    GREETED, .tls = true, .ehlo = S("250-smtp.isp.test\n250-SIZE 52428800\n250 AUTH PLAIN")

static struct table *begin(const char *config, const char *records)
{
	struct table *t = table_new(config);

	table_records(t, WORLD);
	table_records(t, records);
	return t;
}

/* The relay's own test of it. */
static void tested(const char *config, struct fact_upstream f, enum doctor_result result, const char *words)
{
	struct table *t = begin(config, HOST_A);

	table_probe(t, "203.0.113.81", 587, (struct fact_probe){ GOOD });
	table_upstream(t, "isp", f);
	table_end(t, "upstream.reach", result, words);
}

static uint64_t means(enum hint hint, enum trouble trouble, enum actor actor)
{
	return meaning_pack((struct meaning){ .hint = hint, .trouble = trouble, .actor = actor });
}

static struct fact_upstream failed(struct verdict v, unsigned step, uint64_t meaning, const char *extensions)
{
	return (struct fact_upstream){
		.verdict = v, .step = step, .meaning = (unsigned)meaning, .extensions = str_of(extensions)
	};
}

static void test_by_relay(void **state)
{
	const struct fact_upstream good = { .mechanism = S("PLAIN"), .extensions = S("SIZE"), .size = 52428800 };
	const struct verdict refused = perm(535, S("5.7.8"), S("bad credentials")),
			     unreachable = temp(421, S("4.4.1"), S("timed out"));

	tested(UP(LOGIN), good, DOCTOR_OK, "isp takes our login at smtp.isp.test:587");
	tested(UP(""), (struct fact_upstream){ .extensions = S("SIZE") }, DOCTOR_OK, "takes mail without a login");
	tested(UP(LOGIN), failed(refused, STEP_AUTH, means(0, TROUBLE_LOGIN, ACTOR_ADMIN), "SIZE"), DOCTOR_FAILURE,
	       "isp the login is refused at smtp.isp.test:587: 535 5.7.8 bad credentials");
	tested(UP(LOGIN), failed(refused, STEP_AUTH, means(0, TROUBLE_LOGIN, ACTOR_ADMIN), "SIZE"), DOCTOR_FAILURE,
	       "login = \"…\"; password_file =");
	tested(UP(LOGIN "profile = \"gmail\"; "), failed(refused, STEP_AUTH, means(0, TROUBLE_LOGIN, ACTOR_ADMIN), "SIZE"),
	       DOCTOR_FAILURE, "make an app password");
	tested(UP(LOGIN), failed(refused, STEP_AUTH, means(HINT_YANDEX_PASSWORD, TROUBLE_LOGIN, ACTOR_ADMIN), "SIZE"),
	       DOCTOR_FAILURE, "Yandex wants an app password");
	tested(UP(""), failed(unreachable, STEP_OPENING, means(HINT_NO_ANSWER, TROUBLE_TEMPORARY, ACTOR_ADMIN), ""),
	       DOCTOR_FAILURE, "isp cannot be used at smtp.isp.test:587: timed out");
	tested(UP(""), failed(unreachable, STEP_OPENING, means(HINT_NO_ANSWER, TROUBLE_TEMPORARY, ACTOR_ADMIN), ""),
	       DOCTOR_FAILURE, "port = 465; tls = \"implicit\";");
	tested(UP(""), failed(unreachable, STEP_OPENING, means(HINT_WANTS_IMPLICIT, TROUBLE_TEMPORARY, ACTOR_ADMIN), ""),
	       DOCTOR_FAILURE, "{ name = \"isp\"; … tls = \"implicit\"; }");
	tested(UP(""),
	       failed(perm(550, S("5.4.4"), S("no such host")), STEP_OPENING, means(HINT_NAME_NOT_FOUND, 0, ACTOR_ADMIN), ""),
	       DOCTOR_FAILURE, "host = \"…\";");
	tested(UP(""),
	       failed(temp(454, S("4.7.5"), S("certificate verify failed")), STEP_OPENING,
		      means(HINT_CERTIFICATE_ISSUER, TROUBLE_TLS, ACTOR_ADMIN), ""),
	       DOCTOR_FAILURE, "ca = \"/etc/posthouse/upstream-ca.pem\";");
	/* what passes by itself is no failure */
	tested(UP(""),
	       failed(temp(451, S("4.3.0"), S("try later")), STEP_OPENING, means(0, TROUBLE_TEMPORARY, ACTOR_NOBODY), "SIZE"),
	       DOCTOR_UNKNOWN, "could not be tried now: 451 4.3.0 try later");
	tested(UP(""), failed(temp(0, S(""), S("no answer")), STEP_OPENING, means(HINT_NAME_SERVERS_SILENT, 0, ACTOR_ADMIN), ""),
	       DOCTOR_UNKNOWN, "could not be tried now");
}

/* Without a relay: the same as far as it goes, and it is said. */
static void test_by_probe(void **state)
{
	const struct fact_probe clear = { GREETED, .ehlo = S("250 smtp") }, bad = { GOOD, .verify = S("wrong name") };
	const struct {
		const struct fact_probe *answer; /* NULL: time-out */
		enum doctor_result result;
		const char *words;
	} rows[] = {
		{ &(const struct fact_probe){ GOOD }, DOCTOR_OK, "the login was not tried (no relay runs)" },
		{ NULL, DOCTOR_FAILURE, "no connection: no answer" },
		{ &clear, DOCTOR_FAILURE, "offers no STARTTLS" },
		{ &bad, DOCTOR_FAILURE, "the certificate is not good: wrong name" },
		{ &(const struct fact_probe){ .greeting = S("554 no") }, DOCTOR_FAILURE, "offers no STARTTLS" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct table *t = begin(UP(""), HOST_A);

		if (rows[i].answer)
			table_probe(t, "203.0.113.81", 587, *rows[i].answer);
		table_end(t, "upstream.reach", rows[i].result, rows[i].words);
	}
	table_end(begin(UP(""), ""), "upstream.reach", DOCTOR_FAILURE, "no address of smtp.isp.test is known");
}

/* Mail goes by the good one, with a detour. */
static void test_one_bad_address(void **state)
{
	struct table *t = begin(UP(""), HOST_A "smtp.isp.test A 203.0.113.82\nsmtp.isp.test AAAA 2001:db8::81\n");

	table_probe(t, "203.0.113.81", 587, (struct fact_probe){ GOOD });
	table_probe(t, "2001:db8::81", 587,
		    (struct fact_probe){ .state = FACT_UNKNOWN, .unreachable = true, .why = S("no way") });
	table_upstream(t, "isp", (struct fact_upstream){ .extensions = S("SIZE") });
	table_end(t, "upstream.reach", DOCTOR_ADVICE,
		  "1 of the 2 addresses of smtp.isp.test cannot be used: 203.0.113.82, no connection");
}

static void test_fits(void **state)
{
	struct table *t = begin(UP(""), HOST_A);

	table_upstream(t, "isp", (struct fact_upstream){ .extensions = S("SIZE"), .size = 1000000 });
	table_end(t, "upstream.fits", DOCTOR_WARNING, "limits = { message_size = 1000000; };");
	t = begin(UP(""), HOST_A);
	table_probe(t, "203.0.113.81", 587,
		    (struct fact_probe){ GREETED, .tls = true, .ehlo = S("250-x\n250-SIZE 2000000\n250 DSN") });
	table_end(t, "upstream.fits", DOCTOR_WARNING, "takes messages of 2000000 bytes at most");
	t = begin(UP(""), HOST_A);
	table_probe(t, "203.0.113.81", 587, (struct fact_probe){ GOOD });
	table_end(t, "upstream.fits", DOCTOR_OK, NULL);
	t = begin(UP(LOGIN "profile = \"gmail\"; messages = [ ]; "), HOST_A);
	table_upstream(t, "isp", (struct fact_upstream){ .extensions = S("SIZE") });
	table_end(t, "upstream.fits", DOCTOR_ADVICE, "messages = [ \"250/1d\" ];");
}

static void sent_as(struct fact_upstream f, enum doctor_result result, const char *words)
{
	struct table *t = begin(UP("") "senders = ( { user = \"a\"; addresses = [ \"bob@example.org\" ]; } );", HOST_A);

	table_options(t)->deep = true;
	table_upstream(t, "isp", (struct fact_upstream){ .extensions = S("SIZE") });
	table_upstream(t, "isp bob@example.org", f);
	table_end(t, "upstream.sender", result, words);
}

static void test_sender(void **state)
{
	sent_as((struct fact_upstream){ .step = STEP_AUTH }, DOCTOR_OK, "isp takes mail of bob@example.org");
	sent_as(failed(perm(550, S("5.7.1"), S("not yours")), STEP_MAIL, means(HINT_OWN_ADDRESS_ONLY, TROUBLE_SETUP, ACTOR_ADMIN),
		       "X"),
		DOCTOR_FAILURE, "isp refuses mail of bob@example.org: 550 5.7.1 not yours");
	sent_as(failed(perm(550, S("5.7.1"), S("not yours")), STEP_MAIL, means(HINT_OWN_ADDRESS_ONLY, TROUBLE_SETUP, ACTOR_ADMIN),
		       "X"),
		DOCTOR_FAILURE, "routes = ( { senders = [ \"bob@example.org\" ];");
	sent_as(failed(temp(451, S("4.3.0"), S("later")), STEP_MAIL, means(0, 0, 0), "X"), DOCTOR_UNKNOWN, "could not be tried");
	sent_as(failed(perm(535, S("5.7.8"), S("no")), STEP_AUTH, means(0, TROUBLE_LOGIN, 0), "X"), DOCTOR_SKIPPED,
		"upstream.reach");
}

#define GMAIL(login, more)                                                                                                       \
	ADDRESSES "auth = { realm = \"example.org\"; }; upstreams = ( { name = \"g\"; profile = \"gmail\"; login = \"" login     \
		  "\"; password = \"x\"; " more " } ); routes = ( { via = [ \"g\" ]; } );"

static void test_rewrites(void **state)
{
	plant(GMAIL("me@gmail.com", ""), "", "upstream.rewrites", DOCTOR_WARNING,
	      "g can replace authors of example.org by its account");
	plant(GMAIL("me@gmail.com", ""), "", "upstream.rewrites", DOCTOR_WARNING, "Send mail as");
	plant(GMAIL("me@gmail.com", "rewrite_from = true; "), "", "upstream.rewrites", DOCTOR_OK, "");
	plant(GMAIL("me@example.org", ""), "", "upstream.rewrites", DOCTOR_OK, "");
}

static void test_clear(void **state)
{
	plant(UP("tls = \"none\"; "), HOST_A, "upstream.clear", DOCTOR_FAILURE, "tls = \"starttls\";");
	plant(UP("tls = \"none\"; "), "smtp.isp.test A 192.168.1.9\n", "upstream.clear", DOCTOR_OK, "isp is in this network");
	plant(UP("tls = \"none\"; "), HOST_A "smtp.isp.test AAAA fd00::1\n", "upstream.clear", DOCTOR_FAILURE, "in clear text");
	plant(UP("tls = \"opportunistic\"; "), HOST_A, "upstream.clear", DOCTOR_WARNING, "hides its TLS");
	plant(UP(""), HOST_A, "upstream.clear", DOCTOR_OK, "");
}

#define MX(tls) ADDRESSES "routes = ( { via = [ \"mx\" ]; } ); " tls

static void test_exceptions(void **state)
{
	plant(MX(""), "", "tls.exceptions", DOCTOR_OK, "no domain is excepted");
	plant(MX("tls = ( { destinations = [ \"@bank.test\" ]; require = \"verified\"; } );"), "", "tls.exceptions", DOCTOR_OK,
	      "");
	plant(MX("tls = ( { destinations = [ \"@broken.test\" ]; require = \"none\"; } );"), "", "tls.exceptions", DOCTOR_WARNING,
	      "@broken.test gets mail without DANE and MTA-STS");
	plant(ADDRESSES "routes = ( { senders = [ \"@a.test\" ]; via = [ \"mx\" ]; tls = \"verified\"; },"
			" { via = [ \"mx\" ]; tls = \"none\"; } );",
	      "", "tls.exceptions", DOCTOR_WARNING, "routes[2] sends mail without DANE and MTA-STS");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_by_relay),        cmocka_unit_test(test_by_probe),
					    cmocka_unit_test(test_one_bad_address), cmocka_unit_test(test_fits),
					    cmocka_unit_test(test_sender),          cmocka_unit_test(test_rewrites),
					    cmocka_unit_test(test_clear),           cmocka_unit_test(test_exceptions) };

	return cmocka_run_group_tests_name("doctor_upstreams", tests, fixture_open, fixture_close);
}
