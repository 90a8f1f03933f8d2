/* test_dmarc.c - the checks of DMARC: each planted fault with its words and record. */
#include "table.h"

#include "posthouse/units.h"

#include "posthouse/records.h"

#define DMARC       "!_dmarc.example.org TXT "
#define RUA         "rua=mailto:postmaster@example.org"
#define NEWS        "senders = ( { user = \"a\"; addresses = [ \"a@news.example.org\" ]; } ); "
#define KEY(domain) "sign = ( { domain = \"" domain "\"; selector = \"r\"; key = \"rsa.key\"; } ); "
#define REALM       "auth = { realm = \"example.org\"; }; "

/* The good record of the key, as a line of the table; its domain is that of the first key. */
static const char *with_key(const char *config, const char *records)
{
	static char text[4000];
	char whole[2000];
	struct config *c;

	snprintf(whole, sizeof(whole), "%s%s", HOST CERT, config);
	c = fixture_good(whole);
	snprintf(text, sizeof(text), "%s%s%.*s._domainkey.%.*s TXT %.*s", records, records[0] ? "\n" : "",
		 STR_ARG(c->sign[0].selector), STR_ARG(c->sign[0].domain), STR_ARG(c->sign[0].record));
	config_free(c);
	return text;
}

static void expect_mended(const char *config, const char *records, enum doctor_result result, const char *words,
			  const char *value)
{
	struct table *t = table_new(config);
	const struct doctor_finding *f;

	table_only(t, "dmarc.*");
	table_world(t, records);
	table_run(t);
	f = expect(t, "dmarc.record", result, words);
	assert_int_equal(f->remedy.records_n, 1);
	assert_true(str_eq(f->remedy.records[0].name, S("_dmarc.example.org")));
	if (!str_eq(f->remedy.records[0].value, str_of(value)))
		fail_msg("%s: %.*s", records, STR_ARG(f->remedy.records[0].value));
	expect(t, "dmarc.align", DOCTOR_SKIPPED, "dmarc.record");
	table_free(t);
}

static void records(void **state)
{
	const char *const fresh = "v=DMARC1; p=none; rua=mailto:postmaster@example.org";

	plant(DIRECT, "", "dmarc.record", DOCTOR_OK, "p=none");
	plant(DIRECT, DMARC "v=DMARC1; p=reject; foo=bar; " RUA, "dmarc.record", DOCTOR_OK, "p=reject");
	plant(DIRECT, DMARC "v=DMARC1;p=none", "dmarc.record", DOCTOR_OK, "");
	plant(DIRECT NEWS, "", "dmarc.record", DOCTOR_OK, "at _dmarc.example.org");
	expect_mended(DIRECT, DMARC "some text", DOCTOR_WARNING, "has no DMARC record", fresh);
	expect_mended(DIRECT, DMARC "v=DMARC1; p=reject\n_dmarc.example.org TXT v=DMARC1; p=none", DOCTOR_FAILURE,
		      "has 2 DMARC records", "v=DMARC1; p=reject; rua=mailto:postmaster@example.org");
	expect_mended(DIRECT, DMARC "v=DMARC1; " RUA, DOCTOR_FAILURE, "it has no p=", fresh);
	expect_mended(DIRECT, DMARC "p=reject; v=DMARC1; " RUA, DOCTOR_FAILURE, "is not its first tag",
		      "v=DMARC1; p=reject; rua=mailto:postmaster@example.org");
	expect_mended(DIRECT, DMARC "v=DMARC1; p=none; =x; " RUA, DOCTOR_FAILURE, "a tag has no name", fresh);
	expect_mended(DIRECT, DMARC "v=DMARC1; p=none; " RUA "; " RUA, DOCTOR_FAILURE, "rua is there twice", fresh);
	expect_mended(DIRECT, DMARC "v=DMARC1; p=none; p=reject; " RUA, DOCTOR_FAILURE, "p is there twice", fresh);
	expect_mended(DIRECT, DMARC "v=DMARC1; p=no; sp=reject; pct=101", DOCTOR_FAILURE, "p=no is no policy",
		      "v=DMARC1; p=none; sp=reject; rua=mailto:postmaster@example.org");
	expect_mended(DIRECT, DMARC "'v=DMARC1\\; p=none\\; " RUA "'", DOCTOR_FAILURE, "quotes or backslashes", fresh);
	expect_mended(DIRECT, DMARC "x\n_dmarc.example.org.example.org TXT v=DMARC1; p=none", DOCTOR_WARNING,
		      "where nobody looks", fresh);
	plant(DIRECT, "!_dmarc.example.org SERVFAIL", "dmarc.record", DOCTOR_UNKNOWN, "server failure");
}

static void alignment(void **state)
{
	plant(DIRECT, "", "dmarc.align", DOCTOR_OK, "by its envelope");
	plant(DIRECT KEY("example.org"), with_key(DIRECT KEY("example.org"), ""), "dmarc.align", DOCTOR_OK, "by its signature");
	/* a key of the parent */
	plant(DIRECT NEWS KEY("example.org"), with_key(DIRECT KEY("example.org"), "news.example.org MX 10 mx.mailbox.test"),
	      "dmarc.align", DOCTOR_OK, "by its signature");
	plant(DIRECT NEWS KEY("example.org"),
	      with_key(DIRECT KEY("example.org"), DMARC "v=DMARC1; p=none; adkim=s\nnews.example.org MX 10 mx.mailbox.test"),
	      "dmarc.align", DOCTOR_FAILURE, "is signed as example.org, which adkim=s does not accept");
	/* neither: the SPF record of the subdomain is missing, and it has no key, which is said once, at dkim.key */
	plant(DIRECT NEWS, DMARC "v=DMARC1; p=quarantine\nnews.example.org MX 10 mx.mailbox.test", "dmarc.align", DOCTOR_SKIPPED,
	      "dkim.key");
	plant(DIRECT NEWS, DMARC "v=DMARC1; p=quarantine\nnews.example.org MX 10 mx.mailbox.test", "dkim.key", DOCTOR_FAILURE,
	      "news.example.org");
	/* the key's record is broken: that is the cause */
	plant(DIRECT NEWS KEY("example.org"), DMARC "v=DMARC1; p=reject\nnews.example.org MX 10 mx.mailbox.test", "dmarc.align",
	      DOCTOR_SKIPPED, "dkim.match");
	/* by an upstream whose addresses are not known */
	plant(REALM BASICS_UPSTREAM, DMARC "v=DMARC1; p=reject", "dmarc.align", DOCTOR_UNKNOWN, "--headers");
}

static void reports(void **state)
{
	static const char strict[] = DMARC "v=DMARC1; p=reject; aspf=s; adkim=s";

	plant(DIRECT, "", "dmarc.reports", DOCTOR_OK, "relay.example.org covers our reports by SPF");
	plant(DIRECT KEY("relay.example.org"), with_key(DIRECT KEY("relay.example.org"), strict), "dmarc.reports", DOCTOR_OK,
	      "relay.example.org signs our reports");
	plant(DIRECT "report_sender = \"mailer@example.org\"; ", strict, "dmarc.reports", DOCTOR_FAILURE,
	      "example.org is in From of our reports, which nothing proves; its DMARC policy is p=reject");
	plant(DIRECT "report_sender = \"mailer@example.org\"; ", DMARC "v=DMARC1; p=none; aspf=s", "dmarc.reports",
	      DOCTOR_WARNING, "which nothing proves");
	plant(REALM BASICS_UPSTREAM, DMARC "v=DMARC1; p=reject", "dmarc.reports", DOCTOR_FAILURE, "which nothing proves");
	plant(REALM BASICS_UPSTREAM KEY("example.org"),
	      with_key(REALM BASICS_UPSTREAM KEY("example.org"), DMARC "v=DMARC1; p=reject"), "dmarc.reports", DOCTOR_OK,
	      "example.org signs our reports");
}

static void policy(void **state)
{
	plant(DIRECT KEY("example.org"), with_key(DIRECT KEY("example.org"), ""), "dmarc.policy", DOCTOR_OK, "has p=none");
	table_age = 30 * DAY_MS;
	plant(DIRECT KEY("example.org"), with_key(DIRECT KEY("example.org"), ""), "dmarc.policy", DOCTOR_ADVICE,
	      "has p=none for 30 days");
	table_age = 0;
	plant(DIRECT, DMARC "v=DMARC1; p=reject; sp=none", "dmarc.policy", DOCTOR_ADVICE, "sp=none, weaker than p=reject");
	plant(DIRECT, DMARC "v=DMARC1; p=reject; pct=20", "dmarc.policy", DOCTOR_ADVICE, "pct=20");
	plant(DIRECT KEY("example.org"), DMARC "v=DMARC1; p=reject", "dmarc.policy", DOCTOR_FAILURE,
	      "p=reject while its signatures are");
	plant(DIRECT, DMARC "v=DMARC1; p=reject", "dmarc.policy", DOCTOR_OK, "has p=reject");
}

static void addresses(void **state)
{
	plant(DIRECT, "", "dmarc.rua", DOCTOR_OK, "mailto:postmaster@example.org gets the reports");
	plant(DIRECT, DMARC "v=DMARC1; p=none", "dmarc.rua", DOCTOR_ADVICE, "asks for no reports");
	plant(DIRECT, DMARC "v=DMARC1; p=none; rua=postmaster@example.org", "dmarc.rua", DOCTOR_WARNING, "is no mailto: address");
	plant(DIRECT, DMARC "v=DMARC1; p=none; rua=mailto:a@none.test!10m", "dmarc.rua", DOCTOR_WARNING,
	      "none.test takes no mail");
	plant(DIRECT, DMARC "v=DMARC1; p=none; rua=mailto:a@other.test\nother.test MX 10 mx.other.test", "dmarc.rua",
	      DOCTOR_WARNING, "other.test has not agreed");
	plant(DIRECT,
	      DMARC "v=DMARC1; p=none; rua=mailto:a@other.test\nother.test MX 10 mx.other.test\n"
		    "example.org._report._dmarc.other.test TXT v=DMARC1",
	      "dmarc.rua", DOCTOR_OK, "");
	plant(DIRECT,
	      DMARC "v=DMARC1; p=none; rua=mailto:b@example.org,mailto:a@other.test\nother.test MX 10 mx.other.test\n"
		    "*._report._dmarc.other.test TXT v=DMARC1;",
	      "dmarc.rua", DOCTOR_OK, "mailto:a@other.test");
}

static void good(void **state)
{
	struct table *t = table_new(DIRECT);

	table_only(t, "dmarc.*");
	table_world(t, "");
	table_run(t);
	expect_silent(t, "dmarc.*");
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records), cmocka_unit_test(alignment), cmocka_unit_test(reports),
		cmocka_unit_test(policy),  cmocka_unit_test(addresses), cmocka_unit_test(good),
	};

	return cmocka_run_group_tests_name("doctor_dmarc", tests, fixture_open, fixture_close);
}
